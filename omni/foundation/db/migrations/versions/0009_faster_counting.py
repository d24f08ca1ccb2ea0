"""What meters read of an event, without the executor that a SQL function with settings of its own needs for each call.

Revision: 0009
Follows: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

QUANTITY = """
create or replace function event_quantity(data jsonb, path text[], signed boolean) returns numeric
language plpgsql immutable parallel safe as $$
declare
    member jsonb := data #> path;
    n numeric;
begin
    case jsonb_typeof(member)
        when 'number' then n := member::numeric;
        when 'string' then
            if member #>> '{}' ~ '^-?[0-9]{1,15}([.][0-9]{1,24})?$' then
                n := (member #>> '{}')::numeric;
            end if;
        else return null;
    end case;
    if abs(n) < 1e15 and n = trunc(n, 24) and (signed or n >= 0) then
        return n;
    end if;
    return null;
end
$$
"""

# Is put into the statement that calls it.
DIMENSION = """
create or replace function event_text(data jsonb, path text[]) returns text
language sql immutable parallel safe as $$
    select case when jsonb_typeof(data #> path) in ('string', 'number', 'boolean')
           then data #>> path else '' end
$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    op.execute(QUANTITY)
    op.execute(DIMENSION)


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
