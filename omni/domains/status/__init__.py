"""Is it up: probes and their history, in a file of its own."""
