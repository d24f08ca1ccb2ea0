"""What comparing two texts does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omni.inference.language.comparison.facts import negations, numbers
from omni.inference.language.comparison.pairs import Pair, equal_pairs, in_order
from omni.inference.language.comparison.schemas import (
    MAX_SENTENCES,
    Change,
    ComparedSentence,
    CompareRequest,
    CompareResponse,
    NumbersChanged,
)
from omni.inference.language.sentences import sentences
from omni.inference.language.text_vectors import TextVectors
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.language.comparison.alignment import Aligner

ENGINE = "comparison"


class ComparisonService:
    """Compares two texts sentence by sentence."""

    def __init__(self, vectors: TextVectors, pool: EnginePool) -> None:
        self._vectors = vectors
        self._pool = pool
        self._aligner: LazyEngine[Aligner] = LazyEngine(
            "omni.inference.language.comparison.alignment", lambda module: module.Aligner()
        )

    async def compare(self, call: Call, request: CompareRequest) -> CompareResponse:
        """What is unchanged, moved, reworded, added and removed.

        Raises InvalidInput `too_many_sentences`, `input_empty` when neither text has a sentence, and what
        TextVectors.windows raises.
        """
        before, after = await self._pool.run(
            call, ENGINE, lambda: (_sentences(request.before), _sentences(request.after))
        )
        _check("before", before)
        _check("after", after)
        if not before and not after:
            raise InvalidInput("input_empty", "before and after are empty. Send texts.", param="before")
        pairs = equal_pairs([_plain(sentence) for sentence in before], [_plain(sentence) for sentence in after])
        pairs += await self._reworded(call, request.threshold, before, after, pairs)
        call.usage.model = self._vectors.model.name
        changes = _changes(before, after, pairs)
        return CompareResponse(
            changes=changes,
            counts=dict(Counter(change.kind for change in changes)),
            model=self._vectors.model.name,
        )

    async def _reworded(
        self,
        call: Call,
        threshold: float,
        before: Sequence[ComparedSentence],
        after: Sequence[ComparedSentence],
        equal: Sequence[Pair],
    ) -> list[Pair]:
        same_before, same_after = {pair.before for pair in equal}, {pair.after for pair in equal}
        old = [sentence for sentence in before if sentence.index not in same_before and _says_something(sentence)]
        new = [sentence for sentence in after if sentence.index not in same_after and _says_something(sentence)]
        if not old or not new:
            return []
        texts = [("before", sentence.text) for sentence in old] + [("after", sentence.text) for sentence in new]
        windows = await self._vectors.windows(call, texts)
        places = [sentence.index for sentence in old], [sentence.index for sentence in new]
        return await self._pool.run(call, ENGINE, lambda: self._aligner.get().closest(windows, *places, threshold))


def _sentences(text: str) -> list[ComparedSentence]:
    return [
        ComparedSentence(index=index, start=part.start, end=part.end, text=text[part.start : part.end])
        for index, part in enumerate(sentences(text))
    ]


def _check(name: str, found: Sequence[ComparedSentence]) -> None:
    if len(found) > MAX_SENTENCES:
        raise InvalidInput(
            "too_many_sentences",
            f"{name} has {len(found)} sentences; {MAX_SENTENCES} are allowed. Send it in parts.",
            param=name,
            sentences=len(found),
            max_sentences=MAX_SENTENCES,
        )


def _plain(sentence: ComparedSentence) -> str:
    return " ".join(sentence.text.split())


def _says_something(sentence: ComparedSentence) -> bool:
    return any(map(str.isalnum, sentence.text))


def _changes(
    before: Sequence[ComparedSentence], after: Sequence[ComparedSentence], pairs: Sequence[Pair]
) -> list[Change]:
    kept = in_order(pairs)
    by_after = {pair.after: pair for pair in pairs}
    paired = {pair.before for pair in pairs}
    removed = [sentence for sentence in before if sentence.index not in paired]
    # What was removed follows the last sentence before it that is still there and in its place.
    anchors = {pair.before: pair.after for pair in kept}
    following: dict[int, list[ComparedSentence]] = {}
    for sentence in removed:
        anchor = max((index for index in anchors if index < sentence.index), default=None)
        following.setdefault(-1 if anchor is None else anchors[anchor], []).append(sentence)
    changes = [_removed(sentence) for sentence in following.get(-1, [])]
    for sentence in after:
        pair = by_after.get(sentence.index)
        if pair is None:
            changes.append(Change(kind="added", before=None, after=sentence))
        else:
            changes.append(_paired(before[pair.before], sentence, pair, moved=pair not in kept))
        changes.extend(_removed(gone) for gone in following.get(sentence.index, []))
    return changes


def _removed(sentence: ComparedSentence) -> Change:
    return Change(kind="removed", before=sentence, after=None)


def _paired(before: ComparedSentence, after: ComparedSentence, pair: Pair, moved: bool) -> Change:
    if pair.cosine is None:
        return Change(kind="moved" if moved else "unchanged", before=before, after=after, moved=moved)
    old, new = numbers(before.text), numbers(after.text)
    return Change(
        kind="reworded",
        before=before,
        after=after,
        cosine=pair.cosine,
        moved=moved,
        numbers=None
        if old == new
        else NumbersChanged(removed=sorted((old - new).elements()), added=sorted((new - old).elements())),
        negation_changed=negations(before.text) != negations(after.text),
    )
