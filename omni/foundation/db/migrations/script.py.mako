"""${message}

Revision: ${up_revision}
Follows: ${down_revision | comma,n}

Expand, backfill, contract: the code of the release before must run on this schema. A lock that cannot be had in two
seconds gives the migration up instead of stopping the traffic behind it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
from omni.foundation.db.rls import isolate

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    ${upgrades if upgrades else "pass"}
    # Each new tenant table: for statement in isolate("name"): op.execute(statement)
    # Each new table: op.execute("grant … on name to omni_app"), and to omni_system.


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
