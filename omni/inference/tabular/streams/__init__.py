"""Anomalies of a series that comes point by point."""
