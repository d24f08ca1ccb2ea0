"""Benchmarks: what the platform reaches on this machine, against the bars that it has to meet."""
