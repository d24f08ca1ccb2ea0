"""POST /v1/text/moderate and /v1/moderations."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omni.inference.language.minilm import MiniLm
from omni.inference.language.models import MINILM
from omni.inference.language.moderation.folding import fold, readable
from omni.inference.language.moderation.matching import Matcher
from omni.inference.language.moderation.meaning import Meaning
from omni.inference.settings import InferenceSettings
from tests.inference.backend import Backend, refusal, usage
from tests.inference.language.moderated import HARMFUL, HARMLESS, HELD_OUT_HARMFUL, HELD_OUT_HARMLESS
from tools.moderation_weights import CLASSES, fitted, prototypes, vectors

PATH, OPENAI = "/v1/text/moderate", "/v1/moderations"
MODEL = "text-moderation-rules-1"
MATCHER = Matcher()


async def moderate(engines: Backend, texts: list[str], **more: object) -> list[dict[str, Any]]:
    response = await engines.post(PATH, {"texts": texts, **more})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def words(text: str) -> dict[str, float]:
    """The strongest word or phrase of each category, by rule."""
    found: dict[str, float] = {}
    for match in MATCHER.find(text, lambda: 1.0):
        found[match.rule] = max(found.get(match.rule, 0.0), match.score)
    return found


@pytest.mark.parametrize(
    ("harmful", "harmless", "recall", "precision"),
    [(HARMFUL, HARMLESS, 0.95, 0.93), (HELD_OUT_HARMFUL, HELD_OUT_HARMLESS, 0.8, 0.93)],
    ids=["tuned", "held out"],
)
async def test_most_of_what_is_bad_is_found_and_little_else(
    engines: Backend,
    harmful: tuple[tuple[str, tuple[str, ...]], ...],
    harmless: tuple[str, ...],
    recall: float,
    precision: float,
) -> None:
    texts = [*(text for text, _ in harmful), *harmless]
    flags = [
        result["flagged"]
        for first in range(0, len(texts), 64)
        for result in await moderate(engines, texts[first : first + 64])
    ]
    found, wrong = sum(flags[: len(harmful)]), sum(flags[len(harmful) :])
    assert found / len(harmful) >= recall
    assert found / (found + wrong) >= precision


def test_no_sentence_is_both_learnt_and_tested() -> None:
    tested = {text for text, _ in (*HARMFUL, *HELD_OUT_HARMFUL)} | {*HARMLESS, *HELD_OUT_HARMLESS}
    assert len(tested) >= 240
    assert not tested & {sentence for _, sentence in prototypes()}


@pytest.mark.parametrize(
    "text",
    [
        "idiot", "1d10t", "i d i o t", "i.d.i.o.t", "id*ot", "idiiiiot", "\u0456di\u043et", "\u00efd\u00ee\u00f6t",
        "IDIOT!!", "idi\u200bot", "!diot",
    ],
)  # fmt: skip
def test_disguises_are_seen_through_and_places_are_exact(text: str) -> None:
    whole = f"You {text} there."
    matches = [match for match in MATCHER.find(whole, lambda: 1.0) if match.rule == "idiot"]
    assert matches
    assert {whole[match.start : match.end].strip("!") for match in matches} == {text.strip("!")}


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe", "assess the class", "cumin and shiitake", "Order 455 costs $55, A55 costs 5417",
        "I s u p p o s e", "4th, 5pm, mp3, h264", "S c u n t h o r p e", "The cock crowed on the farm", "Great tits",
        "magna cum laude", "**", "C# and F#", "Dickens wrote it", "a cocker spaniel", "The bitch had puppies",
        "Do you trash old files?",
    ],
)  # fmt: skip
def test_words_inside_words_and_other_senses_are_left_alone(text: str) -> None:
    assert words(text) == {}


def test_what_is_negated_quoted_or_reported_counts_less() -> None:
    said = words("You are an idiot.")
    assert said["insult"] == said["idiot"] == 0.8
    assert words("You are not an idiot.")["idiot"] == pytest.approx(0.8 * 0.3)
    assert words("The \u201cidiot\u201d of the novel is a prince.")["idiot"] == pytest.approx(0.4 * 0.5)
    assert words("She said that you are an idiot.")["insult"] == pytest.approx(0.8 * 0.6)
    assert words("Call me back, you idiot.")["idiot"] == 0.8, "nobody is told of"
    assert words("An idiot.")["idiot"] == 0.4, "said to nobody"


async def test_reasons_say_what_speaks_for_a_category_and_where(engines: Backend) -> None:
    text = "Good morning, everybody. This is sh1t, and y0u are an \u201cidiot\u201d!"
    (result,) = await moderate(engines, [text])
    assert result["flagged"]
    assert result["categories"]["profanity"]
    for reason in result["reasons"]:
        assert text[reason["start"] : reason["end"]] == reason["text"]
    by_rule = {reason["rule"]: reason for reason in result["reasons"]}
    assert (by_rule["shit"]["text"], by_rule["shit"]["kind"]) == ("sh1t", "word")
    assert by_rule["idiot"]["cautions"] == ["quoted"]
    assert by_rule["meaning"]["text"].startswith("This is sh1t")
    best: dict[tuple[str, bool], float] = {}
    for reason in result["reasons"]:
        key = (reason["category"], reason["kind"] == "meaning")
        best[key] = max(best.get(key, 0.0), reason["score"])
    for category, score in result["scores"].items():
        word, meant = best.get((category, False), 0.0), best.get((category, True), 0.0)
        if word + meant > 0:
            assert score == pytest.approx(min(0.99, 1 - (1 - word) * (1 - meant)), abs=2e-4)


async def test_one_bad_sentence_is_found_in_a_long_text(engines: Backend) -> None:
    calm = "The meeting was moved to Thursday and the invoice is due in June. " * 40
    (quiet,) = await moderate(engines, [calm])
    (loud,) = await moderate(engines, [f"{calm} I will kill you when I find you. {calm}"])
    assert not quiet["flagged"]
    assert loud["categories"]["violence"]
    assert all("kill" in reason["text"] for reason in loud["reasons"] if reason["score"] > 0.5)


async def test_thresholds_are_the_callers(engines: Backend) -> None:
    text = "The weather was shitty."
    assert (await moderate(engines, [text]))[0]["categories"]["profanity"]
    (high,) = await moderate(engines, [text], thresholds={"profanity": 0.95})
    assert not high["flagged"]
    (never,) = await moderate(engines, ["fuck you"], threshold=1)
    assert not never["flagged"]
    (always,) = await moderate(engines, ["Hello."], threshold=0)
    assert all(always["categories"].values())


async def test_usage_and_what_is_not_covered(engines: Backend) -> None:
    response = await engines.post(PATH, {"texts": ["You are kind.", "\u2014 \u2026"]})
    answer = response.json()
    assert (answer["model"], response.headers["omni-model"]) == (MODEL, MODEL)
    assert "languages other than English" in answer["not_covered"]
    assert usage(response)["input_tokens"] == 6, "one sentence of four tokens with its frame"
    assert answer["results"][1]["reasons"] == []
    again = await engines.post(PATH, {"texts": ["You are kind.", "\u2014 \u2026"]})
    assert again.json() == answer


async def test_weights_are_what_the_tool_makes_of_the_prototypes(inference_settings: InferenceSettings) -> None:
    """Fitted again on vectors computed again."""
    names, sentences = zip(*prototypes(), strict=True)
    embedded = vectors(MiniLm(MINILM, Path(inference_settings.model_cache), 1), list(sentences))
    model = fitted(embedded, np.array([CLASSES.index(name) for name in names]))
    stored = Meaning(MINILM.name)
    assert np.allclose(stored._weights, model.coef_, atol=0.1)
    assert np.allclose(stored._intercepts, model.intercept_, atol=0.1)


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights\.json"):
        Meaning("other")


async def test_openais_shape(engines: Backend) -> None:
    response = await engines.post(OPENAI, {"model": MODEL, "input": ["I will kill you.", "Good morning."]})
    answer = response.json()
    first, second = answer["results"]
    assert (first["flagged"], second["flagged"]) == (True, False)
    assert first["categories"]["violence"]
    assert answer["id"].startswith("modr-")
    applied = first["category_applied_input_types"]
    assert (applied["violence"], applied["sexual/minors"]) == (["text"], [])
    assert first["categories"].keys() == first["category_scores"].keys() == applied.keys()
    (own,) = await moderate(engines, ["I will kill you."])
    assert first["category_scores"]["violence"] == own["scores"]["violence"]


async def test_parts_have_one_result_together(engines: Backend) -> None:
    parts = [{"type": "text", "text": text} for text in ("Good morning.", "I will kill you.")]
    answer = (await engines.post(OPENAI, {"model": MODEL, "input": parts})).json()
    assert [result["flagged"] for result in answer["results"]] == [True]
    picture = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    assert refusal(await engines.post(OPENAI, {"model": MODEL, "input": picture})) == (400, "invalid_request")


async def test_profanity_is_no_category_of_openais(engines: Backend) -> None:
    (result,) = (await engines.post(OPENAI, {"model": MODEL, "input": "Holy shit, it works."})).json()["results"]
    assert not result["flagged"]


async def test_a_model_that_the_plan_does_not_have_is_not_found(engines: Backend) -> None:
    narrow = Backend(engines.app, models=frozenset(("all-MiniLM-L6-v2",)))
    missing = await engines.post(OPENAI, {"model": "other", "input": "x"})
    denied = await narrow.post(OPENAI, {"model": MODEL, "input": "x"})
    assert refusal(missing) == refusal(denied) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"texts": []}, "invalid_request"),
        ({"texts": ["x"] * 65}, "invalid_request"),
        ({"texts": ["x" * 8_193]}, "invalid_request"),
        ({"texts": ["x"], "threshold": 1.5}, "invalid_request"),
        ({"texts": ["x"], "thresholds": {"rudeness": 0.5}}, "invalid_request"),
        ({"texts": ["x", " \n"]}, "input_empty"),
        ({"texts": ["a1 " * 2_700] * 64}, "too_many_tokens"),
    ],
)  # fmt: skip
async def test_bad_input_is_refused(engines: Backend, body: dict[str, object], code: str) -> None:
    assert refusal(await engines.post(PATH, body)) == (400, code)


@pytest.mark.parametrize("unit", ["a", "fuck ", "f ", "*", "1", "you are so ", "!|+", "\u0456", "“", "a. "])
def test_hostile_texts_are_soon_read(unit: str) -> None:
    text = unit * (8_192 // len(unit))
    began = time.thread_time()
    MATCHER.find(text, lambda: 1.0)
    readable(fold(text))
    assert time.thread_time() - began < 1.0, "seconds of CPU; what is usual takes some hundredths"
