"""POST /v1/experiments/ab-test against published examples, statsmodels and scipy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from tests.inference.backend import Backend, refusal, usage

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NEWCOMBE = [{"name": "A", "successes": 48, "trials": 80}, {"name": "B", "successes": 56, "trials": 70}]


def proportions(*pairs: tuple[int, int], **more: object) -> dict[str, Any]:
    variants = [{"name": f"v{i}", "successes": s, "trials": n} for i, (s, n) in enumerate(pairs)]
    return {"metric": "proportion", "variants": variants, **more}


def means(*values: list[float], **more: object) -> dict[str, Any]:
    return {"metric": "mean", "variants": [{"name": f"v{i}", "values": v} for i, v in enumerate(values)], **more}


async def analyse(engines: Backend, body: dict[str, Any]) -> dict[str, Any]:
    response = await engines.post("/v1/experiments/ab-test", body)
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


def bounds(interval: dict[str, float]) -> tuple[float, float]:
    return interval["lower"], interval["upper"]


async def test_newcombes_example(engines: Backend) -> None:
    """56/70 and 48/80: Newcombe (1998), table II, example (a), method 10: 0.0524 to 0.3339."""
    found = await analyse(engines, {"metric": "proportion", "variants": NEWCOMBE})
    (compared,) = found["comparisons"]
    assert compared["difference"] == pytest.approx(0.2)
    assert bounds(compared["interval"]) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    z, p_value = proportions_ztest([56, 48], [70, 80])
    assert (compared["test"], compared["statistic"]) == ("two_proportion_z", pytest.approx(z))
    assert compared["p_value"] == compared["adjusted_p_value"] == pytest.approx(p_value)
    assert compared["significant"]
    assert compared["relative_difference"] == pytest.approx(1 / 3)


async def test_wilsons_interval(engines: Backend) -> None:
    """81/263: 0.2553 to 0.3662, and 0/20: 0 to 0.1611; Newcombe (1998), Statistics in Medicine 17, 857."""
    found = await analyse(engines, proportions((81, 263), (0, 20)))
    assert bounds(found["variants"][0]["interval"]) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert bounds(found["variants"][1]["interval"]) == pytest.approx((0.0, 0.1611), abs=5e-5)


async def test_fishers_tea(engines: Backend) -> None:
    """The lady tasting tea, 3 of 4 and 1 of 4: 34/70 two-sided (Fisher 1935)."""
    found = await analyse(engines, proportions((1, 4), (3, 4)))
    (compared,) = found["comparisons"]
    assert (compared["test"], compared["statistic"]) == ("fisher_exact", None)
    assert compared["p_value"] == pytest.approx(34 / 70)


async def test_welch_as_scipy_and_statsmodels_have_it(engines: Backend) -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(10, 2, 40).tolist(), random.normal(11, 5, 25).tolist()
    found = await analyse(engines, means(a, b, rank_test=True, confidence=0.9))
    (compared,) = found["comparisons"]
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert compared["statistic"] == pytest.approx(welch.statistic)
    assert compared["degrees_of_freedom"] == pytest.approx(welch.df)
    assert compared["p_value"] == pytest.approx(welch.pvalue)
    other = CompareMeans(DescrStatsW(b), DescrStatsW(a)).tconfint_diff(alpha=0.1, usevar="unequal")
    assert bounds(compared["interval"]) == pytest.approx(other)
    ranks = stats.mannwhitneyu(b, a, method="asymptotic")
    assert compared["rank_test"] == {"statistic": ranks.statistic, "p_value": pytest.approx(ranks.pvalue)}
    assert bounds(found["variants"][0]["interval"]) == pytest.approx(DescrStatsW(a).tconfint_mean(alpha=0.1))
    summaries = [
        {"name": name, "mean": float(np.mean(v)), "standard_deviation": float(np.std(v, ddof=1)), "size": len(v)}
        for name, v in (("v0", a), ("v1", b))
    ]
    same = await analyse(engines, {"metric": "mean", "variants": summaries, "confidence": 0.9})
    assert same["comparisons"][0]["p_value"] == pytest.approx(welch.pvalue)


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
async def test_corrections_as_statsmodels_has_them(engines: Backend, correction: str) -> None:
    found = await analyse(
        engines, proportions((50, 500), (70, 500), (64, 500), (90, 500), (49, 500), correction=correction)
    )
    raw = [compared["p_value"] for compared in found["comparisons"]]
    reject, adjusted, *_ = multipletests(raw, 0.05, correction)
    assert [compared["adjusted_p_value"] for compared in found["comparisons"]] == pytest.approx(adjusted.tolist())
    assert [compared["significant"] for compared in found["comparisons"]] == reject.tolist()
    assert True in reject.tolist()
    assert False in reject.tolist()


async def test_a_split_that_is_not_the_planned_one(engines: Backend) -> None:
    """821,588 to 815,482 users of an even split: p = 1.8e-6 (Kohavi, Tang, Xu 2020, chapter 3)."""
    found = await analyse(engines, proportions((1, 821_588), (1, 815_482), expected_shares=[0.5, 0.5]))
    expected = stats.chisquare([821_588, 815_482])
    assert found["sample_ratio"]["p_value"] == pytest.approx(expected.pvalue) == pytest.approx(1.8e-6, abs=5e-8)
    assert found["sample_ratio"]["statistic"] == pytest.approx(expected.statistic)
    assert found["sample_ratio"]["mismatch"]
    even = await analyse(engines, proportions((1, 100), (1, 210), expected_shares=[1 / 3, 2 / 3]))
    assert not even["sample_ratio"]["mismatch"]


async def test_the_mixture_ratio_by_integration(engines: Backend) -> None:
    found = await analyse(
        engines, proportions((100, 1_000), (150, 1_000), sequential={"mixture_standard_deviation": 0.03})
    )
    (compared,) = found["comparisons"]
    deviation = math.sqrt(0.1 * 0.9 / 1_000 + 0.15 * 0.85 / 1_000)
    mixed, _ = integrate.quad(lambda d: stats.norm.pdf(0.05, d, deviation) * stats.norm.pdf(d, 0, 0.03), -0.5, 0.5)
    ratio = mixed / stats.norm.pdf(0.05, 0, deviation)
    assert compared["sequential"]["always_valid_p_value"] == pytest.approx(1 / ratio, rel=1e-6)
    lower, upper = bounds(compared["sequential"]["interval"])
    assert lower + upper == pytest.approx(0.1)
    at_bound, _ = integrate.quad(
        lambda d: stats.norm.pdf(upper - 0.05, d, deviation) * stats.norm.pdf(d, 0, 0.03), -0.5, 0.5
    )
    assert at_bound / stats.norm.pdf(upper - 0.05, 0, deviation) == pytest.approx(20, rel=1e-6)


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


async def test_probability_of_being_best_in_closed_form(engines: Backend) -> None:
    """P(B > A) as the finite sum of Miller (2015, Formulas for Bayesian A/B testing)."""
    found = await analyse(engines, proportions((45, 400), (60, 410), bayesian={}))
    a1, b1, a2, b2 = 46, 356, 61, 351
    exact = sum(
        math.exp(log_beta(a1 + i, b1 + b2) - math.log(b2 + i) - log_beta(1 + i, b2) - log_beta(a1, b1))
        for i in range(a2)
    )
    assert found["bayesian"][1]["probability_best"] == pytest.approx(exact, abs=1e-9)
    assert bounds(found["bayesian"][0]["interval"]) == pytest.approx(stats.beta.interval(0.95, a1, b1))


@pytest.mark.parametrize(
    "pairs",
    [
        [(5, 10)] * 4,
        [(0, 1), (1, 1), (0, 1)],
        [(0, 1_000_000_000), (1_000_000_000, 1_000_000_000)],
        [(3, 10), (300_000_000, 1_000_000_000), (30, 100)],
    ],
)
async def test_probabilities_add_up(engines: Backend, pairs: list[tuple[int, int]]) -> None:
    found = await analyse(engines, proportions(*pairs, bayesian={"alpha": 0.5, "beta": 0.5}))
    probabilities = [each["probability_best"] for each in found["bayesian"]]
    assert sum(probabilities) == pytest.approx(1)
    if len(set(pairs)) == 1:
        assert probabilities == pytest.approx([0.25] * 4, abs=1e-6)


async def test_a_narrow_posterior_against_wide_ones(engines: Backend) -> None:
    """P(best) of Beta(4, 8), a point at 0.3 and Beta(31, 71), by scipy's adaptive quadrature."""
    found = await analyse(engines, proportions((3, 10), (300_000_000, 1_000_000_000), (30, 100), bayesian={}))
    wide = integrate.quad(lambda p: stats.beta.pdf(p, 4, 8) * stats.beta.cdf(p, 31, 71), 0.3, 1)[0]
    assert found["bayesian"][0]["probability_best"] == pytest.approx(wide, abs=1e-4)


