"""After a whole run: what dashboards and rules ask for is exported, and what is exported is on a dashboard."""

from __future__ import annotations

import httpx2
import pytest

from tests.acceptance.platform import Platform, until
from tools.observability import coverage
from tools.observability.promql import selectors


def scrape(platform: Platform) -> dict[str, set[str]]:
    """Names of all processes' samples, with their labels."""
    found: dict[str, set[str]] = {}
    for url in platform.run_file()["metrics"].values():
        for name, labels in coverage.samples(httpx2.get(url, trust_env=False, timeout=30).text).items():
            found.setdefault(name, set()).update(labels)
    return found


@pytest.fixture(scope="module")
def exported(platform: Platform) -> dict[str, set[str]]:
    """The scrape after the tour, which embeds, is limited and ends with an invoice, and after a refusal."""
    done = platform.command("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    with platform.api("omni_live_unknown") as stranger:
        assert stranger.get("/v1/models").status_code == 401
    until(lambda: {"omni_invoices", "omni_revenue_minor"} <= scrape(platform).keys(), 30, "the invoice in the figures")
    return scrape(platform)


def test_no_panel_and_no_rule_asks_for_what_is_not_there(exported: dict[str, set[str]]) -> None:
    known = exported | coverage.recorded()
    queries = [*coverage.panel_queries(), *coverage.rule_queries()]
    assert len(queries) > 200
    assert coverage.orphans(queries, known) == []
    planted = ("planted", "sum(rate(omni_invented_total[5m]))")
    assert coverage.orphans([*queries, planted], known) == ["planted: nobody exports omni_invented_total"]


def test_everything_exported_is_on_a_panel(exported: dict[str, set[str]]) -> None:
    queries = list(coverage.panel_queries())
    assert coverage.unseen(queries, exported) == []
    assert coverage.unseen(queries, [*exported, "omni_planted_total"]) == ["omni_planted_total"]


def test_what_may_be_missing_is_known_to_the_platform() -> None:
    asked = {selector.name for _, query in coverage.panel_queries() for selector in selectors(query)}
    assert coverage.ONLY_SOMETIMES.keys() <= asked
