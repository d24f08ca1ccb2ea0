"""Everything that takes long: one resource, one runner, whatever the kind of work."""
