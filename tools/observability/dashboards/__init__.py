"""Grafana's dashboards, as data."""
