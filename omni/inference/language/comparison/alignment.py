"""Which sentence of one text is which of another. Heavy: numpy is loaded at first use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omni.inference.language.comparison.pairs import Pair
from omni.inference.language.pooling import pooled
from omni.inference.language.text_vectors import Windows


class Aligner:
    """Safe to use from several threads: it holds nothing."""

    def closest(self, windows: Windows, before: Sequence[int], after: Sequence[int], threshold: float) -> list[Pair]:
        """Pairs of at least the threshold, closest first, each sentence in one at most; of equally close ones the pair
        whose places differ least. The texts of `windows` are the sentences `before`, then those `after`.
        """
        vectors = pooled(windows).astype(np.float64)
        cosines = np.clip(vectors[: len(before)] @ vectors[len(before) :].T, -1.0, 1.0)
        rows, columns = np.nonzero(cosines >= threshold)
        ordered = sorted(
            zip(rows.tolist(), columns.tolist(), strict=True),
            key=lambda place: (-round(float(cosines[place]), 6), abs(before[place[0]] - after[place[1]]), place),
        )
        pairs, used_before, used_after = [], set(), set()
        for row, column in ordered:
            if row not in used_before and column not in used_after:
                used_before.add(row)
                used_after.add(column)
                pairs.append(Pair(before[row], after[column], float(cosines[row, column])))
        return pairs
