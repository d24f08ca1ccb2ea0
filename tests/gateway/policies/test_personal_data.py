"""What is found in texts, what is not, and that streams find the same wherever they are cut."""

from __future__ import annotations

import random
import time

import pytest

from omni.gateway.policies.personal_data import LONGEST, find
from omni.gateway.policies.redaction import Placeholders, TextRedactor, redacted

FOUND = (
    ("EMAIL", "ana.novak+news@mail.example.co.uk"),
    ("EMAIL", "ANA@EXAMPLE.SI"),
    ("EMAIL", "žiga@example.si"),
    ("IBAN", "SI56 1910 0000 0123 438"),
    ("IBAN", "GB29NWBK60161331926819"),
    ("IBAN", "de89 3704 0044 0532 0130 00"),
    ("IBAN", "NO93 8601 1117 947"),
    ("CARD", "4111 1111 1111 1111"),
    ("CARD", "4111-1111-1111-1111"),
    ("CARD", "378282246310005"),
    ("CARD", "6011000990139424"),
    ("CARD", "30569309025904"),
    ("PHONE", "+386 41 123 456"),
    ("PHONE", "+386 (0)41 123-456"),
    ("PHONE", "0038641123456"),
    ("PHONE", "(555) 123-4567"),
    ("PHONE", "555-123-4567"),
    ("PHONE", "041 123 456"),
    ("PHONE", "01/234 56 78"),
    ("IP", "192.168.10.1"),
    ("IP", "2001:db8::8a2e:370:7334"),
    ("IP", "fe80::1"),
    ("EMSO", "0101006500006"),
    ("SSN", "078-05-1120"),
    ("DNI", "12345678Z"),
    ("DNI", "X1234567L"),
    ("CODICE_FISCALE", "RSSMRA85T10A562S"),
    ("NIR", "1 84 12 76 451 089 46"),
    ("NIR", "184127645108946"),
)
NOT_FOUND = (
    "12:30:45", "1.2.3", "2024-01-15", "2024-01-15T12:30:45Z", "1700000000000000", "std::vector<int>", "a::b",
    "ISBN 9783161484100", "3.14159265358979", "$1,234,567.89", "v1.2.3.4.5", "order 12345678", "999.1.1.1",
    "4111 1111 1111 1112", "SI56 1910 0000 0123 439", "GB29NWBK60161331926818", "0101006500007", "3213006500006",
    "666-05-1120", "123-00-1120", "12345678A", "RSSMRA85T10A562T", "184127645108947", "user@localhost", "@ana", "a@b",
    "15012557", "0x1F4", "1/2/3", "100 000 000", "192.168", "C1234567", "Room 041", "+1", "10 20 30 40 50",
)  # fmt: skip


def kinds(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for start, end, kind in find(text)]


@pytest.mark.parametrize(("kind", "value"), FOUND, ids=[value for _, value in FOUND])
@pytest.mark.parametrize("around", ["{}", "It is {}.", "({}),", '"{}"', "It is {} and more", "x:\n{}\nnext"])
def test_what_is_personal_is_found(kind: str, value: str, around: str) -> None:
    assert kinds(around.format(value)) == [(kind, value)]


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert kinds(text) == []
    assert kinds(f"It is {text}, they say.") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("davčna številka: 15012557", "15012557"),
        ("ID za DDV SI15012557", "15012557"),
        ("VAT no. SI 15012557.", "15012557"),
        ("davčna številka: 15012558", None),
        ("naročilo 15012557", None),
    ],
)
def test_a_tax_number_needs_a_word_for_it(text: str, found: str | None) -> None:
    assert kinds(text) == ([("SI_TAX", found)] if found else [])


def test_one_value_has_one_placeholder() -> None:
    text = "A@b.si, c@d.si, a@B.si; call 041 123 456 or 041-123-456."
    placeholders = Placeholders()
    redactor = TextRedactor(placeholders)
    out = redactor.feed(text) + redactor.end()
    assert out == "[EMAIL_1], [EMAIL_2], [EMAIL_1]; call [PHONE_1] or [PHONE_1]."


EVERYTHING = " and ".join(f"{value}, then {word}" for (_, value), word in zip(FOUND, NOT_FOUND, strict=False))
EVERYTHING += ". Davčna številka stranke: 15012557, not 15012557."


def in_pieces(text: str, *cuts: int) -> tuple[str, int]:
    """The text redacted in pieces, and the most that was held back."""
    redactor = TextRedactor(Placeholders())
    out, held, start = "", 0, 0
    for cut in (*cuts, len(text)):
        out += redactor.feed(text[start:cut])
        held = max(held, redactor.held_chars)
        start = cut
    return out + redactor.end(), held


def test_wherever_a_text_is_cut_the_same_is_found() -> None:
    whole, _ = in_pieces(EVERYTHING)
    assert whole.count("[") == len(FOUND) + 1
    for cut in range(len(EVERYTHING) + 1):
        assert in_pieces(EVERYTHING, cut)[0] == whole
    by_sign, held = in_pieces(EVERYTHING, *range(len(EVERYTHING)))
    assert by_sign == whole
    assert held <= LONGEST


def test_random_texts_in_random_pieces() -> None:
    rng = random.Random(20)
    scraps = [value for _, value in FOUND] + ["12 ", "ab ", "\n", "  ", "0", "1", "99 88 77 ", "::1", "GB29", "word, "]
    for _ in range(150):
        text = "".join(rng.choice(scraps) + rng.choice(("", " ", ", ")) for _ in range(40))
        whole, _ = in_pieces(text)
        for _ in range(4):
            cuts = sorted(rng.randrange(len(text)) for _ in range(rng.randrange(60)))
            out, held = in_pieces(text, *cuts)
            assert out == whole
            assert held <= LONGEST


def test_prose_holds_back_a_word() -> None:
    redactor = TextRedactor(Placeholders())
    assert redactor.feed("The quick brown fo") == "The quick brown "
    assert redactor.held_chars == 2
    assert redactor.feed("x jumps") == "fox "


def test_a_bare_number_in_the_arguments_of_a_tool_stays_a_number() -> None:
    redactor = TextRedactor(Placeholders(), is_json=True)
    text = '{"card":4111111111111111,"mail":"a@b.si"}'
    assert redactor.feed(text) + redactor.end() == '{"card":0,"mail":"[EMAIL_1]"}'


async def test_a_long_text_is_the_same_in_turns() -> None:
    text = EVERYTHING * 20
    assert await redacted(text, Placeholders()) == in_pieces(text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "1" * 200_000, "12 " * 30_000, "@a" * 100_000, ":1" * 100_000, "a" * 200_000 + "1", "1." * 100_000,
        "+(" * 100_000 + "1", "a.b-" * 50_000 + "@1", "GB29 " * 20_000, "1 (" * 60_000, "a@" + "b." * 80_000 + "1",
    ],
    ids=["digits", "groups", "at", "colons", "letters", "dots", "plus", "local part", "iban", "brackets", "labels"],
)  # fmt: skip
def test_hostile_texts_cost_no_more_than_long_ones(text: str) -> None:
    began = time.perf_counter()
    list(find(text))
    assert time.perf_counter() - began < 3
