"""Request and response of classification."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TEXTS = 256
MAX_TEXT_CHARS = 8_192
MAX_LABELS = 100
MAX_LABEL_CHARS = 200
MAX_EXAMPLES = 1_000
MAX_DESCRIPTION_CHARS = 1_000
MAX_REGRESSION_SIZE = 20_000
"""Most examples times labels that logistic regression learns from: a few seconds."""
PLACE = "{label}"

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]
LabelName = Annotated[str, Field(min_length=1, max_length=MAX_LABEL_CHARS)]
Method = Literal["auto", "zero_shot", "logistic_regression", "nearest_centroid"]


class Label(BaseModel):
    """A label with what it means."""

    name: LabelName
    description: Annotated[
        str | None,
        Field(max_length=MAX_DESCRIPTION_CHARS, description="Read after the template, so that the label is clear."),
    ] = None


class Example(BaseModel):
    text: Text
    label: LabelName


class ClassifyRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "texts": ["I was charged twice."],
                    "labels": ["billing", {"name": "bug", "description": "Something in the product does not work."}],
                },
                {
                    "texts": ["The keeper saved a penalty."],
                    "examples": [
                        {"text": "She won the final.", "label": "sports"},
                        {"text": "Stir the soup.", "label": "cooking"},
                    ],
                },
            ]
        }
    )

    texts: Annotated[
        list[Text], Field(min_length=1, max_length=MAX_TEXTS, description="1 to 256 texts of at most 8,192 characters.")
    ]
    labels: Annotated[
        list[LabelName | Label] | None,
        Field(min_length=2, max_length=MAX_LABELS, description="2 to 100 different labels; or send `examples`."),
    ] = None
    examples: Annotated[
        list[Example] | None,
        Field(
            min_length=2,
            max_length=MAX_EXAMPLES,
            description="2 to 1,000 texts with their label, of 2 to 100 different labels; or send `labels`.",
        ),
    ] = None
    template: Annotated[
        str,
        Field(max_length=500, description="For labels: the sentence that a text is compared with; it has `{label}`."),
    ] = "This text is about {label}."
    multi_label: Annotated[
        bool,
        Field(
            description="For labels: each is scored by itself, and any number is chosen. A text of odd "
            "words can be near every label: try the `threshold` on your own texts."
        ),
    ] = False
    threshold: Annotated[
        float, Field(ge=0, le=1, description="For `multi_label`: the score from which a label is chosen.")
    ] = 0.5
    method: Annotated[
        Literal["auto", "logistic_regression", "nearest_centroid"],
        Field(
            description="For examples. `auto`: logistic regression from three examples a label up, else the nearest "
            "centroid. Logistic regression: at most 20,000 examples times labels."
        ),
    ] = "auto"

    @model_validator(mode="after")
    def _either_labels_or_examples(self) -> ClassifyRequest:
        if (self.labels is None) == (self.examples is None):
            raise ValueError("send either `labels` or `examples`")
        names = self.label_names()
        if self.labels is not None and len(set(names)) < len(names):
            raise ValueError("a label is there twice")
        if self.labels is not None and PLACE not in self.template:
            raise ValueError("`template` has no `{label}`")
        if self.examples is not None and not 2 <= len(names) <= MAX_LABELS:
            raise ValueError(f"the examples have {len(names)} different labels; send 2 to {MAX_LABELS}")
        if self.examples is not None and self.multi_label:
            raise ValueError("`multi_label` needs `labels`: an example has one label")
        if self.method == "logistic_regression" and len(self.examples or ()) * len(names) > MAX_REGRESSION_SIZE:
            raise ValueError(f"examples times labels are more than {MAX_REGRESSION_SIZE}: use `nearest_centroid`")
        return self

    def label_names(self) -> list[str]:
        """Of the labels, or of the examples in the order in which they first come."""
        if self.labels is not None:
            return [label if isinstance(label, str) else label.name for label in self.labels]
        return list(dict.fromkeys(example.label for example in self.examples or ()))

    def hypotheses(self) -> list[str]:
        """What a text is compared with, a sentence a label."""
        found = []
        for label in self.labels or ():
            name, description = (label, None) if isinstance(label, str) else (label.name, label.description)
            sentence = self.template.replace(PLACE, name)
            found.append(f"{sentence} {description}" if description else sentence)
        return found


class LabelScore(BaseModel):
    label: str
    score: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Of all labels they sum to 1; with `multi_label` each stands alone. Zero-shot and centroid "
            "scores come from cosines by fixed formulas and are not calibrated; those of logistic regression are its "
            "probabilities for classes of equal weight.",
        ),
    ]
    cosine: Annotated[
        float | None,
        Field(ge=-1, le=1, description="Of text and label, or text and centroid; absent for logistic regression."),
    ] = None


class Classified(BaseModel):
    index: Annotated[int, Field(description="Place of the text in the request, from 0.")]
    labels: Annotated[list[str], Field(description="The chosen label; with `multi_label` any number, best first.")]
    scores: Annotated[list[LabelScore], Field(description="Every label, best first.")]


class CrossValidation(BaseModel):
    """How well the examples predict each other: each fold by what was learnt from the others."""

    folds: int
    examples: int
    accuracy: Annotated[float, Field(ge=0, le=1, description="Share of the examples that got their own label.")]
    majority_share: Annotated[
        float, Field(ge=0, le=1, description="Accuracy of always saying the commonest label: what to compare with.")
    ]


class ClassifyResponse(BaseModel):
    results: list[Classified]
    method: Method
    cross_validation: Annotated[
        CrossValidation | None,
        Field(description="Absent for labels, and with fewer than 8 examples or a label that has only one."),
    ] = None
    model: Annotated[str, Field(examples=["all-MiniLM-L6-v2"])]
