"""Whether what is queried is exported, and what is exported is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

from tools.observability.dashboards.boards import DASHBOARDS
from tools.observability.files import RULES, read
from tools.observability.promql import grouping_labels, selectors

OWN = ("omni_", "http_", "gen_ai_", "db_client_")
TARGET_LABELS = frozenset({"job", "instance", "process"})
"""Prometheus adds them."""
MADE_BY_PROMETHEUS = frozenset({"up"})
ONLY_SOMETIMES: Mapping[str, str] = {
    "omni_payments": "none before a tenant has paid",
    "omni_payment_webhooks": "none before a payment provider has sent one",
}
"""Metrics that a scrape may lack, and why."""
NOT_SHOWN: Mapping[str, str] = {}
"""Exported metrics that are on no panel, and why."""

Samples = Mapping[str, set[str]]
"""Names of samples with the labels that they have."""


def samples(exposition: str) -> dict[str, set[str]]:
    """What a scrape has, without the moments at which series were made."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def panel_queries() -> Iterator[tuple[str, str]]:
    """Where a query is, and the query."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query in panel.queries:
                yield f"{dashboard.title} / {panel.title}", query.expr


def rule_queries() -> Iterator[tuple[str, str]]:
    """The same of alerts and recording rules."""
    for file in sorted(RULES.glob("*.yml")):
        for group in read(file)["groups"]:
            for rule in group["rules"]:
                yield f"{file.name} / {rule.get('alert') or rule['record']}", rule["expr"]


def recorded() -> dict[str, set[str]]:
    """What the recording rules make, with its labels."""
    rules = [rule for file in RULES.glob("*.yml") for group in read(file)["groups"] for rule in group["rules"]]
    return {rule["record"]: set(rule.get("labels", {})) for rule in rules if "record" in rule}


def orphans(queries: Iterable[tuple[str, str]], exported: Samples) -> list[str]:
    """Queries of what no process exports, or of a label that it does not have."""
    found = []
    for where, expr in queries:
        labels: set[str] = set(TARGET_LABELS)
        for selector in selectors(expr):
            if selector.name in MADE_BY_PROMETHEUS or selector.name in ONLY_SOMETIMES:
                labels |= {"provider", "status"} if selector.name in ONLY_SOMETIMES else set()
            elif selector.name not in exported:
                found.append(f"{where}: nobody exports {selector.name}")
            else:
                own = exported[selector.name]
                labels |= own
                unknown = {label for label, _, _ in selector.matchers} - own - TARGET_LABELS
                found += [f"{where}: {selector.name} has no label {label}" for label in sorted(unknown)]
        found += [f"{where}: groups by {label}, which nothing has" for label in sorted(grouping_labels(expr) - labels)]
    return found


def unseen(queries: Iterable[tuple[str, str]], exported: Iterable[str]) -> list[str]:
    """Exported metrics of the platform that are on no panel and not on the list of those that need none."""
    shown = {_family(selector.name) for _, expr in queries for selector in selectors(expr)}
    families = {_family(name) for name in exported if name.startswith(OWN)}
    return sorted(families - shown - NOT_SHOWN.keys())


def _family(name: str) -> str:
    """The histogram's name, for what it is made of."""
    for suffix in ("_bucket", "_count", "_sum"):
        if name.endswith((f"_seconds{suffix}", f"_requests{suffix}")):
            return name.removesuffix(suffix)
    return name
