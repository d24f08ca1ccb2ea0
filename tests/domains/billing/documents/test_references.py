"""References and account numbers: check digits by their standards, against published examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.domains.billing.documents import references


def test_the_published_creditor_reference() -> None:
    assert references.creditor_reference("539007547034") == "RF18539007547034"  # ISO 11649's own example
    assert references.is_creditor_reference("RF18 5390 0754 7034")


@given(st.from_regex(r"\A[A-Z0-9]{1,21}\Z"))
def test_a_made_creditor_reference_is_right_and_another_digit_is_not(content: str) -> None:
    made = references.creditor_reference(content)
    assert references.is_creditor_reference(made)
    wrong = made[:2] + f"{(int(made[2:4]) + 1) % 100:02}" + made[4:]
    assert not references.is_creditor_reference(wrong)


@pytest.mark.parametrize("content", ["", "---", "1" * 22])
def test_what_no_creditor_reference_can_hold_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="1 to 21 letters and digits"):
        references.creditor_reference(content)


def test_slovenian_references() -> None:
    assert references.slovenian_reference("2026-000123") == "SI00 2026-000123"
    for content in ("", "2026-A", "1-2-3-4", "123456789012345678901", "2026-"):
        with pytest.raises(ValueError, match="up to 20 digits"):
            references.slovenian_reference(content)


@pytest.mark.parametrize(
    ("iban", "right"),
    [
        ("SI56 1910 0000 0123 438", True),
        ("GB82WEST12345698765432", True),
        ("DE89370400440532013000", True),
        ("DE89370400440532013001", False),
        ("DE8937040044", False),
        ("", False),
    ],
)
def test_account_numbers(iban: str, right: bool) -> None:
    assert references.is_iban(iban) is right


def test_bank_codes() -> None:
    assert references.is_bic("LJBASI2X")
    assert references.is_bic("DEUTDEFF500")
    assert not references.is_bic("LJBASI2")


def test_the_payment_code_by_epc069_12() -> None:
    payload = references.epc_payload("Omni d.o.o.", "SI56 1910 0000 0123 438", "LJBASI2X", 6377, "RF18 5390 0754 7034")
    assert payload == ("BCD\n002\n1\nSCT\nLJBASI2X\nOmni d.o.o.\nSI56191000000123438\nEUR63.77\n\nRF18539007547034")
    free = references.epc_payload("Omni d.o.o.", "SI56191000000123438", "", 1, "SI00 2026-000123")
    assert free == "BCD\n002\n1\nSCT\n\nOmni d.o.o.\nSI56191000000123438\nEUR0.01\n\n\nSI00 2026-000123"


@pytest.mark.parametrize("amount_minor", [0, -1, references.EPC_MAX_MINOR + 1])
def test_amounts_that_no_transfer_can_move(amount_minor: int) -> None:
    with pytest.raises(ValueError, match="cannot move"):
        references.epc_payload("x", "SI56191000000123438", "", amount_minor, "y")
