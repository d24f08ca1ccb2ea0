"""Requests and responses of the experiment endpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

MAX_VARIANTS = 10
MAX_VALUES = 10_000
MAX_COUNT = 1_000_000_000
MAX_SIZE = 1e12

Number = Annotated[float, Strict(), Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=0, le=MAX_COUNT)]
Confidence = Annotated[float, Field(ge=0.5, le=0.999)]


class Variant(BaseModel):
    """Of a proportion: `successes` and `trials`; of a mean: `values`, or `mean`, `standard_deviation` and `size`."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    successes: Annotated[Count | None, Field(description="How many of the trials succeeded.")] = None
    trials: Annotated[Count | None, Field(description="1 to 1e9.")] = None
    mean: Number | None = None
    standard_deviation: Annotated[Number | None, Field(ge=0, description="Of the sample, with n - 1.")] = None
    size: Annotated[Count | None, Field(description="How many values the mean is of; 2 to 1e9.")] = None
    values: Annotated[
        list[Number] | None, Field(max_length=MAX_VALUES, description="2 to 10,000 numbers of at most 1e15 in size.")
    ] = None


class Sequential(BaseModel):
    """Statistics that stay valid however often somebody looks."""

    mixture_standard_deviation: Annotated[
        float,
        Field(
            ge=1e-12,
            le=1e12,
            allow_inf_nan=False,
            description="Standard deviation of the normal mixture over differences: about as large as the effects to "
            "expect, in the metric's unit. Fix it before the experiment starts.",
        ),
    ]


class BetaPrior(BaseModel):
    """Beta prior of every variant's proportion; 1, 1 is uniform."""

    alpha: Annotated[float, Field(ge=0.5, le=1e6)] = 1
    beta: Annotated[float, Field(ge=0.5, le=1e6)] = 1


class ABTestRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "metric": "proportion",
                    "variants": [
                        {"name": "control", "successes": 48, "trials": 80},
                        {"name": "new page", "successes": 56, "trials": 70},
                    ],
                    "expected_shares": [0.5, 0.5],
                    "bayesian": {"alpha": 1, "beta": 1},
                }
            ]
        }
    )

    metric: Literal["proportion", "mean"]
    variants: Annotated[
        list[Variant],
        Field(min_length=2, max_length=MAX_VARIANTS, description="The control first; names differ."),
    ]
    confidence: Annotated[Confidence, Field(description="Of the intervals; a result is significant below 1 - it.")] = (
        0.95
    )
    correction: Annotated[
        Literal["holm", "bonferroni", "none"],
        Field(description="Of the p-values, for all variants that are compared with the control."),
    ] = "holm"
    expected_shares: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]] | None,
        Field(
            min_length=2,
            max_length=MAX_VARIANTS,
            description="How traffic should have been split, one share a variant, 1 in all: tested by chi-square.",
        ),
    ] = None
    rank_test: Annotated[bool, Field(description="Mann-Whitney U as well; needs `values`.")] = False
    sequential: Sequential | None = None
    bayesian: Annotated[BetaPrior | None, Field(description="Of proportions.")] = None


class Bounds(BaseModel):
    lower: float
    upper: float


class VariantResult(BaseModel):
    name: str
    size: Annotated[int, Field(description="Trials or values.")]
    estimate: Annotated[float, Field(description="The proportion or the mean.")]
    interval: Annotated[Bounds, Field(description="Wilson's score interval, or Student's t.")]


class RankTest(BaseModel):
    """Mann-Whitney U, normal approximation with correction for ties and continuity; null when all values are equal."""

    statistic: float
    p_value: float | None


class SequentialResult(BaseModel):
    """mSPRT with a normal mixture (Johari, Koomen, Pekelis, Walsh 2022, Operations Research 70)."""

    always_valid_p_value: Annotated[
        float, Field(description="Of this look; over several looks, the smallest so far is valid.")
    ]
    interval: Annotated[Bounds, Field(description="Covers the difference at every look at once, not corrected.")]


