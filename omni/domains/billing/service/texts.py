"""The mails of billing, in English and Slovenian."""

from __future__ import annotations

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.rules.dunning import SUSPEND_AFTER
from omni.kit.money import format_minor


def invoice_mail(invoice: Invoice) -> tuple[str, str]:
    """Subject and text of the mail that an invoice or credit note goes with."""
    amount = format_minor(abs(invoice.gross_minor), invoice.currency)
    due = f"{invoice.due_at:%d.%m.%Y}" if invoice.due_at is not None else ""
    seller = invoice.seller.name if invoice.seller is not None else ""
    slovenian = _is_slovenian(invoice)
    if invoice.kind == "credit_note":
        if slovenian:
            return (
                f"Dobropis {invoice.number}",
                f"V priponki je dobropis {invoice.number} v znesku {amount}.\n\n{seller}\n",
            )
        return f"Credit note {invoice.number}", f"Attached is credit note {invoice.number} of {amount}.\n\n{seller}\n"
    if slovenian:
        paid = "Račun je že plačan." if not invoice.due_minor else f"Rok plačila je {due}."
        return (
            f"Račun {invoice.number}",
            f"V priponki je račun {invoice.number} v znesku {amount}. {paid}\n\n{seller}\n",
        )
    paid = "It is paid already." if not invoice.due_minor else f"It is due on {due}."
    return f"Invoice {invoice.number}", f"Attached is invoice {invoice.number} of {amount}. {paid}\n\n{seller}\n"


def reminder_mail(invoice: Invoice, *, last: bool) -> tuple[str, str]:
    """Subject and text of the mail that reminds of an invoice."""
    amount, due = format_minor(invoice.due_minor, invoice.currency), f"{invoice.due_at:%d.%m.%Y}"
    if _is_slovenian(invoice):
        end = f" Če ne bo plačan v {SUSPEND_AFTER.days} dneh po roku, bo storitev ustavljena." if last else ""
        return f"Opomin: račun {invoice.number}", f"Račun {invoice.number} ({amount}) je zapadel {due}.{end}\n"
    end = f" Unless it is paid within {SUSPEND_AFTER.days} days of that, the service stops." if last else ""
    return f"Reminder: invoice {invoice.number}", f"Invoice {invoice.number} ({amount}) was due on {due}.{end}\n"


def _is_slovenian(invoice: Invoice) -> bool:
    return invoice.buyer is not None and invoice.buyer.language == "sl"
