"""`python -m tools.metric_lint URL …`: whether what a process exports can be kept and read for years.

Names: lower case with a known prefix; base units; counters end in `_total`, nothing else does. Every metric has a help
text. Labels are on a list, so none names a tenant, key, person or path. Series are bounded.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable

import httpx2
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

PREFIXES = ("omni_", "http_server_", "gen_ai_client_", "db_client_", "process_", "python_")
LABELS = frozenset(
    {
        "le", "quantile", "http_request_method", "http_route", "http_response_status_code", "gen_ai_operation_name",
        "gen_ai_provider_name", "error_type", "db_operation_name", "db_client_connection_pool_name",
        "db_client_connection_state", "decision", "priority", "provider", "outcome", "policy", "meter", "currency",
        "status", "reason", "role", "kind", "task", "loop", "dependency", "engine", "component", "process", "version",
        "generation", "implementation", "major", "minor", "patchlevel",
    }
)  # fmt: skip
OTHER_UNITS = re.compile(r"_(ms|milliseconds|micros|minutes|hours|kb|mb|gb|percent)(_total)?$")
MOST_SERIES_OF_METRIC, MOST_SERIES = 5_000, 6_000
"""The durations of 110 public routes have 17 series each for every status that a route has answered with: about 3,000
after every operation was called once, whatever the number of tenants."""
MOST_OTHER_SERIES = 100
"""Of a metric that is no histogram."""


def findings(exposition: str) -> list[str]:
    """What is wrong with a scrape in the text format; empty when it is well."""
    families = list(text_string_to_metric_families(exposition))
    found = [finding for family in families for finding in _of(family)]
    series = sum(len(family.samples) for family in families)
    if series > MOST_SERIES:
        found.append(f"{series} series in one process: more than {MOST_SERIES}")
    return found


def _of(family: Metric) -> Iterable[str]:
    name = family.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not name.startswith(PREFIXES):
        yield f"{name}: no name in lower case that begins with one of {', '.join(PREFIXES)}"
    if OTHER_UNITS.search(name):
        yield f"{name}: not in a base unit (seconds, bytes, ratio)"
    if not family.documentation.strip():
        yield f"{name}: no help text"
    if name.endswith("_total"):
        yield f"{name}: ends like a counter, but is a {family.type}"
    for label in sorted({label for sample in family.samples for label in sample.labels} - LABELS):
        yield f"{name}: the label {label} is not on the list"
    most = MOST_SERIES_OF_METRIC if family.type == "histogram" else MOST_OTHER_SERIES
    if len(family.samples) > most:
        yield f"{name}: {len(family.samples)} series, more than {most}"


def label_values(exposition: str) -> Counter[str]:
    """How many values each label has."""
    values = {
        (label, value)
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        for label, value in sample.labels.items()
    }
    return Counter(label for label, _ in values)


def main() -> int:
    found = [
        f"{url}: {finding}"
        for url in sys.argv[1:]
        for finding in findings(httpx2.get(url, timeout=10, trust_env=False).text)
    ]
    sys.stdout.write("".join(f"{finding}\n" for finding in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
