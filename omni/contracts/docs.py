"""The pages of documentation that Omni serves itself: where they are, and under which headers."""

from __future__ import annotations

import base64
import hashlib
import re

ERRORS_PATH = "/docs/errors"
SLA_PATH = "/docs/sla"
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


def doc_url(code: str) -> str:
    """Where an error code is explained, relative to whoever answered."""
    return f"{ERRORS_PATH}#{code}"


def page_headers(html: bytes) -> dict[str, str]:
    """Headers of a static page. Of what it could load, only its own inline styles are allowed, by their hash."""
    digests = [base64.b64encode(hashlib.sha256(style).digest()).decode("ascii") for style in _STYLE.findall(html)]
    styles = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": (
            f"default-src 'none'; style-src {styles}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "x-content-type-options": "nosniff",
        "cache-control": "max-age=300",
    }
