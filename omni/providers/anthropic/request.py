"""From a chat request to one for Anthropic's Messages."""

from __future__ import annotations

import re
from typing import Any

import orjson

from omni.contracts.wire import Untranslatable
from omni.providers.formats.pivot import Json

_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)
_DEFAULT_MAX_TOKENS = 4096
_UNKNOWN = ("logprobs", "top_logprobs", "audio", "logit_bias", "prediction", "functions", "function_call")
_EFFORT_TOKENS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768}
"""Thinking budgets for OpenAI's names of efforts."""
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def from_chat(chat: Json, model: str, ceiling: int | None) -> Json:
    """The body of `POST /v1/messages`. Raises Untranslatable for what it cannot say."""
    for name in _UNKNOWN:
        if chat.get(name):
            raise Untranslatable(f"This model cannot serve requests with {name}.")
    if chat.get("n") not in (None, 1):
        raise Untranslatable("This model gives one choice only: leave out n.")
    asked = chat.get("max_completion_tokens") or chat.get("max_tokens") or _DEFAULT_MAX_TOKENS
    system, turns = _turns(chat.get("messages") or [])
    body: Json = {"model": model, "max_tokens": min(asked, ceiling or asked), "messages": turns}
    if system:
        body["system"] = system
    for name in ("temperature", "top_p", "stream"):
        if chat.get(name) is not None:
            body[name] = chat[name]
    if (stop := chat.get("stop")) is not None:
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if chat.get("user"):
        body["metadata"] = {"user_id": chat["user"]}
    if isinstance(effort := chat.get("reasoning_effort"), str) and effort in _EFFORT_TOKENS:
        budget = _EFFORT_TOKENS[effort]
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        body["max_tokens"] = max(body["max_tokens"], budget + 1024) if ceiling is None else body["max_tokens"]
        if body["max_tokens"] <= budget:
            del body["thinking"]
    _tools(chat, body)
    _format(chat, body)
    return body


def _tools(chat: Json, body: Json) -> None:
    tools = []
    for tool in chat.get("tools") or ():
        if tool.get("type") != "function":
            raise Untranslatable(f"This model cannot use a tool of type {tool.get('type')}.")
        function = tool.get("function") or {}
        row: Json = {"name": function.get("name"), "input_schema": function.get("parameters") or {"type": "object"}}
        if function.get("description"):
            row["description"] = function["description"]
        tools.append(row)
    if not tools:
        return
    body["tools"] = tools
    choice = chat.get("tool_choice")
    picked: Json | None = None
    if isinstance(choice, dict):
        picked = {"type": "tool", "name": (choice.get("function") or {}).get("name")}
    elif choice in _CHOICES:
        picked = {"type": _CHOICES[choice]}
    if chat.get("parallel_tool_calls") is False:
        picked = {**(picked or {"type": "auto"}), "disable_parallel_tool_use": True}
    if picked is not None:
        body["tool_choice"] = picked


def _format(chat: Json, body: Json) -> None:
    form = chat.get("response_format") or {}
    if form.get("type") == "json_schema":
        schema = (form.get("json_schema") or {}).get("schema")
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    elif form.get("type") not in (None, "text"):
        raise Untranslatable("This model gives structured output by json_schema only.")


def _turns(given: list[Json]) -> tuple[str, list[Json]]:
    """System text, and turns of user and assistant that alternate."""
    system: list[str] = []
    turns: list[Json] = []
    for message in given:
        role = message.get("role")
        if role in ("system", "developer"):
            system.append(_text(message.get("content")))
            continue
        if role == "assistant":
            role, blocks = "assistant", _assistant(message)
        elif role == "tool":
            result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id")}
            role, blocks = "user", [{**result, "content": _text(message.get("content"))}]
        elif role == "user":
            blocks = _blocks(message.get("content"))
        else:
            raise Untranslatable(f"This model knows no role {role}.")
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return "\n\n".join(part for part in system if part), turns


def _assistant(message: Json) -> list[Json]:
    blocks = _blocks(message.get("content")) if message.get("content") else []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        try:
            arguments = orjson.loads(function.get("arguments") or "{}")
        except orjson.JSONDecodeError:
            raise Untranslatable("The arguments of a tool call are not JSON.") from None
        blocks.append({"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": arguments})
    return blocks


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def _blocks(content: Any) -> list[Json]:
    if not isinstance(content, list):
        return [{"type": "text", "text": content}] if content else []
    blocks: list[Json] = []
    for part in content:
        kind = part.get("type")
        if kind == "text":
            blocks.append({"type": "text", "text": part.get("text", "")})
        elif kind == "refusal":
            blocks.append({"type": "text", "text": part.get("refusal", "")})
        elif kind == "image_url":
            blocks.append({"type": "image", "source": _image((part.get("image_url") or {}).get("url") or "")})
        else:
            raise Untranslatable(f"This model cannot read content of type {kind}.")
    return blocks


def _image(url: str) -> Json:
    found = _DATA_URL.fullmatch(url)
    if found is not None:
        return {"type": "base64", "media_type": found[1], "data": found[2]}
    return {"type": "url", "url": url}
