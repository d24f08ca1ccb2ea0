"""What the endpoints of texts must answer, with values from elsewhere: published examples, or counted by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.acceptance.ai_operations import Operation

COMPUTE = frozenset({"compute_ms"})
EMBEDDED = COMPUTE | {"input_tokens"}
SUPPORT = [
    "Invoices are due within thirty days.",
    "Error E-4031 means that the access token has expired.",
    "The office is open from Monday to Friday.",
]
SUBJECTS = [f"{subject} number {number}" for subject in ("invoice", "football match") for number in "1234"]


def _post(path: str, body: Mapping[str, Any], check: Callable[[Any], None], meters: frozenset[str]) -> Operation:
    return Operation("POST", path, body, check, meters)


def _reranked(answer: Any) -> None:
    assert [result["index"] for result in answer["results"]] == [1]
    assert answer["results"][0]["document"] == {"text": SUPPORT[1]}


def _found(answer: Any) -> None:
    assert answer["hits"][0]["index"] == 0


def _edit_distances(answer: Any) -> None:
    """3 of 7, 3 of 8: Wikipedia's kitten and Saturday."""
    assert all(map(math.isclose, answer["scores"], [1 - 3 / 7, 1 - 3 / 8]))


def _classified(answer: Any) -> None:
    assert [result["labels"] for result in answer["results"]] == [["sports"], ["cooking"]]
    assert all(math.isclose(sum(s["score"] for s in result["scores"]), 1) for result in answer["results"])


def _moderated(answer: Any) -> None:
    """A process is killed without harm; a person is not."""
    assert [result["flagged"] for result in answer["results"]] == [False, True]
    assert [result["categories"]["violence"] for result in answer["results"]] == [False, True]


def _moderated_as_openai(answer: Any) -> None:
    (result,) = answer["results"]
    assert (result["flagged"], result["categories"]["violence"]) == (True, True)


def _identified(answer: Any) -> None:
    assert [result["language"] for result in answer["results"]] == ["sl", "de"]


def _keywords(answer: Any) -> None:
    assert answer["keywords"][0]["keyword"] == "Solar panels"
    assert answer["keywords"][0]["occurrences"] == [{"start": 0, "end": 12}]


def _summary(answer: Any) -> None:
    assert answer["sentence_count"] == 4
    assert "dog" not in answer["summary"]


def _detected(answer: Any) -> None:
    """The example of Slovenia in SWIFT's registry of IBANs."""
    assert [(entity["type"], entity["start"], entity["end"]) for entity in answer["entities"]] == [
        ("EMAIL", 0, 14),
        ("IBAN", 20, 43),
    ]


def _redacted(answer: Any) -> None:
    assert answer["text"] == "<EMAIL_1> pays with <PAYMENT_CARD_1>"
    assert answer["restore_key"]


def _refused_key(answer: Any) -> None:
    assert answer["code"] == "restore_key_invalid"


def _duplicates(answer: Any) -> None:
    """Nine and ten shingles of three words, nine in common."""
    (group,) = answer["groups"]
    assert [member["index"] for member in group["members"]] == [0, 2]
    assert math.isclose(min(member["similarity"] for member in group["members"]), 0.9)


def _clusters(answer: Any) -> None:
    groups = {frozenset(member["index"] for member in cluster["members"]) for cluster in answer["clusters"]}
    assert groups == {frozenset(range(4)), frozenset(range(4, 8))}


def _tokens(answer: Any) -> None:
    """OpenAI's cookbook, "How to count tokens with tiktoken"."""
    assert answer["results"] == [{"tokens": 6, "ids": [83, 1609, 5963, 374, 2294, 0]}]


def _chunks(answer: Any) -> None:
    assert [(chunk["heading"], chunk["start"], chunk["end"]) for chunk in answer["chunks"]] == [
        ("Returns", 0, 26),
        ("Shipping", 29, 51),
    ]


def _misspelt(answer: Any) -> None:
    (found,) = answer["misspellings"]
    assert (found["start"], found["end"], found["suggestions"][0]["word"]) == (7, 14, "receive")


