"""Requests and responses of spelling and readability."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_SPELLING_CHARS = 20_000
MAX_READABILITY_CHARS = 500_000
MAX_IGNORED_WORDS = 2_000

SpellingLanguage = Literal["en", "de", "es", "fr", "it", "lv", "nl", "pt"]


class SpellingRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Please recieve my kubectl regards.", "ignore": ["kubectl"]}]}
    )

    text: Annotated[str, Field(min_length=1, max_length=MAX_SPELLING_CHARS, description="At most 20,000 characters.")]
    language: Annotated[
        SpellingLanguage,
        Field(
            description="English as in the United States, German, Spanish, French, Italian, Latvian, Dutch or "
            "Portuguese; there are no dictionaries of others. Compounds of German and Dutch are often unknown."
        ),
    ] = "en"
    ignore: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]],
        Field(max_length=MAX_IGNORED_WORDS, description="Words that are right, whatever their case."),
    ] = []
    ignore_capitalized: Annotated[
        bool, Field(description="Whether words that begin with a capital inside a sentence are taken for names.")
    ] = True
    suggestions: Annotated[int, Field(ge=0, le=10, description="Most suggestions for a word.")] = 3


class Suggestion(BaseModel):
    word: str
    distance: Annotated[int, Field(description="Edits: insertions, deletions, replacements, swaps of neighbours.")]


class Misspelling(BaseModel):
    start: Annotated[int, Field(description="First character, from 0.")]
    end: Annotated[int, Field(description="Character after the last.")]
    word: Annotated[str, Field(description="`text[start:end]` of the request.")]
    suggestions: Annotated[
        list[Suggestion],
        Field(description="Known words within two edits: fewest edits first, then the most frequent. May be empty."),
    ]


class SpellingResponse(BaseModel):
    misspellings: Annotated[
        list[Misspelling],
        Field(
            description="Words that the dictionary does not know, in order; it does not see a wrong word that exists."
        ),
    ]
    words_checked: int
    language: SpellingLanguage
    model: Annotated[str, Field(examples=["pyspellchecker-0.9.1/en"])]


class ReadabilityRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "The Australian platypus is seemingly a hybrid of a mammal and reptilian creature."}]
        }
    )

    text: Annotated[
        str, Field(min_length=1, max_length=MAX_READABILITY_CHARS, description="At most 500,000 characters.")
    ]
    language: Annotated[
        Literal["en"], Field(description="The formulas are made for English; LIX alone is meant for others, too.")
    ] = "en"


class TextCounts(BaseModel):
    sentences: int
    words: int
    letters: Annotated[int, Field(description="Letters and digits of the words.")]
    syllables: Annotated[int, Field(description="By rules for English, right for about nine words of ten.")]
    polysyllables: Annotated[int, Field(description="Words of three syllables and more.")]
    complex_words: Annotated[
        int,
        Field(
            description="Polysyllables without proper nouns (capitals inside a sentence), compounds with hyphens, and "
            "those that reach three only by -es, -ed or -ing: Gunning's."
        ),
    ]
    long_words: Annotated[int, Field(description="Words of more than six letters.")]


class ReadabilityResponse(BaseModel):
    flesch_reading_ease: Annotated[
        float, Field(description="206.835 - 1.015 words/sentence - 84.6 syllables/word (Flesch 1948). Higher = easier.")
    ]
    flesch_kincaid_grade: Annotated[
        float,
        Field(description="0.39 words/sentence + 11.8 syllables/word - 15.59 (Kincaid et al. 1975). School year."),
    ]
    gunning_fog: Annotated[
        float, Field(description="0.4 (words/sentence + 100 complex words/word) (Gunning 1952). School year.")
    ]
    smog: Annotated[
        float | None,
        Field(
            description="1.0430 √(30 polysyllables/sentence) + 3.1291 (McLaughlin 1969). School year. Absent under 30 "
            "sentences, for which it was not made."
        ),
    ]
    coleman_liau: Annotated[
        float,
        Field(description="5.88 letters/word - 29.6 sentences/word - 15.8 (Coleman, Liau 1975). School year."),
    ]
    automated_readability: Annotated[
        float, Field(description="4.71 letters/word + 0.5 words/sentence - 21.43 (Senter, Smith 1967). School year.")
    ]
    lix: Annotated[
        float,
        Field(description="Words/sentence + 100 long words/word (Björnsson 1968). Under 30 easy, over 60 very hard."),
    ]
    counts: TextCounts
    model: Literal["readability-1"] = "readability-1"
