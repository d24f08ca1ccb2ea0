"""Quotes that hold: signed, bound to a tenant and to one input, good for a day. Nothing is stored for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from omni.contracts import signed
from omni.contracts.principal import Principal
from omni.contracts.quotes import Term, Terms, cost_nanos, from_row, to_row
from omni.inference.jobs.schemas import JobQuote
from omni.kit.errors import InvalidInput, Unprocessable
from omni.kit.money import NANO_DIGITS, format_nanos

VALID = timedelta(hours=24)
_KIND = b"quote."


class Quotes:
    """Makes quotes, and reads those that come back."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, who: Principal, kind: str, given: Mapping[str, Any], quote: JobQuote, until: datetime) -> str:
        """The text that stands for a quote."""
        row = {
            "tenant_id": who.tenant_id, "kind": kind, "input": _digest(given), "currency": quote.currency,
            "terms": to_row(quote.terms), "until": until.timestamp(),
        }  # fmt: skip
        return signed.sign(_KIND, row, self._secret)

    def open(self, who: Principal, kind: str, given: Mapping[str, Any], text: str, now: datetime) -> JobQuote:
        """The quote. Raises InvalidInput `quote_invalid` when it is not ours or out of date, Unprocessable
        `quote_of_another_job` when it was given for something else."""
        try:
            row = signed.verify(_KIND, text, self._secret)
        except signed.InvalidSignature:
            raise _invalid("This is no quote of ours.") from None
        if row["tenant_id"] != str(who.tenant_id):
            raise _invalid("This is no quote of ours.")
        if now.timestamp() > row["until"]:
            raise _invalid("The quote is out of date.")
        if row["kind"] != kind or row["input"] != _digest(given):
            raise Unprocessable(
                "quote_of_another_job", "The quote was given for another input. Ask for a quote of this one."
            )
        return JobQuote.of(row["currency"], from_row(row["terms"]))


def terms_of(who: Principal, bound: Mapping[str, int]) -> Terms:
    """Today's terms for what a job may use."""
    return {meter: Term(most, *who.prices.get(meter, (0, 1))) for meter, most in bound.items()}


def check_price(quote: JobQuote, most: Decimal | None) -> None:
    """Raises Unprocessable `price_above_maximum`."""
    if most is not None and cost_nanos(quote.terms) > int(most.scaleb(NANO_DIGITS)):
        raise Unprocessable(
            "price_above_maximum",
            f"The job may cost {quote.not_to_exceed} {quote.currency}, more than `max_price`. Allow more or ask less "
            "of it.",
            param="max_price",
            not_to_exceed=quote.not_to_exceed,
        )


def charged_row(slices: int, tries: int, used: Mapping[str, int], terms: Terms) -> dict[str, Any]:
    """What a job's `progress` says under `charged`."""
    return {"slices": slices, "tries": tries, "used": dict(used), "price": format_nanos(cost_nanos(terms, used))}


def _digest(given: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(given, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("quote_invalid", f"{message} Ask for one with POST /v1/quotes.", param="quote")
