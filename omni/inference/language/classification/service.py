"""What classification does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omni.inference.language.classification.schemas import (
    Classified,
    ClassifyRequest,
    ClassifyResponse,
    CrossValidation,
    LabelScore,
)
from omni.inference.language.text_vectors import TextVectors, numbered
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool

if TYPE_CHECKING:
    from omni.inference.language.classification.few_shot import FewShot, Validation
    from omni.inference.language.classification.zero_shot import Scores, ZeroShot

ENGINE = "classification"


class ClassificationService:
    """Labels for texts."""

    def __init__(self, vectors: TextVectors, pool: EnginePool) -> None:
        self._vectors = vectors
        self._pool = pool
        package = "omni.inference.language.classification"
        self._zero_shot: LazyEngine[ZeroShot] = LazyEngine(f"{package}.zero_shot", lambda module: module.ZeroShot())
        self._few_shot: LazyEngine[FewShot] = LazyEngine(f"{package}.few_shot", lambda module: module.FewShot())

    async def classify(self, call: Call, request: ClassifyRequest) -> ClassifyResponse:
        """Labels and scores of each text. Raises what TextVectors.windows raises."""
        return await (self._by_labels if request.examples is None else self._by_examples)(call, request)

    async def _by_labels(self, call: Call, request: ClassifyRequest) -> ClassifyResponse:
        texts = [*numbered("texts", request.texts), *numbered("labels", request.hypotheses())]
        windows = await self._vectors.windows(call, texts)
        found = await self._pool.run(
            call, ENGINE, lambda: self._zero_shot.get().score(windows, len(request.texts), request.multi_label)
        )
        return ClassifyResponse(results=_results(request, found), method="zero_shot", model=call.usage.model)

    async def _by_examples(self, call: Call, request: ClassifyRequest) -> ClassifyResponse:
        examples = request.examples or []
        places = {label: index for index, label in enumerate(request.label_names())}
        labels = [places[example.label] for example in examples]
        texts = [*numbered("texts", request.texts), *numbered("examples", [example.text for example in examples])]
        windows = await self._vectors.windows(call, texts)

        def work() -> tuple[str, Scores, Validation | None]:
            engine = self._few_shot.get()
            method = engine.method(request.method, labels)
            return method, *engine.score(windows, len(request.texts), labels, method, call.seconds_left)

        method, found, validation = await self._pool.run(call, ENGINE, work)
        measured = None
        if validation is not None:
            measured = CrossValidation(
                folds=validation.folds,
                examples=len(examples),
                accuracy=validation.accuracy,
                majority_share=validation.majority_share,
            )
        return ClassifyResponse.model_validate(
            {
                "results": _results(request, found),
                "method": method,
                "cross_validation": measured,
                "model": call.usage.model,
            }
        )


def _results(request: ClassifyRequest, found: Scores) -> list[Classified]:
    names = request.label_names()
    results = []
    for index, scores in enumerate(found.scores):
        cosines = None if found.cosines is None else found.cosines[index]
        ranked = [
            LabelScore(
                label=names[place],
                score=min(1.0, float(scores[place])),
                cosine=None if cosines is None else float(cosines[place]),
            )
            for place in sorted(range(len(names)), key=lambda place: -float(scores[place]))
        ]
        chosen = [ranked[0]] if not request.multi_label else [one for one in ranked if one.score >= request.threshold]
        results.append(Classified(index=index, labels=[one.label for one in chosen], scores=ranked))
    return results
