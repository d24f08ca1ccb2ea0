"""What the figures of an experiment say: each treatment against the control. Loaded at first use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from scipy import stats

from omni import __version__
from omni.inference.tabular.experiments import means, proportions
from omni.inference.tabular.experiments.means import Mean
from omni.inference.tabular.experiments.planning import Plan, Wanted, plan_means, plan_proportions
from omni.inference.tabular.experiments.proportions import BetaPosterior, Proportion
from omni.inference.tabular.experiments.schemas import (
    ABTestRequest,
    ABTestResponse,
    BetaPrior,
    Bounds,
    Comparison,
    Posterior,
    RankTest,
    SampleRatio,
    SampleSizeRequest,
    SequentialResult,
    Variant,
    VariantResult,
)
from omni.inference.tabular.experiments.sequential import always_valid
from omni.inference.tabular.multiple import bonferroni, holm

MISMATCH_LEVEL = 0.001
DETECTABLE_LEVELS = 0.05, 0.8  # significance and power of `detectable_difference`
LARGEST_SIZE = 1e9


class Analyst:
    """Analyses and plans. Keeps nothing between calls."""

    name = f"omni-{__version__}"

    def analyse(self, request: ABTestRequest, check_time: Callable[[], object]) -> ABTestResponse | str:
        """Everything the request asks for; the name of a variant when neither its values nor the control's vary."""
        control, *treatments = request.variants
        if request.metric == "proportion":
            samples = [_proportion(variant) for variant in request.variants]
            results = [_proportion_result(variant.name, _proportion(variant), request) for variant in request.variants]
            compared = [
                _compare_proportions(variant.name, sample, samples[0], request)
                for variant, sample in zip(treatments, samples[1:], strict=True)
            ]
        else:
            averages = [_mean(variant) for variant in request.variants]
            results = [
                _mean_result(variant.name, sample, request)
                for variant, sample in zip(request.variants, averages, strict=True)
            ]
            compared = []
            for variant, average in zip(treatments, averages[1:], strict=True):
                check_time()
                comparison = _compare_means(variant.name, average, averages[0], request)
                if comparison is None:
                    return variant.name
                compared.append(comparison)
        return ABTestResponse(
            engine=self.name,
            control=control.name,
            variants=results,
            comparisons=_corrected(compared, request),
            sample_ratio=_sample_ratio([result.size for result in results], request.expected_shares),
            bayesian=None if request.bayesian is None else _posteriors(request, request.bayesian),
        )

    def plan(self, request: SampleSizeRequest) -> Plan | None:
        """The sizes; None when the control would be larger than 1e9."""
        wanted = Wanted(
            request.power, request.significance / request.treatments, request.sides, request.treatment_ratio
        )
        if request.metric == "proportion":
            return plan_proportions(request.baseline or 0.0, request.minimum_effect, wanted, LARGEST_SIZE)
        return plan_means(request.standard_deviation or 0.0, request.minimum_effect, wanted, LARGEST_SIZE)


def _proportion(variant: Variant) -> Proportion:
    return Proportion(variant.successes or 0, variant.trials or 0)


def _mean(variant: Variant) -> Mean:
    if variant.values is not None:
        return means.mean_of(variant.values)
    return Mean(variant.mean or 0.0, variant.standard_deviation or 0.0, variant.size or 0)


def _proportion_result(name: str, sample: Proportion, request: ABTestRequest) -> VariantResult:
    bounds = _bounds(proportions.wilson(sample, request.confidence))
    return VariantResult(name=name, size=sample.trials, estimate=sample.rate, interval=bounds)


def _mean_result(name: str, sample: Mean, request: ABTestRequest) -> VariantResult:
    bounds = _bounds(means.student(sample, request.confidence))
    return VariantResult(name=name, size=sample.size, estimate=sample.mean, interval=bounds)


