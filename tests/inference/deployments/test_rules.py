"""Who answers whom, and when a canary goes on or back."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest

from omni.inference.deployments.feedback_ids import Prediction, PredictionIds
from omni.inference.deployments.rules import Canary, Count, assign, decide, differs, one_request, one_score
from omni.kit.ids import uuid7

USERS = [f"user-{number}" for number in range(20_000)]
CANARY = Canary(3, (10, 50), 100, 0.05, 200.0, None, 30)
JUDGED = Canary(3, (10, 100), 10, 1.0, None, 0.1, 30)
"""By its scores alone."""


def requests(count: int, failed: int = 0, ms: float = 10.0) -> Count:
    made = Count()
    for number in range(count):
        made.add(one_request(ms / 1_000, failed=number < failed))
    return made


def scored(count: Count, *scores: float) -> Count:
    for score in scores:
        count.add(one_score(score))
    return count


def test_shares_follow_the_weights_and_stick_to_users() -> None:
    deployment = uuid7()
    first = {user: assign(deployment, user, {1: 3, 2: 1}, None)[0] for user in USERS}
    assert abs(Counter(first.values())[1] / len(USERS) - 0.75) < 0.015
    assert first == {user: assign(deployment, user, {2: 1, 1: 3}, None)[0] for user in USERS}


def test_a_new_weight_moves_as_few_users_as_it_can() -> None:
    deployment = uuid7()
    before = {user: assign(deployment, user, {1: 1, 2: 1}, None)[0] for user in USERS}
    after = {user: assign(deployment, user, {1: 1, 2: 1, 3: 1}, None)[0] for user in USERS}
    assert all(after[user] in (before[user], 3) for user in USERS)
    assert abs(Counter(after.values())[3] / len(USERS) - 1 / 3) < 0.015


def test_who_is_the_canarys_stays_so_when_it_grows() -> None:
    deployment = uuid7()
    small, large = (
        {user for user in USERS if assign(deployment, user, {1: 1}, (2, percent))[1] == "canary"} for percent in (5, 25)
    )
    assert small < large
    assert abs(len(large) / len(USERS) - 0.25) < 0.015
    assert all(assign(deployment, user, {1: 1}, (2, 100)) == (2, "canary") for user in USERS[:100])


def test_a_healthy_canary_goes_up_and_is_promoted() -> None:
    assert decide(CANARY, 0, requests(99), requests(500)) is None
    stepped = decide(CANARY, 0, requests(100, failed=5), requests(500))
    assert stepped is not None
    assert (stepped.kind, stepped.figures["error_rate"], stepped.figures["percent"]) == ("stepped", 0.05, 10)
    promoted = decide(CANARY, 1, requests(100), Count())
    assert promoted is not None
    assert promoted.kind == "promoted"


@pytest.mark.parametrize(
    ("canary", "own", "others", "words"),
    [
        (CANARY, requests(100, failed=6), requests(100), "6 of 100 requests failed"),
        (CANARY, requests(6, failed=6), requests(100), "6 of 6 requests failed"),
        (CANARY, requests(100, ms=300), requests(100), "95th percentile"),
        (JUDGED, scored(Count(), *[0.5, 0.6] * 20), scored(Count(), *[0.8, 0.9] * 20), "mean score"),
    ],
)
def test_a_canary_that_is_worse_goes_back(canary: Canary, own: Count, others: Count, words: str) -> None:
    decision = decide(canary, 0, own, others)
    assert decision is not None
    assert decision.kind == "rolled_back"
    assert words in decision.reason


def test_a_difference_that_may_be_chance_is_no_reason() -> None:
    own, others = scored(requests(100), *[0.0, 1.0] * 15), scored(requests(100), *[0.3, 1.0] * 15)
    decision = decide(JUDGED, 0, own, others)
    assert decision is not None
    assert decision.kind == "stepped"


def test_it_waits_until_scores_can_be_compared() -> None:
    enough, short = scored(requests(10), *[1.0] * 30), scored(requests(10), *[1.0] * 29)
    assert decide(JUDGED, 0, short, enough) is None
    assert decide(JUDGED, 0, enough, short) is None
    assert decide(JUDGED, 0, enough, enough) is not None
    assert decide(JUDGED, 1, requests(10), Count()) is not None, "at 100 % there is nobody to compare it with"


def test_quantiles_are_as_close_as_the_buckets_are_wide() -> None:
    made, latencies = Count(), [1.1**step for step in range(100)]
    for ms in latencies:
        made.add(one_request(ms / 1_000, failed=False))
    for share in (0.5, 0.95):
        exact = statistics.quantiles(latencies, n=100)[round(share * 100) - 1]
        assert made.quantile_ms(share) == pytest.approx(exact, rel=0.19)
    assert Count().quantile_ms(0.5) is None
    assert requests(1, ms=1e6).quantile_ms(0.5) is not None


def test_the_mean_and_deviation_are_those_of_the_scores() -> None:
    scores = [0.1, 0.7, 0.2, 0.9, 0.4]
    made = scored(Count(), *scores)
    assert made.mean_score == pytest.approx(statistics.fmean(scores))
    assert made.score_deviation == pytest.approx(statistics.stdev(scores))


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ({"y": [1.0, 2.0]}, {"y": [1.0, 2.0009]}, False),
        ({"y": [1.0, 2.0]}, {"y": [1.0, 2.1]}, True),
        ({"y": [1_000_000.0]}, {"y": [1_000_500.0]}, False),
        ({"y": ["a"]}, {"y": ["b"]}, True),
        ({"y": [None]}, {"y": [0.0]}, True),
        ({"y": [True]}, {"y": [False]}, True),
        ({"y": [1.0]}, {"z": [1.0]}, True),
        ({"y": [1.0]}, {"y": [1.0, 1.0]}, True),
    ],
)
def test_answers_differ_beyond_the_tolerance(first: object, second: object, apart: bool) -> None:
    assert differs(first, second, 0.001) == apart


def test_ids_of_predictions_cannot_be_made_up() -> None:
    ids, tenant, deployment = PredictionIds(b"secret"), uuid7(), uuid7()
    prediction = Prediction(uuid7(), 7, "canary", 3)
    text = ids.make(tenant, deployment, prediction)
    assert ids.read(tenant, deployment, text) == prediction
    assert ids.read(tenant, uuid7(), text) is None
    assert ids.read(uuid7(), deployment, text) is None
    assert PredictionIds(b"other").read(tenant, deployment, text) is None
    changed = text[:-1] + ("0" if text[-1] != "0" else "1")
    for wrong in (changed, text[:-2], text + "00", "", "pred-", "pred-zz", text.removeprefix("pred-")):
        assert ids.read(tenant, deployment, wrong) is None
