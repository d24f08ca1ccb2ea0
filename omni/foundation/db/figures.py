"""How the database is: what its own statistics say."""

from __future__ import annotations

from sqlalchemy import RowMapping, text

from omni.foundation.db.sessions import SystemSession

_FIGURES = text("""
    select d.numbackends as connections, current_setting('max_connections')::int as connections_limit,
           pg_database_size(d.datname) as size_bytes, d.xact_commit as commits, d.xact_rollback as rollbacks,
           d.deadlocks, d.blks_hit as blocks_hit, d.blks_read as blocks_read,
           (select age(datfrozenxid) from pg_database where datname = d.datname) as oldest_xid_age,
           (select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_all_tables) as dead_rows
    from pg_stat_database d where d.datname = current_database()
""")


async def database_figures(session: SystemSession) -> RowMapping:
    """connections, connections_limit, size_bytes, dead_rows, oldest_xid_age; and since the statistics began: commits,
    rollbacks, deadlocks, blocks_hit, blocks_read."""
    row = await session.first(_FIGURES)
    assert row is not None, "the current database has statistics"
    return row
