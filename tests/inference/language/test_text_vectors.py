"""Vectors of texts that are longer than the model reads."""

from __future__ import annotations

import numpy as np
import pytest

from omni.inference.language.pooling import best_cosines, pooled
from omni.inference.language.text_vectors import Windows
from tests.inference.backend import Backend, usage

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
WINDOWS = Windows([0, 0, 1], [3, 4, 2], [EAST, NORTH, NORTH])


def test_a_texts_vector_is_the_mean_of_its_windows_by_tokens() -> None:
    """3 east and 4 north: (3, 4) / 5."""
    assert pooled(WINDOWS).tolist() == [pytest.approx([0.6, 0.8]), [0, 1]]


def test_a_text_is_as_close_as_its_closest_window() -> None:
    assert best_cosines(WINDOWS, EAST).tolist() == [1, 0]


async def test_windows_have_equal_sizes_and_all_tokens(engines: Backend) -> None:
    """300 tokens are two windows of 150, each framed: 304; the first and last words count alike."""
    response = await engines.post("/v1/text/similarity", {"pairs": [["word " * 300, "word " * 300]]})
    assert usage(response)["input_tokens"] == 2 * 304
    assert response.json()["scores"] == pytest.approx([1.0])
    words = "cat " * 150 + "law " * 150
    swapped = "law " * 150 + "cat " * 150
    response = await engines.post("/v1/text/similarity", {"pairs": [[words, swapped]]})
    assert response.json()["scores"] == pytest.approx([1.0], abs=1e-4)
