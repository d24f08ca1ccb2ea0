"""What invoices mean to the books.

A fee in advance is deferred, less what coupons take off it; it is earned when the invoice comes that closes its span
(the one with the usage of it).
What a credit note does not take off an invoice goes to the wallet.
"""

from __future__ import annotations

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.rules.discounting import deferred_minor
from omni.domains.ledger.contracts import Account
from omni.kit.money import minor_to_nanos

Amount = tuple[Account, int]


def invoice_entries(invoice: Invoice, deferred_nanos: int) -> list[Amount]:
    """What an invoice posts; `deferred_nanos` is what was deferred before it."""
    amounts = [
        (Account.RECEIVABLE, minor_to_nanos(invoice.gross_minor, invoice.currency)),
        (Account.TAX, -minor_to_nanos(invoice.tax_minor, invoice.currency)),
    ]
    for line in invoice.lines:
        deferred = line.net_minor if line.kind in ("fee", "credit") else 0
        if line.kind == "discount":
            deferred = deferred_minor(line)
        amounts.append((Account.DEFERRED, -minor_to_nanos(deferred, invoice.currency)))
        amounts.append((Account.REVENUE, -minor_to_nanos(line.net_minor - deferred, invoice.currency)))
    credited = sum(line.net_minor for line in invoice.lines if line.kind == "credit")
    return amounts + earned_entries(invoice, deferred_nanos + minor_to_nanos(credited, invoice.currency))


def earned_entries(invoice: Invoice, nanos: int) -> list[Amount]:
    """What was deferred is earned when its span is closed."""
    if not invoice.basis.usage:
        return []
    return [(Account.DEFERRED, nanos), (Account.REVENUE, -nanos)]


def credit_note_entries(note: Invoice, credited_minor: int) -> list[Amount]:
    """What of a credit note does not lower an invoice (`credited_minor` does) is the tenant's to use."""
    rest = minor_to_nanos(-note.gross_minor - credited_minor, note.currency)
    return [(Account.RECEIVABLE, rest), (Account.WALLET, -rest)]
