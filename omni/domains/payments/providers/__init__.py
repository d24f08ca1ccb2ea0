"""Adapters of the port `PaymentProvider`, a folder each. They do not know each other."""
