"""Reading what a registry counted."""

from __future__ import annotations

from prometheus_client import CollectorRegistry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """Of one sample; fails the test where nobody exports it."""
    found = registry.get_sample_value(name, labels)
    assert found is not None, f"nobody exports {name} {labels}"
    return found


def by(registry: CollectorRegistry, name: str, label: str) -> dict[str, float]:
    """What is not zero of the samples of a name, by a label, summed over the others."""
    found: dict[str, float] = {}
    for family in registry.collect():
        for sample in family.samples:
            if sample.name == name and sample.value:
                found[sample.labels[label]] = found.get(sample.labels[label], 0.0) + sample.value
    return found


class Grown:
    """By how much the counters of a registry that others count in, too, have grown since."""

    def __init__(self, registry: CollectorRegistry, *names: str, label: str = "outcome") -> None:
        self._registry = registry
        self._label = label
        self._before = {name: by(registry, name, label) for name in names}

    def by(self, name: str) -> dict[str, float]:
        """What has grown, by the label."""
        before, now = self._before[name], by(self._registry, name, self._label)
        return {key: now[key] - before.get(key, 0.0) for key in now if now[key] != before.get(key, 0.0)}
