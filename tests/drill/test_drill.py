"""One fault of the drill: a gateway that dies as often as it is started pages somebody, with all that they need."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.platform import Platform
from tests.drill.drill import PAGED_SECONDS, STATUS_SECONDS, Noticed, calm, drill, table
from tests.drill.faults import FAULTS, Provider
from tests.drill.observability import PagerDuty, observed

GATEWAY = FAULTS[0]


def test_a_dead_gateway_is_paged_and_shown(tmp_path: Path) -> None:
    provider = Provider()
    with Platform(tmp_path / "home") as platform:
        folder = tmp_path / "observability"
        folder.mkdir()
        with observed(platform, folder) as system:
            calm(platform, system)
            noticed = drill(platform, provider, system, GATEWAY, recover=False)
            assert noticed.met, table([noticed])
            found = system.pager.first("trigger", "GatewayDown", 0)
            assert found is not None
            event = found[1]
            assert system.pager.refused == []
    provider.close()
    assert event["routing_key"] == system.pager.routing_key
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["summary"] == "No gateway answers"
    assert [link["href"] for link in event["links"]] == [f"{platform.console}/docs/runbooks/GatewayDown"]
    assert len(event["dedup_key"]) == 64


def test_what_is_late_or_never_comes_misses_the_bar() -> None:
    assert Noticed(GATEWAY, 10.0, PAGED_SECONDS, STATUS_SECONDS, None, "").met
    assert not Noticed(GATEWAY, 10.0, PAGED_SECONDS + 1, STATUS_SECONDS, None, "").met
    assert not Noticed(GATEWAY, 10.0, PAGED_SECONDS, STATUS_SECONDS + 1, None, "").met
    assert not Noticed(GATEWAY, 10.0, None, STATUS_SECONDS, None, "").met
    assert "MISSED" in table([Noticed(GATEWAY, 10.0, None, None, None, "")])


def test_the_pager_refuses_what_pagerduty_would() -> None:
    with PagerDuty() as pager:
        assert "routing_key" in pager.take("/v2/enqueue", b'{"routing_key": "other"}')
        key = pager.routing_key.encode()
        assert "event_action" in pager.take("/v2/enqueue", b'{"routing_key": "%b", "event_action": "shout"}' % key)
        trigger = b'{"routing_key": "%b", "event_action": "trigger", "dedup_key": "a", "payload": {}}' % key
        assert "severity" in pager.take("/v2/enqueue", trigger)
        assert pager.events == []