def _readable(answer: Any) -> None:
    """Wikipedia, "Flesch–Kincaid readability tests": 116."""
    assert math.isclose(answer["flesch_reading_ease"], 116.145, abs_tol=0.001)


def _compared(answer: Any) -> None:
    (change,) = answer["changes"]
    assert change["kind"] == "reworded"
    assert change["numbers"] == {"removed": ["30"], "added": ["60"]}


CASES = [
    _post(
        "/v1/rerank",
        {"query": "E-4031", "documents": SUPPORT, "top_n": 1, "return_documents": True},
        _reranked,
        EMBEDDED,
    ),
    _post("/v1/text/search", {"query": "when must a bill be paid", "texts": SUPPORT}, _found, EMBEDDED),
    _post(
        "/v1/text/similarity",
        {"pairs": [["kitten", "sitting"], ["Saturday", "Sunday"]], "method": "edit"},
        _edit_distances,
        COMPUTE,
    ),
    _post(
        "/v1/text/classify",
        {"texts": ["She won the tennis final.", "Stir the soup."], "labels": ["sports", "cooking"]},
        _classified,
        EMBEDDED,
    ),
    _post(
        "/v1/text/moderate",
        {"texts": ["Kill the background process.", "I will kill you tonight."]},
        _moderated,
        EMBEDDED,
    ),
    _post(
        "/v1/moderations",
        {"model": "text-moderation-rules-1", "input": "I will kill you tonight."},
        _moderated_as_openai,
        EMBEDDED,
    ),
    _post(
        "/v1/text/language",
        {
            "texts": [
                "Vsi ljudje se rodijo svobodni in imajo enako dostojanstvo in enake pravice.",
                "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
            ]
        },
        _identified,
        COMPUTE,
    ),
    _post(
        "/v1/text/keywords",
        {"text": "Solar panels turn sunlight into electricity.", "max_words": 2, "top_k": 1},
        _keywords,
        EMBEDDED,
    ),
    _post(
        "/v1/text/summarize",
        {
            "text": "Solar panels turn sunlight into electricity. My neighbour owns a brown dog. A household can sell "
            "solar electricity. Batteries keep electricity for the night.",
            "sentences": 2,
        },
        _summary,
        EMBEDDED,
    ),
    _post("/v1/text/pii/detect", {"text": "ana@example.si owes SI56 2633 0001 2039 086."}, _detected, COMPUTE),
    _post("/v1/text/pii/redact", {"text": "ana@example.si pays with 4111 1111 1111 1111"}, _redacted, COMPUTE),
    Operation(
        "POST", "/v1/text/pii/restore", {"text": "<EMAIL_1>", "restore_key": "AAAA"}, _refused_key, frozenset(), 400
    ),
    _post(
        "/v1/text/duplicates",
        {
            "texts": [
                "one two three four five six seven eight nine ten eleven",
                "something else",
                "one two three four five six seven eight nine ten eleven twelve",
            ],
            "threshold": 0.85,
        },
        _duplicates,
        COMPUTE,
    ),
    _post("/v1/text/cluster", {"texts": SUBJECTS, "clusters": 2}, _clusters, EMBEDDED),
    _post(
        "/v1/text/tokens",
        {"texts": ["tiktoken is great!"], "tokenizer": "cl100k_base", "ids": True},
        _tokens,
        COMPUTE,
    ),
    _post(
        "/v1/text/chunk",
        {"text": "# Returns\n\nWithin 30 days.\n\n\n# Shipping\n\nEvery day.", "by": "headings"},
        _chunks,
        COMPUTE,
    ),
    _post("/v1/text/spelling", {"text": "Please recieve my regards."}, _misspelt, COMPUTE),
    _post("/v1/text/readability", {"text": "The cat sat on the mat."}, _readable, COMPUTE),
    _post(
        "/v1/text/compare",
        {"before": "The notice period is 30 days.", "after": "The period of notice is 60 days."},
        _compared,
        EMBEDDED,
    ),
]
