"""Whether an experiment's figures fit together."""

from __future__ import annotations

from omni.inference.tabular.experiments.schemas import ABTestRequest, SampleSizeRequest, Variant
from omni.kit.errors import InvalidInput

SHARES_TOLERANCE = 1e-6


def check_experiment(request: ABTestRequest) -> None:
    """Raises InvalidInput `variants_invalid` or `experiment_invalid`."""
    seen: set[str] = set()
    for index, variant in enumerate(request.variants):
        reason = _proportion_fault(variant) if request.metric == "proportion" else _mean_fault(variant)
        if variant.name in seen:
            reason = "another variant has the same name"
        if reason is not None:
            raise InvalidInput("variants_invalid", f"variants[{index}]: {reason}.", param=f"variants[{index}]")
        seen.add(variant.name)
    _check_options(request)


def _proportion_fault(variant: Variant) -> str | None:
    if {variant.mean, variant.standard_deviation, variant.size} != {None} or variant.values is not None:
        return "a proportion has only `successes` and `trials`"
    if variant.successes is None or variant.trials is None:
        return "a proportion needs `successes` and `trials`"
    if variant.trials == 0:
        return "there must be at least one trial"
    return "there are more successes than trials" if variant.successes > variant.trials else None


def _mean_fault(variant: Variant) -> str | None:
    summary = (variant.mean, variant.standard_deviation, variant.size)
    if variant.successes is not None or variant.trials is not None:
        return "a mean has no `successes` or `trials`"
    if variant.values is not None:
        if set(summary) != {None}:
            return "send `values` or the summary, not both"
        return None if len(variant.values) >= 2 else "send at least two values"
    if None in summary:
        return "a mean needs `values`, or `mean`, `standard_deviation` and `size`"
    return "`size` must be at least 2" if (variant.size or 0) < 2 else None


def _check_options(request: ABTestRequest) -> None:
    shares = request.expected_shares
    if shares is not None and (len(shares) != len(request.variants) or abs(sum(shares) - 1) > SHARES_TOLERANCE):
        raise InvalidInput(
            "experiment_invalid", "expected_shares: send one share a variant, 1 in all.", param="expected_shares"
        )
    if request.rank_test and any(variant.values is None for variant in request.variants):
        raise InvalidInput(
            "experiment_invalid", "rank_test: it needs the `values` of every variant.", param="rank_test"
        )
    if request.bayesian is not None and request.metric != "proportion":
        raise InvalidInput("experiment_invalid", "bayesian: it is for proportions only.", param="bayesian")


def check_plan(request: SampleSizeRequest) -> None:
    """Raises InvalidInput `experiment_invalid`."""
    param, reason = "", ""
    if request.minimum_effect == 0:
        param, reason = "minimum_effect", "an effect of 0 needs no experiment; send another"
    elif request.metric == "mean":
        if request.standard_deviation is None or request.baseline is not None:
            param, reason = "standard_deviation", "a mean needs `standard_deviation` and no `baseline`"
    elif request.baseline is None or request.standard_deviation is not None:
        param, reason = "baseline", "a proportion needs `baseline` and no `standard_deviation`"
    elif not 0 < request.baseline + request.minimum_effect < 1:
        param, reason = "minimum_effect", "baseline + minimum_effect must lie between 0 and 1"
    if reason:
        raise InvalidInput("experiment_invalid", f"{param}: {reason}.", param=param)
