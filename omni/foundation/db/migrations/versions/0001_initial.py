"""The first schema (in the making: from the metadata until the tables have settled)."""

from __future__ import annotations

from alembic import op

from omni.foundation.db.rls import isolate, secure

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WAKE_RELAY = (
    "create function wake_relay() returns trigger language plpgsql set search_path = pg_catalog as "
    "$$begin perform pg_notify('omni_outbox', ''); return null; end$$",
    "create trigger wake_relay after insert on outbox for each statement execute function wake_relay()",
)


UUID7_FLOOR = """
create function uuid7_floor(moment timestamptz) returns uuid
language sql immutable set search_path = pg_catalog as $$
    select (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$
"""

USAGE_PARTITIONS = """
create function ensure_usage_partition(moment timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    starts timestamptz := date_trunc('month', moment, 'UTC');
    ends timestamptz := (date_trunc('month', moment at time zone 'UTC') + interval '1 month') at time zone 'UTC';
    child text := 'usage_events_' || to_char(starts at time zone 'UTC', 'YYYYMM');
    condition text := 'tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid)';
begin
    if to_regclass('public.' || child) is not null then
        return;
    end if;
    execute format('create table public.%I partition of public.usage_events for values from (%L) to (%L)',
                   child, public.uuid7_floor(starts), public.uuid7_floor(ends));
    execute format('alter table public.%I enable row level security', child);
    execute format('alter table public.%I force row level security', child);
    execute format('create policy tenant_isolation on public.%I using (%s) with check (%s)', child, condition, condition);
end$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    metadata = op.get_context().opts["target_metadata"]
    op.execute("create sequence outbox_sequence")
    metadata.create_all(op.get_bind())
    op.execute("grant usage on sequence outbox_sequence to omni_app, omni_system")
    for statement in secure(metadata, [t for t in metadata.tables]):
        op.execute(statement)
    for statement in WAKE_RELAY:
        op.execute(statement)
    op.execute(UUID7_FLOOR)
    op.execute(USAGE_PARTITIONS)
    op.execute("revoke all on function ensure_usage_partition(timestamptz) from public")
    op.execute("grant execute on function ensure_usage_partition(timestamptz) to omni_system")
    op.execute("create table usage_events_rest partition of usage_events default")
    for statement in isolate("usage_events_rest"):
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
