"""What the gateway knows of models: each public name with the targets that can serve it, as one frozen table.

Credentials in the table are sealed (`omni.kit.sealing`) with a key that only the control plane and the gateways have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from omni.contracts.money import Rate

Operation = Literal[
    "chat", "completions", "responses", "messages", "count_tokens", "embeddings", "images", "image_edits",
    "transcriptions", "translations", "speech", "moderations", "realtime",
]  # fmt: skip
"""What a client asks for, named after the route that it calls."""

Kind = Literal["openai", "azure", "anthropic", "gemini", "vertex", "backend"]
"""The wire format of a provider. `openai` is all that speaks OpenAI's API: Mistral, Groq, Together, Ollama, vLLM too.
`backend` is the platform's own engines."""

Strategy = Literal["priority", "weighted", "cheapest", "fastest", "least_busy", "quality", "balanced"]


@dataclass(frozen=True, slots=True)
class Provider:
    """A place that serves models."""

    code: str
    kind: Kind
    base_url: str
    """With the path up to where the operations begin, e.g. `https://api.openai.com/v1`; empty for `backend`."""
    sealed_key: str = ""
    """Base64 of the platform's sealed key; empty = none is needed."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the kind: azure `api_version`; vertex `project`, `location`, `token_url` (for service accounts)."""
    operations: frozenset[str] | None = None
    """What it serves in its own wire format; None = what its kind usually does."""


@dataclass(frozen=True, slots=True)
class Condition:
    """When a target may be used; everything that is set has to hold."""

    tenants: frozenset[str] = frozenset()
    """Tenant ids (UUID text)."""
    regions: frozenset[str] = frozenset()
    """The request's `omni-region` header."""
    tags: frozenset[str] = frozenset()
    """All of them are in the request's `omni-tags` header."""
    min_input_tokens: int | None = None
    max_input_tokens: int | None = None
    """By the gateway's estimate."""


@dataclass(frozen=True, slots=True)
class Target:
    """One way to serve a model."""

    id: str
    """Unique in the table and stable over reloads, e.g. `gpt-4o@openai`."""
    provider: str
    upstream_model: str
    """The model's name there; for azure the deployment."""
    priority: int = 0
    """Lower goes first."""
    weight: int = 1
    quality: int = 50
    """0 to 100, as the operator rates it."""
    cost: dict[str, Rate] = field(default_factory=dict)
    """What the provider charges, by meter."""
    when: Condition | None = None
    timeout_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """A public model."""

    name: str
    operations: frozenset[str]
    targets: tuple[Target, ...]
    strategy: Strategy = "priority"
    sticky: bool = False
    """Requests with one `user` go to one target while it is healthy."""
    hedge_after_ms: int | None = None
    """Ask a second target when the first has not begun to answer after this; None = never."""
    shadow: Target | None = None
    """Gets a copy of `shadow_per_mille` of the requests; its answers are thrown away and never billed to anyone."""
    shadow_per_mille: int = 0
    max_output_tokens: int = 4096
    """What an answer has at most when the request does not say."""
    unpriced: Literal["refuse", "flat"] = "refuse"
    """What happens without a price to a tenant with a hard budget or wallet: refused, or `flat_nanos` held while it
    runs."""
    flat_nanos: int = 0
    description: str = ""
    owned_by: str = "omni"
    created: int = 0
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All models and providers."""

    models: Mapping[str, ModelRoute]
    providers: Mapping[str, Provider]

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "models": [asdict(model) for model in self.models.values()],
                "providers": [asdict(provider) for provider in self.providers.values()],
            },
            default=_plain,
        )

    @classmethod
    def from_json(cls, data: bytes) -> RouteTable:
        """Raises ValueError, KeyError or TypeError for what is no table."""
        row: dict[str, Any] = orjson.loads(data)
        models = [model_from_row(item) for item in row["models"]]
        providers = [_provider(item) for item in row["providers"]]
        return cls({model.name: model for model in models}, {provider.code: provider for provider in providers})


EMPTY_TABLE = RouteTable({}, {})


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"cannot be written as JSON: {value!r}")


def model_to_row(model: ModelRoute) -> dict[str, Any]:
    """A model as plain JSON values."""
    row: dict[str, Any] = orjson.loads(orjson.dumps(asdict(model), default=_plain))
    return row


def model_from_row(row: dict[str, Any]) -> ModelRoute:
    """What `model_to_row` made. Raises KeyError or TypeError for what is no model."""
    shadow = row["shadow"]
    return ModelRoute(
        **{
            **row,
            "operations": frozenset(row["operations"]),
            "targets": tuple(_target(target) for target in row["targets"]),
            "shadow": None if shadow is None else _target(shadow),
        }
    )


def _target(row: dict[str, Any]) -> Target:
    when = row["when"]
    condition = None
    if when is not None:
        sets = {name: frozenset(when[name]) for name in ("tenants", "regions", "tags")}
        condition = Condition(**{**when, **sets})
    cost = {meter: Rate(**rate) for meter, rate in row["cost"].items()}
    return Target(**{**row, "when": condition, "cost": cost})


def _provider(row: dict[str, Any]) -> Provider:
    operations = row["operations"]
    return Provider(**{**row, "operations": None if operations is None else frozenset(operations)})
