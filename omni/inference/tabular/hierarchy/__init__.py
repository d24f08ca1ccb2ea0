"""Forecasts of series that add up."""
