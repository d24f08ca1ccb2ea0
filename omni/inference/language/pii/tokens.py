"""Redacted texts, and the sealed keys that bring back what was in them."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import orjson

from omni.inference.language.pii.matches import Match
from omni.kit.errors import InvalidInput
from omni.kit.sealing import DecryptionFailed, seal, unseal

MAX_RESTORED_CHARS = 1_000_000
_TOKEN = re.compile(r"<([A-Z][A-Z_]{1,30}_[0-9]{1,6})>")


def token_names(text: str, matches: Sequence[Match]) -> dict[str, str]:
    """A name for each redacted value, such as EMAIL_1. Names that the text itself has are passed over: they would come
    back as something else.
    """
    taken = set(_TOKEN.findall(text))
    names: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for match in matches:
        value = text[match.start : match.end]
        if value in names:
            continue
        while (name := f"{match.type}_{numbers.get(match.type, 0) + 1}") in taken:
            numbers[match.type] = numbers.get(match.type, 0) + 1
        numbers[match.type] = numbers.get(match.type, 0) + 1
        names[value] = name
    return names


def replaced(text: str, matches: Sequence[Match], stand_ins: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text with a stand-in in the place of each match, and where they are."""
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    end = size = 0
    for match, stand_in in zip(matches, stand_ins, strict=True):
        parts += [text[end : match.start], stand_in]
        start = size + match.start - end
        size = start + len(stand_in)
        places.append((start, size))
        end = match.end
    return "".join([*parts, text[end:]]), places


def restored(text: str, values: Mapping[str, str]) -> tuple[str, list[str], list[str]]:
    """The text with the values of its tokens, the tokens that were replaced, and those that are not in `values`.

    Values are not looked at again, so a value that looks like a token stays. Raises InvalidInput
    `restored_text_too_long`.
    """
    found = list(_TOKEN.finditer(text))
    size = len(text) + sum(len(values[token[1]]) - len(token[0]) for token in found if token[1] in values)
    if size > MAX_RESTORED_CHARS:
        raise InvalidInput(
            "restored_text_too_long",
            f"The restored text would have {size} characters; {MAX_RESTORED_CHARS} are allowed. Send it in parts.",
            param="text",
        )
    names = list(dict.fromkeys(token[1] for token in found))
    whole = _TOKEN.sub(lambda token: values.get(token[1], token[0]), text)
    return whole, [name for name in names if name in values], [name for name in names if name not in values]


class RestoreKeys:
    """Seals and opens what was redacted: AES-256-GCM with the tenant as associated data and the expiry inside."""

    def __init__(self, secret: bytes) -> None:
        """`secret` has 32 bytes and is the same in every backend."""
        self._secret = secret

    def make(self, tenant_id: UUID, values: Mapping[str, str], expires_micros: int) -> str:
        """An opaque key for `values` (token name → text), good until `expires_micros` (Unix)."""
        content = orjson.dumps({"expires_micros": expires_micros, "values": values})
        return urlsafe_b64encode(seal(self._secret, content, _place(tenant_id))).decode("ascii")

    def open(self, tenant_id: UUID, key: str, now_micros: int) -> dict[str, str]:
        """What `make` was given. Raises InvalidInput `restore_key_invalid`, the same for a key that was changed, has
        expired, or belongs to another tenant.
        """
        try:
            content = orjson.loads(unseal(self._secret, urlsafe_b64decode(key.encode("ascii")), _place(tenant_id)))
        except (DecryptionFailed, ValueError):
            raise _invalid() from None
        if content["expires_micros"] <= now_micros:
            raise _invalid()
        values: dict[str, str] = content["values"]
        return values


def stand_ins(text: str, matches: Sequence[Match], mode: str, names: Mapping[str, str]) -> Iterator[str]:
    """What stands in the place of each match: a token, a label, or asterisks."""
    for match in matches:
        if mode == "tokens":
            yield f"<{names[text[match.start : match.end]]}>"
        else:
            yield f"<{match.type}>" if mode == "labels" else "*" * (match.end - match.start)


def _place(tenant_id: UUID) -> bytes:
    return f"pii-restore\x1f{tenant_id}".encode()


def _invalid() -> InvalidInput:
    return InvalidInput(
        "restore_key_invalid",
        "The restore key is not valid: it was changed, has expired, or is not this tenant's. Redact the text again.",
        param="restore_key",
    )
