"""Works on jobs that compute: each slice is a request to a backend, through the gateway, which admits and charges."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import ValidationError

from omni.contracts.quotes import Term, Terms
from omni.inference.batches.lines import request_id
from omni.inference.calling import Calls, Reply
from omni.inference.compute.quoting import charged_row
from omni.inference.compute.schemas import SliceOutcome, SliceRequest
from omni.inference.jobs.runner import Done, LeaseLost, More, Slice
from omni.inference.jobs.schemas import JobError

CHARGED = "charged"
"""Where a job's progress says what it was charged for so far."""
_LEASE_LOST = "lease_lost"
_NO_MONEY = frozenset(("budget_exceeded", "credit_exhausted", "quota_exceeded"))
_LATER = frozenset((408, 429))
_BROKEN = 500
MOST_FREE = 60
"""Slices in a row that used nothing of the quote: to finish what it has paid for may take a job some."""
MOST_BROKEN = 5
"""A slice that ends in an error of ours so often in a row ends the job."""


class ComputeWorker:
    """The handler of jobs that compute. A cancelled one has a last slice, to put together what it has paid for."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def __call__(self, work: Slice) -> Done | More:
        job = work.claimed.job
        charged = job.progress.get(CHARGED) or {"slices": 0, "tries": 0, "used": {}}
        cancelled = await work.is_cancelled()
        if cancelled and not charged["slices"]:
            return Done("cancelled", job.progress)
        if work.clock.now() >= job.expires_at:
            return Done("expired", job.progress)
        terms: Terms = job.quote.terms if job.quote is not None else {}
        left = {m: Term(t.most - charged["used"].get(m, 0), t.price_nanos, t.per_quantity) for m, t in terms.items()}
        body = SliceRequest(attempt=job.attempts, most={meter: term.most for meter, term in left.items()})
        reply = await self._calls.send(
            f"/v1/jobs/{job.id}/slices", body.model_dump(), work.claimed.key_digest,
            request_id(job.id, charged["slices"]), left,
        )  # fmt: skip
        if reply.status != 200:
            refused = _refused(reply, job.progress, charged, terms)
            return Done("cancelled", refused.progress) if cancelled else refused
        try:
            outcome = SliceOutcome.model_validate_json(reply.body)
        except ValidationError as error:
            raise RuntimeError("a backend's answer to a slice is none") from error
        return _answered(outcome, charged, terms)


def _answered(outcome: SliceOutcome, charged: dict[str, Any], terms: Terms) -> Done | More:
    used = dict(charged["used"])
    for meter, quantity in outcome.used.items():
        if meter in terms:
            used[meter] = min(used.get(meter, 0) + quantity, terms[meter].most)
    progress = {**outcome.progress, CHARGED: charged_row(charged["slices"] + 1, 0, used, terms)}
    if outcome.state is not None:
        return Done(outcome.state, progress, outcome.result, outcome.error)
    if not outcome.later:
        free = charged.get("free", 0) + 1 if used == charged["used"] else 0
        if free > MOST_FREE:
            raise RuntimeError("a job goes on without end, and uses nothing")
        progress[CHARGED]["free"] = free
    return More(progress, outcome.later)


def _refused(reply: Reply, progress: dict[str, Any], charged: dict[str, Any], terms: Terms) -> Done | More:
    """What the gateway or backend answered instead: later, or why not. Raises LeaseLost."""
    error = _error_of(reply)
    if error.code == _LEASE_LOST:
        raise LeaseLost
    tries = charged["tries"] + 1
    given_up = error.code in _NO_MONEY or (reply.status == _BROKEN and tries >= MOST_BROKEN)
    if not given_up and (reply.status in _LATER or reply.status >= _BROKEN):
        again = charged_row(charged["slices"], tries, charged["used"], terms)
        return More({**progress, CHARGED: again}, later=True)
    return Done("failed", progress, error=error)


def _error_of(reply: Reply) -> JobError:
    try:
        problem = orjson.loads(reply.body)
        return JobError(code=str(problem["code"]), message=str(problem["detail"]))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return JobError(code="slice_failed", message=f"The job's next part was answered with {reply.status}.")
