"""From a chat request to one for Gemini's generateContent."""

from __future__ import annotations

import re
from typing import Any

import orjson

from omni.contracts.wire import Untranslatable
from omni.providers.formats.parts import data_url, text_of
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import ASKED

_UNKNOWN = (
    "logprobs", "top_logprobs", "audio", "logit_bias", "prediction", "functions", "function_call",
    "web_search_options",
)  # fmt: skip
_PASSED = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_MODES = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
_BUDGETED = re.compile(r"gemini-(?:1|2)[.-]")
"""Models that know thinking by a budget of tokens; later ones know levels."""
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
_LEVELS = {
    "none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH",
    "max": "HIGH",
}  # fmt: skip
_UNSIGNED = "skip_thought_signature_validator"
"""What stands for the signature of a call that another model made, or whose client did not keep it."""
_MEDIA_TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "heic": "image/heic",
    "heif": "image/heif", "gif": "image/gif", "pdf": "application/pdf",
}  # fmt: skip


def from_chat(chat: Json, model: str, ceiling: int | None) -> Json:
    """The body of `generateContent`. Raises Untranslatable for what it cannot say."""
    for name in _UNKNOWN:
        if chat.get(name):
            raise Untranslatable(f"This model cannot serve requests with {name}.")
    if chat.get("modalities") not in (None, ["text"]):
        raise Untranslatable("This model answers with text only: leave out modalities.")
    system, contents = _contents(ASKED.objects(chat, "messages"), signs=not _BUDGETED.search(model))
    body: Json = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    _tools(chat, body)
    config = _config(chat, model, ceiling)
    if config:
        body["generationConfig"] = config
    return body


def _config(chat: Json, model: str, ceiling: int | None) -> Json:
    config: Json = {theirs: chat[ours] for ours, theirs in _PASSED.items() if chat.get(ours) is not None}
    asked = ASKED.positive(chat, "max_completion_tokens") or ASKED.positive(chat, "max_tokens")
    if most := min(asked, ceiling) if asked and ceiling else asked or ceiling:
        config["maxOutputTokens"] = most
    if stop := ASKED.texts(chat, "stop"):
        config["stopSequences"] = stop
    form = ASKED.object(chat, "response_format")
    if form.get("type") == "json_schema":
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = ASKED.object(ASKED.object(form, "json_schema"), "schema")
    elif form.get("type") == "json_object":
        config["responseMimeType"] = "application/json"
    elif form.get("type") not in (None, "text"):
        raise Untranslatable(f"This model cannot answer in the format {form.get('type')}.")
    effort = ASKED.text(chat, "reasoning_effort")
    if effort in _LEVELS:
        amount = {"thinkingBudget": _BUDGETS[effort]} if _BUDGETED.search(model) else {"thinkingLevel": _LEVELS[effort]}
        config["thinkingConfig"] = {**amount, "includeThoughts": effort != "none"}
    elif effort:
        raise Untranslatable(f"This model knows no reasoning_effort {effort}.")
    return config


def _tools(chat: Json, body: Json) -> None:
    declarations = []
    for tool in ASKED.objects(chat, "tools"):
        if tool.get("type") != "function":
            raise Untranslatable(f"This model cannot use a tool of type {tool.get('type')}.")
        function = ASKED.object(tool, "function")
        row: Json = {"name": ASKED.name(function, "name")}
        if description := ASKED.text(function, "description"):
            row["description"] = description
        if schema := ASKED.object(function, "parameters"):
            row["parametersJsonSchema"] = schema
        declarations.append(row)
    if not declarations:
        return
    if chat.get("parallel_tool_calls") is False:
        raise Untranslatable("This model may call several tools at once: leave out parallel_tool_calls.")
    body["tools"] = [{"functionDeclarations": declarations}]
    choice = chat.get("tool_choice")
    picked: Json | None = None
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            raise Untranslatable(f"This model cannot be told to use a tool of type {choice.get('type')}.")
        picked = {"mode": "ANY", "allowedFunctionNames": [ASKED.name(ASKED.object(choice, "function"), "name")]}
    elif choice is not None:
        if choice not in tuple(_MODES):
            raise Untranslatable("tool_choice must be auto, required, none or a function.")
        picked = {"mode": _MODES[choice]}
    if picked is not None:
        body["toolConfig"] = {"functionCallingConfig": picked}


