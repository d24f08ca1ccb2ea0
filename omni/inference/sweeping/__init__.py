"""Objects that no row names: found and deleted."""
