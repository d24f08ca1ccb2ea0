"""Service levels: how available a tenant's months were, and what is credited when that was too little."""
