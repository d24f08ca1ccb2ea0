"""How well moderation tells what is harmful: sentences written by hand, half harmless, most of those misleading.

    python -m bench.quality_moderation

The first set was in view while the engine was tuned; the second was never tuned on.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from bench.retrieval import call_of
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import MINILM
from omni.inference.language.moderation.categories import CATEGORIES
from omni.inference.language.moderation.schemas import MAX_TEXTS, Moderated, ModerateRequest
from omni.inference.language.moderation.service import ModerationService
from omni.inference.language.text_vectors import TextVectors
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.ids import uuid7
from omni.telemetry.metrics import EngineMetrics
from tests.inference.language.moderated import HARMFUL, HARMLESS, HELD_OUT_HARMFUL, HELD_OUT_HARMLESS

Labelled = Sequence[tuple[str, tuple[str, ...]]]
SETS: tuple[tuple[str, Labelled, Sequence[str], float, float], ...] = (
    ("in view", HARMFUL, HARMLESS, 0.95, 0.93),
    ("held out", HELD_OUT_HARMFUL, HELD_OUT_HARMLESS, 0.8, 0.93),
)
"""Name, harmful and harmless sentences, least recall and precision of `flagged`."""


def run() -> list[dict[str, Any]]:
    """Rows of the table."""
    return asyncio.run(_measured())


async def _measured() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        settings = InferenceSettings(model_cache=Path(cache), principal_secret=b"quality")
        pool = EnginePool(2, 64, EngineMetrics(CollectorRegistry()))
        service = ModerationService(TextVectors(Embedder(MINILM, settings, pool, 2)), pool)
        for name, harmful, harmless, recall, precision in SETS:
            bad = await _moderated(service, [text for text, _ in harmful])
            good = await _moderated(service, harmless)
            found, wrong = sum(one.flagged for one in bad), sum(one.flagged for one in good)
            dataset = f"{name}: {len(harmful)} harmful, {len(harmless)} harmless"
            rows += [
                _row(dataset, "recall", found / len(harmful), recall),
                _row(dataset, "precision", found / (found + wrong), precision),
            ]
            _show(name, harmful, bad, good)
        pool.close()
    return rows


async def _moderated(service: ModerationService, texts: Sequence[str]) -> list[Moderated]:
    results: list[Moderated] = []
    for first in range(0, len(texts), MAX_TEXTS):
        request = ModerateRequest(texts=list(texts[first : first + MAX_TEXTS]))
        results += (await service.moderate(call_of(uuid7()), request)).results
    return results


def _row(dataset: str, metric: str, ours: float, bar: float) -> dict[str, Any]:
    return {
        "task": "moderation", "dataset": dataset, "metric": metric, "ours": ours, "references": {"bar": bar},
        "met": ours >= bar,
    }  # fmt: skip


def _show(name: str, harmful: Labelled, bad: Sequence[Moderated], good: Sequence[Moderated]) -> None:
    for category in CATEGORIES:
        truth = [category in labels for _, labels in harmful]
        right = sum(one.categories[category] and true for one, true in zip(bad, truth, strict=True))
        said = sum(one.categories[category] for one in (*bad, *good))
        sys.stdout.write(f"{name} {category}: {right} of {sum(truth)} found, {said - right} wrong\n")


if __name__ == "__main__":
    for row in run():
        sys.stdout.write(f"{row['dataset']}  {row['metric']} {row['ours']:.3f}\n")
