"""POST /v1/text/spelling and /v1/text/readability."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.inference.language.writing.dictionary import Dictionary, edit_distances
from omni.inference.language.writing.readability import readability
from omni.inference.language.writing.schemas import TextCounts
from omni.inference.language.writing.syllables import syllables
from tests.inference.backend import Backend, refusal, usage

SPELLING, READABILITY = "/v1/text/spelling", "/v1/text/readability"


async def post(engines: Backend, path: str, body: object) -> dict[str, Any]:
    response = await engines.post(path, body)
    assert response.status_code == 200, response.text
    assert set(usage(response)) == {"compute_ms"}
    answer: dict[str, Any] = response.json()
    return answer


# Wikipedia's "List of common misspellings in English".
COMMON = {
    "recieve": "receive", "definately": "definitely", "seperate": "separate", "occured": "occurred", "untill": "until",
    "wich": "which", "becuase": "because", "goverment": "government", "tommorow": "tomorrow",
    "accomodation": "accommodation", "neccessary": "necessary",
    "publically": "publicly", "calender": "calendar", "enviroment": "environment",
}  # fmt: skip


async def test_common_misspellings_are_corrected(engines: Backend) -> None:
    answer = await post(engines, SPELLING, {"text": " ".join(COMMON)})
    found = {item["word"]: [near["word"] for near in item["suggestions"]] for item in answer["misspellings"]}
    right = [word for word, meant in COMMON.items() if meant in found.get(word, [])]
    assert len(right) >= len(COMMON) - 1
    firsts = [word for word, meant in COMMON.items() if found.get(word, [""])[0] == meant]
    assert len(firsts) >= 0.8 * len(COMMON)
    assert answer["model"] == "pyspellchecker-0.9.1/en"


async def test_places_are_exact_and_much_is_left_out(engines: Backend) -> None:
    text = (
        "🎉 Plese write to joe@exmple.com or visit https://exmple.com/pth, says Kubernetes. `kubctl aply` runs "
        "foo_bar in ./srcc/mian.py for NASA with 3kg of sugr.\n```\ncoed blokc\n```\nDon't use well-known teh dog's "
        "omnigate thing."
    )
    answer = await post(engines, SPELLING, {"text": text, "ignore": ["OmniGate"]})
    assert [item["word"] for item in answer["misspellings"]] == ["Plese", "sugr", "teh"]
    for item in answer["misspellings"]:
        assert text[item["start"] : item["end"]] == item["word"]
    assert answer["misspellings"][0]["suggestions"][0] == {"word": "please", "distance": 1}
    assert answer["misspellings"][2]["suggestions"][0] == {"word": "the", "distance": 1}


async def test_names_are_checked_on_request(engines: Backend) -> None:
    body = {"text": "We met Mr Zxqwvk in Berlin.", "ignore_capitalized": False, "suggestions": 0}
    answer = await post(engines, SPELLING, body)
    assert [(item["word"], item["suggestions"]) for item in answer["misspellings"]] == [("Zxqwvk", [])]


async def test_other_languages(engines: Backend) -> None:
    answer = await post(engines, SPELLING, {"text": "Das ist ein schönes Hauus.", "language": "de"})
    assert [item["word"] for item in answer["misspellings"]] == []
    answer = await post(
        engines, SPELLING, {"text": "Das ist ein schönes Hauus.", "language": "de", "ignore_capitalized": False}
    )
    assert answer["misspellings"][0]["suggestions"][0]["word"] == "haus"


def test_distances_count_swaps_of_neighbours() -> None:
    """Damerau's edits by hand: a swap is one."""
    others = np.array([[ord(letter) for letter in word] for word in ("the", "tea", "eth", "xyz")], np.uint32)
    word = np.array([ord(letter) for letter in "teh"], np.uint32)
    assert edit_distances(word, others).tolist() == [1, 1, 1, 3]


@given(st.text("abc", min_size=1, max_size=7), st.lists(st.text("abc", min_size=1, max_size=7), min_size=1, max_size=8))
def test_nothing_near_is_missed(word: str, known: list[str]) -> None:
    """Against the textbook's recurrence, word by word."""
    expected = {other: distance for other in known if (distance := _osa(word, other)) <= 2}
    assert dict(Dictionary(dict.fromkeys(known, 1)).near(word, 100)) == expected


def _osa(left: str, right: str) -> int:
    table = {(i, -1): i + 1 for i in range(-1, len(left))} | {(-1, j): j + 1 for j in range(-1, len(right))}
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            best = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a != b))
            if i and j and a == right[j - 1] and left[i - 1] == b:
                best = min(best, table[i - 2, j - 2] + 1)
            table[i, j] = best
    return table[len(left) - 1, len(right) - 1]


