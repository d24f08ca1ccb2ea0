"""Payments: one port, its adapters, and what has come of each payment."""
