"""What spelling and readability do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omni.inference.language.writing.checked import CheckedWord, checked_words
from omni.inference.language.writing.readability import counted, readability
from omni.inference.language.writing.schemas import (
    Misspelling,
    ReadabilityRequest,
    ReadabilityResponse,
    SpellingRequest,
    SpellingResponse,
    Suggestion,
)
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool

if TYPE_CHECKING:
    from omni.inference.language.writing.dictionary import Dictionaries

ENGINE = "writing"
Near = list[tuple[str, int]]


class WritingService:
    """Spelling and readability."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._dictionaries: LazyEngine[Dictionaries] = LazyEngine(
            "omni.inference.language.writing.dictionary", lambda module: module.Dictionaries()
        )

    async def spelling(self, call: Call, request: SpellingRequest) -> SpellingResponse:
        """Unknown words with what may have been meant. Raises DeadlineExceeded and Unavailable."""

        def work() -> SpellingResponse:
            dictionaries = self._dictionaries.get()
            dictionary = dictionaries.of(request.language)
            ignore = frozenset(word.casefold().replace("’", "'") for word in request.ignore)
            words = list(checked_words(request.text, ignore, request.ignore_capitalized))
            found = dictionary.unknown(words, request.suggestions, call.seconds_left)
            return SpellingResponse(
                misspellings=[_misspelling(request.text, word, near) for word, near in found],
                words_checked=len(words),
                language=request.language,
                model=f"{dictionaries.name}/{request.language}",
            )

        response = await self._pool.run(call, ENGINE, work)
        call.usage.model = response.model
        return response

    async def readability(self, call: Call, request: ReadabilityRequest) -> ReadabilityResponse:
        """All formulas for the text. Raises InvalidInput `input_empty` without a word."""
        response = await self._pool.run(call, ENGINE, lambda: readability(counted(request.text, call.seconds_left)))
        call.usage.model = response.model
        return response


def _misspelling(text: str, word: CheckedWord, near: Near) -> Misspelling:
    return Misspelling(
        start=word.start,
        end=word.end,
        word=text[word.start : word.end],
        suggestions=[Suggestion(word=other, distance=distance) for other, distance in near],
    )
