"""The public documentation pages."""
