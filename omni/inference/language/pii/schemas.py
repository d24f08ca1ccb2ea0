"""Requests and responses of finding, redacting and restoring personal data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.language.pii.matches import Certainty, EntityType

MAX_TEXT_CHARS = 50_000
MAX_RESTORE_CHARS = 200_000
MAX_KEY_CHARS = 1_000_000
DAY_SECONDS = 86_400
NOT_COVERED = (
    "names of persons and organisations",
    "postal addresses and places",
    "dates of birth without a word that says so",
    "health, religion and other special categories",
)
"""What would need a model of named entities, which is not there: said in every response."""
EXAMPLE = "Write to ana@example.si or call +386 1 478 40 00. IBAN SI56 1910 0000 0123 438."

Region = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166-1.", examples=["SI"])]


class DetectRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": EXAMPLE, "regions": ["SI"]}]})

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS, description="At most 50,000 characters.")]
    types: Annotated[
        list[EntityType] | None, Field(min_length=1, max_length=12, description="What to look for; absent = all.")
    ] = None
    min_certainty: Annotated[
        Certainty,
        Field(
            description="`high`: a checksum that seldom fits by chance, a fixed form, or a word before it that says "
            "what it is. `medium`: one check digit, or a form that other things have, too. Certainty belongs to the "
            "rule; it is no probability."
        ),
    ] = "medium"
    regions: Annotated[
        list[Region],
        Field(max_length=3, description="Countries whose telephone numbers are found without a country's prefix, too."),
    ] = []


class Entity(BaseModel):
    type: EntityType
    start: Annotated[int, Field(description="First character, from 0.")]
    end: Annotated[int, Field(description="Character after the last.")]
    text: Annotated[str, Field(description="`text[start:end]` of the request.")]
    rule: Annotated[str, Field(description="Which rule found it.", examples=["iban_si", "si_emso", "visa"])]
    certainty: Certainty


class DetectResponse(BaseModel):
    entities: Annotated[list[Entity], Field(description="In the order of the text; they do not overlap.")]
    not_covered: Annotated[list[str], Field(description="Personal data that no rule looks for.")] = list(NOT_COVERED)
    model: Annotated[str, Field(examples=["pii-rules-1"])]


class RedactRequest(DetectRequest):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": EXAMPLE, "mode": "tokens"}]})

    mode: Annotated[
        Literal["tokens", "labels", "mask"],
        Field(
            description="`tokens`: `<EMAIL_1>`, the same value always the same token, restored with `restore_key`. "
            "`labels`: `<EMAIL>`. `mask`: an asterisk a character."
        ),
    ] = "tokens"
    expires_in_seconds: Annotated[
        int, Field(ge=60, le=30 * DAY_SECONDS, description="How long the restore key is good: a minute to 30 days.")
    ] = DAY_SECONDS


class Redaction(BaseModel):
    type: EntityType
    start: Annotated[int, Field(description="First character of what stands in its place, in the redacted text.")]
    end: int
    rule: str
    certainty: Certainty


class RedactResponse(BaseModel):
    text: Annotated[str, Field(description="The redacted text.")]
    redactions: Annotated[list[Redaction], Field(description="In the order of the text, without what was there.")]
    restore_key: Annotated[
        str | None,
        Field(
            description="With `tokens`: what was there, encrypted so that only this platform opens it, for your tenant "
            "and until it expires. Keep it; nothing is stored here. It may be up to twice as long as what was redacted."
        ),
    ] = None
    not_covered: Annotated[list[str], Field(description="Personal data that no rule looks for.")] = list(NOT_COVERED)
    model: Annotated[str, Field(examples=["pii-rules-1"])]


class RestoreRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "I wrote to <EMAIL_1>.", "restore_key": "AbCd…"}]}
    )

    text: Annotated[
        str,
        Field(
            max_length=MAX_RESTORE_CHARS,
            description="Any text with tokens of the redacted one, such as an answer to it.",
        ),
    ]
    restore_key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS)]


class RestoreResponse(BaseModel):
    text: Annotated[str, Field(description="With what the tokens stand for; at most 1,000,000 characters.")]
    restored: Annotated[list[str], Field(description="Tokens that were replaced, each once.", examples=[["<EMAIL_1>"]])]
    absent: Annotated[list[str], Field(description="Tokens of the key that the text does not have.")]
    unknown: Annotated[list[str], Field(description="What looks like a token and is none of this key; left as it is.")]
