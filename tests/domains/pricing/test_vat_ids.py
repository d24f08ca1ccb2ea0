"""VAT ids: examples of every country, and what is wrong with others."""

from __future__ import annotations

import pytest

from omni.domains.pricing.rules.taxes import EU
from omni.domains.pricing.rules.vat_ids import check_vat_id
from omni.kit.errors import InvalidInput

VALID = (
    "ATU13585627", "BE0428759497", "BG175074752", "BG7523169263", "BG8032056031", "BG7542011030", "BG7111042925",
    "CY10259033P", "CZ25123891", "CZ7103192745", "CZ640903926", "DE136695976", "DK13585628", "EE100594102",
    "EE100931558", "EL023456780", "EL094259216", "ES54362315K", "ESX2482300W", "ESX5253868R", "ESM1234567L",
    "ESJ99216582", "ESA13585625", "ESB58378431", "FI20774740", "FR40303265045", "FR23334175221", "FRK7399859412",
    "FR4Z123456782", "FR83404833048", "GB980780684", "GB434031494", "HR33392005961", "HU12892312", "IE6433435F",
    "IE8D79739I", "IE6433435OA", "IT00743110157", "LT119511515", "LT100001919017", "LT100004801610", "LU15027442",
    "LV40003521600", "MT11679112", "NL004495445B01", "NL000099998B57", "NL002455799B11", "PL8567346215", "PT501964843",
    "RO18547290", "SE556188840401", "SI50223054", "SK2022749619", "XI980780684",
)  # fmt: skip
WITHOUT_CHECK_DIGITS = ("GBGD001", "GBHA599", "XIGD499", "CZ395601439", "LV16117519997", "LV32000000000")


@pytest.mark.parametrize("vat_id", [*VALID, *WITHOUT_CHECK_DIGITS])
def test_valid_ids_pass(vat_id: str) -> None:
    country = "GR" if vat_id.startswith("EL") else vat_id[:2]
    assert check_vat_id(country, vat_id) == vat_id
    assert check_vat_id(vat_id[:2], vat_id[2:].lower()) == vat_id


def wrong(vat_id: str) -> str:
    """The id with the last character that is checked changed."""
    place = {"NL": -4, "SE": -3, "IE": 9}.get(vat_id[:2], -1)
    place = place if place < 0 else min(place, len(vat_id) - 1)
    found = vat_id[place]
    other = str((int(found) + 1) % 10) if found.isdigit() else chr(ord("A") + (ord(found) - ord("A") + 1) % 22)
    return vat_id[:place] + other + (vat_id[place + 1 :] if place != -1 else "")


@pytest.mark.parametrize("vat_id", VALID)
def test_a_wrong_check_digit_is_refused(vat_id: str) -> None:
    with pytest.raises(InvalidInput, match="check digits do not fit") as refused:
        check_vat_id(vat_id[:2], wrong(vat_id))
    assert refused.value.code == "invalid_vat_id"


def test_every_member_state_has_an_example() -> None:
    assert {"GR" if vat_id.startswith("EL") else vat_id[:2] for vat_id in VALID} == EU | {"GB", "XI"}


@pytest.mark.parametrize(
    ("country", "text", "normal"),
    [
        ("SI", "SI 50.223-054", "SI50223054"),
        ("BE", "428759497", "BE0428759497"),
        ("GR", "GR", None),
        ("GR", "el 94259216", "EL094259216"),
        ("GB", "XI 980 7806 84", "XI980780684"),
        ("NL", "nl004495445b01", "NL004495445B01"),
    ],
)
def test_ids_are_normalised(country: str, text: str, normal: str | None) -> None:
    if normal is None:
        with pytest.raises(InvalidInput):
            check_vat_id(country, text)
    else:
        assert check_vat_id(country, text) == normal


@pytest.mark.parametrize(
    ("country", "text"),
    [
        ("SI", ""), ("SI", "SI"), ("SI", "SI5022305"), ("SI", "SI502230544"), ("SI", "DE136695976"),
        ("SI", "SI5022305X"), ("SI", "SI٥٠٢٢٣٠٥٤"), ("DE", "DE036695976"), ("NL", "NL004495445B00"),
        ("SE", "SE556188840495"), ("BG", "BG7599169260"), ("CZ", "CZ999999999"), ("GB", "GBGD500"),
        ("ES", "ES0000000I0"), ("IT", "IT00000000000"), ("US", "12-3456789"), ("CH", "CHE-116.281.710"), ("", "123"),
    ],
)  # fmt: skip
def test_what_is_no_vat_id_is_refused(country: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_vat_id(country, text)
    assert refused.value.code == "invalid_vat_id"
