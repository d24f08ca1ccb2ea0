"""Tokens of texts, and texts in pieces."""