def _compare_proportions(name: str, treatment: Proportion, control: Proportion, request: ABTestRequest) -> Comparison:
    test = proportions.compare(treatment, control)
    difference = treatment.rate - control.rate
    error = math.sqrt(control.rate * (1 - control.rate) * (1 / control.trials + 1 / treatment.trials))
    return Comparison(
        variant=name,
        difference=difference,
        relative_difference=_relative(difference, control.rate),
        interval=_bounds(proportions.newcombe(treatment, control, request.confidence)),
        test=test.name,
        statistic=test.statistic,
        p_value=test.p_value,
        adjusted_p_value=test.p_value,
        significant=False,
        detectable_difference=_detectable(error),
        sequential=_sequential(difference, treatment.variance + control.variance, request),
    )


def _compare_means(name: str, treatment: Mean, control: Mean, request: ABTestRequest) -> Comparison | None:
    test = means.welch(treatment, control, request.confidence)
    if test is None:
        return None
    difference = treatment.mean - control.mean
    ranks = None
    if request.rank_test and treatment.values is not None and control.values is not None:
        statistic, p_value = means.mann_whitney(treatment.values, control.values)
        ranks = RankTest(statistic=statistic, p_value=p_value)
    return Comparison(
        variant=name,
        difference=difference,
        relative_difference=_relative(difference, control.mean),
        interval=_bounds(test.interval),
        test="welch_t",
        statistic=test.statistic,
        degrees_of_freedom=test.degrees_of_freedom,
        p_value=test.p_value,
        adjusted_p_value=test.p_value,
        significant=False,
        detectable_difference=_detectable(control.deviation * math.sqrt(1 / control.size + 1 / treatment.size)),
        rank_test=ranks,
        sequential=_sequential(difference, treatment.variance + control.variance, request),
    )


def _corrected(compared: Sequence[Comparison], request: ABTestRequest) -> list[Comparison]:
    p_values = [each.p_value for each in compared]
    if request.correction != "none":
        p_values = holm(p_values) if request.correction == "holm" else bonferroni(p_values)
    level = 1 - request.confidence
    return [
        each.model_copy(update={"adjusted_p_value": p_value, "significant": p_value < level})
        for each, p_value in zip(compared, p_values, strict=True)
    ]


def _relative(difference: float, control: float) -> float | None:
    """None also where the control is so small that the quotient is no number."""
    ratio = difference / abs(control) if control != 0 else math.inf
    return ratio if math.isfinite(ratio) else None


def _detectable(error: float) -> float | None:
    level, power = DETECTABLE_LEVELS
    return float(stats.norm.isf(level / 2) + stats.norm.ppf(power)) * error if error > 0 else None


def _sequential(difference: float, variance: float, request: ABTestRequest) -> SequentialResult | None:
    if request.sequential is None:
        return None
    deviation = request.sequential.mixture_standard_deviation
    if variance <= 0 or not math.isfinite(deviation**2 / variance):
        return None
    p_value, interval = always_valid(difference, variance, deviation, request.confidence)
    return SequentialResult(always_valid_p_value=p_value, interval=_bounds(interval))


def _sample_ratio(sizes: list[int], shares: list[float] | None) -> SampleRatio | None:
    if shares is None:
        return None
    total = sum(sizes)
    statistic = sum((size - share * total) ** 2 / (share * total) for size, share in zip(sizes, shares, strict=True))
    p_value = float(stats.chi2.sf(statistic, len(sizes) - 1))
    return SampleRatio(statistic=statistic, p_value=p_value, mismatch=p_value < MISMATCH_LEVEL)


def _posteriors(request: ABTestRequest, prior: BetaPrior) -> list[Posterior]:
    posteriors = [
        BetaPosterior(prior.alpha + (each.successes or 0), prior.beta + (each.trials or 0) - (each.successes or 0))
        for each in request.variants
    ]
    tail = (1 - request.confidence) / 2
    best = proportions.probabilities_best(posteriors)
    return [
        Posterior(
            variant=variant.name,
            mean=posterior.mean,
            interval=_bounds(tuple(posterior.quantiles([tail, 1 - tail]).tolist())),
            probability_best=probability,
        )
        for variant, posterior, probability in zip(request.variants, posteriors, best, strict=True)
    ]


def _bounds(pair: Sequence[float]) -> Bounds:
    return Bounds(lower=pair[0], upper=pair[1])
