"""Omni: one fast gateway in front of your own models and the providers you buy from, sold as metered APIs."""

__version__ = "0.1.0"
