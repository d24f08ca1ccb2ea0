"""Models that are searched for on a tenant's dataset, and how they answer."""
