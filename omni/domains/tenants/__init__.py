"""Who buys: tenants, their projects, members and invitations."""
