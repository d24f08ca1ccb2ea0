"""Frozen types and names that cross process borders."""
