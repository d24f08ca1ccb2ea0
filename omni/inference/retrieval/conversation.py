"""Questions that go on from what was said before: what they leave out is carried over from it.

No model writes here, so nothing is made up: a question that leaves something out gets the words of the questions before
it, and the names and numbers of the last answer. What was asked for is in the response.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from omni.inference.retrieval.relevance import WORD, content_words

MAX_CARRIED = 8
MAX_CARRIED_CHARS = 60  # of one term
FEW_WORDS = 2  # a question with fewer content words leaves something out
_ANAPHORA = frozenset({
    "it", "its", "itself", "they", "them", "their", "theirs", "he", "him", "his", "she", "her", "hers", "this", "that",
    "these", "those", "there", "then", "one", "ones", "same", "such", "former", "latter", "both", "either", "neither",
    "else", "another", "otherwise",
})  # fmt: skip
_OPENING = re.compile(r"\s*(?:and|but|or|so|also|what about|how about|what if|why|since when|until when)\b", re.I)
_NUMBER = re.compile(r"\d[\d.,:%/-]*")
# A run of capitalised words: a name, unless it only begins a sentence.
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w-]+(?:\s+[A-Z][\w-]+){0,3}")
_WHITE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A question as it is searched for, and what was carried over into it."""

    query: str
    carried: list[str]


def rewrite(question: str, history: Sequence[Turn]) -> Rewritten:
    """The question with what it leaves out.

    It leaves something out when it has a word that points back (it, they, that, …), begins as one that goes on (and,
    what about, why, …), or has fewer than two words of meaning. Then these are carried over, eight at most, in this
    order: the words of meaning of the user's last question (with what was carried into that one), then names and
    numbers of the answer to it; each once, and none that the question has.
    """
    topic: list[str] = []
    answer = ""
    for turn in history:
        if turn.role == "assistant":
            answer = turn.content
            continue
        carried = _carried(turn.content, topic, answer)
        topic, answer = [*content_words(turn.content), *carried], ""
    carried = _carried(question, topic, answer)
    return with_terms(question, carried)


def with_terms(question: str, carried: list[str]) -> Rewritten:
    """The question with terms behind it."""
    return Rewritten(f"{question} ({', '.join(carried)})" if carried else question, carried)


def leaves_out(question: str) -> bool:
    """Whether a question cannot be understood alone, by the rule of `rewrite`."""
    words = [word.casefold() for word in WORD.findall(question)]
    return (
        any(word in _ANAPHORA for word in words)
        or _OPENING.match(question) is not None
        or len(content_words(question)) < FEW_WORDS
    )


def _carried(question: str, topic: Sequence[str], answer: str) -> list[str]:
    if not leaves_out(question):
        return []
    known = {word.casefold() for word in WORD.findall(question)}
    found: dict[str, str] = {}
    for term in (*topic, *_names(answer)):
        key = term.casefold()
        if key not in known and key not in _ANAPHORA and len(term) <= MAX_CARRIED_CHARS:
            found.setdefault(key, term)
    return list(found.values())[:MAX_CARRIED]


def _names(answer: str) -> Iterable[str]:
    for match in sorted((*_NAME.finditer(answer), *_NUMBER.finditer(answer)), key=lambda match: match.start()):
        yield _WHITE.sub(" ", match[0]).rstrip(".,:-/")
