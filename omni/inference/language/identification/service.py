"""What language identification does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omni.inference.language.identification.schemas import MAX_SEGMENTED_CHARS, LanguageRequest, LanguageResponse
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.language.identification.detector import Detector


class IdentificationService:
    """Languages of texts."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._detector: LazyEngine[Detector] = LazyEngine(
            "omni.inference.language.identification.detector", lambda module: module.Detector()
        )

    async def identify(self, call: Call, request: LanguageRequest) -> LanguageResponse:
        """The languages of each text. Raises InvalidInput `language_not_supported` or `text_too_long`."""
        size = sum(map(len, request.texts))
        if request.segments and size > MAX_SEGMENTED_CHARS:
            raise InvalidInput(
                "text_too_long",
                f"The texts have {size} characters; with `segments` {MAX_SEGMENTED_CHARS} are allowed. Send fewer.",
                param="texts",
                max_chars=MAX_SEGMENTED_CHARS,
            )
        codes = request.languages or []

        def work() -> LanguageResponse:
            detector = self._detector.get()
            detector.require_known(codes)
            results = []
            for index, text in enumerate(request.texts):
                call.seconds_left()
                results.append(detector.identify(index, text, codes, request.top_k, request.segments))
            return LanguageResponse(results=results, model=detector.name)

        response = await self._pool.run(call, "identification", work)
        call.usage.model = response.model
        return response
