"""The operations page of a whole platform, in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.acceptance.platform import Platform

KNOWN_CHARTS = (
    "requests", "latency", "open", "drain", "backlog", "tasks", "models", "jobs", "statements", "connections", "memory",
)  # fmt: skip
"""Those for which there are figures on any platform that has answered a request."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; as root it runs without its sandbox, as it must."""
    executable = shutil.which("chromium")
    assert executable, "chromium is missing: `make test` installs it"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, platform: Platform) -> Iterator[Page]:
    """Fails the test for whatever the browser complains of: refused by the policy, not found, broken scripts."""
    context = browser.new_context(
        base_url=platform.console, viewport={"width": 1280, "height": 900}, color_scheme="light"
    )
    opened = context.new_page()
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    opened.on("console", hear)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


def sign_in(page: Page, platform: Platform) -> None:
    page.goto("/operations")
    page.get_by_label("E-mail address").fill(platform.first_access["operator_email"])
    page.get_by_label("Password").fill(platform.first_access["operator_password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Operations")


def ask_something(platform: Platform) -> None:
    """What each process counts once it was read grows: that is drawn."""
    with platform.api() as client:
        for _ in range(5):
            assert client.get("/v1/models").status_code == 200


def test_the_page_in_a_browser(page: Page, platform: Platform) -> None:
    sign_in(page, platform)
    for process in ("gateway", "backend", "console", "worker", "status"):
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=process, exact=True))
        expect(row.first).to_contain_text("up", timeout=40_000)
    ask_something(platform)
    for code in KNOWN_CHARTS:
        expect(page.locator(f"#{code} svg")).to_be_visible(timeout=40_000)
    expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
    chart = page.locator("#memory")
    chart.scroll_into_view_if_needed()
    latest = chart.locator(".legend b").first.text_content()
    box = chart.locator("svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 3, box["y"] + 20)
    expect(chart.locator(".times .at")).not_to_be_empty()
    expect(chart.locator(".legend b").first).to_have_text("–")
    page.mouse.move(5, 5)
    expect(chart.locator(".legend b").first).to_have_text(latest or "")


def test_it_keeps_itself_fresh(page: Page, platform: Platform) -> None:
    sign_in(page, platform)
    read_at = page.locator(".head time")
    first = read_at.get_attribute("datetime")
    expect(read_at).not_to_have_attribute("datetime", first or "", timeout=40_000)


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_it_fits_every_screen(page: Page, platform: Platform, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, platform)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_it_works_without_scripts(browser: Browser, platform: Platform) -> None:
    context = browser.new_context(base_url=platform.console, java_script_enabled=False)
    plain = context.new_page()
    sign_in(plain, platform)
    plain.get_by_role("link", name="6h").click()
    expect(plain.get_by_role("link", name="6h")).to_have_attribute("aria-current", "true")
    plain.get_by_role("button", name="Sign out").click()
    expect(plain.get_by_role("heading", level=1)).to_have_text("Sign in to the console")
    context.close()
