"""Tables that tenants bring: read once, typed, looked at, and kept as Parquet."""
