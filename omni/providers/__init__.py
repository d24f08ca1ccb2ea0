"""Upstream adapters, one package each."""
