"""Languages of collections: how PostgreSQL stems their words, and which of them are too common to count."""

from __future__ import annotations

from typing import Literal

Language = Literal[
    "simple", "arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "finnish", "french", "german",
    "greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian", "portuguese",
    "romanian", "russian", "serbian", "slovenian", "spanish", "swedish", "tamil", "turkish", "yiddish",
]  # fmt: skip
"""The text search configurations of PostgreSQL 15 and newer, and Slovenian, which it has none for."""

NOTES: dict[str, str] = {
    "simple": "Words are compared as they are, in lower case: no form of a word finds another.",
    "slovenian": "PostgreSQL has no stemmer for Slovenian: words are compared as they are, in lower case (`simple`). "
    "Search in mode hybrid or dense finds other forms by meaning.",
}
_CONFIGURATIONS = {"slovenian": "simple"}


def text_search_of(language: str) -> str:
    """The text search configuration of a collection's language."""
    return _CONFIGURATIONS.get(language, language)
