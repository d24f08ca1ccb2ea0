"""What a catalogue has to be, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args
from urllib.parse import urlsplit

from omni.contracts.routes import ModelRoute, Operation, Provider, Target
from omni.kit.errors import InvalidInput

OPERATIONS: Final = frozenset(get_args(Operation))
BACKEND: Final = "backend"


def check_provider(provider: Provider) -> None:
    """Raises InvalidInput `invalid_provider`."""
    if provider.kind != BACKEND:
        parts = urlsplit(provider.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _invalid_provider("base_url must be an http or https URL.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise _invalid_provider("base_url must have no credentials, query or fragment.")
    if provider.operations is not None and not provider.operations <= OPERATIONS:
        raise _invalid_provider(f"operations are: {', '.join(sorted(OPERATIONS))}.")


def check_model(model: ModelRoute, others: Mapping[str, ModelRoute], providers: Mapping[str, Provider]) -> None:
    """Raises InvalidInput `invalid_model`."""
    if not model.operations or not model.operations <= OPERATIONS:
        raise _invalid_model(f"operations must be some of: {', '.join(sorted(OPERATIONS))}.")
    if not model.targets:
        raise _invalid_model("A model needs a target.")
    targets = all_targets(model)
    taken = {target.id for other in others.values() if other.name != model.name for target in all_targets(other)}
    ids = [target.id for target in targets]
    if len(set(ids)) < len(ids) or taken & set(ids):
        raise _invalid_model("Each target needs an id that no other target has, of this model or another.")
    for target in targets:
        if target.provider not in providers:
            raise _invalid_model(f"There is no provider {target.provider}.")


def all_targets(model: ModelRoute) -> list[Target]:
    """With the shadow."""
    return [*model.targets, *((model.shadow,) if model.shadow is not None else ())]


def _invalid_provider(message: str) -> InvalidInput:
    return InvalidInput("invalid_provider", message)


def _invalid_model(message: str) -> InvalidInput:
    return InvalidInput("invalid_model", message)
