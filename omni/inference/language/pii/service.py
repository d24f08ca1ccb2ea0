"""What the endpoints of personal data do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omni.inference.language.pii.matches import Match
from omni.inference.language.pii.schemas import (
    DetectRequest,
    DetectResponse,
    Entity,
    Redaction,
    RedactRequest,
    RedactResponse,
    RestoreRequest,
    RestoreResponse,
)
from omni.inference.language.pii.tokens import RestoreKeys, replaced, restored, stand_ins, token_names
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool

if TYPE_CHECKING:
    from omni.inference.language.pii.detector import Detector

ENGINE = "pii"
MODEL = "pii-rules-1"


class PiiService:
    """Finds, redacts and restores personal data; stores none."""

    def __init__(self, pool: EnginePool, keys: RestoreKeys) -> None:
        self._pool = pool
        self._keys = keys
        self._detector: LazyEngine[Detector] = LazyEngine(
            "omni.inference.language.pii.detector", lambda module: module.Detector()
        )

    async def detect(self, call: Call, request: DetectRequest) -> DetectResponse:
        """What the rules find. Raises InvalidInput `region_not_supported`."""
        matches = await self._find(call, request)
        return DetectResponse(entities=[_entity(request.text, match) for match in matches], model=MODEL)

    async def redact(self, call: Call, request: RedactRequest) -> RedactResponse:
        """The text without what the rules find. Raises InvalidInput `region_not_supported`."""
        matches = await self._find(call, request)
        names = token_names(request.text, matches)
        text, places = replaced(request.text, matches, list(stand_ins(request.text, matches, request.mode, names)))
        key = None
        if request.mode == "tokens":
            expires_micros = call.now_micros() + request.expires_in_seconds * 1_000_000
            values = {name: value for value, name in names.items()}
            key = self._keys.make(call.principal.tenant_id, values, expires_micros)
        return RedactResponse(
            text=text,
            redactions=[
                Redaction(type=match.type, start=start, end=end, rule=match.rule, certainty=match.certainty)
                for match, (start, end) in zip(matches, places, strict=True)
            ],
            restore_key=key,
            model=MODEL,
        )

    async def restore(self, call: Call, request: RestoreRequest) -> RestoreResponse:
        """The text with what its tokens stand for. Raises InvalidInput `restore_key_invalid` or
        `restored_text_too_long`.
        """

        def work() -> RestoreResponse:
            values = self._keys.open(call.principal.tenant_id, request.restore_key, call.now_micros())
            text, known, unknown = restored(request.text, values)
            used = set(known)
            return RestoreResponse(
                text=text,
                restored=[f"<{name}>" for name in known],
                absent=[f"<{name}>" for name in values if name not in used],
                unknown=[f"<{name}>" for name in unknown],
            )

        response = await self._pool.run(call, ENGINE, work)
        call.usage.model = MODEL
        return response

    async def _find(self, call: Call, request: DetectRequest) -> list[Match]:
        matches = await self._pool.run(
            call,
            ENGINE,
            lambda: self._detector.get().find(
                request.text, request.types, request.min_certainty, request.regions, call.seconds_left
            ),
        )
        call.usage.model = MODEL
        return matches


def _entity(text: str, match: Match) -> Entity:
    return Entity(
        type=match.type,
        start=match.start,
        end=match.end,
        text=text[match.start : match.end],
        rule=match.rule,
        certainty=match.certainty,
    )
