"""POST /v1/text/language."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inference.backend import Backend, refusal, usage

PATH = "/v1/text/language"
# The first article of the Universal Declaration of Human Rights, as the United Nations publish it.
ARTICLE_1 = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience "
    "and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt "
    "und sollen einander im Geist der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di "
    "coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y "
    "conciencia, deben comportarse fraternalmente los unos con los otros.",
    "sl": "Vsi ljudje se rodijo svobodni in imajo enako dostojanstvo in enake pravice. Obdarjeni so z razumom in "
    "vestjo in bi morali ravnati drug z drugim kakor bratje.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en "
    "geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i "
    "sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "hu": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és "
    "lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и "
    "должны поступать в отношении друг друга в духе братства.",
}  # fmt: skip


async def identify(engines: Backend, **body: object) -> list[dict[str, Any]]:
    response = await engines.post(PATH, body)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


async def test_texts_of_some_length_are_identified_among_all_languages(engines: Backend) -> None:
    response = await engines.post(PATH, {"texts": list(ARTICLE_1.values())})
    answer = response.json()
    assert [result["language"] for result in answer["results"]] == list(ARTICLE_1)
    for result in answer["results"]:
        confidences = [item["confidence"] for item in result["confidences"]]
        assert confidences == sorted(confidences, reverse=True)
        assert len(confidences) <= 3
    assert answer["model"].startswith("lingua-")
    assert answer["model"].endswith("-low-accuracy")
    assert set(usage(response)) == {"compute_ms"}


async def test_naming_the_languages_helps_short_texts(engines: Backend) -> None:
    (short,) = await identify(engines, texts=["Danes je lep dan."], languages=["sl", "en", "de"], top_k=75)
    assert short["language"] == "sl"
    assert sum(item["confidence"] for item in short["confidences"]) == pytest.approx(1.0)


async def test_a_text_is_cut_where_its_language_changes(engines: Backend) -> None:
    """After a letter that takes four bytes: offsets are characters. `Ja!` is too short to be anything by itself."""
    text = f"🎉 {ARTICLE_1['fr']} Ja! {ARTICLE_1['de']}\n\n{ARTICLE_1['en']}"
    (result,) = await identify(engines, texts=[text], languages=["en", "fr", "de", "sl"], segments=True)
    cut = [(segment["language"], text[segment["start"] : segment["end"]]) for segment in result["segments"]]
    assert cut == [("fr", f"🎉 {ARTICLE_1['fr']} Ja!"), ("de", ARTICLE_1["de"]), ("en", ARTICLE_1["en"])]


@pytest.mark.parametrize("text", ["12345 + 67", "\u0000", "🎉🎉", " "])
async def test_a_text_without_letters_has_no_language(engines: Backend, text: str) -> None:
    (result,) = await identify(engines, texts=[text], segments=True)
    assert (result["language"], result["confidences"], result["segments"]) == (None, [], [])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"texts": []}, "invalid_request"),
        ({"texts": [""]}, "invalid_request"),
        ({"texts": ["x" * 20_001]}, "invalid_request"),
        ({"texts": ["x"], "languages": ["en"]}, "invalid_request"),
        ({"texts": ["x"], "languages": ["en", "en"]}, "language_not_supported"),
        ({"texts": ["x"], "languages": ["en", "xx"]}, "language_not_supported"),
        ({"texts": ["x"], "languages": ["en", "German"]}, "invalid_request"),
        ({"texts": ["word " * 4_000] * 3, "segments": True}, "text_too_long"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, object], code: str) -> None:
    assert refusal(await engines.post(PATH, body)) == (400, code)
