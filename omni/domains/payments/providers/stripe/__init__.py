"""Stripe, over its HTTP API."""
