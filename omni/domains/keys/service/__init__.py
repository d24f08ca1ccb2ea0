"""Use cases of the keys domain, a file each."""
