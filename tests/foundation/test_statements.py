"""What is said of statements names tables, and no value."""

from __future__ import annotations

import pytest

from omni.foundation.db.statements import described


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("select set_config('app.tenant_id', $1, true)", "SELECT"),
        (
            "SELECT extract(epoch FROM now()) FROM api_keys a JOIN tenants t ON t.id = a.id",
            "SELECT api_keys tenants",
        ),
        ("INSERT INTO outbox (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET a = 1", "INSERT outbox"),
        ('\n  update only "Plans" set x = $1 from t where y = 2', "UPDATE plans t"),
        ("update plans set name = 'taken from anna''s into secrets'", "UPDATE plans"),
        ("with a as (select 1 from usage_events) delete from old using a", "WITH usage_events old"),
        ("select * from generate_series(1, 2) g, lateral (select 1 from t) u", "SELECT t"),
        ("select 1 from a join b join c join d join e", "SELECT a b c d"),
        ("notify somebody", "OTHER"),
        ("", "OTHER"),
    ],
)
def test_a_summary_names_the_operation_and_its_tables(statement: str, summary: str) -> None:
    operation = summary.partition(" ")[0]
    expected = {"db.system.name": "postgresql", "db.operation.name": operation, "db.query.summary": summary}
    assert described(statement) == (summary, expected)
