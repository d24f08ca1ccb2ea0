"""The tour, step by step. Each step returns the sentence that is shown for it and fails when the platform does."""

from __future__ import annotations

import asyncio
import csv
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from typing import Any
from uuid import UUID

from omni.apps.demo.client import Doors, TourFailed, Visitor
from omni.apps.demo.invoice_image import PrintedInvoice, draw_invoice
from omni.apps.demo.settling import SettledUp
from omni.apps.verification import Verification
from omni.contracts.usage import MONEY_METERS
from omni.kit.money import format_minor

QUESTION = "What must redistributions in binary form reproduce?"
BURST = 40
HELD_OUT = 12


@dataclass(slots=True)
class Tour:
    """State that later steps need of earlier ones."""

    doors: Doors
    verify: Callable[[], Awaitable[Verification]]
    settle_up: Callable[[UUID], Awaitable[SettledUp]]
    figures: dict[str, str] = field(default_factory=dict)
    first: Visitor | None = None
    second: Visitor | None = None
    collection_id: str = ""

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        return [
            ("Two tenants sign up, verify their e-mail, log in, choose plans, make keys", self._sign_up),
            ("Ten licence texts become a searchable collection", self._ingest),
            ("A question is answered with citations", self._answer),
            ("Airline passengers are forecast and checked against what came", self._forecast),
            ("Anomalies and sentiment", self._small_engines),
            ("A scanned invoice is read", self._ocr),
            ("The second tenant cannot see the first one's collection", self._isolation),
            ("A burst over the plan's limits is refused", self._limit),
            ("Usage is counted by meter", self._usage),
            ("The upcoming invoice equals the usage", self._upcoming_invoice),
            ("What was used so far becomes a final invoice", self._final_invoice),
            ("omni verify compares every record", self._verify),
        ]

    async def _sign_up(self) -> str:
        first, second = await asyncio.gather(
            self.doors.sign_up("Aurora Insurance", "pro"), self.doors.sign_up("Borealis Labs", "free")
        )
        self.first, self.second = first, second
        return f"{first.name} on Pro, {second.name} on Free"

    async def _ingest(self) -> str:
        key = self._key
        made = await self.doors.api("POST", "/v1/collections", key, 201, json={"name": "licences"})
        self.collection_id = made.json()["id"]
        path = f"/v1/collections/{self.collection_id}/documents"
        started, chunks, size = time.perf_counter(), 0, 0
        for file in sorted(files("omni.apps.demo").joinpath("corpus").iterdir(), key=lambda file: file.name):
            data = file.read_bytes()
            stored = await self.doors.api("POST", path, key, 201, files={"file": (file.name, data, "text/plain")})
            chunks, size = chunks + stored.json()["chunk_count"], size + len(data)
        seconds = time.perf_counter() - started
        self.figures["Ingest"] = f"{size // 1000} kB in {chunks} chunks, {chunks / seconds:.0f} chunks/s"
        return f"{chunks} chunks embedded and indexed in {seconds:.1f} s"

    async def _answer(self) -> str:
        path = f"/v1/collections/{self.collection_id}"
        answer = (await self.doors.api("POST", f"{path}/answer", self._key, json={"question": QUESTION})).json()
        if not answer["found"]:
            raise TourFailed(f"no answer was found to {QUESTION!r}")
        for citation in answer["citations"]:
            document = await self.doors.api(
                "GET", f"{path}/documents/{citation['document_id']}", self._key, params={"include": "text"}
            )
            if document.json()["text"][citation["start"] : citation["end"]] != citation["sentence"]:
                raise TourFailed("a citation does not point at its sentence")
        best = answer["citations"][0]
        quote = " ".join(best["sentence"].split())
        quote = quote if len(quote) <= 110 else quote[:107] + "…"
        return f"“{quote}” — {best['document_name']} [{best['start']}:{best['end']}]"

    async def _forecast(self) -> str:
        values = _airline_passengers()
        body = {
            "series": {"values": values[:-HELD_OUT], "frequency": "monthly", "start": "1949-01-01"},
            "horizon": HELD_OUT,
        }
        forecast = (await self.doors.api("POST", "/v1/forecasts", self._key, json=body)).json()
        points = [point["mean"] for point in forecast["forecast"]]
        actual = values[-HELD_OUT:]
        error = sum(2 * abs(p - a) / (abs(p) + abs(a)) for p, a in zip(points, actual, strict=True)) / HELD_OUT
        self.figures["Forecast"] = f"sMAPE {error:.1%} on the {HELD_OUT} months held out, by {forecast['model']}"
        return self.figures["Forecast"]

    async def _small_engines(self) -> str:
        values = [20 + (step % 7) for step in range(70)]
        values[45] = 95
        body = {"series": {"values": values, "period": 7}}
        anomalies = (await self.doors.api("POST", "/v1/anomalies/detect", self._key, json=body)).json()["anomalies"]
        if [anomaly["index"] for anomaly in anomalies] != [45]:
            raise TourFailed(f"the planted anomaly at 45 was not the one found: {anomalies}")
        text = "Support answered within minutes and fixed it. Wonderful!"
        sentiment = await self.doors.api("POST", "/v1/text/sentiment", self._key, json={"texts": [text]})
        return f"the planted spike was found; “{text}” is {sentiment.json()['results'][0]['label']}"

    async def _ocr(self) -> str:
        printed = PrintedInvoice()
        image = draw_invoice(printed)
        answer = await self.doors.api(
            "POST", "/v1/vision/ocr", self._key, files={"file": ("invoice.png", image, "image/png")}
        )
        text = answer.json()["text"]
        for expected in (printed.number, printed.total):
            if expected not in text:
                raise TourFailed(f"OCR did not read {expected!r}: {text!r}")
        return f"invoice {printed.number}, total EUR {printed.total}, {len(text.splitlines())} lines"

    async def _isolation(self) -> str:
        assert self.second is not None
        hidden = await self.doors.raw("GET", f"/v1/collections/{self.collection_id}", self.second.key)
        missing = await self.doors.raw("GET", f"/v1/collections/{self.second.tenant_id}", self.second.key)
        bodies = [{**answer.json(), "request_id": ""} for answer in (hidden, missing)]
        if (hidden.status_code, missing.status_code) != (404, 404) or bodies[0] != bodies[1]:
            raise TourFailed(f"a foreign collection answered {hidden.status_code}: {hidden.text}")
        return "404, to the letter the same as for a collection that does not exist"

    async def _limit(self) -> str:
        assert self.second is not None
        body = {"model": "all-MiniLM-L6-v2", "input": "How fast is too fast?"}
        key = self.second.key
        answers = await asyncio.gather(
            *(self.doors.raw("POST", "/v1/embeddings", key, json=body) for _ in range(BURST))
        )
        refused = [answer for answer in answers if answer.status_code == 429]
        served = sum(answer.status_code == 200 for answer in answers)
        if not refused or served + len(refused) != BURST:
            raise TourFailed(f"of {BURST} at once {served} were served and {len(refused)} refused")
        headers = refused[0].headers
        shown = ", ".join(
            f"{name} {headers[name]}" for name in ("RateLimit-Limit", "RateLimit-Remaining", "Retry-After")
        )
        self.figures["Burst"] = f"{BURST} at once: {served} served, {len(refused)} refused"
        return f"{served} served, {len(refused)} × 429 ({shown})"

    async def _usage(self) -> str:
        assert self.first is not None
        assert self.second is not None
        totals: dict[str, int] = {}
        for visitor in (self.first, self.second):
            for meter, quantity in (await self._drained_usage(visitor)).items():
                totals[meter] = totals.get(meter, 0) + quantity
        self.figures["Usage"] = ", ".join(f"{quantity:,} {meter}" for meter, quantity in sorted(totals.items()))
        return self.figures["Usage"]

    async def _upcoming_invoice(self) -> str:
        assert self.first is not None
        path = f"/api/tenants/{self.first.tenant_id}/invoices/upcoming"
        upcoming = await self.doors.control("GET", path, self.first.session_token)
        usage = await self._usage_of(self.first)
        lines: Counter[str] = Counter()
        for line in upcoming["lines"]:
            lines[line["meter"]] += int(Decimal(line["quantity"]))
        if lines != usage or upcoming["unpriced"]:
            raise TourFailed(f"the invoice has {dict(lines)}, without {upcoming['unpriced']}, and the usage {usage}")
        if upcoming["net_minor"] != sum(line["net_minor"] for line in upcoming["lines"]):
            raise TourFailed("the invoice's net amount is not the sum of its lines")
        net = format_minor(upcoming["net_minor"], upcoming["currency"])
        self.figures["Money"] = f"{self.first.name} owes {net} without tax so far, in {len(upcoming['lines'])} lines"
        return self.figures["Money"]

    async def _final_invoice(self) -> str:
        assert self.first is not None
        settled = await self.settle_up(UUID(self.first.tenant_id))
        invoice = settled.invoice
        path = f"/api/tenants/{self.first.tenant_id}/invoices/{invoice.invoice_id}"
        shown = await self.doors.control("GET", path, self.first.session_token)
        if (shown["number"], shown["gross_minor"]) != (invoice.number, invoice.gross_minor):
            raise TourFailed(f"the console shows {shown} for invoice {invoice.number}")
        line = next(each for each in shown["lines"] if each["events"])
        events = await self.doors.control("GET", f"{path}/lines/{line['position']}/events", self.first.session_token)
        if len(events["data"]) != min(line["events"], 100):
            raise TourFailed(f"line {line['name']} counts {line['events']} events and opens {len(events['data'])}")
        self.figures["Invoice"] = f"{shown['number']}, {shown['total']} with tax: {settled.file}"
        return f"{shown['total']} with tax in {len(shown['lines'])} lines, each opens its requests; {settled.file}"

    async def _verify(self) -> str:
        result = await self.verify()
        if result.differences or result.waiting_events:
            raise TourFailed(f"{result.differences}; {result.waiting_events} events have not arrived")
        return f"{len(result.differences)} differences in {result.tenants} tenants"

    @property
    def _key(self) -> str:
        assert self.first is not None
        return self.first.key

    async def _drained_usage(self, visitor: Visitor) -> dict[str, int]:
        """The usage once it has stopped growing: events take a moment from the gateway to the database."""
        before: dict[str, int] = {}
        for _ in range(100):
            now = await self._usage_of(visitor)
            if now and now == before:
                return now
            before = now
            await asyncio.sleep(0.5)
        raise TourFailed("the usage did not settle")

    async def _usage_of(self, visitor: Visitor) -> dict[str, int]:
        path = f"/api/tenants/{visitor.tenant_id}/usage?window=month&group_by=meter"
        usage = await self.doors.control("GET", path, visitor.session_token)
        counted = {point["group"]: point["quantity"] for point in usage["data"]}
        return {meter: quantity for meter, quantity in counted.items() if meter not in MONEY_METERS}


def _airline_passengers() -> list[float]:
    """144 monthly totals."""
    with files("omni.apps.demo").joinpath("airline_passengers.csv").open() as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    return [float(row["passengers"]) for row in rows]
