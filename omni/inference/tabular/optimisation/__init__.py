"""Minimise or maximise an expression within bounds and constraints."""
