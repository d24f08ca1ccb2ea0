"""PostgreSQL: roles, engines, sessions scoped to a tenant, row-level security, migrations."""
