"""Deployments: which version of a model answers whom, and how each of them fares."""
