"""Models of tenants: what was uploaded or trained, its versions, and how they are served."""
