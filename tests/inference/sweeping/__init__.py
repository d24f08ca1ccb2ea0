"""Objects that no row names."""
