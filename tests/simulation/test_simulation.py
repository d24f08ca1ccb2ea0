"""Two hundred stories hold, tell themselves the same way twice, and every planted bug is found."""

from __future__ import annotations

import time
from functools import cache

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.faults import Plant
from tests.simulation.story import run
from tests.simulation.world import Shared

SEEDS = 200
BLOCKS = 10


@cache
def shared() -> Shared:
    return Shared()


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_promise_holds(block: int) -> None:
    decided = 0
    for seed in range(block * SEEDS // BLOCKS, (block + 1) * SEEDS // BLOCKS):
        told = run(seed, shared())
        assert told.failure is None, f"python -m tests.simulation --seed {seed}: {told.failure}"
        decided += told.decided
    assert decided > 1_000, "a story in which little is decided proves little"


@pytest.mark.parametrize("seed", [5262])
def test_what_a_long_search_found_stays_mended(seed: int) -> None:
    told = run(seed, shared())
    assert told.failure is None, f"python -m tests.simulation --seed {seed}: {told.failure}"


@pytest.mark.parametrize("seed", [3, 17, 105])
def test_the_same_seed_tells_the_same_story(seed: int) -> None:
    first, again = run(seed, shared()), run(seed, Shared())
    assert first.trace == again.trace
    assert first.digest == again.digest != run(seed + 1, shared()).digest


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Plant) -> None:
    found = next((seed for seed in range(SEEDS) if run(seed, shared(), bug).failure is not None), None)
    assert found is not None, f"{bug.name}: not seen in {SEEDS} seeds"


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_thousand_seeds() -> None:
    started, virtual, failures = time.process_time(), 0.0, []
    for seed in range(10_000):
        told = run(seed, shared())
        virtual += told.virtual_seconds
        if told.failure is not None:
            failures.append(told)
    assert not failures, f"python -m tests.simulation --seed {failures[0].seed}: {failures[0].failure}"
    assert virtual > 100 * (time.process_time() - started), "a hundred times as fast as real time"
