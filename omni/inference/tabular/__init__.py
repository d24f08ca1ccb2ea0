"""Tabular: forecasts and anomalies."""
