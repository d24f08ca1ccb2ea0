"""Counters and histograms for one event loop: no locks and no objects per sample; they are put together when scraped.

prometheus-client's own take a lock and walk the buckets with each sample, which a hot path notices.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

Labels = tuple[str, ...]


class Tally(Collector):
    """A counter by label values."""

    def __init__(
        self, name: str, documentation: str, labels: Labels, registry: CollectorRegistry, known: Sequence[Labels] = ()
    ) -> None:
        """`name` without `_total`; `known` label values are there from the start, at 0."""
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._counts: dict[Labels, list[int]] = {values: [0] for values in (known if labels else [()])}
        registry.register(self)

    def add(self, *values: str, count: int = 1) -> None:
        """Counts under these label values."""
        cell = self._counts.get(values)
        if cell is None:
            cell = self._counts[values] = [0]
        cell[0] += count

    def expect(self, *values: str) -> list[int]:
        """Exports 0 under these label values from now on. The list has the count, for who counts often."""
        return self._counts.setdefault(values, [0])

    def of(self, *values: str) -> int:
        """What was counted under these label values."""
        return self._counts[values][0] if values in self._counts else 0

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, cell in dict(self._counts).items():  # the loop may add one meanwhile
            family.add_metric(values, cell[0])
        yield family


class Samples:
    """A histogram under certain label values."""

    __slots__ = ("_buckets", "_cell")

    def __init__(self, cell: list[float], buckets: tuple[float, ...]) -> None:
        self._cell = cell
        self._buckets = buckets

    def add(self, value: float) -> None:
        """Takes one sample."""
        cell = self._cell
        cell[bisect_left(self._buckets, value)] += 1
        cell[-1] += value


class Spread(Collector):
    """A histogram by label values."""

    def __init__(
        self, name: str, documentation: str, labels: Labels, buckets: Sequence[float], registry: CollectorRegistry,
        known: Sequence[Labels] = (),
    ) -> None:  # fmt: skip
        """`buckets` are upper bounds, in order, without infinity; `known` label values are there from the start."""
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._buckets = tuple(buckets)
        self._names = [*(_bound(bucket) for bucket in buckets), "+Inf"]
        self._cells: dict[Labels, list[float]] = {values: self._empty() for values in (known if labels else [()])}
        self._exemplars: dict[tuple[Labels, int], Exemplar] = {}
        registry.register(self)

    def _empty(self) -> list[float]:
        return [0.0] * (len(self._buckets) + 2)

    def observe(self, value: float, *values: str) -> None:
        """Takes one sample under these label values."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = self._empty()
        cell[bisect_left(self._buckets, value)] += 1
        cell[-1] += value

    def exemplify(self, value: float, trace_id: str, *values: str) -> None:
        """Names the trace of a sample that was taken, as the exemplar of its bucket. The newest of a bucket is kept."""
        place = values, bisect_left(self._buckets, value)
        self._exemplars[place] = Exemplar({"trace_id": trace_id}, value, time.time())

    def one(self, *values: str) -> Samples:
        """Takes samples under these label values, for who has many of them."""
        return Samples(self._cells.setdefault(values, self._empty()), self._buckets)

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, cell in dict(self._cells).items():
            below = 0.0
            found: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
            for place, (name, count) in enumerate(zip(self._names, cell, strict=False)):
                below += count
                exemplar = self._exemplars.get((values, place))
                found.append((name, below, exemplar) if exemplar else (name, below))
            family.add_metric(values, found, cell[-1])
        yield family


def _bound(bucket: float) -> str:
    return repr(float(bucket))
