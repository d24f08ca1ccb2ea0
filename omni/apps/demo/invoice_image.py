"""Draws an invoice that looks scanned: slightly turned, uneven light, grain."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 1000, 1280
TURN_DEGREES = 0.6
GRAIN = 7.0


@dataclass(frozen=True, slots=True)
class PrintedInvoice:
    """What the picture says, for comparing with what was read."""

    number: str = "INV-2026-0417"
    total: str = "1,482.30"


def draw_invoice(invoice: PrintedInvoice) -> bytes:
    """A PNG of the invoice."""
    page = Image.new("L", (WIDTH, HEIGHT), 248)
    pen = ImageDraw.Draw(page)
    heading, body, small = (ImageFont.load_default(size) for size in (52, 30, 24))
    pen.text((80, 90), "Hillside Bakery Ltd", font=heading, fill=20)
    pen.text((80, 160), "12 Mill Lane, Ljubljana", font=small, fill=60)
    pen.text((80, 250), f"Invoice {invoice.number}", font=body, fill=20)
    pen.text((80, 295), "Date 17 November 2026", font=body, fill=20)
    rows = (("Rye flour, 25 kg", "12", "486.00"), ("Sea salt, 10 kg", "4", "78.40"), ("Oven service", "1", "650.60"))
    top = 420
    pen.line((80, top - 20, WIDTH - 80, top - 20), fill=90, width=3)
    for name, count, amount in rows:
        pen.text((80, top), name, font=body, fill=20)
        pen.text((620, top), count, font=body, fill=20)
        pen.text((780, top), amount, font=body, fill=20)
        top += 70
    pen.line((80, top, WIDTH - 80, top), fill=90, width=3)
    pen.text((80, top + 30), "VAT 22 %", font=body, fill=20)
    pen.text((780, top + 30), "267.30", font=body, fill=20)
    pen.text((80, top + 100), "Total EUR", font=heading, fill=20)
    pen.text((700, top + 100), invoice.total, font=heading, fill=20)
    pen.text((80, HEIGHT - 140), "Payable within 14 days. Thank you!", font=small, fill=60)
    return _scanned(page)


def _scanned(page: Image.Image) -> bytes:
    turned = page.rotate(TURN_DEGREES, resample=Image.Resampling.BICUBIC, fillcolor=235)
    pixels = np.asarray(turned.filter(ImageFilter.GaussianBlur(0.6)), dtype=np.float32)
    light = np.linspace(1.0, 0.9, WIDTH, dtype=np.float32)
    grain = np.random.default_rng(17).normal(0.0, GRAIN, pixels.shape)
    scanned = np.clip(pixels * light + grain, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(scanned).save(out, "PNG")
    return out.getvalue()