@pytest.mark.parametrize(
    ("text", "measure", "expected", "tolerance"),
    [
        # Wikipedia, "Flesch–Kincaid readability tests".
        ("The cat sat on the mat.", "flesch_reading_ease", 116, 0.5),
        (
            "This sentence, taken as a reading passage unto itself, is being used to prove a point.",
            "flesch_reading_ease", 69, 0.5,
        ),
        # Wikipedia, "Coleman–Liau index": the abstract of the paper that introduced it.
        (
            "Existing computer programs that measure readability are based largely upon subroutines which "
            "estimate number of syllables, usually by counting vowels. The shortcoming in estimating syllables is "
            "that it necessitates keypunching the prose into the computer. There is no need to estimate syllables "
            "since word length in letters is a better predictor of readability than word length in syllables. "
            "Therefore, a new readability formula was computed that has for its predictors letters per 100 words "
            "and sentences per 100 words. Both predictors can be counted by an optical scanning device, and thus "
            "the formula makes it economically feasible for an organization such as the U.S. Office of Education "
            "to calibrate the readability of all textbooks for the public school system.",
            "coleman_liau", 14.5, 0.15,
        ),
    ],
)  # fmt: skip
async def test_published_values(engines: Backend, text: str, measure: str, expected: float, tolerance: float) -> None:
    assert (await post(engines, READABILITY, {"text": text}))[measure] == pytest.approx(expected, abs=tolerance)


def test_the_published_value_of_published_counts() -> None:
    """Wikipedia counts 24 syllables in 13 words about the platypus (a dictionary has 26): 37.5 and grade 11.3."""
    counts = TextCounts(sentences=1, words=13, letters=68, syllables=24, polysyllables=4, complex_words=3, long_words=5)
    found = readability(counts)
    assert found.flesch_reading_ease == pytest.approx(37.5, abs=0.05)
    assert found.flesch_kincaid_grade == pytest.approx(11.3, abs=0.05)


async def test_every_formula_by_hand(engines: Backend) -> None:
    """30 sentences of 5 words, 28 letters and 8 syllables; `beautiful` is complex, it and `kittens` are long."""
    answer = await post(engines, READABILITY, {"text": "Two beautiful kittens sleep here. " * 30})
    assert answer["counts"] == {
        "sentences": 30, "words": 150, "letters": 840, "syllables": 240, "polysyllables": 30, "complex_words": 30,
        "long_words": 60,
    }  # fmt: skip
    expected = {
        "flesch_reading_ease": 206.835 - 1.015 * 5 - 84.6 * 1.6,
        "flesch_kincaid_grade": 0.39 * 5 + 11.8 * 1.6 - 15.59,
        "gunning_fog": 0.4 * (5 + 20),
        "smog": 1.0430 * 30**0.5 + 3.1291,
        "coleman_liau": 0.0588 * 560 - 0.296 * 20 - 15.8,
        "automated_readability": 4.71 * 5.6 + 0.5 * 5 - 21.43,
        "lix": 5 + 40,
    }
    assert {name: answer[name] for name in expected} == pytest.approx(expected)


async def test_smog_is_absent_for_short_texts(engines: Backend) -> None:
    assert (await post(engines, READABILITY, {"text": "Short. Text."}))["smog"] is None


# By the CMU Pronouncing Dictionary; other words than the rules were made with.
SYLLABLES = {
    1: "length breathed noise laughed school queue bridge friends clothes months horse change stopped",
    2: "teacher kitchen window garden money weather mother engine pencil purple middle castle doctor traveled painted",
    3: "yesterday tomorrow hospital electric wonderful telephone November potato musician direction vacation adventure",
    4: "information understanding particular political television population necessary comfortable dictionary economy",
    5: "university communication opportunity organization international refrigerator electricity imagination",
}


def test_most_syllables_are_right() -> None:
    words = [(word, count) for count, line in SYLLABLES.items() for word in line.split()]
    right = [word for word, count in words if syllables(word) == count]
    assert len(right) / len(words) >= 0.95


@given(st.text(max_size=30))
def test_every_word_has_a_syllable(word: str) -> None:
    assert syllables(word) >= 1


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (SPELLING, {"text": ""}, "invalid_request"),
        (SPELLING, {"text": "x" * 20_001}, "invalid_request"),
        (SPELLING, {"text": "x", "language": "sl"}, "invalid_request"),
        (SPELLING, {"text": "x", "suggestions": 11}, "invalid_request"),
        (READABILITY, {"text": "… !"}, "input_empty"),
        (READABILITY, {"text": "x", "language": "de"}, "invalid_request"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, path: str, body: dict[str, object], code: str) -> None:
    assert refusal(await engines.post(path, body)) == (400, code)
