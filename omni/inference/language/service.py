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
from omni.inference.language.token_ids import TokenTexts, framed
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

    from omni.inference.language.vader import Vader


class LanguageService:
    """Embeddings and sentiment."""

    def __init__(self, embedder: Embedder, pool: EnginePool) -> None:
        self._embedder = embedder
        self._pool = pool
        self._token_texts = TokenTexts(pool)
        self._vader: LazyEngine[Vader] = LazyEngine("omni.inference.language.vader", lambda module: module.Vader())

    def models(self, call: Call) -> ModelList:
        """The models that the caller can ask for."""
        return ModelList(data=[_to_api_model(model) for model in allowed_models(call)])

    def model(self, call: Call, name: str) -> Model:
        """One model. Raises NotFound `model_not_found`."""
        return _to_api_model(embedding_model(call, name))

    async def embed(self, call: Call, request: EmbeddingsRequest) -> EmbeddingsResponse:
        """The vectors of all inputs.

        Raises NotFound `model_not_found` and InvalidInput `dimensions_not_supported`, `input_empty`, `input_too_long`,
        `token_id_out_of_range` or `token_ids_not_text`.
        """
        model = embedding_model(call, request.model)
        if request.dimensions not in (None, model.dimensions):
            raise InvalidInput(
                "dimensions_not_supported",
                f"{model.name} gives {model.dimensions} dimensions. Leave `dimensions` out.",
                param="dimensions",
            )
        inputs = await self._token_ids(call, request, model)
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
        self, call: Call, request: EmbeddingsRequest, model: EmbeddingModel
    ) -> Sequence[Sequence[int]]:
        texts, ids = _parted(request.input)
        if ids and request.id_vocabulary == "model":
            return [framed(each, index, model) for index, each in enumerate(ids)]
        if ids:
            texts = await self._token_texts.read(call, ids)
        for index, text in enumerate(texts):
            if not text.strip():
                raise InvalidInput("input_empty", f"input[{index}] is empty. Send a text.", param="input")
        return await self._embedder.tokenize(call, texts)


def _parted(given: str | list[str] | list[int] | list[list[int]]) -> tuple[list[str], list[list[int]]]:
    """The input as texts or as lists of ids; the other is empty."""
    if isinstance(given, str):
        return [given], []
    if isinstance(given[0], int):
        return [], [[token for token in given if isinstance(token, int)]]
    return [text for text in given if isinstance(text, str)], [ids for ids in given if isinstance(ids, list)]


def _encode(vector: np.ndarray, encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    numbers: list[float] = vector.tolist()
    return numbers


def _to_api_model(model: EmbeddingModel) -> Model:
    return Model(id=model.name, created=model.listed_at, owned_by=model.owner)
