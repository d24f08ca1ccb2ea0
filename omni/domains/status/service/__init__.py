"""Use cases of the status page, a file each."""
