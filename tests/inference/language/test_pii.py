"""POST /v1/text/pii/detect, /redact and /restore."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.inference.language.pii.detector import Detector
from omni.inference.language.pii.matches import Match, resolved
from omni.inference.language.pii.tokens import RestoreKeys, replaced, restored, stand_ins, token_names
from omni.kit.errors import InvalidInput
from tests.inference.backend import Backend, refusal, usage

DETECT, REDACT, RESTORE = (f"/v1/text/pii/{name}" for name in ("detect", "redact", "restore"))


def found(text: str, least: str = "medium", regions: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    """Type, rule and text of what is found."""
    matches = Detector().find(text, None, least, regions, lambda: 1.0)  # type: ignore[arg-type]
    return [(match.type, match.rule, text[match.start : match.end]) for match in matches]


# Valid numbers that others publish: SWIFT's IBAN registry, the card networks' test cards, RFCs and BIPs, and the
# documentation of python-stdnum and of the issuing authorities for national numbers.
PUBLISHED = [
    ("EMAIL", "email", "john.q+news@mail.example.co.uk"),
    ("EMAIL", "email", "Jürgen_Groß@bücher.example"),
    ("IBAN", "iban_si", "SI56 2633 0001 2039 086"),
    ("IBAN", "iban_de", "DE89370400440532013000"),
    ("IBAN", "iban_gb", "GB29 NWBK 6016 1331 9268 19"),
    ("IBAN", "iban_mt", "MT84MALT011000012345MTLCAST001S"),
    ("IBAN", "iban_no", "NO93 8601 1117 947"),
    ("PAYMENT_CARD", "visa", "4111 1111 1111 1111"),
    ("PAYMENT_CARD", "visa", "4242424242424242"),
    ("PAYMENT_CARD", "mastercard", "5555-5555-5555-4444"),
    ("PAYMENT_CARD", "mastercard", "2223003122003222"),
    ("PAYMENT_CARD", "american_express", "3782 822463 10005"),
    ("PAYMENT_CARD", "diners_club", "3056 9300 0902 0004"),
    ("PAYMENT_CARD", "discover", "6011111111111117"),
    ("PAYMENT_CARD", "jcb", "3566002020360505"),
    ("IP_ADDRESS", "ipv4", "192.0.2.146"),
    ("IP_ADDRESS", "ipv6", "2001:db8::8a2e:370:7334"),
    ("IP_ADDRESS", "ipv6", "::ffff:192.0.2.128"),
    ("MAC_ADDRESS", "mac", "00:00:5E:00:53:AF"),
    ("MAC_ADDRESS", "mac_dotted", "0000.5e00.53af"),
    ("VAT_ID", "vat_si", "SI50223054"),
    ("VAT_ID", "vat_at", "ATU13585627"),
    ("VAT_ID", "vat_be", "BE0403019261"),
    ("VAT_ID", "vat_de", "DE136695976"),
    ("VAT_ID", "vat_dk", "DK13585628"),
    ("VAT_ID", "vat_ee", "EE100931558"),
    ("VAT_ID", "vat_el", "EL094259216"),
    ("VAT_ID", "vat_es", "ESB58378431"),
    ("VAT_ID", "vat_fi", "FI20774740"),
    ("VAT_ID", "vat_fr", "FR40303265045"),
    ("VAT_ID", "vat_hr", "HR33392005961"),
    ("VAT_ID", "vat_hu", "HU12892312"),
    ("VAT_ID", "vat_it", "IT00743110157"),
    ("VAT_ID", "vat_lu", "LU15027442"),
    ("VAT_ID", "vat_mt", "MT11679112"),
    ("VAT_ID", "vat_nl", "NL004495445B01"),
    ("VAT_ID", "vat_pl", "PL8567346215"),
    ("VAT_ID", "vat_pt", "PT501964843"),
    ("VAT_ID", "vat_ro", "RO18547290"),
    ("VAT_ID", "vat_se", "SE123456789701"),
    ("VAT_ID", "vat_sk", "SK2022749619"),
    ("NATIONAL_ID", "si_emso", "0101006500006"),
    ("NATIONAL_ID", "de_steuer_id", "36574261809"),
    ("NATIONAL_ID", "it_codice_fiscale", "RCCMNL83S18D969H"),
    ("NATIONAL_ID", "us_ssn", "536-90-4399"),
    ("NATIONAL_ID", "uk_nhs", "943 476 5919"),
    ("NATIONAL_ID", "es_dni", "54362315K"),
    ("NATIONAL_ID", "es_nie", "X-2482300W"),
    ("NATIONAL_ID", "fr_nir", "2 95 10 99 126 111 93"),
    ("NATIONAL_ID", "pl_pesel", "44051401359"),
    ("NATIONAL_ID", "se_personnummer", "880320-0016"),
    ("CRYPTO_ADDRESS", "bitcoin_base58", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("CRYPTO_ADDRESS", "bitcoin_base58", "3P14159f73E4gFr7JterCCQh9QjiTjiZrG"),
    ("CRYPTO_ADDRESS", "bitcoin_bech32", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    ("CRYPTO_ADDRESS", "bitcoin_bech32", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
    ("CRYPTO_ADDRESS", "ethereum", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
    ("API_KEY", "known_prefix", "AKIAIOSFODNN7EXAMPLE"),
    ("API_KEY", "jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
    ("PHONE", "phone_international", "+44 20 7946 0958"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rule", "value"), PUBLISHED, ids=[f"{p[1]} {p[2][:16]}" for p in PUBLISHED])
def test_published_numbers_are_found_whole(kind: str, rule: str, value: str) -> None:
    assert found(f"See: {value}, thanks.") == [(kind, rule, value)]
    assert found(value) == [(kind, rule, value)]


DIGITS_CHECKED = [
    value
    for _, rule, value in PUBLISHED
    if rule.startswith(("iban", "vat", "si_", "de_", "uk_", "pl_", "fr_", "visa", "mastercard", "american", "se_"))
]


@pytest.mark.parametrize("value", DIGITS_CHECKED)
def test_a_changed_digit_is_not_found(value: str) -> None:
    place = max(match.start() for match in re.finditer("[0-9]", value)) - (value.endswith("B01") and 3)
    place -= value.startswith("SE") and len(value) == 14 and 2
    changed = value[:place] + str((int(value[place]) + 1) % 10) + value[place + 1 :]
    assert changed != value
    assert not [item for item in found(changed) if item[2] == changed]


@pytest.mark.parametrize(
    "text",
    [
        "Version 10.20.30.400 of chapter 3.1.4, at 12:34:56 on 2024-05-01.",
        "Order 1234567890123 with 4111 1111 1111 1112 items; ISBN 978-3-16-148410-0",
        "SI56 1234 5678 9012 345 is no account, nor is XX00 1234.",
        "078-05-1120 and 000-12-3456 and 666-12-3456 and 900-12-3456 were never given",
        "user@localhost, @handle, a@b, https://example.com/a:b@c",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD and 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "token = changemechangemechange; password: correcthorsebatterystaple",
        "born in 1980, rojena v Kopru; due on 12.03.2024",
        "50223054 and 111222333 and 33392005961 stand without a word that says what they are",
        "std::vector::iterator, foo:bar:baz, C::D",
        "",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Davčna številka: 50223054", ("NATIONAL_ID", "si_tax", "50223054")),
        ("my BSN is 111222333.", ("NATIONAL_ID", "nl_bsn", "111222333")),
        ("OIB: 33392005961", ("NATIONAL_ID", "hr_oib", "33392005961")),
        ("Social Security No 536904399", ("NATIONAL_ID", "us_ssn", "536904399")),
        ("NHS number 9434765919", ("NATIONAL_ID", "uk_nhs", "9434765919")),
        ("She was born on 12 March 1980 in Rome", ("DATE_OF_BIRTH", "date_after_cue", "12 March 1980")),
        ("DOB: 1980-03-12", ("DATE_OF_BIRTH", "date_after_cue", "1980-03-12")),
        ("rojen 1. 4. 1975", ("DATE_OF_BIRTH", "date_after_cue", "1. 4. 1975")),
        ("Date of birth (m/d/y): 02/30/1980", None),
        ("postgres://ada:s3cret@db.example:5432/x", ("URL_CREDENTIALS", "url_credentials", "ada:s3cret@db.example")),
        ("API_KEY=q8Zt31LmPw90XyVb77Kd", ("API_KEY", "named_secret", "q8Zt31LmPw90XyVb77Kd")),
    ],
)
def test_words_before_it_say_what_it_is(text: str, expected: tuple[str, str, str] | None) -> None:
    assert found(text) == ([expected] if expected else [])


def test_a_private_key_is_one_finding() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
    assert found(f"key:\n{key}\n") == [("API_KEY", "private_key", key)]


def test_local_telephone_numbers_need_a_region() -> None:
    text = "Pokličite 01 478 40 00 ali 041 234 567."
    assert found(text) == []
    assert [item[2] for item in found(text, regions=("SI",))] == ["01 478 40 00", "041 234 567"]


def test_a_number_after_a_telephone_number_hides_it_not() -> None:
    phone = ("PHONE", "phone_international", "+386 1 478 40 00")
    assert found("call +386 1 478 40 00 2 times, +386 1 478 40 00 1_") == [phone, phone]


def test_the_most_certain_finding_counts_then_the_longest() -> None:
    low = Match(0, 20, "PHONE", "a", "medium")
    high = Match(5, 10, "IBAN", "b", "high")
    longer = Match(8, 16, "IBAN", "c", "high")
    apart = Match(20, 22, "EMAIL", "d", "low")
    assert resolved([low, high, longer, apart]) == [longer, apart]
    assert resolved([high, low]) == [high]


async def test_detect_says_what_it_does_not_look_for(engines: Backend) -> None:
    text = "🎉 Ana Novak, ana@example.si"
    response = await engines.post(DETECT, {"text": text})
    answer = response.json()
    (entity,) = answer["entities"]
    assert text[entity["start"] : entity["end"]] == entity["text"] == "ana@example.si"
    assert "names of persons and organisations" in answer["not_covered"]
    assert set(usage(response)) == {"compute_ms"}
    assert response.headers["omni-model"] == "pii-rules-1"


async def test_only_the_types_that_are_asked_for(engines: Backend) -> None:
    body = {"text": "ana@example.si from 192.0.2.1", "types": ["IP_ADDRESS"]}
    response = (await engines.post(DETECT, body)).json()
    assert [entity["type"] for entity in response["entities"]] == ["IP_ADDRESS"]
    surer = (await engines.post(DETECT, {**body, "min_certainty": "high"})).json()
    assert surer["entities"] == []


async def test_what_was_redacted_comes_back(engines: Backend) -> None:
    text = "From ana@example.si to bo@example.si: ana@example.si owes DE89370400440532013000."
    response = await engines.post(REDACT, {"text": text})
    redacted = response.json()
    assert redacted["text"] == "From <EMAIL_1> to <EMAIL_2>: <EMAIL_1> owes <IBAN_1>."
    assert "example.si" not in response.text
    for redaction in redacted["redactions"]:
        assert re.fullmatch("<[A-Z]+_[12]>", redacted["text"][redaction["start"] : redaction["end"]])
    reply = "Dear <EMAIL_2>, <IBAN_1> got it, says <EMAIL_9>."
    back = await engines.post(RESTORE, {"text": reply, "restore_key": redacted["restore_key"]})
    assert back.json() == {
        "text": "Dear bo@example.si, DE89370400440532013000 got it, says <EMAIL_9>.",
        "restored": ["<EMAIL_2>", "<IBAN_1>"],
        "absent": ["<EMAIL_1>"],
        "unknown": ["<EMAIL_9>"],
    }


@pytest.mark.parametrize(("mode", "expected"), [("labels", "Ask <EMAIL> now"), ("mask", "Ask ************** now")])
async def test_other_ways_to_redact_give_no_key(engines: Backend, mode: str, expected: str) -> None:
    answer = (await engines.post(REDACT, {"text": "Ask ana@example.si now", "mode": mode})).json()
    assert (answer["text"], answer["restore_key"]) == (expected, None)


async def test_keys_of_others_changed_and_expired_ones_are_refused_alike(engines: Backend) -> None:
    key = (await engines.post(REDACT, {"text": "ana@example.si"})).json()["restore_key"]
    middle = len(key) // 2
    changed = key[:middle] + ("A" if key[middle] != "A" else "B") + key[middle + 1 :]
    stranger = Backend(engines.app)
    answers = [
        await stranger.post(RESTORE, {"text": "<EMAIL_1>", "restore_key": key}),
        *[
            await engines.post(RESTORE, {"text": "<EMAIL_1>", "restore_key": bad})
            for bad in (changed, "x", "🎉", key[:-4], "A" * 400)
        ],
    ]
    assert {refusal(answer) for answer in answers} == {(400, "restore_key_invalid")}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert (await engines.post(RESTORE, {"text": "<EMAIL_1>", "restore_key": key})).json()["text"] == "ana@example.si"


def test_a_key_expires() -> None:
    keys, tenant = RestoreKeys(bytes(32)), UUID(int=1)
    key = keys.make(tenant, {"EMAIL_1": "x"}, 1_000)
    assert keys.open(tenant, key, 999) == {"EMAIL_1": "x"}
    with pytest.raises(InvalidInput, match="restore key"):
        keys.open(tenant, key, 1_000)
    with pytest.raises(InvalidInput):
        RestoreKeys(b"\1" * 32).open(tenant, key, 999)


def test_tokens_that_the_text_has_are_passed_over() -> None:
    text = "<EMAIL_1> wrote to a@example.com and b@example.com, <EMAIL_3>"
    matches = Detector().find(text, None, "high", (), lambda: 1.0)
    names = token_names(text, matches)
    assert names == {"a@example.com": "EMAIL_2", "b@example.com": "EMAIL_4"}


_PIECES = st.sampled_from(
    ["a@b.example", "<EMAIL_1>", "<EMAIL_2>", " ", "DE89370400440532013000", "+386 1 478 40 00", "x", "<", "1_", "🎉 "]
)


@given(st.lists(_PIECES, max_size=12), st.sampled_from(["", " "]))
def test_restoring_undoes_redacting(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    matches = Detector().find(text, None, "low", ("SI",), lambda: 1.0)
    names = token_names(text, matches)
    redacted, _ = replaced(text, matches, list(stand_ins(text, matches, "tokens", names)))
    values = {name: value for value, name in names.items()}
    assert restored(redacted, values)[0] == text
    assert not between or not any(value in redacted for value in values.values())


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str) -> None:
    Detector().find(text, None, "low", ("SI", "US"), lambda: 1.0)


def test_a_restored_text_has_a_limit() -> None:
    with pytest.raises(InvalidInput, match="1000000"):
        restored("<API_KEY_1>" * 200, {"API_KEY_1": "x" * 8_000})


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (DETECT, {"text": ""}, "invalid_request"),
        (DETECT, {"text": "x" * 50_001}, "invalid_request"),
        (DETECT, {"text": "x", "types": ["NAME"]}, "invalid_request"),
        (DETECT, {"text": "x", "types": []}, "invalid_request"),
        (DETECT, {"text": "x", "regions": ["ZZ"]}, "region_not_supported"),
        (DETECT, {"text": "x", "regions": ["si"]}, "invalid_request"),
        (REDACT, {"text": "x", "mode": "shred"}, "invalid_request"),
        (REDACT, {"text": "x", "expires_in_seconds": 59}, "invalid_request"),
        (RESTORE, {"text": "x"}, "invalid_request"),
        (RESTORE, {"text": "x", "restore_key": ""}, "invalid_request"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, path: str, body: dict[str, Any], code: str) -> None:
    assert refusal(await engines.post(path, body)) == (400, code)


async def test_requests_at_the_same_time_do_not_meet(engines: Backend) -> None:
    texts = [f"user{number}@example.com" for number in range(8)]
    answers = await asyncio.gather(*(engines.post(REDACT, {"text": text}) for text in texts))
    keys = [answer.json()["restore_key"] for answer in answers]
    back = await asyncio.gather(*(engines.post(RESTORE, {"text": "<EMAIL_1>", "restore_key": key}) for key in keys))
    assert [answer.json()["text"] for answer in back] == texts
