"""Personal data replaced by placeholders, in whole texts and in texts that come piece by piece."""

from __future__ import annotations

import asyncio
import re

from omni.gateway.policies.personal_data import CONTEXT, LONGEST, find

_PIECE_CHARS = 4 * 1024
"""After so much text others get their turn."""
_GROUP = re.compile(r"[A-Za-z]{1,4}|(?=[^\d]{0,34}\d)[A-Za-z0-9()+./-]{1,34}")
_BLANKS = " \u00a0"


class Placeholders:
    """`[EMAIL_1]` and its like: one value has one placeholder throughout a request and its answer."""

    __slots__ = ("_known", "_numbers", "found")

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, int] = {}
        self.found = 0

    def of(self, kind: str, value: str) -> str:
        self.found += 1
        normal = (kind, re.sub(r"[\s().\-/]", "", value).lower() if kind != "EMAIL" else value.lower())
        placeholder = self._known.get(normal)
        if placeholder is None:
            number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
            placeholder = self._known[normal] = f"[{kind}_{number}]"
        return placeholder


class TextRedactor:
    """One text, fed piece by piece. What is let go is the same however the text is cut.

    Held back is the last word, and the groups of digits before it, as they may be the beginning of something; never
    more than LONGEST characters. `is_json` is for the arguments of a tool: a bare number becomes 0 there.
    """

    __slots__ = ("_before", "_held", "_is_json", "_placeholders")

    def __init__(self, placeholders: Placeholders, *, is_json: bool = False) -> None:
        self._placeholders = placeholders
        self._is_json = is_json
        self._before = ""
        self._held = ""

    @property
    def held_chars(self) -> int:
        return len(self._held)

    def feed(self, piece: str) -> str:
        """What can be let go of all that came."""
        text = self._before + self._held + piece
        return self._let_go(text, len(self._before), _held_from(text, len(self._before)))

    def end(self) -> str:
        """The rest."""
        text = self._before + self._held
        return self._let_go(text, len(self._before), len(text))

    def _let_go(self, text: str, start: int, until: int) -> str:
        out: list[str] = []
        at = start
        for begin, end, kind in find(text, start):
            if begin >= until:
                break
            out.append(text[at:begin])
            out.append(self._replacement(kind, text[begin:end]))
            at = end
        if at < until:
            out.append(text[at:until])
            at = until
        self._before, self._held = text[max(0, at - CONTEXT) : at], text[at:]
        return "".join(out)

    def _replacement(self, kind: str, value: str) -> str:
        placeholder = self._placeholders.of(kind, value)
        return "0" if self._is_json and value.isdigit() else placeholder


def _held_from(text: str, start: int) -> int:
    """Where that begins which more text could make part of something."""
    end = len(text)
    floor = max(start, end - LONGEST)
    held = end
    while held > floor and text[held - 1] not in _BLANKS and not text[held - 1].isspace():
        held -= 1
    at = held
    while at > floor and text[at - 1] in _BLANKS:
        begin = at - 1
        while begin > floor and not text[begin - 1].isspace():
            begin -= 1
        group = text[begin : at - 1]
        if _GROUP.fullmatch(group) is None:
            break
        if any(sign in "0123456789+(" for sign in group):
            held = begin
        at = begin
    return held


async def redacted(text: str, placeholders: Placeholders) -> str:
    """A whole text. A long one is worked on in pieces, between which others get their turn."""
    if len(text) <= _PIECE_CHARS:
        redactor = TextRedactor(placeholders)
        return redactor.feed(text) + redactor.end()
    redactor = TextRedactor(placeholders)
    out = []
    for start in range(0, len(text), _PIECE_CHARS):
        out.append(redactor.feed(text[start : start + _PIECE_CHARS]))
        await asyncio.sleep(0)
    out.append(redactor.end())
    return "".join(out)
