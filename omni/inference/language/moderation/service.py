"""What moderation does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omni.inference.language.moderation.categories import CATEGORIES, MEANT, MODEL, Category
from omni.inference.language.moderation.folding import fold, readable
from omni.inference.language.moderation.matching import WEIGHTS, Match
from omni.inference.language.moderation.openai_shape import to_openai_result
from omni.inference.language.moderation.schemas import (
    MAX_REASONS,
    Moderated,
    ModerateRequest,
    ModerateResponse,
    ModerationsRequest,
    ModerationsResponse,
    Reason,
)
from omni.inference.language.sentences import sentences
from omni.inference.language.text_vectors import TextVectors, numbered
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    import numpy as np

    from omni.inference.language.moderation.matching import Matcher
    from omni.inference.language.moderation.meaning import Meaning

ENGINE = "moderation"
HIGHEST = 0.99
_SHORTEST_PIECE_CHARS = 24
_LEAST_REASON = 0.1


@dataclass(frozen=True, slots=True)
class _Piece:
    """One or more sentences, `texts[owner][start:end]`."""

    owner: int
    start: int
    end: int


class ModerationService:
    """Scores texts by words and by meaning."""

    def __init__(self, vectors: TextVectors, pool: EnginePool) -> None:
        self._vectors = vectors
        self._pool = pool
        package = "omni.inference.language.moderation"
        self._matcher: LazyEngine[Matcher] = LazyEngine(f"{package}.matching", lambda module: module.Matcher())
        self._meaning: LazyEngine[Meaning] = LazyEngine(
            f"{package}.meaning", lambda module: module.Meaning(vectors.model.name)
        )

    async def moderate(self, call: Call, request: ModerateRequest) -> ModerateResponse:
        """Scores, flags and reasons of each text. Raises InvalidInput `input_empty` and what TextVectors.windows
        raises.
        """
        found = await self._find(call, request.texts, "texts")
        results = []
        for index, matches in enumerate(found):
            scores = _scores(matches)
            flags: dict[Category, bool] = {name: scores[name] >= request.threshold_of(name) for name in CATEGORIES}
            results.append(
                Moderated(
                    index=index,
                    flagged=any(flags.values()),
                    categories=flags,
                    scores=scores,
                    reasons=list(_reasons(request.texts[index], matches)),
                )
            )
        return ModerateResponse(results=results, model=MODEL)

    async def moderations(self, call: Call, request: ModerationsRequest) -> ModerationsResponse:
        """The same in OpenAI's shape. Raises NotFound `model_not_found` and what `moderate` raises."""
        allowed = call.principal.models
        if request.model != MODEL or (allowed is not None and MODEL not in allowed):
            raise NotFound("model_not_found", "There is no such model for moderation here.", param="model")
        texts, together = _inputs(request)
        found = await self._find(call, texts, "input")
        if together:
            found = [[match for matches in found for match in matches]]
        return ModerationsResponse(
            id=f"modr-{call.principal.request_id.hex}",
            model=MODEL,
            results=[to_openai_result(_scores(matches)) for matches in found],
        )

    async def _find(self, call: Call, texts: Sequence[str], field: str) -> list[list[Match]]:
        """What speaks for categories in each text."""
        for name, text in numbered(field, texts):
            if not text.strip():
                raise InvalidInput("input_empty", f"{name} is empty. Send a text.", param=field)

        def match() -> tuple[list[list[Match]], list[_Piece], list[str]]:
            matcher = self._matcher.get()
            found = [matcher.find(text, call.seconds_left) for text in texts]
            pieces = [piece for owner, text in enumerate(texts) for piece in _pieces(owner, text)]
            plain = [readable(fold(texts[piece.owner][piece.start : piece.end])) for piece in pieces]
            kept = [place for place, text in enumerate(plain) if any(map(str.isalnum, text))]
            return found, [pieces[place] for place in kept], [plain[place] for place in kept]

        found, pieces, plain = await self._pool.run(call, ENGINE, match)
        if pieces:
            windows = await self._vectors.windows(call, numbered("sentences", plain))
            scored = await self._pool.run(call, ENGINE, lambda: self._meaning.get().score(windows))
            for owner, row in zip(windows.owners, scored, strict=True):
                matches = found[pieces[owner].owner]
                matches.extend(list(_meant(pieces[owner], row, matches)))
        call.usage.model = MODEL
        return found


def _inputs(request: ModerationsRequest) -> tuple[list[str], bool]:
    """The texts, and whether they have one result together."""
    if isinstance(request.input, str):
        return [request.input], False
    texts = [each if isinstance(each, str) else each.text for each in request.input]
    return texts, not isinstance(request.input[0], str)


def _pieces(owner: int, text: str) -> Iterator[_Piece]:
    """The sentences, short ones with what follows them."""
    start: int | None = None
    end = 0
    for sentence in sentences(text):
        start = sentence.start if start is None else start
        end = sentence.end
        if end - start >= _SHORTEST_PIECE_CHARS:
            yield _Piece(owner, start, end)
            start = None
    if start is not None:
        yield _Piece(owner, start, end)


def _meant(piece: _Piece, row: np.ndarray, words: Sequence[Match]) -> Iterator[Match]:
    """What a piece means. What speaks against its words also speaks against its meaning."""
    inside = [word for word in words if word.kind != "meaning" and piece.start <= word.start < piece.end]
    for category, share in zip(MEANT, row, strict=True):
        cautions = tuple(sorted({caution for word in inside if word.category == category for caution in word.cautions}))
        score = float(share) * min((WEIGHTS[caution] for caution in cautions), default=1.0)
        if score >= _LEAST_REASON:
            yield Match(piece.start, piece.end, category, score, "meaning", "meaning", cautions)


def _scores(matches: Iterable[Match]) -> dict[Category, float]:
    """1 - (1 - w)(1 - m) in each category: the strongest word or phrase, and the worst sentence."""
    words: dict[Category, float] = dict.fromkeys(CATEGORIES, 0.0)
    meant = dict(words)
    for match in matches:
        best = meant if match.kind == "meaning" else words
        best[match.category] = max(best[match.category], match.score)
    return {name: round(min(HIGHEST, 1 - (1 - words[name]) * (1 - meant[name])), 4) for name in CATEGORIES}


def _reasons(text: str, matches: Iterable[Match]) -> Iterator[Reason]:
    strongest = sorted(matches, key=lambda match: -match.score)[:MAX_REASONS]
    for match in sorted(strongest, key=lambda match: (match.start, match.end, match.category)):
        yield Reason(
            category=match.category,
            kind=match.kind,
            rule=match.rule,
            start=match.start,
            end=match.end,
            text=text[match.start : match.end],
            score=round(match.score, 4),
            cautions=list(match.cautions),
        )
