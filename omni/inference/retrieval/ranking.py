"""Orders of chunks: fused, diverse, by document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    import numpy as np

FUSION_K = 60
DENSE_WEIGHT, LEXICAL_WEIGHT = 2.0, 1.0  # what the words add is worth half (bench/quality_retrieval.py)
Item = TypeVar("Item")


def fuse(rankings: Iterable[tuple[float, Iterable[UUID]]], k: int) -> dict[UUID, float]:
    """Reciprocal-rank fusion (Cormack, Clarke and Büttcher 2009), weighted: the sum of weight / (k + rank) over the
    rankings, rank from 1.
    """
    scores: dict[UUID, float] = {}
    for weight, ranking in rankings:
        for rank, chunk_id in enumerate(ranking, 1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + weight / (k + rank)
    return scores


def diversify(
    scores: Mapping[UUID, float], vectors: Mapping[UUID, np.ndarray], balance: float, count: int
) -> list[tuple[UUID, float]]:
    """Up to `count` chunks by maximal marginal relevance (Carbonell and Goldstein 1998), each with its own:
    `balance` · relevance - (1 - `balance`) · largest cosine to a chunk before it.

    Relevance is the score as a share of the best one, or the score itself when none is positive. `vectors` have length
    1. Equal ones keep the order of `scores`.
    """
    best = max(scores.values(), default=0.0)
    left = {chunk_id: score / best if best > 0 else score for chunk_id, score in scores.items()}
    nearest = dict.fromkeys(left, 0.0)
    chosen: list[tuple[UUID, float]] = []
    while left and len(chosen) < count:
        marginal = {each: balance * relevance - (1 - balance) * nearest[each] for each, relevance in left.items()}
        chunk_id = max(marginal, key=lambda each: marginal[each])
        chosen.append((chunk_id, marginal[chunk_id]))
        del left[chunk_id]
        for other in left:
            cosine = float(vectors[chunk_id] @ vectors[other])
            nearest[other] = cosine if len(chosen) == 1 else max(nearest[other], cosine)
    return chosen


def by_document(ranked: Sequence[tuple[UUID, Item]], documents: int, chunks: int) -> dict[UUID, list[Item]]:
    """The first `documents` documents of a ranking of (document id, chunk), in the order of their best chunk, each with
    its first `chunks` chunks.
    """
    groups: dict[UUID, list[Item]] = {}
    for document_id, item in ranked:
        if document_id not in groups and len(groups) == documents:
            continue
        group = groups.setdefault(document_id, [])
        if len(group) < chunks:
            group.append(item)
    return groups
