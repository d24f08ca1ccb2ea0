"""Models of tenants at work: a process for each, confined, with messages over pipes."""
