"""Signing in with a browser, and the operations page, over HTTP."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from omni.apps.embedded.launch import free_port
from omni.apps.operations import Operations, create_operations
from omni.apps.settings import Settings
from omni.domains.identity.contracts import Login
from omni.foundation.db.sessions import Database
from omni.foundation.http.app import AppSettings, create_app
from omni.foundation.slow_traces import SlowTraceWriter
from omni.kit.errors import Unavailable
from omni.portal.ui.pages import ConsolePages
from omni.portal.ui.sessions import KNOWN_WITHOUT_DATABASE, BrowserSessions, own_path
from omni.telemetry.finished import FinishedSpan
from omni.telemetry.metrics import HttpMetrics
from omni.telemetry.traces import Tracing
from omni.testing.control_plane import CONSOLE_URL, ControlPlane
from tests.domains.conftest import people, plane, seeded
from tests.domains.people import PASSWORD, People

__all__ = ["people", "plane", "seeded"]
ORIGIN = {"origin": CONSOLE_URL}


@pytest.fixture
async def operations(plane: ControlPlane, tmp_path: Path, redis_url: str) -> AsyncIterator[Operations]:
    settings = Settings(home=tmp_path, redis_url=redis_url)
    sessions = BrowserSessions(plane.database, plane.passwords, plane.clock, CONSOLE_URL)
    made = create_operations(settings, sessions, plane.clock)
    yield made
    await made.close()


def console(operations: Operations) -> FastAPI:
    settings = AppSettings("Omni console", "1", 1 << 20, trust_request_id=False)
    tracing, metrics = Tracing("console", "1", None), HttpMetrics(CollectorRegistry())
    return create_app(settings, operations.routers, {}, tracing, metrics)


@pytest.fixture
async def browser(operations: Operations) -> AsyncIterator[httpx2.AsyncClient]:
    """Keeps cookies, follows nothing by itself."""
    transport = httpx2.ASGITransport(app=console(operations))
    async with httpx2.AsyncClient(transport=transport, base_url=CONSOLE_URL) as client:
        yield client


async def sign_in(
    browser: httpx2.AsyncClient, email: str, password: str = PASSWORD, then: str = "/operations"
) -> httpx2.Response:
    form = {"email": email, "password": password, "next": then}
    return await browser.post("/sign-in", data=form, headers=ORIGIN)


async def test_an_operator_signs_in_sees_the_page_and_signs_out(browser: httpx2.AsyncClient, people: People) -> None:
    operator = await people.owner(operator=True)
    asked = await browser.get("/operations?span=6h")
    assert asked.status_code == 303
    assert asked.headers["location"] == f"/sign-in?next={quote('/operations?span=6h')}"
    form = await browser.get(asked.headers["location"])
    assert 'name="next" value="/operations?span=6h"' in form.text
    answer = await sign_in(browser, operator.email, then="/operations?span=6h")
    assert (answer.status_code, answer.headers["location"]) == (303, "/operations?span=6h")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(r"omni_session=omni_\w+; HttpOnly; Path=/; SameSite=lax", cookie)
    page = await browser.get("/operations?span=6h")
    assert page.status_code == 200
    assert operator.email in page.text
    assert '<a href="/operations?span=6h" aria-current="true">6h</a>' in page.text
    out = await browser.post("/sign-out", headers=ORIGIN)
    assert out.headers["location"] == "/sign-in"
    assert (await browser.get("/operations")).status_code == 303
    browser.cookies.set("omni_session", cookie.partition("=")[2].partition(";")[0])
    assert (await browser.get("/operations")).status_code == 303, "the session itself is over, not only its cookie"


async def test_over_https_the_cookie_is_bound_to_the_host(plane: ControlPlane, people: People) -> None:
    operator = await people.owner(operator=True)
    sessions = BrowserSessions(plane.database, plane.passwords, plane.clock, "https://console.example")
    answer = await sessions.sign_in(Login(operator.email, PASSWORD, ""), "/")
    assert answer.headers["set-cookie"].startswith("__Host-omni_session=omni_")
    assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("email", ["nobody@example.com", "no address", "", "a@b\x00"])
async def test_a_wrong_login_says_so_and_keeps_what_was_typed(browser: httpx2.AsyncClient, email: str) -> None:
    answer = await sign_in(browser, email, "wrong")
    assert answer.status_code == 401
    assert "The e-mail address or the password is wrong." in answer.text
    assert "set-cookie" not in answer.headers


async def test_wrong_passwords_lock_the_form_as_they_do_the_api(browser: httpx2.AsyncClient, people: People) -> None:
    operator = await people.owner(operator=True)
    answers = [await sign_in(browser, operator.email, "wrong") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert "Too many failed logins" in answers[-1].text
    assert (await sign_in(browser, operator.email)).status_code == 429


async def test_who_is_no_operator_is_told_so(browser: httpx2.AsyncClient, people: People) -> None:
    owner = await people.owner()
    assert (await sign_in(browser, owner.email)).status_code == 303
    page = await browser.get("/operations")
    assert page.status_code == 403
    assert "Only operators of the platform may do this." in page.text
    assert 'action="/sign-out"' in page.text


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://console.test.evil.example"])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
async def test_forms_of_other_sites_are_refused(
    browser: httpx2.AsyncClient, people: People, origin: str | None, path: str
) -> None:
    operator = await people.owner(operator=True)
    await sign_in(browser, operator.email)
    headers = {"origin": origin} if origin else {}
    form = {"email": operator.email, "password": PASSWORD}
    answer = await browser.post(path, data=form, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin")
    assert (await browser.get("/operations")).status_code == 200


async def test_the_cookie_opens_no_api(people: People) -> None:
    operator = await people.owner(operator=True)
    people.client.cookies.set("omni_session", operator.token)
    assert (await people.client.get(f"/api/tenants/{operator.tenant_id}")).status_code == 401


async def test_a_form_with_too_many_fields_is_refused(browser: httpx2.AsyncClient) -> None:
    answer = await browser.post("/sign-in", data={f"f{number}": "x" for number in range(30)}, headers=ORIGIN)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_form")


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/operations?span=1h", "/operations?span=1h"), ("", "/"), ("//evil.example", "/"), ("/\\evil.example", "/"),
        ("https://evil.example/", "/"), ("javascript:alert(1)", "/"), ("/a\r\nSet-Cookie: x=1", "/"), ("/\t/evil", "/"),
    ],
)  # fmt: skip
def test_after_signing_in_one_stays_on_the_console(asked: str, path: str) -> None:
    assert own_path(asked) == path


async def test_nothing_on_the_page_needs_what_its_policy_forbids(
    browser: httpx2.AsyncClient, people: People, operations: Operations
) -> None:
    operator = await people.owner(operator=True)
    await sign_in(browser, operator.email)
    for path in ("/operations", "/sign-in"):
        page = await browser.get(path)
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
        assert "unsafe" not in policy
        assert not re.search(
            r"<style|\sstyle=|\son\w+=|<script(?! src)|(?:src|href|action)=\"(?:https?:)?//", page.text
        )
        for asset in set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)):
            found = await browser.get(asset)
            assert found.status_code == 200
            assert "immutable" in found.headers["cache-control"]
            stale = re.sub(r"/assets/\w+", "/assets/0", asset)
            assert (await browser.get(stale)).json()["code"] == "asset_not_found"


async def test_what_processes_say_cannot_break_the_page(
    browser: httpx2.AsyncClient, people: People, operations: Operations, tmp_path: Path
) -> None:
    operator = await people.owner(operator=True)
    await sign_in(browser, operator.email)
    evil = "<script>'\"&"
    targets = [{"targets": ["127.0.0.1:9"], "labels": {"process": evil}}]
    (tmp_path / "prometheus").mkdir()
    (tmp_path / "prometheus" / "targets.json").write_bytes(orjson.dumps(targets))
    await operations.collector.read_round(operations.client)
    figures = {f"provider_calls|{evil}": 1.0, "covered_seconds": 15.0}
    operations.figures.add(operations.collector._clock.now().timestamp(), figures)
    page = await browser.get("/operations")
    assert "<script>'" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_slow_traces_are_waterfalls(browser: httpx2.AsyncClient, people: People, redis_url: str) -> None:
    operator = await people.owner(operator=True)
    await sign_in(browser, operator.email)
    now, trace_id = time.time_ns(), secrets.randbits(128)
    root = FinishedSpan(
        trace_id, 1, None, True, "POST /v1/<chat>", "server", now, now + 4_000_000_000, True,
        {"http.route": "/v1/<chat>"},
    )  # fmt: skip
    half = (now + 1_000_000_000, now + 3_000_000_000)
    call = FinishedSpan(trace_id, 2, 1, False, "chat gpt", "client", *half, False, {})
    writer = SlowTraceWriter(redis_url, "gateway", CollectorRegistry())
    writer.keep([root, call])
    writer.close()
    text = (await browser.get("/operations")).text
    assert "POST /v1/&lt;chat&gt;" in text
    assert f"{trace_id:032x}" in text
    assert "4\u2009s" in text
    assert '<rect class="bad" x="0.0" y="5" width="600.0"' in text
    assert '<rect class="bar" x="150.0" y="25" width="300.0"' in text


async def test_operators_known_of_late_see_the_page_without_the_database(
    browser: httpx2.AsyncClient, people: People, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, other = await people.owner(operator=True), await people.owner(operator=True)
    await sign_in(browser, operator.email)
    assert (await browser.get("/operations")).status_code == 200

    def away(_: Database) -> None:
        raise Unavailable("database_unavailable", "The database cannot be reached now. Try again.")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "shared", away)
        assert operator.email in (await browser.get("/operations")).text
        plane.clock.advance(KNOWN_WITHOUT_DATABASE + timedelta(seconds=1))
        assert (await browser.get("/operations")).status_code == 503
    plane.clock.advance(-KNOWN_WITHOUT_DATABASE)
    assert (await browser.get("/operations")).status_code == 200
    await browser.post("/sign-out", headers=ORIGIN)
    browser.cookies.set("omni_session", other.token)
    with monkeypatch.context() as patched:
        patched.setattr(Database, "shared", away)
        assert (await browser.get("/operations")).status_code == 503


async def test_without_a_redis_in_the_settings_it_says_so(people: People, plane: ControlPlane, tmp_path: Path) -> None:
    operator = await people.owner(operator=True)
    sessions = BrowserSessions(plane.database, plane.passwords, plane.clock, CONSOLE_URL)
    made = create_operations(Settings(home=tmp_path, redis_url=None), sessions, plane.clock)
    transport = httpx2.ASGITransport(app=console(made))
    async with httpx2.AsyncClient(transport=transport, base_url=CONSOLE_URL) as browser:
        await sign_in(browser, operator.email)
        assert "set OMNI_REDIS_URL" in (await browser.get("/operations")).text
    await made.close()


async def test_without_redis_the_rest_of_the_page_is_there(people: People, plane: ControlPlane, tmp_path: Path) -> None:
    operator = await people.owner(operator=True)
    settings = Settings(home=tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    made = create_operations(
        settings, BrowserSessions(plane.database, plane.passwords, plane.clock, CONSOLE_URL), plane.clock
    )
    transport = httpx2.ASGITransport(app=console(made))
    async with httpx2.AsyncClient(transport=transport, base_url=CONSOLE_URL) as browser:
        await sign_in(browser, operator.email)
        page = await browser.get("/operations")
    assert page.status_code == 200
    assert "Redis does not answer" in page.text
    await made.close()


async def test_old_figures_are_called_old(
    browser: httpx2.AsyncClient, people: People, operations: Operations, plane: ControlPlane, tmp_path: Path
) -> None:
    operator = await people.owner(operator=True)
    await sign_in(browser, operator.email)
    assert "targets.json is not there" not in (await browser.get("/operations")).text
    assert "what you see is old" in (await browser.get("/operations")).text
    (tmp_path / "prometheus").mkdir()
    (tmp_path / "prometheus" / "targets.json").write_text("[]")
    await operations.collector.read_round(operations.client)
    assert "what you see is old" not in (await browser.get("/operations")).text
    plane.clock.advance(timedelta(minutes=2))
    assert "what you see is old" in (await browser.get("/operations")).text
    (tmp_path / "prometheus" / "targets.json").unlink()
    await operations.collector.read_round(operations.client)
    assert "targets.json is not there" in (await browser.get("/operations")).text


async def test_a_broken_file_of_figures_does_not_keep_the_console_from_starting(
    plane: ControlPlane, tmp_path: Path
) -> None:
    folder = tmp_path / "console"
    folder.mkdir()
    (folder / "figures.sqlite3").write_text("no database at all, whatever its name says" * 50)
    (folder / "figures.sqlite3-wal").write_text("nor this")
    sessions = BrowserSessions(plane.database, plane.passwords, plane.clock, CONSOLE_URL)
    made = create_operations(Settings(home=tmp_path), sessions, plane.clock)
    made.figures.add(1000.0, {"a": 1.0})
    assert list(made.figures.read(0, 15)) == ["a"]
    assert (folder / "figures.broken").read_text().startswith("no database")
    await made.close()


def test_an_asset_that_changed_has_another_address(tmp_path: Path) -> None:
    def path_of(style: str) -> str:
        (tmp_path / "area.css").write_text(style)
        return ConsolePages(tmp_path).assets["console.css"].path

    assert path_of("a {}") != path_of("b {}")
    assert path_of("a {}") == path_of("a {}")
