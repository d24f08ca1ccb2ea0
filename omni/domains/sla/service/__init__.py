"""Use cases of service levels."""
