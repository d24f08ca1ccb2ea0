"""Corrections for many tests at once."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given (Holm 1979, Scandinavian Journal of Statistics 6)."""
    tests = len(p_values)
    adjusted, largest = [0.0] * tests, 0.0
    for rank, place in enumerate(sorted(range(tests), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (tests - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given."""
    return [min(1.0, len(p_values) * p_value) for p_value in p_values]
