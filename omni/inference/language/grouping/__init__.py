"""Texts that belong together: near-duplicates and clusters."""
