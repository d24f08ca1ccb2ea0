"""Requests and responses of the evaluation of a collection."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omni.inference.fields import NO_NUL
from omni.inference.retrieval.question_schemas import Mode, Query

MAX_QUESTIONS, MAX_ANSWERED = 50, 20
_ID = "01900000-0000-7000-8000-000000000000"


class Target(BaseModel):
    """What a question should find: any chunk of a document, one chunk, or a chunk that has a quote."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"document_id": _ID, "quote": "forty euros"}]})

    document_id: Annotated[UUID | None, Field(description="Of the collection.")] = None
    chunk_id: Annotated[
        UUID | None, Field(description="Of the collection. Replacing a document gives changed chunks other ids.")
    ] = None
    quote: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1_000,
            pattern=NO_NUL,
            description="Characters that the chunk's text has; runs of white space count as one space.",
        ),
    ] = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.document_id is None and self.chunk_id is None and not (self.quote or "").strip():
            raise ValueError("give document_id, chunk_id or a quote")
        return self


class EvaluatedQuestion(BaseModel):
    question: Query
    relevant: Annotated[list[Target], Field(min_length=1, max_length=20)]


class EvaluationRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "questions": [
                        {"question": "What does a ticket cost?", "relevant": [{"quote": "costs forty euros"}]},
                        {"question": "May dogs come in?", "relevant": [{"document_id": _ID}]},
                    ],
                    "k": 10,
                    "answers": True,
                }
            ]
        }
    )

    questions: Annotated[list[EvaluatedQuestion], Field(min_length=1, max_length=MAX_QUESTIONS)]
    k: Annotated[int, Field(ge=1, le=50, description="How many results are looked at.")] = 10
    modes: Annotated[list[Mode], Field(min_length=1, max_length=3, description="Compared side by side.")] = [
        "hybrid",
        "dense",
        "lexical",
    ]
    answers: Annotated[
        bool, Field(description="Answer each question, too, and say how faithful answers are; at most 20 questions.")
    ] = False

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.answers and len(self.questions) > MAX_ANSWERED:
            raise ValueError(f"at most {MAX_ANSWERED} questions with answers")
        if len(set(self.modes)) != len(self.modes):
            raise ValueError("each mode once")
        return self


class ModeMeasures(BaseModel):
    """Means over the questions, all 0 to 1. A target counts once: at the first chunk that meets it."""

    mode: Mode
    recall: Annotated[float, Field(description="Share of a question's targets that the first k chunks meet.")]
    precision: Annotated[float, Field(description="Share of k places with a chunk that meets a target.")]
    mrr: Annotated[float, Field(description="1 / place of the first chunk that meets a target; 0 without one in k.")]
    ndcg: Annotated[
        float,
        Field(description="Discounted cumulative gain, gain 1 for each target's first chunk, by the best order's."),
    ]


class QuestionResult(BaseModel):
    question: str
    first_relevant: Annotated[
        dict[Mode, int | None], Field(description="Place of the first chunk that meets a target; null = not in k.")
    ]
    answer: Annotated[str | None, Field(description="Null when none was found or asked for.")] = None
    answer_relevant: Annotated[
        bool | None, Field(description="Whether a cited sentence is in a chunk that meets a target; null = no answer.")
    ] = None


class AnswerMeasures(BaseModel):
    answered: Annotated[float, Field(description="Share of questions with an answer.")]
    relevant: Annotated[
        float | None, Field(description="Share of answers that cite a chunk which meets a target; null = no answer.")
    ]
    faithfulness: Annotated[
        float | None,
        Field(
            description="Share of the answers' sentences that the cited characters of the stored document are exactly, "
            "read again from the document; null = no answer. Extractive answers quote, so less than 1 is a fault."
        ),
    ]


class EvaluationResponse(BaseModel):
    k: int
    modes: Annotated[list[ModeMeasures], Field(description="In the order asked for.")]
    answers: Annotated[AnswerMeasures | None, Field(description="Null when not asked for.")]
    questions: Annotated[list[QuestionResult], Field(description="In the order of the request.")]
    embedding_model: str
