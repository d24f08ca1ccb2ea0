"""Keys derived from the master key, and envelope encryption of values at rest."""
