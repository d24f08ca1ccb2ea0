"""Request and response of comparing two texts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_TEXT_CHARS = 100_000
MAX_SENTENCES = 400

Text = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TEXT_CHARS, description="At most 100,000 characters and 400 sentences."),
]


class CompareRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "before": "The notice period is 30 days. Fees are not refunded.",
                    "after": "Fees are refunded. The period of notice is 60 days. This contract ends in May.",
                }
            ]
        }
    )

    before: Text
    after: Text
    threshold: Annotated[
        float, Field(ge=0, le=1, description="Least cosine of two sentences that are taken for the same, reworded.")
    ] = 0.6


class ComparedSentence(BaseModel):
    index: Annotated[int, Field(description="Place among the text's sentences, from 0.")]
    start: Annotated[int, Field(description="First character, from 0.")]
    end: Annotated[int, Field(description="Character after the last.")]
    text: str


class NumbersChanged(BaseModel):
    removed: Annotated[list[str], Field(description="Numbers that only the sentence before has.")]
    added: Annotated[list[str], Field(description="Numbers that only the sentence after has.")]


class Change(BaseModel):
    kind: Annotated[
        Literal["unchanged", "moved", "reworded", "added", "removed"],
        Field(description="`unchanged` and `moved`: the same but for white space. `reworded`: see `cosine`."),
    ]
    before: ComparedSentence | None
    after: ComparedSentence | None
    cosine: Annotated[float | None, Field(ge=-1, le=1, description="For `reworded`.")] = None
    moved: Annotated[bool, Field(description="Whether it stands in another order than the most of the text.")] = False
    numbers: Annotated[
        NumbersChanged | None, Field(description="For `reworded`, where its numbers are not the same.")
    ] = None
    negation_changed: Annotated[
        bool,
        Field(
            description="For `reworded`: one sentence has more words of negation than the other (English, German, "
            "Slovene). Sentence vectors hardly see a `not`: look at these."
        ),
    ] = False


class CompareResponse(BaseModel):
    changes: Annotated[
        list[Change], Field(description="In the order of `after`; what was removed stands where it was missing first.")
    ]
    counts: Annotated[dict[str, int], Field(examples=[{"unchanged": 1, "reworded": 2, "added": 1}])]
    model: Annotated[str, Field(examples=["all-MiniLM-L6-v2"])]
