"""Controlled experiments: what their figures say, and how large they must be."""
