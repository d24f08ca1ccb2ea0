"""The taxes and sums of an invoice, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from omni.domains.billing.contracts import Invoice, Line, RatedPart, TaxLine
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import TaxableLine, TaxBehaviour, TaxTreatment

Totals = dict[TaxTreatment, tuple[int, int]]
"""What is taxed and the tax, by treatment."""


def with_taxes(invoice: Invoice, parts: Sequence[RatedPart], treat: Callable[[str], TaxTreatment]) -> Invoice:
    """The invoice with these lines; `treat` says how a product is taxed. Tax is computed once for each treatment, apart
    for prices without and with tax inside."""
    lines: list[Line] = []
    totals: Totals = {}
    behaviours: tuple[TaxBehaviour, ...] = ("exclusive", "inclusive")
    for behaviour in behaviours:
        mine = [line for line, of in parts if of == behaviour]
        treated = [treat(line.product) for line in mine]
        taxable = [TaxableLine(line.net_minor, how) for line, how in zip(mine, treated, strict=True)]
        taxes = pricing.compute_taxes(taxable, behaviour)
        for line, how, net in zip(mine, treated, taxes.net_by_line, strict=True):
            lines.append(replace(line, net_minor=net, tax_category=how.category, tax_rate=how.percent))
        for each in taxes.subtotals:
            base, tax = totals.get(each.treatment, (0, 0))
            totals[each.treatment] = (base + each.taxable_minor, tax + each.tax_minor)
    return summed(invoice, tuple(lines), totals)


def summed(invoice: Invoice, lines: tuple[Line, ...], totals: Totals) -> Invoice:
    """The invoice with these lines and taxes."""
    taxes = tuple(TaxLine(each.category, each.percent, base, tax, each.reason) for each, (base, tax) in totals.items())
    net, tax = sum(line.net_minor for line in lines), sum(each.tax_minor for each in taxes)
    return replace(invoice, lines=lines, taxes=taxes, net_minor=net, tax_minor=tax, gross_minor=net + tax)
