"""Change points by penalised costs, and whether they are more than chance. Loaded at first use.

PELT is that of Killick, Fearnhead and Eckley (2012, JASA 107): exact; a start that can no longer be the best is
dropped, here only once the better start is far enough back to be used under the minimal length. The test of a change
point takes both segments beside it and compares the best split with the best splits of the same values in random order,
so that the search for the place counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from omni import __version__
from omni.inference.tabular.change_points.costs import LEAST_VARIANCE, Costs, noise_of
from omni.inference.tabular.change_points.wanted import Wanted
from omni.inference.tabular.multiple import holm

PERMUTATIONS = 499
SEED = 0
CHUNK_VALUES = 500_000
CHECK_EVERY = 256
PARAMETERS = {"mean": 2, "mean_and_variance": 3}  # of a change: its place, and what changes


@dataclass(frozen=True, slots=True)
class Changes:
    """`places` are the first values after changes; `gains`, `p_values` and `adjusted` are theirs."""

    places: list[int]
    gains: list[float]
    p_values: list[float]
    adjusted: list[float]
    penalty: float | None
    noise: float


class ChangePointDetector:
    """Finds and tests change points. Keeps nothing between calls."""

    name = f"omni-{__version__}"

    def detect(self, values: list[float], wanted: Wanted, check_time: Callable[[], object]) -> Changes:
        """Changes of at least 2 * `min_segment` finite numbers. `check_time` stops the work by raising."""
        series = np.asarray(values, np.float64)
        penalty = wanted.penalty
        if penalty is None and wanted.count is None:
            penalty = PARAMETERS[wanted.change] * float(np.log(len(series)))
        noise = noise_of(series)
        if noise == 0:
            return Changes([], [], [], [], penalty, noise)
        scaled = series / noise
        least = 1.0 if wanted.change == "mean" else LEAST_VARIANCE * float(np.var(scaled))
        costs = Costs(scaled, wanted.change, least)
        if wanted.method == "pelt" and penalty is not None:
            places = pelt(costs, len(series), penalty, wanted.min_segment, check_time)
        else:
            places = binary_segmentation(costs, len(series), penalty, wanted, check_time)
        random = np.random.default_rng(SEED)
        edges = [0, *places, len(series)]
        tested = [
            _tested(scaled[edges[i] : edges[i + 2]], wanted, least, random, check_time) for i in range(len(places))
        ]
        p_values = [p_value for _, p_value in tested]
        return Changes(places, [gain for gain, _ in tested], p_values, holm(p_values), penalty, noise)


def pelt(costs: Costs, points: int, penalty: float, min_segment: int, check_time: Callable[[], object]) -> list[int]:
    """Places at which segments begin, without the first, of the smallest sum of costs and penalties."""
    best = np.full(points + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(points + 1, int)
    useless_from = np.full(points + 1, points + 1)
    starts = np.empty(0, int)
    for end in range(min_segment, points + 1):
        if end % CHECK_EVERY == 0:
            check_time()
        start = end - min_segment
        if np.isfinite(best[start]):
            starts = np.append(starts, start)
        starts = starts[useless_from[starts] > end]
        totals = best[starts] + costs.of(starts, end)
        place = int(np.argmin(totals))
        best[end], previous[end] = totals[place] + penalty, starts[place]
        dominated = starts[totals > best[end]]
        useless_from[dominated] = np.minimum(useless_from[dominated], end + min_segment)
    places: list[int] = []
    end = points
    while end > 0:
        end = int(previous[end])
        places.append(end)
    return places[-2::-1]


def binary_segmentation(
    costs: Costs, points: int, penalty: float | None, wanted: Wanted, check_time: Callable[[], object]
) -> list[int]:
    """Places at which segments begin, without the first: the best split of all segments, again and again."""
    open_segments = [(0, points)]
    places: list[int] = []
    splits: dict[tuple[int, int], tuple[float, int]] = {}
    while open_segments and (wanted.count is None or len(places) < wanted.count):
        check_time()
        for segment in open_segments:
            if segment not in splits:
                gains = costs.best_gains(*segment, wanted.min_segment)
                best = int(np.argmax(gains)) if len(gains) else 0
                splits[segment] = (float(gains[best]), segment[0] + wanted.min_segment + best) if len(gains) else (0, 0)
        segment = max(open_segments, key=lambda each: splits[each][0])
        gain, place = splits[segment]
        if gain <= (penalty or 0):
            break
        places.append(place)
        open_segments.remove(segment)
        open_segments += [(segment[0], place), (place, segment[1])]
    return sorted(places)


def _tested(
    both: np.ndarray, wanted: Wanted, least: float, random: np.random.Generator, check_time: Callable[[], object]
) -> tuple[float, float]:
    """Gain of the best split of two segments, and its permutation p-value."""

    def gains(series: np.ndarray) -> np.ndarray:
        found = Costs(series, wanted.change, least).best_gains(0, series.shape[-1], wanted.min_segment)
        return np.asarray(np.max(found, axis=-1))

    observed = float(gains(both))
    rows = max(1, CHUNK_VALUES // len(both))
    as_large, left = 0, PERMUTATIONS
    while left:
        check_time()
        shuffled = random.permuted(np.tile(both, (min(rows, left), 1)), axis=1)
        as_large += int(np.count_nonzero(gains(shuffled) >= observed * (1 - 1e-12)))
        left -= len(shuffled)
    return observed, (1 + as_large) / (1 + PERMUTATIONS)
