"""Requests and responses of `/v1/tabular/profile` and `/v1/tabular/drift`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.tabular.columns import Cell, ColumnNames
from omni.inference.tabular.schemas import MAX_FEATURES, MAX_ROWS

Kind = Literal["integer", "number", "boolean", "datetime", "text", "mixed", "empty"]
Rows = Annotated[
    list[Annotated[list[Cell | None], Field(min_length=1, max_length=MAX_FEATURES)]],
    Field(
        max_length=MAX_ROWS,
        description="1 to 10,000 rows of 1 to 50 cells, 200,000 in all: numbers of at most 1e15 in size, text of up to "
        "200 characters, true, false, or null for what is missing.",
    ),
]
ProblemCode = Literal[
    "constant_column",
    "empty_column",
    "duplicate_columns",
    "duplicate_rows",
    "missing_values",
    "mixed_types",
    "numbers_as_text",
    "spaces_around_text",
    "suspected_id",
    "many_categories",
    "outliers",
    "class_imbalance",
]


class ProfileRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"columns": ["age", "city"], "rows": [[31, "Koper"], [45, "Maribor"], [None, "Koper"]]}]
        }
    )

    rows: Rows
    columns: ColumnNames | None = None
    target: Annotated[
        str | None, Field(max_length=100, description="Column of the classes, to see how balanced they are.")
    ] = None


class Quantiles(BaseModel):
    """By linear interpolation."""

    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


class NumberSummary(BaseModel):
    minimum: float
    maximum: float
    mean: float
    standard_deviation: Annotated[float | None, Field(description="With n - 1; null for a single value.")]
    quantiles: Quantiles
    zeros: int
    negative: int
    outliers: Annotated[int, Field(description="Beyond the quartiles by over 1.5 interquartile ranges (Tukey).")]


class ValueCount(BaseModel):
    value: str
    count: int


class TextSummary(BaseModel):
    shortest: Annotated[int, Field(description="Characters.")]
    longest: int
    most_common: Annotated[list[ValueCount], Field(description="Up to 10.")]


class TimeSummary(BaseModel):
    earliest: str
    latest: str


class ColumnProfile(BaseModel):
    name: str
    kind: Annotated[Kind, Field(description="`datetime`: text that is ISO 8601 throughout, dates included.")]
    missing: int
    distinct: Annotated[int, Field(description="Different values that are not missing.")]
    numbers: NumberSummary | None = None
    text: Annotated[TextSummary | None, Field(description="Of text, true/false and mixed columns.")] = None
    times: TimeSummary | None = None


class TableProblem(BaseModel):
    code: ProblemCode
    columns: list[str]
    severity: Annotated[Literal["high", "medium", "low"], Field(description="How likely it spoils a model.")]
    detail: str
    advice: str


class ProfileResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    rows: int
    duplicate_rows: Annotated[int, Field(description="Rows that have been there before.")]
    columns: list[ColumnProfile]
    problems: Annotated[list[TableProblem], Field(description="Worst first; empty when none was found.")]


class DriftRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": ["amount"],
                    "reference": [[1], [2], [3], [4], [5], [6], [7], [8]],
                    "current": [[5], [6], [7], [8], [9], [10], [11], [12]],
                }
            ]
        }
    )

    reference: Rows
    current: Rows
    columns: ColumnNames | None = None
    significance: Annotated[float, Field(gt=0, le=0.5, description="Level of the tests, after Holm.")] = 0.05


class ColumnDrift(BaseModel):
    name: str
    kind: Literal["number", "category"]
    psi: Annotated[
        float,
        Field(
            description="Population stability index over up to 10 bins of equal size in the reference, or the "
            "categories; half a row is added to each bin."
        ),
    ]
    jensen_shannon: Annotated[float, Field(description="Divergence over the same bins, base 2: 0 to 1.")]
    test: Literal["kolmogorov_smirnov", "chi_square"]
    statistic: Annotated[float | None, Field(description="Null when there is nothing to test.")]
    p_value: Annotated[
        float | None,
        Field(description="Categories expected less than 5 times are taken together; null when one is left."),
    ]
    adjusted_p_value: float | None
    missing_reference: Annotated[float, Field(description="Share of nulls; they are left out of the tests.")]
    missing_current: float
    verdict: Annotated[
        Literal["stable", "moderate", "major"],
        Field(description="Not stable: the test is significant, and PSI is at least 0.1; major: at least 0.25."),
    ]


class DriftResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    verdict: Annotated[Literal["stable", "moderate", "major"], Field(description="That of the worst column.")]
    drifted: Annotated[list[str], Field(description="Columns that are not stable, worst first.")]
    columns: list[ColumnDrift]
