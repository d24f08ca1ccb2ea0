"""Different values of `unique` meters as bit sets: a number for each value of a tenant's meter, a bit for each number.

Revision: 0010
Follows: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TENANT_TABLES = {
    "unique_values": ("select, insert", "select, insert"),
    "unique_counters": ("select, insert, update", "select, insert, update"),
    "event_unique_sets": ("select, insert, update, delete", "select, insert, delete"),
}

# By when and in which group a value came first, so that values that come together have near numbers.
NUMBER_VALUES = """
insert into unique_values (tenant_id, meter, value_id, ordinal)
select tenant_id, meter, value_id,
       row_number() over (partition by tenant_id, meter order by starts_at, group_id, value_id) - 1
from (select distinct on (tenant_id, meter, value_id) tenant_id, meter, value_id, starts_at, group_id
      from event_uniques order by tenant_id, meter, value_id, starts_at, group_id) as first_seen
"""

COUNT_VALUES = """
insert into unique_counters (tenant_id, meter, next)
select tenant_id, meter, count(*) from unique_values group by tenant_id, meter
"""

FILL_SETS = """
insert into event_unique_sets (tenant_id, meter, mode, starts_at, group_id, chunk, bits)
select tenant_id, meter, mode, starts_at, group_id, (ordinal / 1024)::int,
       bit_or(set_bit(0::bit(1024), (ordinal % 1024)::int, 1))
from event_uniques join unique_values using (tenant_id, meter, value_id)
group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_tables()
    # The owner is walled in as well, so the wall is off while the values are read. Nobody adds any meanwhile.
    op.execute("alter table event_uniques no force row level security")
    for statement in (NUMBER_VALUES, "analyze unique_values", COUNT_VALUES, FILL_SETS):
        op.execute(statement)
    op.drop_table("event_uniques")
    for table, grants in TENANT_TABLES.items():
        for statement in isolate(table):
            op.execute(statement)
        for role, allowed in zip(("omni_app", "omni_system"), grants, strict=True):
            op.execute(f"grant {allowed} on {table} to {role}")


def _create_tables() -> None:
    op.create_table(
        "unique_values",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("meter", sa.String(64), nullable=False),
        sa.Column("value_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "meter", "value_id", name=op.f("pk_unique_values")),
    )
    op.create_table(
        "unique_counters",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("meter", sa.String(64), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "meter", name=op.f("pk_unique_counters")),
    )
    op.create_table(
        "event_unique_sets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("meter", sa.String(64), nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("bits", postgresql.BIT(1024), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "meter", "mode", "starts_at", "group_id", "chunk", name=op.f("pk_event_unique_sets")
        ),
    )
    op.execute("alter table event_unique_sets set (fillfactor = 70)")


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
