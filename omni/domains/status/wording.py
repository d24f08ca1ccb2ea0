"""The words of page, feeds and mails in each language; numbers, plurals and dates by CLDR."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files

import orjson
from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from omni.domains.status.contracts import MAINTENANCE_COMPLETED, MAINTENANCE_STARTED, Language

LANGUAGES: tuple[Language, ...] = ("en", "sl")
LOCALES: Mapping[Language, Locale] = {"en": Locale("en", "GB"), "sl": Locale("sl", "SI")}
_OWN_UPDATES = {MAINTENANCE_STARTED: "maintenance_started", MAINTENANCE_COMPLETED: "maintenance_completed"}


class Wording:
    """One language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._locale = LOCALES[language]
        content = files("omni.domains.status").joinpath(f"wording_{language}.json").read_bytes()
        self._texts: dict[str, str | dict[str, str]] = orjson.loads(content)

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self._texts)

    def text(self, key: str, *, count: int | None = None, **values: object) -> str:
        """The text with its values. With a `count`, in the form that the number asks for. Raises KeyError."""
        found = self._texts[key]
        if isinstance(found, str):
            return found.format(**values)
        number = count or 0
        return found[self._locale.plural_form(number)].format(count=format_decimal(number, locale=self._locale))

    def said(self, body: str) -> str:
        """An update's text: as somebody wrote it, or in this language where it is the page's own."""
        return self.text(_OWN_UPDATES[body]) if body in _OWN_UPDATES else body

    def percent(self, basis_points: int) -> str:
        """Hundredths of a percent as `99.98 %`."""
        number = format_decimal(Decimal(basis_points).scaleb(-2), format="0.00", locale=self._locale)
        return f"{number}\u00a0%"

    def day(self, day: date) -> str:
        """`24 Nov 2026`."""
        return format_date(day, "d MMM y" if self.language == "en" else "d. MMM y", locale=self._locale)

    def instant(self, moment: datetime) -> str:
        """`24 Nov 2026, 16:42 UTC`."""
        pattern = "d MMM y, HH:mm 'UTC'" if self.language == "en" else "d. MMM y, HH:mm 'UTC'"
        return format_datetime(moment, pattern, locale=self._locale)

    def duration(self, seconds: int) -> str:
        """The two largest units: `2 hours 5 minutes`."""
        parts = []
        for key, unit in (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)):
            count, seconds = divmod(seconds, unit)
            if count:
                parts.append(self.text(f"{key}_count", count=count))
        return " ".join(parts[:2]) or self.text("seconds_count", count=0)


def load_wordings() -> dict[Language, Wording]:
    return {language: Wording(language) for language in LANGUAGES}


def best_language(asked: str | None, accept_language: str) -> Language:
    """The language asked for, else the one that Accept-Language prefers (RFC 9110 §12.5.4), else English."""
    if asked in LANGUAGES:
        return "sl" if asked == "sl" else "en"
    best: tuple[float, Language] = (0.0, "en")
    for part in accept_language.split(","):
        tag, _, parameter = part.strip().lower().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        for language in LANGUAGES:
            if tag.strip().partition("-")[0] == language and weight > best[0]:
                best = (weight, language)
    return best[1]
