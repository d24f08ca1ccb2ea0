"""The scripts on a real Redis, where something was lost on the way: what `tests.simulation` found, one by one."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from omni.contracts.money import Budget, MoneySnapshot
from omni.contracts.snapshots import TenantSnapshot
from omni.contracts.usage import REQUESTS, UsageEvent
from omni.domains.metering import service as metering
from omni.gateway.access.auth import Caller
from omni.gateway.admission.events import EventTemplate, Outcome
from omni.gateway.admission.limits import Reserved, Scripts
from omni.gateway.admission.repeats import arguments_of, never_sent, released, sent_again
from omni.gateway.redis.client import Script
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7
from tests.gateway.support import ControlPlane, Tenant, held_by, script_arguments

CEILING = 1_000


SCRIPTS = Scripts(lease_seconds=30)
EXPIRED = Scripts(lease_seconds=-0.001)
"""Whose holds are the reaper's at once."""


class Held:
    """A request, and the calls of a gateway that serves it."""

    def __init__(self, control: ControlPlane, tenant: Tenant, caller: Caller) -> None:
        self._control = control
        self._tenant = tenant
        self._scripts = SCRIPTS
        self.at_micros = unix_micros()
        self.id = uuid7()
        self.hex = self.id.hex.encode()
        self.limits = caller.limits(self.at_micros)
        self.template = EventTemplate(caller.key, "POST /x")
        self.reserved = Reserved(100, 0)

    async def call(self, script: Script, *args: Any) -> Any:
        return await self._control.redis.eval(script.source.decode(), *args)

    async def admit(self) -> None:
        data = self.limits.first_hold(self.template, str(self.id).encode(), self.at_micros, 10, self.reserved.nanos)
        args = script_arguments(self.limits.admit(self.hex, data, self.reserved.nanos, 0))
        assert (await self.call(self._scripts.admit, *args))[0] == 1
        self.reserved.held = True

    async def extend(self, more: int | None, total: int) -> None:
        event = held_by(self.template, 10, self.id, self.at_micros)
        args = script_arguments(self.limits.extend(self.hex, self.limits.hold_data(event, 10, total), more, total))
        assert await self.call(self._scripts.extend, *args) == 1

    def settlement(self, charge: int, quantities: dict[str, int] | None = None) -> Any:
        outcome = Outcome(200, {REQUESTS: 1} if quantities is None else quantities)
        outcome.spend_nanos = charge
        event = self.template.settled(str(self.id).encode(), self.at_micros, outcome)
        last = self.limits.settle_arguments(self.hex, event, charge, self.reserved, outcome.quantities)
        return arguments_of(self.limits.settle_call(self.limits.settle(last)))

    async def settle(self, args: Any) -> list[int]:
        reply: list[int] = await self.call(self._scripts.settle, *args)
        return reply

    async def reap(self) -> int:
        return await metering.Counters(self._control.redis).reap()

    async def events(self) -> list[UsageEvent]:
        return await self._control.events(self._tenant.key.tenant_id)

    async def counted(self) -> tuple[int, int, int]:
        """Nano-units spent, requests of the month, open requests."""
        redis = self._control.redis
        spent = int(await redis.get(self.limits.moneys[0].key) or 0) if self.limits.moneys else 0
        requests = await self._control.quota(self._tenant, REQUESTS, self.at_micros)
        return spent, requests, int(await redis.get(self.limits.opens[0][0]) or 0)


@pytest_asyncio.fixture
async def held(control: ControlPlane) -> Held:
    return await with_budget(control, SCRIPTS)


async def with_budget(control: ControlPlane, scripts: Scripts) -> Held:
    tenant = await control.tenant(concurrent_requests=5, requests_per_month=100)
    money = MoneySnapshot(tenant.key.tenant_id, (Budget("tenant", tenant.key.tenant_id, "all", CEILING, hard=True),))
    snapshot = TenantSnapshot(tenant.key.tenant_id, tenant.plan.code, active=True)
    return Held(control, tenant, Caller((tenant.key, snapshot, tenant.plan, money, {}), scripts))


async def test_a_hold_whose_gateway_never_heard_of_it_counts_once(held: Held) -> None:
    await held.admit()
    held.reserved.held = False
    args = held.settlement(40)
    assert await held.settle(args) == [1, 40]
    assert await held.settle(args) == [0, 40]
    assert await held.counted() == (40, 1, 0)


async def test_a_hold_that_redis_lost_counts_once(held: Held) -> None:
    held.reserved.held = True
    args = held.settlement(40)
    assert await held.settle(args) == [0, 40]
    for again in (sent_again(args, 40), sent_again(args, None), never_sent(args)):
        assert await held.settle(again) == [0, 40]
    assert await held.counted() == (40, 1, 0)


async def test_what_a_ceiling_cut_is_cut_the_same_way_when_it_comes_again(held: Held) -> None:
    await held.admit()
    args = held.settlement(CEILING + 500)
    assert await held.settle(args) == [1, CEILING]
    for again in (sent_again(args, CEILING), sent_again(args, None)):
        assert await held.settle(again) == [0, CEILING]
    assert await held.counted() == (CEILING, 1, 0)
    quantities = [event.quantities for event in await held.events()]
    assert quantities == 3 * [{"requests": 1, "spend_nanos": CEILING, "written_off_nanos": 500}]


async def test_an_extension_whose_reply_was_lost_is_given_back(held: Held) -> None:
    await held.admit()
    await held.extend(300, 400)
    held.reserved.sure = False
    assert await held.settle(held.settlement(40)) == [1, 40]
    assert await held.counted() == (40, 1, 0)


@pytest.mark.parametrize("total", [150, 400, 900])
async def test_an_extension_finds_out_what_a_hold_lacks(held: Held, total: int) -> None:
    await held.admit()
    await held.extend(300, 400)
    await held.extend(None, total)
    assert await held.counted() == (total, 1, 1)
    held.reserved.nanos = total
    assert await held.settle(held.settlement(40)) == [1, 40]
    assert await held.counted() == (40, 1, 0)


async def test_a_late_settlement_corrects_the_reaper_once(control: ControlPlane) -> None:
    held = await with_budget(control, EXPIRED)
    await held.admit()
    assert await held.reap() == 1
    assert await held.counted() == (10, 1, 0)
    args = held.settlement(0, {})
    for _ in range(2):
        assert await held.settle(args) == [0, 0]
    assert await held.counted() == (0, 0, 0)


async def test_a_hold_without_money_is_corrected_too(control: ControlPlane) -> None:
    tenant = await control.tenant(concurrent_requests=5, requests_per_month=100)
    snapshot = TenantSnapshot(tenant.key.tenant_id, tenant.plan.code, active=True)
    nothing = MoneySnapshot(tenant.key.tenant_id)
    held = Held(control, tenant, Caller((tenant.key, snapshot, tenant.plan, nothing, {}), EXPIRED))
    await held.admit()
    assert await held.reap() == 1
    assert await held.settle(held.settlement(0, {})) == [0, 0]
    assert await held.counted() == (0, 0, 0)


async def test_a_release_does_nothing_where_nothing_is_held(held: Held) -> None:
    held.reserved.held = True
    release = released(held.settlement(0, {}))
    assert await held.settle(release) == [0, 0]
    assert await held.events() == []
    await held.admit()
    assert await held.settle(release) == [1, 0]
    assert await held.counted() == (0, 0, 0)
    assert [event.quantities for event in await held.events()] == [{"spend_nanos": 0}]
