"""Request and response of `/v1/forecasts/hierarchical`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.fields import EchoedTime, Timestamp
from omni.inference.tabular.schemas import Frequency, Number

MAX_BOTTOM = 30
MAX_TOTALS = 20
MAX_POINTS = 500

Name = Annotated[str, Field(min_length=1, max_length=100)]
Method = Literal["bottom_up", "top_down", "mint_ols", "mint_wls"]
BaseModelName = Literal["seasonal_naive", "theta", "ets"]


class BottomSeries(BaseModel):
    name: Name
    values: Annotated[
        list[Number],
        Field(max_length=MAX_POINTS, description="8 to 500 finite numbers, oldest first; all of one length."),
    ]


class Total(BaseModel):
    name: Name
    of: Annotated[list[Name], Field(min_length=1, max_length=MAX_BOTTOM, description="Names of the series it sums.")]


class HierarchicalRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "series": [
                        {"name": "north", "values": [10, 12, 11, 13, 12, 14, 13, 15]},
                        {"name": "south", "values": [20, 21, 22, 21, 23, 24, 23, 25]},
                    ],
                    "totals": [{"name": "all", "of": ["north", "south"]}],
                    "frequency": "yearly",
                    "horizon": 2,
                }
            ]
        }
    )

    series: Annotated[list[BottomSeries], Field(min_length=1, max_length=MAX_BOTTOM)]
    totals: Annotated[
        list[Total],
        Field(min_length=1, max_length=MAX_TOTALS, description="Sums over the series, nested or crossed as you like."),
    ]
    frequency: Frequency
    start: Annotated[Timestamp | None, Field(description="Time of the first value.")] = None
    horizon: Annotated[int, Field(ge=1, le=100, description="Steps to forecast.")]
    method: Annotated[
        Method,
        Field(
            description="`bottom_up` sums the series' forecasts. `top_down` splits the forecast of the first total,"
            " which must sum all series, by the mean of historical shares. `mint_ols`, `mint_wls`: minimum trace "
            "(Wickramasuriya, Athanasopoulos, Hyndman 2019) with equal weights, or by the back-test's squared errors."
        ),
    ] = "mint_wls"
    model: Annotated[BaseModelName, Field(description="Forecasts each series and total on its own, first.")] = "theta"


class Node(BaseModel):
    name: str
    kind: Literal["series", "total"]
    base: Annotated[list[float], Field(description="Its own forecast, before reconciliation.")]
    forecast: Annotated[list[float], Field(description="Reconciled: totals are the sums of their series.")]


class HierarchicalResponse(BaseModel):
    engine: Annotated[str, Field(examples=["statsforecast-2.1.1"])]
    method: Method
    model: BaseModelName
    times: Annotated[list[EchoedTime] | None, Field(description="Of the steps; only with `start`.")]
    nodes: list[Node]
    largest_gap: Annotated[float, Field(description="Largest difference of a total and the sum of its series.")]
