"""Routes of personal data."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.pii.schemas import (
    DetectRequest,
    DetectResponse,
    RedactRequest,
    RedactResponse,
    RestoreRequest,
    RestoreResponse,
)
from omni.inference.language.pii.service import PiiService
from omni.inference.runtime.call import Call


def router(service: PiiService, caller: CallerDependency) -> APIRouter:
    """Everything below `/v1/text/pii`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"], prefix="/v1/text/pii")

    @routes.post("/detect", summary="Find personal data")
    async def detect_pii(body: DetectRequest, call: Call = Depends(caller)) -> DetectResponse:
        """E-mail addresses, telephone numbers, IBANs, payment cards, IP and MAC addresses, passwords in URLs, VAT and
        national ids, dates of birth, addresses of cryptocurrencies and keys of programming interfaces.

        By rules and check digits. Names, postal addresses and places need a model that is not there and are not found:
        see `not_covered`. Among overlapping findings the most certain one counts, then the longest.
        """
        return await service.detect(call, body)

    @routes.post("/redact", summary="Redact personal data")
    async def redact_pii(body: RedactRequest, call: Call = Depends(caller)) -> RedactResponse:
        """The text with tokens, labels or asterisks in the place of what `detect` finds.

        With tokens, `restore_key` brings everything back; it holds it encrypted, and nothing is stored here.
        """
        return await service.redact(call, body)

    @routes.post("/restore", summary="Restore personal data")
    async def restore_pii(body: RestoreRequest, call: Call = Depends(caller)) -> RestoreResponse:
        """Puts back what `redact` took out, into the redacted text or into any other that uses its tokens.

        A key that was changed, has expired or belongs to another tenant is refused with 400 `restore_key_invalid`.
        """
        return await service.restore(call, body)

    return routes
