"""What forecasts may know beside the series: public holidays and regressors."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, Strict, StringConstraints

MAX_REGRESSORS = 10
MAX_HORIZON = 500

_PAST = Field(
    max_length=10_000,
    description="One finite number of at most 1e15 in size for each value of the series, oldest first.",
)
RegressorName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class HolidayCalendar(BaseModel):
    """Public holidays of a place, as the package `holidays` knows them."""

    country: Annotated[
        str, Field(min_length=2, max_length=3, description="ISO 3166-1 code in capital letters.", examples=["DE"])
    ]
    subdivision: Annotated[
        str | None,
        Field(max_length=40, description="Part of the country by its ISO 3166-2 code without the country's."),
    ] = None

    def place(self) -> str:
        """Such as `DE` or `DE-BY`."""
        return self.country if self.subdivision is None else f"{self.country}-{self.subdivision}"


class PastRegressor(BaseModel):
    """What is known beside each value."""

    past: Annotated[list[Annotated[float, Strict()]], _PAST]


class Regressor(PastRegressor):
    """What is known beside each value, and at each step to forecast."""

    future: Annotated[
        list[Annotated[float, Strict()]],
        Field(max_length=MAX_HORIZON, description="One number for each step of the horizon: a plan or a forecast."),
    ]


class Effect(BaseModel):
    """What the model made of holidays or of a regressor."""

    name: Annotated[str, Field(description="The regressor's name; `holidays:` and the place for the calendar's.")]
    coefficient: Annotated[
        float | None,
        Field(
            description="What one more of the regressor, or a holiday, adds to the series, all else equal; null = not "
            "used, see `reason`."
        ),
    ]
    reason: str | None = None
