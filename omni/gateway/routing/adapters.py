"""The adapter of each kind of provider."""

from __future__ import annotations

from collections.abc import Mapping

from omni.contracts.wire import Adapter
from omni.gateway.routing.engines import EngineAdapter
from omni.providers.anthropic.adapter import AnthropicAdapter
from omni.providers.gemini.adapter import GeminiAdapter, VertexAdapter
from omni.providers.openai.adapter import AzureAdapter, OpenAIAdapter

ADAPTERS: Mapping[str, Adapter] = {
    "openai": OpenAIAdapter(),
    "azure": AzureAdapter(),
    "anthropic": AnthropicAdapter(),
    "gemini": GeminiAdapter(),
    "vertex": VertexAdapter(),
    "backend": EngineAdapter(),
}
