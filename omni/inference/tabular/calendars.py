"""Public holidays with the package `holidays`. Heavy: loaded at first use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import holidays

from omni.inference.tabular.regressor_schemas import HolidayCalendar
from omni.kit.errors import InvalidInput

LANGUAGE = "en_US"  # said, because the package else asks the server's environment


class Calendars:
    """Names of holidays. Keeps nothing between calls but the list of countries."""

    def __init__(self) -> None:
        self._subdivisions = holidays.list_supported_countries(include_aliases=True)

    def names(self, calendar: HolidayCalendar, days: Sequence[date]) -> list[str | None]:
        """The name of each day's holiday, in English or else the country's language; None = no holiday.

        Raises InvalidInput `unknown_country`, `unknown_subdivision`, or `holidays_not_known` for years that the package
        does not cover.
        """
        country, part = calendar.country, calendar.subdivision
        if country not in self._subdivisions:
            raise InvalidInput(
                "unknown_country",
                f"The holidays of the country {country!r} are unknown. Send an ISO 3166-1 code, such as DE.",
                param="holidays.country",
            )
        if part is not None and part not in self._subdivisions[country]:
            known = ", ".join(self._subdivisions[country]) or "none"
            raise InvalidInput(
                "unknown_subdivision",
                f"{country} has no subdivision {part!r}. Known are: {known}.",
                param="holidays.subdivision",
            )
        years = sorted({day.year for day in days})
        found = holidays.country_holidays(country, subdiv=part, years=years, expand=False, language=LANGUAGE)
        if not found.start_year <= years[0] <= years[-1] <= found.end_year:
            raise InvalidInput(
                "holidays_not_known",
                f"The holidays of {calendar.place()} are known from {found.start_year} to {found.end_year}; the series "
                f"and its horizon span {years[0]} to {years[-1]}. Send later or earlier days, or no holidays.",
                param="holidays",
            )
        return [found.get(day) for day in days]
