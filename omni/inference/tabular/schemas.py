"""Requests and responses of the tabular endpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict
from pydantic.config import JsonDict, JsonValue

from omni.inference.fields import EchoedTime, Timestamp
from omni.inference.tabular.regressor_schemas import (
    MAX_REGRESSORS,
    Effect,
    HolidayCalendar,
    PastRegressor,
    Regressor,
    RegressorName,
)

MAX_POINTS = 10_000
MAX_ROWS = 10_000
MAX_FEATURES = 50
MAX_CELLS = 200_000
MAX_MAGNITUDE = 1e15
MAX_LEVELS = 5

Frequency = Literal["hourly", "daily", "weekly", "monthly", "quarterly", "yearly"]
RowMethod = Literal["auto", "ecod", "copod", "iforest", "hbos", "knn", "lof"]
ENSEMBLE: tuple[RowMethod, ...] = ("iforest", "hbos", "knn")
ForecastModel = Literal["seasonal_naive", "theta", "ets", "arima"]
Number = Annotated[float, Strict()]
Level = Annotated[int, Field(ge=1, le=99)]
Holidays = Annotated[
    HolidayCalendar | None,
    Field(
        description="Public holidays that the model knows of, in the past and ahead. Daily series with `start` only."
    ),
]

AIRLINE: list[JsonValue] = [
    112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118, 115, 126, 141, 135, 125, 149, 170, 170, 158, 133,
]  # fmt: skip
AIRLINE_EXAMPLE: JsonDict = {"series": {"values": AIRLINE, "frequency": "monthly", "start": "1949-01-01"}, "horizon": 3}


class Series(BaseModel):
    """A series with equal steps."""

    values: Annotated[
        list[Number],
        Field(
            max_length=MAX_POINTS,
            description="8 to 10,000 finite numbers of at most 1e15 in size, oldest first, none missing.",
            json_schema_extra={"minItems": 8},
        ),
    ]
    frequency: Annotated[
        Frequency,
        Field(description="Step between values; sets the season: 24 hours, 7 days, 52 weeks, 12 months, 4 quarters."),
    ]
    start: Annotated[
        Timestamp | None, Field(description="Time of the first value; with it each forecast has its time.")
    ] = None


class ForecastRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [AIRLINE_EXAMPLE]})

    series: Series
    horizon: Annotated[int, Field(ge=1, le=500, description="Steps to forecast.")]
    levels: Annotated[
        list[Level], Field(max_length=MAX_LEVELS, description="Prediction intervals, percent.", examples=[[80, 95]])
    ] = [80, 95]
    model: Annotated[
        Literal["auto", "ensemble"] | ForecastModel,
        Field(
            description="`auto` takes the one model with the smallest back-test error. `ensemble` takes the median of"
            " all models, step by step, of the forecasts and of each bound (Petropoulos, Svetunkov 2020). With "
            "`holidays` or `regressors` only `auto` and `arima`: the other models take none."
        ),
    ] = "auto"
    holidays: Holidays = None
    regressors: Annotated[
        dict[RegressorName, Regressor],
        Field(
            max_length=MAX_REGRESSORS,
            description="By name, what moves the series and is known ahead: prices, campaigns. At most 10.",
            examples=[{}],
        ),
    ] = {}


class Interval(BaseModel):
    level: Annotated[int, Field(description="Percent of outcomes that should fall inside.")]
    lower: float
    upper: float


class ForecastPoint(BaseModel):
    step: Annotated[int, Field(description="1 = the first after the series.")]
    time: Annotated[EchoedTime | None, Field(description="Only when the request has `start`.")] = None
    mean: float
    intervals: list[Interval]
    holiday: Annotated[str | None, Field(description="Its holiday, where the request has `holidays`.")] = None


class Candidate(BaseModel):
    """How a model did on the past."""

    model: ForecastModel | Literal["ensemble"]
    status: Annotated[
        Literal["measured", "failed", "not_tried"],
        Field(description="failed: the model cannot be fitted to this series; not_tried: see `reason`."),
    ]
    reason: str | None = None
    mae: Annotated[float | None, Field(description="Mean absolute error, in the unit of the series.")] = None
    smape: Annotated[
        float | None, Field(description="Mean of 200 |forecast - actual| / (|forecast| + |actual|), percent.")
    ] = None
    mase: Annotated[
        float | None,
        Field(
            description="MAE over the mean absolute seasonal difference of the training part (Hyndman, Koehler 2006); "
            "absent where that is 0."
        ),
    ] = None

    rmse: Annotated[float | None, Field(description="Root mean squared error, in the series' unit.")] = None
    coverage_80: Annotated[
        float | None, Field(description="Share of actual values inside the 80 % intervals; absent without intervals.")
    ] = None


class BackTest(BaseModel):
    """What the errors were measured on: forecasts of parts that the models had not seen."""

    method: Literal["rolling_origin"] = "rolling_origin"
    windows: Annotated[int, Field(description="How many end parts were forecast, each from all values before it.")]
    horizon: Annotated[int, Field(description="Steps in each part.")]
    candidates: list[Candidate]


class ForecastResponse(BaseModel):
    model: ForecastModel | Literal["ensemble"]
    engine: Annotated[str, Field(examples=["statsforecast-2.1.1"])]
    season_length: Annotated[int, Field(description="Steps in the season that was used; 1 = none.")]
    fitted_points: Annotated[int, Field(description="How many of the latest values the models saw.")]
    forecast: list[ForecastPoint]
    backtest: BackTest
    effects: Annotated[list[Effect], Field(description="Of holidays and regressors, where the request has some.")] = []


class BackTestRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{**AIRLINE_EXAMPLE, "windows": 3}]})

    series: Series
    horizon: Annotated[int, Field(ge=1, le=500, description="Steps in each part that is forecast.")]
    windows: Annotated[int, Field(ge=1, le=10, description="How many parts at the end of the series.")] = 3
    models: Annotated[
        list[ForecastModel],
        Field(
            min_length=1, max_length=4, description="With several, the median of them (`ensemble`) is measured, too."
        ),
    ] = ["seasonal_naive", "theta", "ets"]
    holidays: Holidays = None
    regressors: Annotated[
        dict[RegressorName, PastRegressor],
        Field(
            max_length=MAX_REGRESSORS,
            description="By name, what was known beside the series. In each part that is forecast, `arima` is told the "
            "part's own numbers, as if they had been planned; the other models of `models` go without.",
            examples=[{}],
        ),
    ] = {}


class BackTestResponse(BaseModel):
    engine: Annotated[str, Field(examples=["statsforecast-2.1.1"])]
    season_length: Annotated[int, Field(description="Steps in the season that was used; 1 = none.")]
    points: Annotated[int, Field(description="How many of the latest values were used, at most 1,000.")]
    backtest: BackTest


class AnomalySeries(BaseModel):
    values: Annotated[
        list[Number],
        Field(
            max_length=MAX_POINTS,
            description="8 to 10,000 finite numbers of at most 1e15 in size, oldest first.",
            json_schema_extra={"minItems": 8},
        ),
    ]
    period: Annotated[
        int | None,
        Field(ge=2, le=1_000, description="Steps in the season, at most half the values; none = no season."),
    ] = None


class AnomalyRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"series": {"values": [10, 11, 10, 12, 11, 60, 10, 11, 12, 10]}},
                {"rows": [[1.0, 2.0], [1.1, 2.1], [0.9, 1.9], [9.0, 2.0]], "method": "ecod", "contamination": 0.1},
            ]
        }
    )

    series: Annotated[AnomalySeries | None, Field(description="One of `series` and `rows`.")] = None
    rows: Annotated[
        list[Annotated[list[Number], Field(min_length=1, max_length=MAX_FEATURES)]] | None,
        Field(
            max_length=MAX_ROWS,
            description="8 to 10,000 rows of 1 to 50 finite numbers, all of one length; at most 200,000 in all.",
        ),
    ] = None
    method: Annotated[
        RowMethod,
        Field(
            description="For rows. `iforest`: isolation forest (Liu et al. 2008), sees how far off a value is. `ecod` "
            "(Li et al. 2022): by ranks alone, and says what each column adds. `copod` (Li et al. 2020): by the tails "
            "of all columns together. `hbos` (Goldstein, Dengel 2012): by histograms. `knn`: mean distance to 10 "
            "neighbours. `lof` (Breunig et al. 2000): density against that of 20 neighbours. `auto`: the mean rank of "
            "iforest, hbos and knn."
        ),
    ] = "iforest"
    contamination: Annotated[
        float, Field(gt=0, le=0.5, description="For rows: the share of anomalies to expect; it sets the threshold.")
    ] = 0.05
    threshold: Annotated[
        float, Field(gt=0, le=1_000, description="For a series: the robust z-score from which a value is an anomaly.")
    ] = 3.5


class Contribution(BaseModel):
    feature: Annotated[int, Field(description="Column of the row, from 0.")]
    score: Annotated[float, Field(description="Its part of the row's score.")]


class Anomaly(BaseModel):
    index: Annotated[int, Field(description="Place of the value or row, from 0.")]
    score: float
    value: Annotated[float | None, Field(description="Series only.")] = None
    expected: Annotated[float | None, Field(description="Series only: trend and season at this step.")] = None
    contributions: Annotated[
        list[Contribution] | None, Field(description="ECOD only: what each column adds to the score, largest first.")
    ] = None


class AnomalyResponse(BaseModel):
    method: Literal["pair_median", "seasonal_median"] | RowMethod
    engine: Annotated[str, Field(examples=["pyod-3.6.7"])]
    threshold: Annotated[float, Field(description="Scores above it are anomalies.")]
    scores: Annotated[list[float], Field(description="One per value or row; higher = stranger.")]
    flags: list[bool]
    anomalies: Annotated[list[Anomaly], Field(description="The flagged ones, highest score first.")]
