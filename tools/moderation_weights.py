"""Write omni/inference/language/moderation/weights.json: what the meaning of sentences says of their category.

    python -m tools.moderation_weights MODEL_CACHE

Prints what ten-fold cross-validation over the same sentences gives: each fold scored by what was fitted to the others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from omni.inference.language.minilm import MiniLm
from omni.inference.language.models import MINILM
from omni.inference.language.moderation.categories import MEANT

PROTOTYPES = Path(__file__).with_name("moderation_prototypes.txt")
TARGET = Path(__file__).parent.parent / "omni/inference/language/moderation/weights.json"
CLASSES = (*MEANT, "none")
INVERSE_REGULARISATION = 30.0
"""Of 1, 10, 30 and 100 the best log loss by cross-validation, but for 100, which tells harmless ones no better."""
FOLDS = 10


def prototypes() -> Iterator[tuple[str, str]]:
    """Class and sentence of each line."""
    for line in PROTOTYPES.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, sentence = line.split("\t")
            yield name, sentence


def vectors(engine: MiniLm, sentences: list[str]) -> np.ndarray:
    """float64 [sentences, dimensions], one at a time: what padding rounds is left out."""
    return np.stack([engine.embed([ids])[0] for ids in engine.tokenize(sentences)]).astype(np.float64)


def fitted(embedded: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """The regression; labels are places in CLASSES."""
    return _regression().fit(embedded, labels)


def as_json(model: LogisticRegression) -> str:
    """What `Meaning` reads."""
    rows = ",\n".join(json.dumps([round(float(value), 4) for value in row]) for row in model.coef_)
    intercepts = [round(float(value), 4) for value in model.intercept_]
    return (
        f'{{"model": "{MINILM.name}",\n"classes": {json.dumps(CLASSES)},\n"intercepts": {intercepts},\n'
        f'"weights": [\n{rows}\n]}}\n'
    )


def _regression() -> LogisticRegression:
    return LogisticRegression(C=INVERSE_REGULARISATION, max_iter=2000, tol=1e-6)


def main() -> None:
    names, sentences = zip(*prototypes(), strict=True)
    labels = np.array([CLASSES.index(name) for name in names])
    embedded = vectors(MiniLm(MINILM, Path(sys.argv[1]), 1), list(sentences))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    flagged = cross_val_predict(_regression(), embedded, labels, cv=folds, method="predict_proba")[:, -1] < 0.5
    bad = labels != CLASSES.index("none")
    print(f"{len(labels)} sentences, {FOLDS} folds: flagged {flagged[bad].mean():.3f} of the bad, "
          f"{flagged[~bad].mean():.3f} of the harmless")  # fmt: skip
    TARGET.write_text(as_json(fitted(embedded, labels)), "utf-8")


if __name__ == "__main__":
    main()
