"""From a chat request to one for Anthropic's Messages, whoever serves it."""

from __future__ import annotations

import re
from typing import Any

from omni.contracts.wire import Untranslatable
from omni.providers.formats.parts import data_url, text_of
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import ASKED

_DEFAULT_MAX_TOKENS = 4096
_UNKNOWN = (
    "logprobs", "top_logprobs", "audio", "logit_bias", "prediction", "functions", "function_call",
    "web_search_options", "frequency_penalty", "presence_penalty",
)  # fmt: skip
_EFFORT_TOKENS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 32768}
"""Thinking budgets for OpenAI's names of efforts."""
_EFFORTS = {"minimal": "low"}
"""Where a name of an effort differs."""
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
_BUDGETED = re.compile(r"claude-(?:3\b|(?:opus|sonnet|haiku)-4(?:-[015])?(?:[-@]2025\d{4}|$|@))")
"""Models that know thinking by a budget of tokens only; later ones know efforts only."""


def from_chat(chat: Json, model: str, ceiling: int | None) -> Json:
    """The body of `POST /v1/messages`. Raises Untranslatable for what it cannot say."""
    for name in _UNKNOWN:
        if chat.get(name):
            raise Untranslatable(f"This model cannot serve requests with {name}.")
    if chat.get("n") not in (None, 1):
        raise Untranslatable("This model gives one choice only: leave out n.")
    asked = ASKED.positive(chat, "max_completion_tokens") or ASKED.positive(chat, "max_tokens") or _DEFAULT_MAX_TOKENS
    system, turns = _turns(ASKED.objects(chat, "messages"))
    body: Json = {"model": model, "max_tokens": min(asked, ceiling or asked), "messages": turns}
    if system:
        body["system"] = system
    for name in ("temperature", "top_p", "top_k", "stream"):
        if chat.get(name) is not None:
            body[name] = chat[name]
    if stop := ASKED.texts(chat, "stop"):
        body["stop_sequences"] = stop
    if user := ASKED.text(chat, "user"):
        body["metadata"] = {"user_id": user}
    _tools(chat, body)
    _format(chat, body)
    _think(ASKED.text(chat, "reasoning_effort"), body, may_raise=ceiling is None)
    return body


def _think(effort: str, body: Json, *, may_raise: bool) -> None:
    if effort not in _EFFORT_TOKENS or _waits_for_tools(body["messages"]):
        return
    if not _BUDGETED.search(body["model"]):
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        body["output_config"] = {**body.get("output_config", {}), "effort": _EFFORTS.get(effort, effort)}
        return
    budget = _EFFORT_TOKENS[effort]
    if may_raise:
        body["max_tokens"] = max(body["max_tokens"], budget + 1024)
    if body["max_tokens"] > budget:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _waits_for_tools(turns: list[Json]) -> bool:
    """Whether the answer goes on after results of tools: thinking would need the signed thoughts that asked for them,
    and a chat does not keep these."""
    return bool(turns) and any(block["type"] == "tool_result" for block in turns[-1]["content"])


def _tools(chat: Json, body: Json) -> None:
    tools = []
    for tool in ASKED.objects(chat, "tools"):
        if tool.get("type") != "function":
            raise Untranslatable(f"This model cannot use a tool of type {tool.get('type')}.")
        function = ASKED.object(tool, "function")
        schema = ASKED.object(function, "parameters") or {"type": "object"}
        row: Json = {"name": ASKED.name(function, "name"), "input_schema": schema}
        if description := ASKED.text(function, "description"):
            row["description"] = description
        if function.get("strict") is True:
            row["strict"] = True
        tools.append(row)
    if not tools:
        return
    body["tools"] = tools
    choice = chat.get("tool_choice")
    picked: Json | None = None
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            raise Untranslatable(f"This model cannot be told to use a tool of type {choice.get('type')}.")
        picked = {"type": "tool", "name": ASKED.name(ASKED.object(choice, "function"), "name")}
    elif choice is not None:
        if choice not in tuple(_CHOICES):
            raise Untranslatable("tool_choice must be auto, required, none or a function.")
        picked = {"type": _CHOICES[choice]}
    if chat.get("parallel_tool_calls") is False and (picked is None or picked["type"] != "none"):
        picked = {**(picked or {"type": "auto"}), "disable_parallel_tool_use": True}
    if picked is not None:
        body["tool_choice"] = picked


def _format(chat: Json, body: Json) -> None:
    form = ASKED.object(chat, "response_format")
    if form.get("type") == "json_schema":
        schema = ASKED.object(ASKED.object(form, "json_schema"), "schema")
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
            system.append(text_of(message))
            continue
        if role == "assistant":
            role, blocks = "assistant", _assistant(message)
        elif role == "tool":
            role, blocks = "user", [_result(message)]
        elif role == "user":
            blocks = _blocks(message)
        else:
            raise Untranslatable(f"This model knows no role {role}.")
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return "\n\n".join(part for part in system if part), turns


def _result(message: Json) -> Json:
    content: Any = text_of(message)
    if isinstance(message.get("content"), list):
        content = _blocks(message)
    return {"type": "tool_result", "tool_use_id": ASKED.name(message, "tool_call_id"), "content": content}


def _assistant(message: Json) -> list[Json]:
    blocks = _blocks(message)
    for call in ASKED.objects(message, "tool_calls"):
        function = ASKED.object(call, "function")
        use = {"type": "tool_use", "id": ASKED.name(call, "id"), "name": ASKED.name(function, "name")}
        blocks.append({**use, "input": ASKED.arguments(function)})
    return blocks


def _blocks(message: Json) -> list[Json]:
    if not isinstance(message.get("content"), list):
        text = ASKED.text(message, "content")
        return [{"type": "text", "text": text}] if text else []
    return [_block(part) for part in ASKED.objects(message, "content")]


def _block(part: Json) -> Json:
    kind = part.get("type")
    block: Json
    if kind == "text":
        block = {"type": "text", "text": ASKED.text(part, "text")}
    elif kind == "refusal":
        block = {"type": "text", "text": ASKED.text(part, "refusal")}
    elif kind == "image_url":
        block = {"type": "image", "source": _source(ASKED.name(ASKED.object(part, "image_url"), "url"))}
    elif kind == "file" and (data := ASKED.text(ASKED.object(part, "file"), "file_data")):
        block = {"type": "document", "source": _source(data)}
    else:
        raise Untranslatable(f"This model cannot read content of type {kind}.")
    if cache := ASKED.object(part, "cache_control"):
        block["cache_control"] = cache
    return block


def _source(url: str) -> Json:
    found = data_url(url)
    if found is not None:
        return {"type": "base64", "media_type": found[0], "data": found[1]}
    return {"type": "url", "url": url}
