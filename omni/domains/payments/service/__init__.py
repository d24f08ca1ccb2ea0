"""Use cases of payments, a file each."""
