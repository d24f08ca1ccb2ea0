"""What a request costs its tenant, by the price book that the control plane published."""

from __future__ import annotations

from typing import Final

from omni.contracts.money import ANY_MODEL, PriceBook, Rate
from omni.contracts.quotes import QUOTED_METERS
from omni.gateway.admission.events import ONE_REQUEST

_HOUR_MICROS: Final = 3_600_000_000
_ENTRIES_LIMIT: Final = 10_000

NO_PRICES: Final = PriceBook("EUR", {})


class Prices:
    """The price book in force. Prices begin on full hours, so rates are looked up once an hour and model."""

    def __init__(self) -> None:
        self._book = NO_PRICES
        self._rates: dict[tuple[str, int], dict[str, Rate]] = {}
        self._first: int | None = None
        self._first_hour = -1

    def replace(self, book: PriceBook) -> None:
        """From now on this one holds."""
        self._book = book
        self._rates.clear()
        self._first_hour = -1

    def rates(self, model: str, at_micros: int) -> dict[str, Rate]:
        """The rate of each meter for a model, at an instant (Unix microseconds)."""
        hour = at_micros // _HOUR_MICROS
        found = self._rates.get((model, hour))
        if found is None:
            if len(self._rates) >= _ENTRIES_LIMIT:
                self._rates.clear()
            found = self._rates[model, hour] = self._book.rates_at(model, at_micros)
        return found

    def amount(self, quantities: dict[str, int], model: str, at_micros: int) -> int | None:
        """Nano-units for these quantities; None when none of them has a price."""
        rates = self.rates(model, at_micros)
        total: int | None = None
        for meter, quantity in quantities.items():
            rate = rates.get(meter)
            if rate is not None:  # as in amount_nanos
                total = (total or 0) - (-quantity * rate.price_nanos // rate.per_quantity)
        return total

    def quoted(self, at_micros: int) -> tuple[str, dict[str, tuple[int, int]]]:
        """The currency, and what the meters of jobs cost: nano-units for how many units. A meter without a price costs
        nothing."""
        rates = self.rates(ANY_MODEL, at_micros)
        found = {meter: rates[meter] for meter in QUOTED_METERS if meter in rates}
        free = dict.fromkeys(QUOTED_METERS, (0, 1))
        return self._book.currency, free | {m: (rate.price_nanos, rate.per_quantity) for m, rate in found.items()}

    def of_one_request(self, at_micros: int) -> int | None:
        """Nano-units for a request of which nothing else is known."""
        hour = at_micros // _HOUR_MICROS
        if hour != self._first_hour:
            self._first_hour, self._first = hour, self.amount(ONE_REQUEST, "", at_micros)
        return self._first