@pytest.mark.parametrize("pair", [(0, 0), (10, 10), (1, 0)])
async def test_nothing_and_everything(engines: Backend, pair: tuple[int, int]) -> None:
    found = await analyse(
        engines, proportions((pair[0], 10), (pair[1], 10), sequential={"mixture_standard_deviation": 0.1}, bayesian={})
    )
    (compared,) = found["comparisons"]
    assert compared["p_value"] == pytest.approx(1)
    assert (compared["sequential"] is None) == (pair != (1, 0))


async def test_means_that_do_not_vary(engines: Backend) -> None:
    response = await engines.post("/v1/experiments/ab-test", means([0.1] * 9, [0.2] * 9))
    assert refusal(response) == (422, "no_variation")
    one_varies = await analyse(engines, means([5.0] * 3, [5.0, 6.0, 7.0], rank_test=True))
    assert one_varies["comparisons"][0]["detectable_difference"] is None


async def test_the_detectable_difference_is_found_with_80_percent(engines: Backend) -> None:
    """(1.95996 + 0.84162) x 2 x sqrt(2/100) = 0.79241."""
    variants = [{"name": n, "mean": 0, "standard_deviation": 2, "size": 100} for n in "ab"]
    found = await analyse(engines, {"metric": "mean", "variants": variants})
    assert found["comparisons"][0]["detectable_difference"] == pytest.approx(0.79241, abs=1e-5)
    assert found["comparisons"][0]["relative_difference"] is None


