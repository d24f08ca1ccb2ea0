"""What the language endpoints do."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omni.inference.language.embedder import Embedder
from omni.inference.language.models import EmbeddingModel, allowed_models, embedding_model, require_fit
from omni.inference.language.schemas import (
    Embedding,
    EmbeddingsRequest,
    EmbeddingsResponse,
    Model,
    ModelList,
    SentimentRequest,
    SentimentResponse,
    TokenUsage,
)
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

    from omni.inference.language.vader import Vader

CLS, SEP = 101, 102


class LanguageService:
    """Embeddings and sentiment."""

    def __init__(self, embedder: Embedder, pool: EnginePool) -> None:
        self._embedder = embedder
        self._pool = pool
        self._vader: LazyEngine[Vader] = LazyEngine("omni.inference.language.vader", lambda module: module.Vader())

    def models(self, call: Call) -> ModelList:
        """The models that the caller can ask for."""
        return ModelList(data=[_to_api_model(model) for model in allowed_models(call)])

    def model(self, call: Call, name: str) -> Model:
        """One model. Raises NotFound `model_not_found`."""
        return _to_api_model(embedding_model(call, name))

    async def embed(self, call: Call, request: EmbeddingsRequest) -> EmbeddingsResponse:
        """The vectors of all inputs.

        Raises NotFound `model_not_found` and InvalidInput `dimensions_not_supported`, `input_empty`, `input_too_long`
        or `token_id_out_of_range`.
        """
        model = embedding_model(call, request.model)
        if request.dimensions not in (None, model.dimensions):
            raise InvalidInput(
                "dimensions_not_supported",
                f"{model.name} gives {model.dimensions} dimensions. Leave `dimensions` out.",
                param="dimensions",
            )
        inputs = await self._token_ids(call, request.input, model)
        for index, ids in enumerate(inputs):
            require_fit(model, len(ids), f"input[{index}]")
        vectors = await self._embedder.embed(call, inputs)
        tokens = sum(len(ids) for ids in inputs)
        call.usage.input_tokens += tokens
        call.usage.model = model.name
        return EmbeddingsResponse(
            data=[
                Embedding(index=index, embedding=_encode(vector, request.encoding_format))
                for index, vector in enumerate(vectors)
            ],
            model=model.name,
            usage=TokenUsage(prompt_tokens=tokens, total_tokens=tokens),
        )

    async def sentiment(self, call: Call, request: SentimentRequest) -> SentimentResponse:
        """The sentiment of each text by VADER's lexicon and rules. Raises DeadlineExceeded and Unavailable."""

        def work() -> SentimentResponse:
            engine = self._vader.get()
            results = []
            for text in request.texts:
                call.seconds_left()
                results.append(engine.score(text))
            return SentimentResponse(results=results, model=engine.name)

        response = await self._pool.run(call, "sentiment", work)
        call.usage.model = response.model
        return response

    async def _token_ids(
        self, call: Call, given: str | list[str] | list[int] | list[list[int]], model: EmbeddingModel
    ) -> Sequence[Sequence[int]]:
        if isinstance(given, str):
            given = [given]
        if isinstance(given[0], int):
            return [_framed([token for token in given if isinstance(token, int)], 0, model)]
        texts = [text for text in given if isinstance(text, str)]
        if not texts:
            return [_framed(ids, index, model) for index, ids in enumerate(given) if isinstance(ids, list)]
        for index, text in enumerate(texts):
            if not text.strip():
                raise InvalidInput("input_empty", f"input[{index}] is empty. Send a text.", param="input")
        return await self._embedder.tokenize(call, texts)


def _framed(ids: list[int], index: int, model: EmbeddingModel) -> list[int]:
    """Token ids as the model reads them: [CLS] … [SEP], which are added unless they are there."""
    if not ids:
        raise InvalidInput("input_empty", f"input[{index}] is empty. Send token ids.", param="input")
    if not all(0 <= token < model.vocabulary for token in ids):
        raise InvalidInput(
            "token_id_out_of_range",
            f"input[{index}] has a token id outside this model's vocabulary (0 to {model.vocabulary - 1}). Send text.",
            param="input",
        )
    return ids if ids[0] == CLS and ids[-1] == SEP else [CLS, *ids, SEP]


def _encode(vector: np.ndarray, encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    numbers: list[float] = vector.tolist()
    return numbers


def _to_api_model(model: EmbeddingModel) -> Model:
    return Model(id=model.name, created=model.listed_at, owned_by=model.owner)
