"""Composition roots: wiring only, and the only readers of the environment."""
