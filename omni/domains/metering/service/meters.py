"""The meters: the platform's own, and those that the operator makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from omni.contracts import usage
from omni.contracts.usage import COMPUTE_MS, INPUT_TOKENS, PAGES, REQUESTS
from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository import meters as repository
from omni.domains.metering.repository import recounting
from omni.domains.metering.rules.meters import check_definition
from omni.domains.metering.rules.periods import SLOT
from omni.domains.metering.service.sessions import OpenSystemSession
from omni.foundation.db.sessions import Session, SharedSession, SystemSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, NotFound

COUNT_METER = "metering.count_meter"
COUNTED_AT_ONCE = 20_000

METERS = tuple(
    Meter(code, name, unit, description, value_property=code)
    for code, name, unit, description in (
        (REQUESTS, "Requests", "request", "Requests that reached an engine."),
        (usage.CACHED_REQUESTS, "Cached requests", "request", "Requests answered from the response cache."),
        (INPUT_TOKENS, "Input tokens", "token", "Tokens that a model read."),
        (usage.CACHED_INPUT_TOKENS, "Cached input tokens", "token", "Input that a provider had in its cache."),
        (usage.CACHE_WRITE_TOKENS, "Cache write tokens", "token", "Input that a provider put into its cache."),
        (usage.INPUT_AUDIO_TOKENS, "Input audio tokens", "token", "Tokens of sound that a model read."),
        (usage.INPUT_IMAGE_TOKENS, "Input image tokens", "token", "Tokens of pictures that a model read."),
        (usage.OUTPUT_TOKENS, "Output tokens", "token", "Tokens that a model wrote."),
        (usage.REASONING_TOKENS, "Reasoning tokens", "token", "Tokens that a model thought."),
        (usage.OUTPUT_AUDIO_TOKENS, "Output audio tokens", "token", "Tokens of sound that a model made."),
        (usage.OUTPUT_IMAGE_TOKENS, "Output image tokens", "token", "Tokens of pictures that a model made."),
        (usage.IMAGES, "Images", "image", "Pictures that a model made."),
        (usage.CHARACTERS, "Characters", "character", "Characters that were spoken."),
        (usage.AUDIO_MS, "Audio", "millisecond", "Length of sound that was transcribed."),
        (COMPUTE_MS, "Compute", "millisecond", "Processor time of the engines."),
        (PAGES, "Pages", "page", "Pages of PDF files, and pages or images that were read by OCR."),
        (usage.TRAINING_MS, "Training", "millisecond", "Time for which models were trained."),
        (usage.PREDICTIONS, "Predictions", "row", "Rows that the tenant's own models answered."),
        (
            usage.VECTOR_BYTE_HOURS,
            "Vector storage",
            "byte-hour",
            "Bytes of vectors in collections, times the hours that they were stored.",
        ),
    )
)
BATCH_METERS = tuple(
    replace(
        meter, code=code, name=f"{meter.name} in batches", description=f"In batches: {meter.description}",
        value_property=code,
    )
    for meter in METERS
    if (code := usage.BATCH_PREFIX + meter.code) in usage.METERS
)  # fmt: skip


async def seed_meters(session: Session) -> None:
    """The meters that the platform's own endpoints use."""
    await repository.insert_missing(session, (*METERS, *BATCH_METERS))


async def list_meters(session: Session) -> list[Meter]:
    """Every meter, by code; retired ones too."""
    return await repository.all_meters(session)


async def add_meter(session: SharedSession, new: Meter) -> Meter:
    """Adds an operator's meter. Events of its type that came before count as well, once the worker has added them to
    the rollups; until then they are counted one by one.

    Raises InvalidInput `invalid_meter`, Conflict `meter_exists`.
    """
    check_definition(new)
    if not await repository.insert_missing(session, [new]):
        raise Conflict("meter_exists", "There is a meter with this code, perhaps a retired one; choose another.")
    await enqueue(session, COUNT_METER, code=new.code)
    return new


async def change_meter(session: SharedSession, code: str, changes: dict[str, object]) -> Meter:
    """Changes name, description or unit, or retires a meter (`active` false) and brings it back. What a meter counts
    never changes: what was sold by it stays what it was.

    Raises NotFound `meter_not_found`, Conflict `platform_meter` for one of the platform's own.
    """
    found = await repository.meter(session, code)
    if found is None:
        raise NotFound("meter_not_found", "There is no such meter; see GET /api/meters.")
    if found.scope == "platform":
        raise Conflict("platform_meter", "The platform's own meters cannot be changed. Add one of your own.")
    if changes:
        await repository.update(session, code, changes)
    changed = await repository.meter(session, code)
    assert changed is not None
    return changed


def pieces(slots: Sequence[tuple[UUID, datetime, int]]) -> list[tuple[UUID, tuple[datetime, datetime]]]:
    """Neighbouring quarters of an hour of a tenant put together, up to 20,000 events; at least one each."""
    found: list[tuple[UUID, tuple[datetime, datetime]]] = []
    held = 0
    for tenant_id, starts_at, events in slots:
        held += events
        if found and found[-1][0] == tenant_id and held <= COUNTED_AT_ONCE:
            found[-1] = (tenant_id, (found[-1][1][0], starts_at + SLOT))
        else:
            found.append((tenant_id, (starts_at, starts_at + SLOT)))
            held = events
    return found


async def count_meter(open_session: OpenSystemSession, code: str) -> None:
    """Makes a meter's rollups from all events of its type, some thousand events of a tenant at a time, so that who
    reports events never waits long. Idempotent."""
    async with open_session() as session:
        meter = await repository.meter(session, code)
        if meter is None:
            return
        slots = await recounting.slots_with(session, meter.event_type)
    for tenant_id, period in pieces([(row["tenant_id"], row["starts_at"], row["events"]) for row in slots]):
        async with open_session() as session:
            await repository.lock(session, str(tenant_id))
            await recounting.recount(session, tenant_id, meter, period)
    async with open_session() as session:
        await repository.update(session, code, {"rolled_up": True})


async def forget_keys(session: SystemSession, now: datetime) -> int:
    """Forgets sources and ids that deduplication does not need any more; returns how many."""
    return await recounting.forget_keys(session, now)
