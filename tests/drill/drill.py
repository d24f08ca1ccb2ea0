"""`python -m tests.drill.drill [FAULT …]`: breaks one thing after the other and says how soon it was noticed.

For each: after how many seconds Prometheus had the alert (detected), PagerDuty was called (paged), the status page
showed it (status), and PagerDuty was told that it is over, counted from the end of the fault (recovered). Exit code 1
when a bar is missed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.acceptance.platform import Platform, until
from tests.drill.faults import FAULTS, Fault, Provider, publish_model, traffic
from tests.drill.observability import Observability, observed

PAGED_SECONDS, STATUS_SECONDS, RECOVERED_SECONDS = 120.0, 60.0, 300.0
GIVE_UP_SECONDS = 300.0
QUIET_SECONDS = 240.0
LASTING = frozenset({"Watchdog", "ProcessRestarting", "WorkerLoopFailing"})
"""Stay on for ten minutes or more when a fault is over, since they look back; so do burn rates of the SLOs."""
WATCHED = ("gateway", "backend", "console", "worker", "status")


@dataclass(frozen=True, slots=True)
class Noticed:
    """How one fault went; None = not at all within five minutes, or nothing to show it."""

    fault: Fault
    detected: float | None
    paged: float | None
    status: float | None
    recovered: float | None
    said: str

    @property
    def met(self) -> bool:
        """Whether it was within the bars."""
        paged = self.paged is not None and self.paged <= PAGED_SECONDS
        shown = self.fault.component is None or (self.status is not None and self.status <= STATUS_SECONDS)
        return paged and shown


def drill(platform: Platform, provider: Provider, system: Observability, fault: Fault, *, recover: bool) -> Noticed:
    """Breaks one thing until it was paged and shown, then waits until that is taken back when it is to `recover`."""
    marks: dict[str, float] = {}
    with fault.broken(platform, provider):
        began = time.monotonic()
        wanted: dict[str, Callable[[], bool]] = {
            "detected": lambda: fault.alert in system.alerts(),
            "paged": lambda: system.pager.first("trigger", fault.alert, began) is not None,
        }
        if fault.component is not None:
            wanted["status"] = lambda: _state(platform, str(fault.component)) not in ("operational", None)
        while wanted.keys() - marks.keys() and time.monotonic() - began < GIVE_UP_SECONDS:
            for name in wanted.keys() - marks.keys():
                if wanted[name]():
                    marks[name] = time.monotonic() - began
            time.sleep(0.2)
    ended = time.monotonic()
    while recover and "paged" in marks and time.monotonic() - ended < GIVE_UP_SECONDS:
        if system.pager.first("resolve", fault.alert, ended):
            marks["recovered"] = time.monotonic() - ended
            break
        time.sleep(0.5)
    paged = system.pager.first("trigger", fault.alert, began)
    said = paged[1]["payload"]["summary"] if paged else ""
    return Noticed(fault, marks.get("detected"), marks.get("paged"), marks.get("status"), marks.get("recovered"), said)


def _state(platform: Platform, component: str) -> str | None:
    """What the status page says of a component; None when it does not answer."""
    try:
        page = httpx2.get(f"{platform.run_file()['status']}/api/v2/summary.json", timeout=5, trust_env=False).json()
    except (httpx2.HTTPError, OSError, ValueError):
        return None
    return next((each["status"] for each in page["components"] if each["name"] == component), None)


def calm(platform: Platform, system: Observability) -> None:
    """Returns once everything is ready, scraped and shown as well, and no alert is on but the watchdog."""
    until(platform.ready, 120, "every process is ready")
    until(lambda: all(system.up().get(process) for process in WATCHED), 60, "Prometheus scrapes every process")
    _no_alert(system)
    components = {fault.component for fault in FAULTS if fault.component}
    until(lambda: all(_state(platform, each) == "operational" for each in components), 60, "the status page is green")


def _no_alert(system: Observability) -> None:
    deadline = time.monotonic() + QUIET_SECONDS
    while on := {name for name in system.alerts() if name not in LASTING and not name.endswith("BudgetBurn")}:
        if time.monotonic() > deadline:
            raise AssertionError(f"still on after {QUIET_SECONDS:.0f} s: {', '.join(sorted(on))}")
        time.sleep(1)


def table(rows: list[Noticed]) -> str:
    """The rows, aligned, with what the page said."""
    lines = [f"{'fault':10}{'detected':>10}{'paged':>8}{'status':>8}{'recovered':>11}  page"]
    for row in rows:
        cells = [_cell(value) for value in (row.detected, row.paged, row.status, row.recovered)]
        mark = "" if row.met else "  MISSED"
        lines.append(f"{row.fault.name:10}{cells[0]:>10}{cells[1]:>8}{cells[2]:>8}{cells[3]:>11}  {row.said}{mark}")
    return "\n".join(lines)


def _cell(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"


def main() -> int:
    names = sys.argv[1:] or [fault.name for fault in FAULTS]
    unknown = set(names) - {fault.name for fault in FAULTS}
    if unknown:
        sys.exit(f"There is no fault {', '.join(sorted(unknown))}; there are {', '.join(f.name for f in FAULTS)}.")
    rows = []
    provider = Provider()
    with tempfile.TemporaryDirectory() as name, Platform(Path(name) / "home") as platform:
        publish_model(platform, provider)
        folder = Path(name) / "observability"
        folder.mkdir()
        with observed(platform, folder) as system, traffic(platform):
            for fault in FAULTS:
                if fault.name in names:
                    calm(platform, system)
                    rows.append(drill(platform, provider, system, fault, recover=True))
                    sys.stdout.write(table(rows[-1:]).splitlines()[-1] + "\n")
                    sys.stdout.flush()
    provider.close()
    sys.stdout.write(
        f"\n{table(rows)}\n\nBars: paged within {PAGED_SECONDS:.0f} s, status within {STATUS_SECONDS:.0f} s.\n"
    )
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
