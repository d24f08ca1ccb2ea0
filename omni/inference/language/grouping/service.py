"""What near-duplicates and clusters do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from omni.inference.language.grouping.schemas import (
    MAX_ALL_CHARS,
    Cluster,
    ClusterKeyword,
    ClusterMember,
    ClusterRequest,
    ClusterResponse,
    DuplicateGroup,
    DuplicateMember,
    DuplicatesRequest,
    DuplicatesResponse,
)
from omni.inference.language.grouping.topics import keywords
from omni.inference.language.grouping.union import groups_of, representative
from omni.inference.language.text_vectors import TextVectors, numbered
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.language.grouping.clustering import Clustering, Clusters
    from omni.inference.language.grouping.near_duplicates import NearDuplicates

ENGINE = "grouping"
MINHASH = "minhash-lsh"
LEXICAL_THRESHOLD, SEMANTIC_THRESHOLD = 0.8, 0.9
LABEL_WORDS = 3
Pairs = dict[tuple[int, int], float]


class GroupingService:
    """Near-duplicates and clusters."""

    def __init__(self, vectors: TextVectors, pool: EnginePool) -> None:
        self._vectors = vectors
        self._pool = pool
        package = "omni.inference.language.grouping"
        self._near: LazyEngine[NearDuplicates] = LazyEngine(
            f"{package}.near_duplicates", lambda module: module.NearDuplicates()
        )
        self._clustering: LazyEngine[Clustering] = LazyEngine(
            f"{package}.clustering", lambda module: module.Clustering()
        )

    async def duplicates(self, call: Call, request: DuplicatesRequest) -> DuplicatesResponse:
        """Groups of near-duplicates. Raises InvalidInput `text_too_long` and what TextVectors.windows raises."""
        _check_size(request.texts)
        find = self._semantic if request.mode == "semantic" else self._lexical
        usual = SEMANTIC_THRESHOLD if request.mode == "semantic" else LEXICAL_THRESHOLD
        threshold = usual if request.threshold is None else request.threshold
        groups = await find(call, request, threshold)
        grouped = {member.index for group in groups for member in group.members}
        return DuplicatesResponse(
            groups=groups,
            unique=[index for index in range(len(request.texts)) if index not in grouped],
            threshold=threshold,
            model=call.usage.model,
        )

    async def cluster(self, call: Call, request: ClusterRequest) -> ClusterResponse:
        """Clusters of the texts with their words.

        Raises InvalidInput `text_too_long`, `too_few_different_texts` and what TextVectors.windows raises.
        """
        _check_size(request.texts)
        windows = await self._vectors.windows(call, numbered("texts", request.texts))

        def work() -> tuple[Clusters, list[list[tuple[str, float]]]]:
            engine = self._clustering.get()
            if request.method == "hdbscan":
                found = engine.hdbscan(windows, request.min_cluster_size)
            else:
                found = engine.kmeans(windows, request.clusters, call.seconds_left)
            texts = [[request.texts[index] for index, _ in members] for members in found.members]
            return found, keywords(texts, request.keywords) if texts else []

        found, words = await self._pool.run(call, ENGINE, work)
        return ClusterResponse(
            clusters=[_cluster(members, best) for members, best in zip(found.members, words, strict=True)],
            outliers=found.outliers,
            silhouette=found.silhouette,
            method=request.method,
            model=call.usage.model,
        )

    async def _lexical(self, call: Call, request: DuplicatesRequest, threshold: float) -> list[DuplicateGroup]:
        def work() -> list[DuplicateGroup]:
            pairs, compare = self._near.get().pairs(request.texts, request.shingle_words, threshold, call.seconds_left)
            return _groups(len(request.texts), pairs, compare)

        groups = await self._pool.run(call, ENGINE, work)
        call.usage.model = MINHASH
        return groups

    async def _semantic(self, call: Call, request: DuplicatesRequest, threshold: float) -> list[DuplicateGroup]:
        windows = await self._vectors.windows(call, numbered("texts", request.texts))

        def work() -> list[DuplicateGroup]:
            pairs, cosines = self._clustering.get().similar(windows, threshold)
            return _groups(len(request.texts), pairs, lambda one, other: float(cosines[one, other]))

        return await self._pool.run(call, ENGINE, work)


def _groups(count: int, pairs: Pairs, compare: Callable[[int, int], float]) -> list[DuplicateGroup]:
    found = []
    for members in groups_of(count, pairs):
        best = representative(members, pairs)
        found.append(
            DuplicateGroup(
                representative=best,
                members=[DuplicateMember(index=index, similarity=compare(best, index)) for index in members],
            )
        )
    return found


def _cluster(members: list[tuple[int, float]], words: list[tuple[str, float]]) -> Cluster:
    return Cluster(
        label=", ".join(word for word, _ in words[:LABEL_WORDS]) or None,
        keywords=[ClusterKeyword(word=word, weight=weight) for word, weight in words],
        central=members[0][0],
        members=[ClusterMember(index=index, cosine=cosine) for index, cosine in members],
    )


def _check_size(texts: Sequence[str]) -> None:
    size = sum(map(len, texts))
    if size > MAX_ALL_CHARS:
        raise InvalidInput(
            "text_too_long",
            f"The texts have {size} characters; {MAX_ALL_CHARS} are allowed. Send fewer.",
            param="texts",
            max_chars=MAX_ALL_CHARS,
        )
