"""Use cases of the tenants domain, a file each."""
