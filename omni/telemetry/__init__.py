"""Logs, traces and metric names."""
