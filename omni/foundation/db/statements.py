"""What metrics and spans say of a statement: its kind and the tables that it names, never its text or its values."""

from __future__ import annotations

import re
from functools import lru_cache

OPERATIONS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"})
_TABLE = re.compile(
    r"""(?ix) \b (?: into \s+ "?([a-z_][a-z0-9_]*)\b
    | (?:from|join|update) \s+ (?:only\s+)? "?(?!(?:set|select|lateral|only)\b)([a-z_][a-z0-9_]*)\b (?!\s*\() )"""
)
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_TABLES_NAMED = 4


def first_word(statement: str) -> str:
    """SELECT, INSERT, UPDATE, DELETE, WITH or OTHER."""
    word = statement.lstrip()[:7].partition(" ")[0].partition("\n")[0].upper()
    return word if word in OPERATIONS else "OTHER"


@lru_cache(1024)
def described(statement: str) -> tuple[str, dict[str, str]]:
    """Summary and attributes of a span, by OpenTelemetry's database conventions. The attributes are not to be
    changed."""
    operation = first_word(statement)
    tables = dict.fromkeys((into or other).lower() for into, other in _TABLE.findall(_LITERAL.sub("''", statement)))
    summary = " ".join((operation, *list(tables)[:_TABLES_NAMED]))
    return summary, {"db.system.name": "postgresql", "db.operation.name": operation, "db.query.summary": summary}
