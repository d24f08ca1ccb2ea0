"""How many traces a process exports in a second."""

from __future__ import annotations

import pytest

from omni.gateway.edge.trace import Trace
from omni.telemetry import pace
from omni.telemetry.otlp import Sampler
from omni.telemetry.pace import Pace

CALLER = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-"


class Clock:
    """Stands still until it is told to go on."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pace, "time", made)
    return made


class Spans:
    """What the gateway asks whether a trace is exported."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampled_id, self.has_room = sampler.sampled_id, sampler.has_room

    def export(self, span: object) -> None: ...

    def export_call(self, span: object) -> None: ...


def test_so_many_in_each_second(clock: Clock) -> None:
    three = Pace(3)
    assert [three.allows() for _ in range(5)] == [True, True, True, False, False]
    clock.now = 1000.99
    assert not three.allows()
    clock.now = 1001.0
    assert [three.allows() for _ in range(4)] == [True, True, True, False]
    assert all(Pace(0).allows() for _ in range(1000))


def test_what_the_ratio_leaves_out_takes_no_room(clock: Clock) -> None:
    sampler = Sampler(0.5, 1)
    left_out, taken = (1 << 64) - 1, 1
    assert [sampler.samples(each) for each in (*[left_out] * 20, *[taken] * 11)] == [
        *[False] * 20, *[True] * 10, False,
    ]  # fmt: skip
    clock.now += 10
    assert sampler.has_room()


def test_a_spent_pace_is_known_without_an_id(clock: Clock) -> None:
    sampler = Sampler(1.0, 1)
    ids = [sampler.sampled_id() for _ in range(12)]
    assert len(set(ids[:10])) == 10
    assert all(ids[:10])
    assert ids[10:] == [0, 0]
    clock.now += 10
    assert sampler.sampled_id()
    assert Sampler(0.0, 1).sampled_id() == 0
    assert all(Sampler(1.0, 0).sampled_id() for _ in range(100)), "no limit"


def test_callers_cannot_have_more_exported_than_there_is_room_for(clock: Clock) -> None:
    spans = Spans(Sampler(1.0, 1))
    traces = [Trace(CALLER + b"01", spans) for _ in range(12)]
    assert [trace.sampled for trace in traces] == [True] * 10 + [False] * 2
    assert traces[10].header().endswith(b"-00"), "what is called need not export its part either"
    assert traces[10].trace_id == b"a" * 32
    assert not Trace(None, spans).sampled
    clock.now += 10
    assert [Trace(CALLER + b"00", spans).sampled for _ in range(3)] == [False] * 3, "they take no room"
    assert Trace(None, spans).sampled
