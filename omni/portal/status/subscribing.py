"""Subscribing, confirming and unsubscribing, by form or JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omni.domains.status.contracts import Subscription
from omni.domains.status.wording import best_language
from omni.kit.errors import InvalidInput, OmniError
from omni.portal.status.deps import StatusPortal
from omni.portal.status.pages import Pages
from omni.portal.status.requests import caller_of, is_form, read_form, read_json, with_problems


class SubscriptionBody(BaseModel):
    """One of the two."""

    model_config = ConfigDict(extra="forbid")

    email: str | None = None
    url: str | None = None
    language: str | None = None


def subscribing_routes(portal: StatusPortal, pages: Pages) -> list[Route]:
    """`/subscribe`, `POST /subscriptions`, and the links that mails carry. Links only ask; a button does it."""
    subscribing = _Subscribing(portal, pages)
    both = ["GET", "POST"]
    return [
        Route("/subscribe", subscribing.form),
        Route("/subscriptions", subscribing.subscribe, methods=["POST"]),
        Route("/subscriptions/{token}/confirm", subscribing.confirm, methods=both),
        Route("/subscriptions/{token}/unsubscribe", subscribing.unsubscribe, methods=both),
    ]


class _Subscribing:
    def __init__(self, portal: StatusPortal, pages: Pages) -> None:
        self._portal = portal
        self._pages = pages

    async def form(self, request: Request) -> Response:
        return self._pages.html(request, "subscribe.html")

    async def subscribe(self, request: Request) -> Response:
        if is_form(request):
            return await self._by_form(request)
        return await with_problems(self._by_json)(request)

    async def confirm(self, request: Request) -> Response:
        found = self._portal.subscriptions.find(request.path_params["token"])
        if request.method == "POST":
            found = self._portal.subscriptions.confirm(request.path_params["token"])
        return self._page_of(request, found, ("confirm", "confirm_button", "confirmed"))

    async def unsubscribe(self, request: Request) -> Response:
        found = self._portal.subscriptions.find(request.path_params["token"])
        if request.method == "POST":
            found = self._portal.subscriptions.unsubscribe(request.path_params["token"])
        return self._page_of(request, found, ("unsubscribe", "unsubscribe", "unsubscribed"))

    def _page_of(self, request: Request, found: Subscription | None, texts: tuple[str, str, str]) -> Response:
        asked, button, done = texts
        if found is None:
            return self._message(request, 404, "link_dead")
        if request.method == "POST":
            return self._message(request, 200, done, target=found.target)
        values = {"target": found.target}
        return self._pages.html(request, "action.html", head=asked, note=f"{asked}_note", button=button, values=values)

    async def _by_form(self, request: Request) -> Response:
        try:
            fields = await read_form(request)
            body = SubscriptionBody(email=fields.get("email") or None, url=fields.get("url") or None)
            made = await self._subscribe(request, body)
        except OmniError as error:
            return self._pages.html(request, "message.html", error.status, head="problem", said=error.message)
        if made is None:
            return self._message(request, 202, "check_mail")
        return self._pages.html(request, "secret.html", 201, secret=made.secret, link=self._unsubscribe_link(made))

    async def _by_json(self, request: Request) -> Response:
        made = await self._subscribe(request, await read_json(request, SubscriptionBody))
        if made is None:
            return JSONResponse({"channel": "email", "state": "to_be_confirmed"}, 202)
        document: dict[str, Any] = {
            "id": made.subscription_id,
            "channel": "webhook",
            "url": made.target,
            "secret": made.secret,
            "unsubscribe_url": self._unsubscribe_link(made),
        }
        return JSONResponse(document, 201)

    async def _subscribe(self, request: Request, body: SubscriptionBody) -> Subscription | None:
        asked = body.language or request.query_params.get("lang")
        language = best_language(asked, request.headers.get("accept-language", ""))
        if body.email and not body.url:
            self._portal.subscriptions.subscribe_email(body.email, language, caller_of(request))
            return None
        if body.url and not body.email:
            return await self._portal.subscriptions.subscribe_webhook(body.url, language, caller_of(request))
        raise InvalidInput("invalid_request", "Give either email or url.", param="email")

    def _unsubscribe_link(self, made: Subscription) -> str:
        return f"{self._portal.page_url}/subscriptions/{made.token}/unsubscribe"

    def _message(self, request: Request, status_code: int, text: str, **values: str) -> Response:
        return self._pages.html(request, "message.html", status_code, head=text, note=f"{text}_note", values=values)