class Comparison(BaseModel):
    variant: str
    difference: Annotated[float, Field(description="Estimate less the control's.")]
    relative_difference: Annotated[float | None, Field(description="Over the control's; null when that is 0.")]
    interval: Annotated[
        Bounds, Field(description="Of the difference: Newcombe's hybrid score (1998), or Welch's t. Not corrected.")
    ]
    test: Annotated[
        Literal["two_proportion_z", "fisher_exact", "welch_t"],
        Field(description="Of proportions: pooled z; Fisher's exact test where an expected count is below 5."),
    ]
    statistic: Annotated[float | None, Field(description="z or t; null for Fisher's test.")]
    degrees_of_freedom: Annotated[float | None, Field(description="Of Welch's t.")] = None
    p_value: Annotated[float, Field(description="Two-sided.")]
    adjusted_p_value: float
    significant: bool
    detectable_difference: Annotated[
        float | None,
        Field(
            description="The difference that these sizes find with 80 % power, by the normal approximation and not "
            "corrected; null when the control does not vary."
        ),
    ]
    rank_test: RankTest | None = None
    sequential: Annotated[
        SequentialResult | None, Field(description="Null when neither of the two varies measurably.")
    ] = None


class SampleRatio(BaseModel):
    """Whether the split is the planned one; if not, trust nothing else here before the cause is known."""

    statistic: float
    p_value: float
    mismatch: Annotated[bool, Field(description="p below 0.001.")]


class Posterior(BaseModel):
    variant: str
    mean: float
    interval: Annotated[Bounds, Field(description="Equal-tailed credible interval.")]
    probability_best: Annotated[float, Field(description="That its proportion is the largest, by quadrature.")]


class ABTestResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    control: str
    variants: list[VariantResult]
    comparisons: list[Comparison]
    sample_ratio: SampleRatio | None
    bayesian: list[Posterior] | None


class SampleSizeRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"metric": "proportion", "baseline": 0.1, "minimum_effect": 0.02},
                {"metric": "mean", "standard_deviation": 1, "minimum_effect": 0.5},
            ]
        }
    )

    metric: Literal["proportion", "mean"]
    baseline: Annotated[float | None, Field(gt=0, lt=1, description="Of a proportion: the control's.")] = None
    standard_deviation: Annotated[float | None, Field(gt=0, le=1e15, description="Of a mean: of single values.")] = None
    minimum_effect: Annotated[
        float,
        Field(ge=-1e15, le=1e15, allow_inf_nan=False, description="Smallest difference to find, absolute; not 0."),
    ]
    power: Annotated[float, Field(ge=0.5, le=0.999)] = 0.8
    significance: Annotated[float, Field(ge=1e-6, le=0.5, description="Level of the test, before correction.")] = 0.05
    sides: Literal[1, 2] = 2
    treatments: Annotated[
        int, Field(ge=1, le=MAX_VARIANTS - 1, description="Variants beside the control; the level is divided by them.")
    ] = 1
    treatment_ratio: Annotated[
        float, Field(ge=0.01, le=100, description="Size of each treatment over that of the control.")
    ] = 1
    units_per_day: Annotated[
        float | None, Field(gt=0, le=1e12, description="New units a day over all variants: gives the days.")
    ] = None


class SampleSizeResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    method: Annotated[
        Literal["two_proportion_z", "t_test"],
        Field(
            description="z: pooled variance under the null, own variances under the alternative (Fleiss, Levin, Paik "
            "2003, without continuity correction). t: noncentral t (Cohen 1988)."
        ),
    ]
    control_size: int
    treatment_size: Annotated[int, Field(description="Of each treatment.")]
    total_size: int
    power: Annotated[float, Field(description="Of these sizes.")]
    corrected_significance: Annotated[float, Field(description="The level over the number of treatments.")]
    days: Annotated[float | None, Field(description="Only with `units_per_day`.")] = None
