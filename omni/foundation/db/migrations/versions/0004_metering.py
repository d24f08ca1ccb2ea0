"""Meters as data; events that are reported to the platform, with their rollups; rollups by the quarter of an hour.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TENANT_TABLES = {
    "event_keys": ("select, insert, update", "select, delete"),
    "ingested_events": ("select, insert, update", "select"),
    "ingested_events_rest": ("", ""),
    "event_rollups": ("select, insert, update, delete", "select, insert, delete"),
    "event_uniques": ("select, insert, update, delete", "select, insert, delete"),
    "ingest_problems": ("select, insert, update", "select, insert, update, delete"),
}

# What counts as a quantity: a number, or one in text, of at most 24 decimals and below 10^15. Null for everything else.
QUANTITY = """
create function event_quantity(data jsonb, path text[], signed boolean) returns numeric
language sql immutable parallel safe set search_path = pg_catalog as $$
    select n from (
        select case jsonb_typeof(data #> path)
            when 'number' then (data #>> path)::numeric
            when 'string' then case when data #>> path ~ '^-?[0-9]{1,15}([.][0-9]{1,24})?$'
                               then (data #>> path)::numeric end
        end as n) as given
    where abs(n) < 1e15 and n = trunc(n, 24) and (signed or n >= 0)
$$
"""

# A string, number or boolean as text; empty for everything else.
DIMENSION = """
create function event_text(data jsonb, path text[]) returns text
language sql immutable parallel safe set search_path = pg_catalog as $$
    select case when jsonb_typeof(data #> path) in ('string', 'number', 'boolean')
           then data #>> path else '' end
$$
"""

PARTITIONS = """
create or replace function ensure_usage_partition(moment timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    starts timestamptz := date_trunc('month', moment, 'UTC');
    ends timestamptz := (date_trunc('month', moment at time zone 'UTC') + interval '1 month') at time zone 'UTC';
    month text := to_char(starts at time zone 'UTC', 'YYYYMM');
    condition text := 'tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid)';
    parent text;
    child text;
    bounds text;
begin
    foreach parent in array array['usage_events', 'ingested_events'] loop
        child := parent || '_' || month;
        continue when to_regclass('public.' || child) is not null;
        if parent = 'usage_events' then
            bounds := format('from (%L) to (%L)', public.uuid7_floor(starts), public.uuid7_floor(ends));
        else
            bounds := format('from (%L) to (%L)', starts, ends);
        end if;
        execute format('create table public.%I partition of public.%I for values ' || bounds, child, parent);
        execute format('alter table public.%I enable row level security', child);
        execute format('alter table public.%I force row level security', child);
        execute format('create policy tenant_isolation on public.%I using (%s) with check (%s)',
                       child, condition, condition);
    end loop;
end$$
"""

REBUILD_ROLLUPS = """
insert into usage_rollups (tenant_id, meter, mode, starts_at, project_id, key_id, endpoint, model, status, quantity,
                           events)
select e.tenant_id, q.key, e.mode, date_bin('15 minutes', e.occurred_at, timestamptz 'epoch'), e.project_id, e.key_id,
       e.endpoint, e.model, e.status, sum(q.value::bigint)::bigint, count(*)
from usage_events e cross join lateral jsonb_each_text(e.quantities) q
group by 1, 2, 3, 4, 5, 6, 7, 8, 9
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    op.execute(QUANTITY)
    op.execute(DIMENSION)
    _describe_meters()
    _regroup_rollups()
    _create_event_tables()
    _create_rollup_tables()
    op.execute("create table ingested_events_rest partition of ingested_events default")
    op.execute(PARTITIONS)
    for table, grants in TENANT_TABLES.items():
        for statement in isolate(table):
            op.execute(statement)
        for role, allowed in zip(("omni_app", "omni_system"), grants, strict=True):
            if allowed:
                op.execute(f"grant {allowed} on {table} to {role}")
    op.execute("grant select, insert, update on meters to omni_app")


def _describe_meters() -> None:
    for column in (
        sa.Column("scope", sa.String(10), nullable=False, server_default="platform"),
        sa.Column("aggregation", sa.String(16), nullable=False, server_default="sum"),
        sa.Column("event_type", sa.String(200), nullable=False, server_default="omni.request"),
        sa.Column("value_property", sa.String(200)),
        sa.Column("unique_property", sa.String(200)),
        sa.Column("filters", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.Column(
            "dimensions",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            server_default=sa.text("'{model,endpoint,project,key,status}'::text[]"),
        ),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("rolled_up", sa.Boolean(), nullable=False, server_default=sa.text("true")),
    ):
        op.add_column("meters", column)
    op.create_check_constraint(op.f("ck_meters_scope"), "meters", "scope in ('platform', 'operator')")
    op.create_check_constraint(
        op.f("ck_meters_aggregation"),
        "meters",
        "aggregation in ('count', 'sum', 'max', 'latest', 'unique', 'average', 'weighted_sum')",
    )


def _regroup_rollups() -> None:
    """By the quarter of an hour and with the status. The release before waits with its drain until it is replaced."""
    op.drop_table("usage_hourly")
    op.create_table(
        "usage_rollups",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("meter", sa.String(64), nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity >= 0", name=op.f("ck_usage_rollups_quantity_not_negative")),
        sa.PrimaryKeyConstraint(
            "tenant_id", "meter", "mode", "starts_at", "project_id", "key_id", "endpoint", "model", "status",
            name=op.f("pk_usage_rollups"),
        ),
    )  # fmt: skip
    op.execute("alter table usage_rollups set (fillfactor = 70)")
    # The owner is walled in as well, so the wall is off while the events are counted again.
    op.execute("alter table usage_events no force row level security")
    op.execute(REBUILD_ROLLUPS)
    op.execute("alter table usage_events force row level security")
    op.create_index("ix_usage_rollups_starts_at", "usage_rollups", ["starts_at"], postgresql_using="brin")
    for statement in isolate("usage_rollups"):
        op.execute(statement)
    op.execute("grant select on usage_rollups to omni_app")
    op.execute("grant select, insert, update on usage_rollups to omni_system")


def _create_event_tables() -> None:
    op.create_table(
        "event_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name=op.f("pk_event_keys")),
    )
    op.create_index("ix_event_keys_seen_at", "event_keys", ["seen_at"], postgresql_using="brin")
    op.create_table(
        "ingested_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.Uuid(), nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("type", sa.String(200), nullable=False),
        sa.Column("source", sa.String(300), nullable=False),
        sa.Column("id", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("tenant_id", "occurred_at", "digest", name=op.f("pk_ingested_events")),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index(
        "ix_ingested_events_tenant_id_not_counted",
        "ingested_events",
        ["tenant_id", "occurred_at"],
        postgresql_where=sa.text("not counted"),
    )
    op.create_table(
        "ingest_problems",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("type", sa.String(200), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("sample", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day", "code", "type", name=op.f("pk_ingest_problems")),
    )


def _create_rollup_tables() -> None:
    def key_columns() -> list[sa.Column[object]]:
        return [
            sa.Column("tenant_id", sa.Uuid(), nullable=False),
            sa.Column("meter", sa.String(64), nullable=False),
            sa.Column("mode", sa.String(4), nullable=False),
            sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("group_id", sa.Uuid(), nullable=False),
        ]

    op.create_table(
        "event_rollups",
        *key_columns(),
        sa.Column("dimensions", postgresql.JSONB(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("moment_total", sa.Numeric(), nullable=False),
        sa.Column("largest", sa.Numeric(), nullable=False),
        sa.Column("latest", sa.Numeric(), nullable=False),
        sa.Column("latest_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latest_key", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "meter", "mode", "starts_at", "group_id", name=op.f("pk_event_rollups")
        ),
    )  # fmt: skip
    op.execute("alter table event_rollups set (fillfactor = 70)")
    op.create_table(
        "event_uniques",
        *key_columns(),
        sa.Column("value_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "meter", "mode", "starts_at", "group_id", "value_id", name=op.f("pk_event_uniques")
        ),
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
