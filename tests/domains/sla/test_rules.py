"""Availability by its definition: random months against the oracle, and the boundaries."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from omni.domains.sla import rules
from omni.domains.sla.contracts import Loss, Observed, Stretch, Tier
from omni.domains.sla.rules import SLOT, availability_of, check_tiers, measure, month_bounds, tier_for, unavailability
from omni.kit.errors import InvalidInput
from tests.domains.sla import oracle
from tests.domains.sla.oracle import Request

START = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TIERS = (Tier(99_900, 10), Tier(99_000, 25), Tier(95_000, 100))
STATUSES = (200, 200, 200, 200, 201, 400, 404, 429, 499, 500, 502, 503, 504, 529, 0)


def answers_of(requests: list[Request]) -> dict[datetime, tuple[int, int]]:
    found: dict[datetime, tuple[int, int]] = {}
    for request in requests:
        valid, failed = found.get(rules.slot_of(request.at), (0, 0))
        bad = request.status >= 500 or request.status == 0
        found[rules.slot_of(request.at)] = valid + 1, failed + bad
    return found


def spans(rng: random.Random, length: timedelta, most: int) -> list[tuple[datetime, datetime]]:
    """Some reach over the period's ends, and into each other."""
    found = []
    for _ in range(rng.randrange(most + 1)):
        begin = START + timedelta(microseconds=rng.randrange(-3_600_000_000, int(length.total_seconds()) * 1_000_000))
        if rng.random() < 0.3:
            begin = rules.slot_of(begin)
        found.append((begin, begin + timedelta(seconds=rng.choice((15, 60, 900, 1800, 7777)))))
    return found


def one_month(seed: int) -> None:
    rng = random.Random(seed)
    end = START + rng.choice((SLOT, timedelta(hours=3), DAY))
    length = end - START
    busy = [START + timedelta(seconds=rng.randrange(int(length.total_seconds()))) for _ in range(rng.randrange(6))]
    requests = [
        Request(at + timedelta(seconds=rng.randrange(200)), rng.choice(STATUSES)) for at in busy for _ in range(9)
    ]
    requests = [request for request in requests if request.at < end]
    down, maintained = spans(rng, length, 4), spans(rng, length, 1)
    observed = Observed(
        tuple(Stretch(rng.choice(("api", "inference")), *each) for each in down),
        tuple(Stretch("api", *each) for each in maintained),
    )
    found = measure((START, end), answers_of(requests), observed)
    wanted = oracle.availability(START, end, requests, down, maintained)
    assert found.availability is not None
    assert f"{found.availability // 1000}.{found.availability % 1000:03}" == wanted, seed
    tier = tier_for(TIERS, found.availability)
    named = [(f"{each.below_millipercent / 1000}", each.credit_percent) for each in TIERS]
    assert (tier.credit_percent if tier else 0) == oracle.credit_percent(named, wanted)


def test_random_months_are_what_the_definition_says() -> None:
    for seed in range(3_000):
        one_month(seed)


@pytest.mark.parametrize("fault", ["sum", "count maintenance", "round up"])
def test_the_oracle_sees_a_planted_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def added(loss: Loss) -> Fraction:
        failed = Fraction(loss.failed, loss.valid) if loss.valid else Fraction(0)
        return min(Fraction(1), failed + Fraction(loss.down_micros, rules.SLOT_MICROS))

    def rounded_up(losses: list[Loss], slots: int) -> int:
        return -int(-rules.WHOLE * (slots - sum(map(unavailability, losses), Fraction(0))) // slots)

    original = rules.measure
    plants = {
        "sum": ("unavailability", added),
        "round up": ("availability_of", rounded_up),
        "count maintenance": (
            "measure",
            lambda period, answers, observed: original(period, answers, Observed(observed.outages)),
        ),
    }
    name, planted = plants[fault]
    monkeypatch.setattr(rules, name, planted)
    if name == "measure":
        monkeypatch.setattr("tests.domains.sla.test_rules.measure", planted)
    with pytest.raises(AssertionError):
        test_random_months_are_what_the_definition_says()


def test_a_month_without_requests_and_outages_is_whole() -> None:
    start, end = month_bounds(date(2026, 10, 1), "UTC")
    found = measure((start, end), {}, Observed())
    assert (found.slots, found.availability, found.losses) == (31 * 96, 100_000, ())


def test_before_the_first_slot_is_over_nothing_is_known() -> None:
    assert measure((START, START), {}, Observed()).availability is None


def test_exactly_at_a_threshold_it_is_kept() -> None:
    """Of 1,000 slots one is lost: 99.9 %. A microsecond more, and it is missed."""
    losses = [Loss(START, 0, 0, rules.SLOT_MICROS)]
    assert availability_of(losses, 1_000) == 99_900
    assert tier_for(TIERS, 99_900) is None
    more = [*losses, Loss(START + SLOT, 0, 0, 1)]
    assert availability_of(more, 1_000) == 99_899
    assert tier_for(TIERS, 99_899) == TIERS[0]
    assert tier_for(TIERS, 99_000) == TIERS[0]
    assert tier_for(TIERS, 98_999) == TIERS[1]
    assert tier_for(TIERS, 0) == TIERS[2]
    assert tier_for((), 0) is None


def test_errors_and_an_outage_in_one_slot_do_not_count_twice() -> None:
    outage = Observed((Stretch("api", START, START + SLOT / 2), Stretch("inference", START, START + SLOT / 3)))
    for failed, lost in ((3, Fraction(1, 2)), (9, Fraction(9, 10))):
        found = measure((START, START + 10 * SLOT), {START: (10, failed)}, outage)
        assert [unavailability(loss) for loss in found.losses] == [lost]


def test_what_failed_in_a_maintenance_does_not_count() -> None:
    """Neither probes (they are no outage then) nor requests of the quarters that it touches; others do."""
    answers = {START: (10, 10), START + SLOT: (10, 10), START + 2 * SLOT: (10, 10)}
    announced = Observed(maintenances=(Stretch("api", START + SLOT / 2, START + 2 * SLOT),))
    found = measure((START, START + 4 * SLOT), answers, announced)
    assert [loss.start for loss in found.losses] == [START + 2 * SLOT]


@pytest.mark.parametrize(
    ("zone", "start", "slots"),
    [("UTC", "2026-10-01T00:00", 2976), ("Europe/Ljubljana", "2026-09-30T22:00", 2980),
     ("Asia/Kathmandu", "2026-09-30T18:15", 2976)],
)  # fmt: skip
def test_months_are_of_the_tenants_zone(zone: str, start: str, slots: int) -> None:
    bounds = month_bounds(date(2026, 10, 1), zone)
    assert bounds[0] == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert (bounds[1] - bounds[0]) / SLOT == slots
    assert rules.slot_of(bounds[0]) == bounds[0]


def test_december_is_followed_by_january() -> None:
    assert month_bounds(date(2026, 12, 1), "UTC")[1] == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "tiers",
    [
        [(99_000, 10), (99_900, 25)], [(99_900, 25), (99_000, 10)], [(99_900, 10), (99_900, 20)],
        [(99_900, 10), (99_000, 10)], [(100_001, 10)], [(0, 10)], [(99_900, 0)], [(99_900, 101)],
        [(99_900 - each, each + 1) for each in range(11)],
    ],
)  # fmt: skip
def test_tables_that_contradict_themselves_are_refused(tiers: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_tiers([Tier(*each) for each in tiers])
    assert refused.value.code == "sla_tiers_invalid"


def test_tables_that_hold() -> None:
    for tiers in ((), TIERS, (Tier(100_000, 1), Tier(1, 100))):
        check_tiers(tiers)
