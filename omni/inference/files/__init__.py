"""Files that tenants bring, and those that jobs make for them."""
