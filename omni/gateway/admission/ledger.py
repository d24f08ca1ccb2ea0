"""Admit, settle and renew, with Redis or without: the only place that knows where a usage event goes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from omni.contracts import redis_names
from omni.contracts.money import ANY_MODEL
from omni.contracts.quotes import Terms, billable
from omni.contracts.usage import UsageEvent
from omni.gateway.admission.events import ONE_REQUEST, EventTemplate, Outcome
from omni.gateway.admission.limits import LimitSet, Reserved, Scripts, appended_only
from omni.gateway.admission.outage import OutageLimits, refused_headers
from omni.gateway.admission.prices import Prices
from omni.gateway.admission.repeats import arguments_of, event_of, never_sent, released, request_of, sent_again
from omni.gateway.admission.spool import Spool, SpoolSendFailed
from omni.gateway.config import GatewayConfig
from omni.gateway.observers import Observers
from omni.gateway.redis.client import RedisClient
from omni.gateway.redis.resp import Argument, OnReply, RedisNotConnected, RedisReplyError, RedisUnavailable
from omni.kit.errors import LimitExceeded, OmniError, Unavailable
from omni.kit.ids import uuid7_text

_RESEND_SECONDS = 5.0
"""Redis may lose what it acknowledged in the last second before a crash; that much and some more is sent again."""
_REPLAY_EVERY_SECONDS = 5.0


class Ticket:
    """One admitted request: what is held for it and where its event will go."""

    __slots__ = (
        "events", "headers", "hex", "id", "is_asked_again", "limits", "occurred_at_micros", "renewed_at", "reserved",
        "room_nanos",
    )  # fmt: skip

    def __init__(
        self, request_id: str, occurred_at_micros: int, limits: LimitSet, events: EventTemplate, reserved: Reserved
    ) -> None:
        self.id = request_id.encode("ascii")
        self.hex = request_id.replace("-", "").encode("ascii")
        self.occurred_at_micros = occurred_at_micros
        self.limits = limits
        self.events = events
        self.reserved = reserved
        self.headers = b""
        self.is_asked_again = False
        """Whether the request comes again under its id until something is billed (those of batches do): what bills
        nothing must not take the id, for the event of what does would be dropped as a duplicate."""
        self.room_nanos: int | None = None
        """What the narrowest hard ceiling leaves besides this reservation; None = there is no ceiling."""
        self.renewed_at = 0.0


Settlement = tuple[LimitSet | None, bytes]
"""The call that settles a request: its levels, and what differs from request to request, packed. Without levels it
is the whole call. Many are kept for a while, so each is one small piece of memory."""


class Refused(Exception):
    """Admission said no: the error to answer with, and the RateLimit header lines that go with it."""

    def __init__(self, error: OmniError, headers: bytes) -> None:
        super().__init__(error.code)
        self.error = error
        self.headers = headers


class Ledger:
    """The record of what is held and what was used."""

    def __init__(
        self,
        redis: RedisClient,
        scripts: Scripts,
        spool: Spool,
        prices: Prices,
        observers: Observers,
        config: GatewayConfig,
    ) -> None:
        self._redis = redis
        self._prices = prices
        self._scripts = scripts
        self._spool = spool
        self._metrics = observers.metrics
        self._logger = observers.logger
        self._loop = asyncio.get_running_loop()
        self._outage = OutageLimits(config)
        self._lease_seconds = config.lease_seconds
        self._held: dict[bytes, Ticket] = {}
        self._recent: deque[tuple[float, Settlement, int]] = deque()
        """When, the call, and what was charged."""
        self._unsure: dict[Argument, Sequence[Argument]] = {}
        """Settlements that Redis may have lost and has not taken again yet, by request."""
        self._replay_wanted = asyncio.Event()

    async def admit(
        self, limits: LimitSet, events: EventTemplate, request_id: str, at_micros: int, reserved: Reserved
    ) -> Ticket:
        """Checks and reserves at every level. Raises Refused."""
        ticket = Ticket(request_id, at_micros, limits, events, reserved)
        reply: object
        try:
            reply = await self._redis.call(self._admit_call(ticket))
        except (RedisUnavailable, RedisReplyError) as error:
            reply = error
        self.admitted(ticket, reply)
        return ticket

    def post_admit(self, ticket: Ticket, on_reply: OnReply) -> None:
        """As `admit`, without anything to await: the reply is for `admitted`."""
        call = self._admit_call(ticket)
        try:
            self._redis.post(call, on_reply)
        except RedisUnavailable as error:
            self._loop.call_soon(on_reply, error)

    def _admit_call(self, ticket: Ticket) -> bytes:
        limits, reserved, at_micros = ticket.limits, ticket.reserved, ticket.occurred_at_micros
        first = self._prices.of_one_request(at_micros)
        data = limits.first_hold(ticket.events, ticket.id, at_micros, first, reserved.nanos)
        return limits.admit(ticket.hex, data, reserved.nanos, reserved.tokens)

    def admitted(self, ticket: Ticket, reply: Any) -> None:
        """What Redis said of a request, or why it said nothing. Raises Refused."""
        if isinstance(reply, Exception):
            if isinstance(reply, RedisReplyError):
                self._logger.error("admit_failed", error=str(reply))
            self._admit_alone(ticket, perhaps_held=not isinstance(reply, RedisNotConnected))
            return
        if reply[0] == -1:
            self._admit_alone(ticket, perhaps_held=False)
            return
        limits = ticket.limits
        if self._outage.in_use:
            self._outage.recovered(limits)
        ticket.headers = limits.headers(reply)
        if reply[0] == 0:
            refusal = limits.refusal(reply)
            self._metrics.decisions.add(refusal.code)
            raise Refused(refusal, ticket.headers)
        ticket.room_nanos = limits.room_nanos(reply)
        ticket.reserved.held = True
        ticket.renewed_at = self._loop.time()
        self._held[ticket.hex] = ticket
        self._metrics.admitted[0] += 1

    def _admit_alone(self, ticket: Ticket, *, perhaps_held: bool) -> None:
        try:
            ticket.headers = self._outage.admit(ticket.limits, ticket.occurred_at_micros, ticket.reserved.nanos)
        except (LimitExceeded, Unavailable) as error:
            self._metrics.decisions.add(error.code)
            if perhaps_held:
                self._release_later(ticket, error.status)
            raise Refused(error, refused_headers(error, ticket.limits)) from None
        ticket.room_nanos = 0 if ticket.limits.moneys else None
        self._metrics.decisions.add("admitted_locally")

    def _release_later(self, ticket: Ticket, status: int) -> None:
        """Redis may hold a request that is refused: it gives that back when it can be asked again."""
        event = ticket.events.settled(ticket.id, ticket.occurred_at_micros, give_back(status))
        limits = ticket.limits
        last = limits.settle_arguments(ticket.hex, event, None, ticket.reserved, {})
        self._unsure[ticket.hex] = released(arguments_of(limits.settle_call(limits.settle(last))))

    def quoted(self, at_micros: int) -> tuple[str, dict[str, tuple[int, int]]]:
        """Today's prices of jobs, as `Prices.quoted`."""
        return self._prices.quoted(at_micros)

    def billable(self, terms: Terms, ticket: Ticket, used: dict[str, int]) -> dict[str, int]:
        """What a slice of a job is billed for: no more than its quote says, whatever prices have become."""
        return billable(terms, used, self._prices.rates(ANY_MODEL, ticket.occurred_at_micros))

    def price(self, ticket: Ticket, outcome: Outcome) -> int | None:
        """Nano-units that an outcome costs; None when nothing in it has a price."""
        return self._prices.amount(outcome.quantities, outcome.model, ticket.occurred_at_micros)

    async def extend(self, ticket: Ticket, so_far: Outcome, nanos: int) -> bool | None:
        """Renews the lease of a stream with what was used so far, and reserves up to `nanos` in all.

        False when a hard ceiling does not allow it; None when Redis cannot be asked.
        """
        reserved = ticket.reserved
        if not reserved.held:
            return None
        more = max(0, nanos - reserved.nanos) if ticket.limits.moneys else 0
        so_far.spend_nanos = spend = self.price(ticket, so_far)
        if spend is not None and ticket.limits.moneys:
            spend = so_far.spend_nanos = min(spend, reserved.nanos)
        before, after = ticket.events.settled(ticket.id, ticket.occurred_at_micros, so_far)
        event = before + after if spend is None else b"%b%d%b" % (before, spend, after)
        total = reserved.nanos + more
        data = ticket.limits.hold_data(event, spend, total)
        call = ticket.limits.extend(ticket.hex, data, more if reserved.sure else None, total)
        try:
            reply = await self._redis.call(call)
        except (RedisUnavailable, RedisReplyError):
            reserved.sure = reserved.sure and more == 0
            return None
        if reply == 0:
            return False
        ticket.renewed_at = self._loop.time()
        if reply == 1:
            reserved.nanos, reserved.sure = total, True
        return True

    async def settle(self, ticket: Ticket, outcome: Outcome) -> None:
        """Returns when the event is in the stream or on disk. Raises OSError when neither takes it."""
        settlement = self._settlement(ticket, outcome)
        reply: object
        try:
            reply = await self._redis.call(_call(settlement))
        except (RedisUnavailable, RedisReplyError) as error:
            reply = error
        if not self.settled(settlement, reply):
            await self.spool(settlement, reply)

    def post_settle(self, ticket: Ticket, outcome: Outcome, on_reply: OnReply) -> Settlement:
        """As `settle`, without anything to await: the reply is for `settled`, and for `spool` where that says no."""
        settlement = self._settlement(ticket, outcome)
        try:
            self._redis.post(ticket.limits.settle_call(settlement[1]), on_reply)
        except RedisUnavailable as error:
            self._loop.call_soon(on_reply, error)
        return settlement

    def _settlement(self, ticket: Ticket, outcome: Outcome) -> Settlement:
        self._held.pop(ticket.hex, None)
        at_micros, limits = ticket.occurred_at_micros, ticket.limits
        outcome.spend_nanos = charge = self.price(ticket, outcome)
        takes_id = not ticket.is_asked_again or bool(outcome.quantities)
        event = ticket.events.settled(ticket.id if takes_id else uuid7_text().encode("ascii"), at_micros, outcome)
        last = limits.settle_arguments(ticket.hex, event, charge, ticket.reserved, outcome.quantities)
        return limits, limits.settle(last)

    def settled(self, settlement: Settlement, reply: Any) -> bool:
        """Whether Redis took a settlement."""
        if isinstance(reply, Exception):
            if isinstance(reply, RedisReplyError):
                self._logger.error("settle_failed", error=str(reply))
            return False
        self._remember(settlement, reply[1])
        return True

    async def spool(self, settlement: Settlement, why: object) -> None:
        """Writes a settlement to disk that Redis did not take, for `why`. Raises OSError."""
        args = arguments_of(_call(settlement))
        again = never_sent(args) if isinstance(why, RedisNotConnected) else sent_again(args, None)
        await self._spool.append(event_of(args), again)
        self._replay_wanted.set()

    def abandon(self, ticket: Ticket) -> None:
        """Lets the lease run out, where nothing was settled; nothing to do after `settle`."""
        self._held.pop(ticket.hex, None)

    def _remember(self, settlement: Settlement, charged: int) -> None:
        now, recent = self._loop.time(), self._recent
        recent.append((now, settlement, charged))
        if recent[0][0] < now - _RESEND_SECONDS:
            self._forget_older(now)

    def _forget_older(self, now: float) -> None:
        recent = self._recent
        while recent and recent[0][0] < now - _RESEND_SECONDS:
            recent.popleft()

    async def renew_leases(self) -> None:
        """Extends every lease of which a third is over."""
        now = self._loop.time()
        if self._redis.connected:
            self._forget_older(now)
        due_before = now - self._lease_seconds / 3
        by_partition: dict[int, list[bytes]] = {}
        for request_hex, ticket in self._held.items():
            if ticket.renewed_at <= due_before:
                by_partition.setdefault(ticket.limits.partition, []).append(request_hex)
        for partition, ids in by_partition.items():
            try:
                await self._redis.eval(
                    self._scripts.renew, b"1", redis_names.holds_index(partition), self._scripts.lease_ms, *ids
                )
            except (RedisUnavailable, RedisReplyError):
                return
            for request_hex in ids:
                if request_hex in self._held:
                    self._held[request_hex].renewed_at = now

    async def on_redis_connected(self) -> None:
        """Sends again what Redis may have lost, and has the spool replayed.

        However long it was away: what counts is how old a settlement was when it went.
        """
        for ticket in self._held.values():
            ticket.reserved.sure = not ticket.limits.moneys  # it may have lost an extension
        unsure = self._unsure
        for _, settlement, charged in self._recent:
            args = arguments_of(_call(settlement))
            unsure[request_of(args)] = sent_again(args, charged)
        self._recent.clear()
        calls = [self._scripts.settle.pack(args) for args in unsure.values()]
        replies: list[tuple[int, int]] = []
        try:
            for start in range(0, len(calls), 500):
                replies += await self._send_all(calls[start : start + 500])
        except (RedisUnavailable, RedisReplyError) as error:
            self._logger.warning("resend_failed", error=str(error))
        else:
            unsure.clear()
            for call, (_, charged) in zip(calls, replies, strict=True):
                self._remember((None, call), charged)
        self._replay_wanted.set()

    async def _send_all(self, calls: Sequence[bytes]) -> list[Any]:
        return await asyncio.gather(*[self._redis.call(call) for call in calls])

    async def replay_for_ever(self) -> None:
        """Empties the spool whenever Redis is back, and takes over files of processes that died."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_REPLAY_EVERY_SECONDS):
                    await self._replay_wanted.wait()
            if self._redis.connected:
                self._replay_wanted.clear()
                try:
                    if not await self._spool.replay(self._replay_one):
                        self._logger.warning("spool_replay_interrupted")
                except OSError as error:
                    self._logger.error("spool_replay_failed", error=repr(error))
            else:
                await asyncio.sleep(0.05)

    async def flush(self, seconds: float) -> None:
        """Hands Redis what is spooled, as far as time allows; the rest stays on disk for the next process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._redis.connected:
                    await self._spool.replay(self._replay_one)

    async def _replay_one(self, event: UsageEvent, line: bytes, args: Sequence[Argument] | None) -> None:
        if args is None:
            partition = redis_names.partition_of(event.tenant_id)
            args = appended_only(partition, event.event_id.hex.encode("ascii"), line)
        call = self._scripts.settle.pack(args)
        try:
            reply = await self._redis.call(call)
        except (RedisUnavailable, RedisReplyError) as error:
            raise SpoolSendFailed(str(error)) from error
        self._remember((None, call), reply[1])


def _call(settlement: Settlement) -> bytes:
    limits, packed = settlement
    return packed if limits is None else limits.settle_call(packed)


def give_back(status: int) -> Outcome:
    """The outcome of a request that is not billed."""
    return Outcome(status, {})


def one_request(status: int) -> Outcome:
    """The outcome of a request that counts, without more being known of it."""
    return Outcome(status, ONE_REQUEST)
