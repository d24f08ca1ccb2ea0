"""Admission, reaper, rebuild and drain on a virtual clock: `python -m tests.simulation --seeds 0:200`."""