async def test_extremes_give_finite_numbers(engines: Backend) -> None:
    variants = [
        {"name": "a", "mean": -1e15, "standard_deviation": 1e-150, "size": 2},
        {"name": "b", "mean": 1e15, "standard_deviation": 1e-160, "size": 1_000_000_000},
    ]
    body = {"metric": "mean", "variants": variants, "sequential": {"mixture_standard_deviation": 1e12}}
    found = await analyse(engines, body)
    assert found["comparisons"][0]["p_value"] <= 1e-6


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (proportions((1, 2)), "invalid_request", "variants"),
        (proportions((3, 2), (1, 2)), "variants_invalid", "variants[0]"),
        (proportions((1, 2), (0, 0)), "variants_invalid", "variants[1]"),
        (proportions((-1, 2), (0, 1)), "invalid_request", "variants.0.successes"),
        (proportions((1, 10**9 + 1), (0, 1)), "invalid_request", "variants.0.trials"),
        ({"metric": "proportion", "variants": [NEWCOMBE[0]] * 2}, "variants_invalid", "variants[1]"),
        ({"metric": "mean", "variants": NEWCOMBE}, "variants_invalid", "variants[0]"),
        ({**means([1, 2], [1, 2]), "metric": "proportion"}, "variants_invalid", "variants[0]"),
        (means([1], [1, 2]), "variants_invalid", "variants[0]"),
        (means([1, 2], [1, 1e16]), "invalid_request", "variants.1.values.1"),
        (means([1, 2], [1, 2], bayesian={}), "experiment_invalid", "bayesian"),
        (proportions((1, 2), (1, 2), rank_test=True), "experiment_invalid", "rank_test"),
        (proportions((1, 2), (1, 2), expected_shares=[0.5, 0.4]), "experiment_invalid", "expected_shares"),
        (proportions((1, 2), (1, 2), expected_shares=[0.5, 0.25, 0.25]), "experiment_invalid", "expected_shares"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], code: str, param: str) -> None:
    response = await engines.post("/v1/experiments/ab-test", body)
    assert refusal(response) == (400, code)
    assert response.json()["param"] == param
