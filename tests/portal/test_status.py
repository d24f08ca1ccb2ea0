"""What people see of the status page: languages, policy, bars, feeds, badges."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.resources import files
from string import Formatter
from typing import Any

import httpx2
import pytest
from lxml import etree

from omni.domains.status.contracts import Impact, Status
from omni.domains.status.service.incidents import NewIncident, NewMaintenance
from omni.domains.status.wording import Wording, best_language
from tests.domains.status.conftest import COMPONENTS, Site

ATOM = "{http://www.w3.org/2005/Atom}"
PATHS = ("/", "/history", "/subscribe", "/incidents/none", "/nothing", "/subscriptions/x/confirm")


def parse(text: str) -> etree._Element:
    return etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True))


@pytest.mark.parametrize("path", PATHS)
async def test_the_policy_lets_only_the_pages_own_style_through(client: httpx2.AsyncClient, path: str) -> None:
    first, second = await client.get(path), await client.get(path)
    policy = first.headers["content-security-policy"]
    nonce = re.search(r"style-src 'nonce-([\w-]+)'", policy)
    assert nonce is not None
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    assert f'<style nonce="{nonce[1]}">' in first.text
    assert nonce[1] not in second.text
    assert not re.search(r"<script|\son\w+=|style=|(?:src|href)=\"(?:https?:)?//", first.text)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("lang", ["en", "sl"])
async def test_pages_are_whole_html_in_the_language_asked_for(
    client: httpx2.AsyncClient, site: Site, path: str, lang: str
) -> None:
    site.probe("api", True, False)
    site.services.portal.incidents.open(NewIncident("<i>&", "x\ny", impact=Impact.MAJOR, component_ids=("api",)))
    answer = await client.get(path, params={"lang": lang})
    assert answer.status_code == (404 if path in PATHS[3:] else 200)
    assert f'<html lang="{lang}">' in answer.text
    assert answer.headers["content-language"] == lang
    assert "<i>&" not in answer.text
    parser = etree.HTMLParser()
    etree.fromstring(answer.text, parser)
    odd = [e.message for e in parser.error_log if not re.match(r"Tag \w+ invalid", e.message)]  # HTML 5's tags
    assert odd == []


@pytest.mark.parametrize(
    ("asked", "accept", "language"),
    [
        (None, "", "en"),
        (None, "sl-SI,sl;q=0.9,en;q=0.8", "sl"),
        (None, "en;q=0.5, sl;q=0.6", "sl"),
        (None, "de, sl;q=0.1", "sl"),
        (None, "sl;q=0, en;q=0.1", "en"),
        (None, "sl;q=x", "en"),
        ("en", "sl", "en"),
        ("xx", "sl", "sl"),
    ],
)
def test_the_language_follows_the_reader(asked: str | None, accept: str, language: str) -> None:
    assert best_language(asked, accept) == language


def fields(text: str | dict[str, str]) -> set[str | None]:
    texts = [text] if isinstance(text, str) else list(text.values())
    return {name for one in texts for _, name, _, _ in Formatter().parse(one) if name}


def differences(english: dict[str, Any], slovenian: dict[str, Any]) -> list[str]:
    """Keys that one lacks, and those whose texts take other values."""
    odd = set(english) ^ set(slovenian)
    odd |= {key for key in set(english) & set(slovenian) if fields(english[key]) != fields(slovenian[key])}
    for texts, forms in ((english, {"one", "other"}), (slovenian, {"one", "two", "few", "other"})):
        odd |= {key for key, text in texts.items() if isinstance(text, dict) and set(text) != forms}
    return sorted(odd)


def test_both_languages_say_all() -> None:
    folder = files("omni.domains.status")
    english, slovenian = (json.loads((folder / f"wording_{code}.json").read_text("utf-8")) for code in ("en", "sl"))
    assert differences(english, slovenian) == []
    assert differences({"a": "{x}", "b": "y", "c": {"one": "", "other": ""}}, {"a": "x", "c": {"one": ""}}) == [
        "a",
        "b",
        "c",
    ]


@pytest.mark.parametrize(
    ("seconds", "english", "slovenian"),
    [
        (0, "0 seconds", "0 sekund"),
        (1, "1 second", "1 sekunda"),
        (2, "2 seconds", "2 sekundi"),
        (15, "15 seconds", "15 sekund"),
        (63, "1 minute 3 seconds", "1 minuta 3 sekunde"),
        (7_320, "2 hours 2 minutes", "2 uri 2 minuti"),
        (90_061, "1 day 1 hour", "1 dan 1 ura"),
        (2 * 86_400, "2 days", "2 dneva"),
        (101 * 86_400, "101 days", "101 dan"),
    ],
)
def test_plural_and_dual(seconds: int, english: str, slovenian: str) -> None:
    assert Wording("en").duration(seconds) == english
    assert Wording("sl").duration(seconds) == slovenian


async def test_bars_tell_each_day(client: httpx2.AsyncClient, site: Site) -> None:
    site.probe("api", True, False, False, True)
    page = (await client.get("/")).text
    assert page.count("<i class=") == 90 * len(COMPONENTS)
    assert 'title="24 Nov 2026: 50.00\u00a0%, 30 seconds down"' in page
    assert 'role="img" aria-label="API: 50.00\u00a0% uptime in the last 90 days"' in page
    slovenian = (await client.get("/?lang=sl")).text
    assert 'title="24. nov. 2026: 50,00\u00a0%, izpad: 30 sekund"' in slovenian
    assert "Jobs: razpoložljivost še ni zabeležena" in slovenian


async def test_the_first_start_claims_nothing(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/")).text
    assert "Waiting for the first probes" in page
    assert "All systems operational" not in page
    assert page.count("Not probed yet") == len(COMPONENTS)
    summary = (await client.get("/api/v2/summary.json")).json()
    assert (summary["components"], summary["status"]["description"]) == ([], "Waiting for the first probes")


async def test_incidents_and_maintenance_are_on_the_page_and_in_the_history(
    client: httpx2.AsyncClient, site: Site
) -> None:
    site.all_up()
    service, now = site.services.portal.incidents, site.clock.now()
    incident = service.open(NewIncident("Slow", "We look.", impact=Impact.MINOR, component_ids=("api",)))
    service.schedule(NewMaintenance("Upgrade", "b", now + timedelta(hours=1), now + timedelta(hours=2), ("jobs",)))
    page = (await client.get("/")).text
    assert "Active incidents" in page
    assert "24 Nov 2026, 13:00 UTC to 24 Nov 2026, 14:00 UTC" in page
    assert "No incidents in the last 7 days." in page
    service.update(incident.incident_id, "Done.", Status.RESOLVED)
    page = (await client.get("/")).text
    assert "Active incidents" not in page
    assert "Done." in page
    history = (await client.get("/history")).text
    assert "Slow" in history
    assert "Upgrade" not in history
    assert "1 entry in the last 90 days" in history
    assert "Done." in (await client.get(f"/incidents/{incident.incident_id}")).text


async def test_feeds_are_valid(client: httpx2.AsyncClient, site: Site) -> None:
    for _ in range(2):  # without and with entries
        atom = parse((await client.get("/history.atom")).text)
        assert atom.tag == f"{ATOM}feed"
        for element in (atom, *atom.findall(f"{ATOM}entry")):
            for required in ("id", "title", "updated"):
                assert element.findtext(f"{ATOM}{required}")
            assert datetime.fromisoformat(element.findtext(f"{ATOM}updated") or "").tzinfo
        assert atom.find(f"{ATOM}link[@rel='self']") is not None
        rss = parse((await client.get("/history.rss")).text)
        assert (rss.tag, rss.get("version")) == ("rss", "2.0")
        for required in ("title", "link", "description"):
            assert rss.findtext(f"channel/{required}")
        for item in rss.findall("channel/item"):
            assert parsedate_to_datetime(item.findtext("pubDate") or "") == site.clock.now()
            assert item.findtext("guid") == item.findtext("link")
        site.services.portal.incidents.open(NewIncident("A <b> & c", "]]> <script>"))
    assert [entry.findtext(f"{ATOM}title") for entry in atom.findall(f"{ATOM}entry")] == ["A <b> & c"]
    assert "Investigating: ]]> <script>" in (rss.findtext("channel/item/description") or "")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/badge.svg", "Omni: Waiting for the first probes"),
        ("/badge/api.svg", "API: Outage · 0.00\u00a0%"),
        ("/badge/api.svg?lang=sl", "API: Izpad · 0,00\u00a0%"),
        ("/badge/jobs.svg", "Jobs: Not probed yet"),
    ],
)
async def test_badges(client: httpx2.AsyncClient, site: Site, path: str, text: str) -> None:
    site.probe("api", False, False, False)
    if path == "/badge.svg":
        text = "Omni: Partial outage"
    answer = await client.get(path)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert parse(answer.text).get("aria-label") == text


async def test_no_badge_of_what_does_not_exist(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/badge/none.svg")).status_code == 404
    assert parse((await client.get("/icon.svg")).text).tag == "{http://www.w3.org/2000/svg}svg"


async def test_probes_and_api_of_the_process(client: httpx2.AsyncClient) -> None:
    for path in ("/livez", "/readyz"):
        assert (await client.get(path)).json() == {"status": "ok"}
    assert (await client.get("/api/v2/nothing.json")).json()["status"] == 404
    assert (await client.get("/subscriptions")).status_code == 405


async def test_what_the_page_says_by_itself_is_in_the_readers_language(client: httpx2.AsyncClient, site: Site) -> None:
    now = site.clock.now()
    planned = NewMaintenance("Disks", "As announced.", now + timedelta(minutes=1), now + timedelta(minutes=2), ())
    site.services.portal.incidents.schedule(planned)
    for _ in range(2):
        site.clock.advance(timedelta(minutes=1))
        site.services.portal.incidents.advance_maintenances()
    for path in ("/", "/history", "/history.atom", "/history.rss"):
        said = (await client.get(path, params={"lang": "en"})).text
        assert "The scheduled maintenance is over." in said, path
    page = (await client.get("/", params={"lang": "sl"})).text
    assert "Načrtovano vzdrževanje se je začelo." in page
    assert "Načrtovano vzdrževanje je končano." in page
    assert "As announced." in page
    assert "The scheduled maintenance" not in page
