"""All SQL of the status page: one SQLite file, one connection, used from one thread."""
