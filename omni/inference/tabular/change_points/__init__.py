"""Where a series changes its level or spread."""