def _contents(given: list[Json], *, signs: bool) -> tuple[str, list[Json]]:
    """System text, and contents of user and model that alternate."""
    system: list[str] = []
    contents: list[Json] = []
    names: dict[str, str] = {}
    for message in given:
        role = message.get("role")
        if role in ("system", "developer"):
            system.append(text_of(message))
            continue
        if role == "assistant":
            role, parts = "model", _parts(message) + _calls(message, names, signs=signs)
        elif role == "tool":
            role, parts = "user", _results(message, names)
        elif role == "user":
            parts = _parts(message)
        else:
            raise Untranslatable(f"This model knows no role {role}.")
        if not parts:
            continue
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    return "\n\n".join(part for part in system if part), contents


def _calls(message: Json, names: dict[str, str], *, signs: bool) -> list[Json]:
    parts: list[Json] = []
    for call in ASKED.objects(message, "tool_calls"):
        function = ASKED.object(call, "function")
        call_id, name = ASKED.name(call, "id"), ASKED.name(function, "name")
        names[call_id] = name
        part: Json = {"functionCall": {"id": call_id, "name": name, "args": ASKED.arguments(function)}}
        signature = ASKED.text(ASKED.object(ASKED.object(call, "extra_content"), "google"), "thought_signature")
        if signature or (signs and not parts):
            part["thoughtSignature"] = signature or _UNSIGNED
        parts.append(part)
    return parts


def _results(message: Json, names: dict[str, str]) -> list[Json]:
    call_id = ASKED.name(message, "tool_call_id")
    if call_id not in names:
        raise Untranslatable(f"No call of a tool before has the tool_call_id {call_id}.")
    response = {"id": call_id, "name": names[call_id], "response": _output(text_of(message))}
    seen = message.get("content")
    other = [part for part in seen if part.get("type") != "text"] if isinstance(seen, list) else []
    return [{"functionResponse": response}, *(_part(part) for part in other)]


def _output(text: str) -> Json:
    """The result of a tool as the object that it is, or the text in one."""
    try:
        row: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        row = None
    return row if isinstance(row, dict) else {"output": text}


def _parts(message: Json) -> list[Json]:
    if not isinstance(message.get("content"), list):
        text = ASKED.text(message, "content")
        return [{"text": text}] if text else []
    return [_part(part) for part in ASKED.objects(message, "content")]


def _part(part: Json) -> Json:
    kind = part.get("type")
    if kind == "text":
        return {"text": ASKED.text(part, "text")}
    if kind == "refusal":
        return {"text": ASKED.text(part, "refusal")}
    if kind == "image_url":
        return _media(ASKED.name(ASKED.object(part, "image_url"), "url"))
    if kind == "input_audio":
        audio = ASKED.object(part, "input_audio")
        media_type = f"audio/{ASKED.name(audio, 'format')}"
        return {"inlineData": {"mimeType": media_type, "data": ASKED.name(audio, "data")}}
    if kind == "file" and (url := ASKED.text(ASKED.object(part, "file"), "file_data")):
        return _media(url)
    raise Untranslatable(f"This model cannot read content of type {kind}.")


def _media(url: str) -> Json:
    found = data_url(url)
    if found is not None:
        return {"inlineData": {"mimeType": found[0], "data": found[1]}}
    if not url.startswith(("https://", "gs://")):
        raise Untranslatable("This model reads files as data: URLs, https:// or gs://.")
    media_type = _MEDIA_TYPES.get(url.partition("?")[0].rpartition(".")[2].lower())
    return {"fileData": {"fileUri": url} | ({"mimeType": media_type} if media_type else {})}
