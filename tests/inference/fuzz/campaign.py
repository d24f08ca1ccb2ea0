"""A run of schemathesis' engine over every operation, in this process, and what it found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from tests.inference.fuzz.front import KEY, Front
from tests.inference.fuzz.known import name_what_there_is

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, Response
    from schemathesis.engine.recorder import ScenarioRecorder

ACCEPTED = ["2xx", "400", "404", "409", "413", "415", "422"]
"""What data that fits the schema may be answered with. A schema cannot say every rule (that rows are equally long, that
a purchase is not before the first): `rules_beyond_the_schema` holds that only such a rule refuses."""
REFUSED = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429"]
"""How data that does not fit is refused. schemathesis leaves 413 out, which a text far over its limit gets."""
EVENTS = ("/v1/events", "/v1/events/void")
JUDGED_ONE_BY_ONE = ["2xx", "400", "401", "413", "415"]
"""A report of events is answered with 200 and a result for each event, the bad ones `rejected`: not as a whole."""
_SCHEMA_CODES = ("invalid_request", "invalid_json")
_ACROSS_FIELDS = ": Value error, "
"""How the problems of validators begin that look at more than one field."""


@schemathesis.check
def rules_beyond_the_schema(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Data that fits the documented schema is refused by a rule with a code of its own, or one across fields."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    body = response.json()
    code, message = (
        (body["error"]["code"], body["error"]["message"]) if "error" in body else (body["code"], body["detail"])
    )
    assert code not in _SCHEMA_CODES or _ACROSS_FIELDS in message, f"{code}: {message}"


@dataclass(slots=True)
class Findings:
    """What a campaign did and found."""

    cases: int = 0
    by_phase: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    statuses: dict[str, set[int]] = field(default_factory=dict)
    """By operation, all that were returned."""
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    """The first failure of each check and operation: what is wrong, and a command that repeats it."""
    errors: list[str] = field(default_factory=list)

    def add(self, phase: str, recorder: ScenarioRecorder) -> None:
        """Counts what a scenario sent and got back."""
        for case_id, interaction in recorder.interactions.items():
            self.cases += 1
            self.by_phase[phase] += 1
            if interaction.response is not None:
                status = interaction.response.status_code
                self.by_status[status] += 1
                case = recorder.cases.get(case_id)
                if case is not None:
                    self.statuses.setdefault(case.value.operation.label, set()).add(status)
        for case_id, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    found = check.failure_info
                    where = (check.name, recorder.cases[case_id].value.operation.label)
                    text = f"{found.failure.title}: {found.failure.message}\n{found.code_sample[:2_000]}"
                    response = recorder.find_response(case_id=case_id)
                    if response is not None:
                        text += f"\n{response.status_code} {response.content[:1_000]!r}"
                    self.failures.setdefault(where, text)

    def report(self) -> str:
        """For the test's output."""
        lines = [f"{name} {operation}\n{text}\n" for (name, operation), text in sorted(self.failures.items())]
        lines.append(f"never answered well: {', '.join(self.never_answered()) or 'none'}")
        return "\n".join([*self.errors, *lines, f"{self.cases} cases: {self.by_phase}, statuses {self.by_status}"])

    def never_answered(self) -> list[str]:
        """Operations none of whose cases got past its checks."""
        return sorted(name for name, seen in self.statuses.items() if not any(status < 300 for status in seen))


def campaign(front: Front, examples: int, scenarios: int, seed: int, boundaries: bool) -> Findings:
    """Examples of the documentation, `examples` random good and bad cases for each operation, `scenarios` sequences of
    calls that use each other's answers and, with `boundaries`, every boundary value of every field (about 5,000 cases).
    The same seed makes the same cases."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {KEY}"},
            "continue-on-failure": True,
            "request-timeout": 60,
            "generation": _generation(examples),
            "phases": {
                "coverage": {"enabled": boundaries, "generate-duplicate-query-parameters": True},
                "stateful": {"generation": _generation(scenarios), "max-steps": 8},
            },
            "checks": {
                "positive_data_acceptance": {"expected-statuses": ACCEPTED},
                "negative_data_rejection": {"expected-statuses": REFUSED},
            },
            "operations": [
                {
                    "include-path": path,
                    "checks": {
                        "negative_data_rejection": {"expected-statuses": JUDGED_ONE_BY_ONE},
                        "positive_data_acceptance": {"expected-statuses": ACCEPTED},
                    },
                }
                for path in EVENTS
            ],
        }
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", front, config=config)
    name_what_there_is(schema, front)
    findings = Findings()
    for event in from_schema(schema).execute():
        if isinstance(event, ScenarioFinished):
            findings.add(event.phase.value, event.recorder)
        elif isinstance(event, NonFatalError):
            findings.errors.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, FatalError):
            raise event.exception
    return findings


def _generation(examples: int) -> dict[str, object]:
    return {"max-examples": examples, "deterministic": True, "no-shrink": True, "database": "none"}
