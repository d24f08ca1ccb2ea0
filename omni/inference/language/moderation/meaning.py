"""What sentences mean, by weights over their vectors. Heavy: numpy is loaded at first use.

Logistic regression over the classes of `MEANT` and harmless ones, fitted by `python -m tools.moderation_weights` to
sentences that were written for it (tools/moderation_prototypes.txt).
"""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np

from omni.inference.language.moderation.categories import MEANT
from omni.inference.language.text_vectors import Windows


class Meaning:
    """Scores windows of texts. Safe to use from several threads: it only reads its weights."""

    def __init__(self, model: str) -> None:
        """Raises ValueError where the weights were fitted to vectors of another model."""
        stored = json.loads(files(__package__).joinpath("weights.json").read_text("utf-8"))
        if stored["model"] != model or stored["classes"] != [*MEANT, "none"]:
            raise ValueError("weights.json is of another model: run python -m tools.moderation_weights")
        self._weights = np.array(stored["weights"], np.float64)
        self._intercepts = np.array(stored["intercepts"], np.float64)

    def score(self, windows: Windows) -> np.ndarray:
        """Of each window and category of MEANT, float64 [windows, categories], 0 to 1.

        The likeliest category has the probability that the window is not harmless, the others theirs in proportion.
        """
        logits = np.stack(windows.vectors).astype(np.float64) @ self._weights.T + self._intercepts
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        bad = shares[:, :-1]
        return np.asarray((1 - shares[:, -1:]) * bad / bad.max(axis=1, keepdims=True))
