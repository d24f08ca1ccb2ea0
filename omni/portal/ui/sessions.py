"""Signing in to the console with a browser: a session of `identity` in a cookie that only pages read.

The API under `/api` does not look at the cookie, so a foreign site can do nothing with it there; forms are taken from
our own pages only, which the browser says in `Origin`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from omni.domains.identity import facade
from omni.domains.identity.contracts import CurrentUser, Login
from omni.foundation.crypto.passwords import Passwords
from omni.foundation.db.sessions import Database
from omni.kit.clock import Clock
from omni.kit.errors import Forbidden, InvalidInput, LimitExceeded, OmniError, Unauthenticated, Unavailable
from omni.portal.ui.pages import ConsolePages

FOLDER = Path(__file__).parent / "sign_in"
KNOWN_WITHOUT_DATABASE = timedelta(hours=1)
"""How long an operator's session still opens pages while the database, which may have ended it, does not answer."""
_MOST_REMEMBERED = 100
_MOST_FORM_BYTES = 16_384


class BrowserSessions:
    """Who looks at a page. `console_url` is how browsers reach the console; https keeps the cookie to TLS."""

    def __init__(self, database: Database, passwords: Passwords, clock: Clock, console_url: str) -> None:
        self._database = database
        self._passwords = passwords
        self._clock = clock
        self._secure = console_url.startswith("https://")
        self._cookie = "__Host-omni_session" if self._secure else "omni_session"
        self._seen: dict[bytes, tuple[CurrentUser, datetime]] = {}

    async def operator(self, request: Request) -> CurrentUser:
        """Without the database, whoever it knew not long ago: an outage is when operators look.

        Raises Unauthenticated `not_authenticated`, Forbidden `operator_required`, Unavailable `database_unavailable`.
        """
        token, now = request.cookies.get(self._cookie, ""), self._clock.now()
        digest = sha256(token.encode()).digest()
        try:
            async with self._database.shared() as session:
                user = await facade.authenticate(session, token, now)
        except Unavailable:
            known = self._seen.get(digest)
            if known is None or now - known[1] > KNOWN_WITHOUT_DATABASE:
                raise
            return known[0]
        except Unauthenticated:
            self._seen.pop(digest, None)
            raise
        facade.require_operator(user)
        self._remember(digest, user, now)
        return user

    def _remember(self, digest: bytes, user: CurrentUser, now: datetime) -> None:
        self._seen.pop(digest, None)
        self._seen[digest] = (user, now)
        while len(self._seen) > _MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]

    async def sign_in(self, login: Login, then: str) -> Response:
        """A redirection that brings the cookie. Raises what `identity.facade.log_in` raises."""
        opened = await facade.log_in(self._database, self._passwords, login, self._clock.now())
        answer = RedirectResponse(then, 303)
        answer.set_cookie(self._cookie, opened.token, path="/", secure=self._secure, httponly=True, samesite="lax")
        return answer

    async def sign_out(self, request: Request) -> Response:
        token = request.cookies.get(self._cookie, "")
        await facade.log_out(self._database, token, self._clock.now())
        self._seen.pop(sha256(token.encode()).digest(), None)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="lax")
        return answer


def require_same_origin(request: Request) -> None:
    """Raises Forbidden `cross_origin` for a form that another site sent, or a browser that does not say who did."""
    if urlsplit(request.headers.get("origin", "")).netloc != request.headers.get("host", ""):
        raise Forbidden("cross_origin", "This form was not sent from the console itself. Open the page and try again.")


def own_path(text: str) -> str:
    """Where to go after signing in: a path of the console, never another site."""
    parts = urlsplit(text)
    fine = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc and text.isprintable()
    return text if fine else "/"


def to_sign_in(request: Request) -> Response:
    """Asks who it is, then comes back."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(back)}", 303)


def router(sessions: BrowserSessions, pages: ConsolePages) -> APIRouter:
    """`/sign-in` and `/sign-out`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/sign-in")
    async def form(request: Request, next: str = "/") -> Response:
        return pages.html(request, "sign_in.html", None, then=own_path(next), email="", error="")

    @routes.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        require_same_origin(request)
        fields = await _fields(request)
        then, email = own_path(fields.get("next", "/")), fields.get("email", "").strip()
        login = Login(email, fields.get("password", ""), request.headers.get("user-agent", ""))
        try:
            return await sessions.sign_in(login, then)
        except (Unauthenticated, Forbidden, LimitExceeded, Unavailable) as error:
            return _again(request, error, then, email)

    def _again(request: Request, error: OmniError, then: str, email: str) -> Response:
        return pages.html(request, "sign_in.html", None, error.status, then=then, email=email, error=error.message)

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        require_same_origin(request)
        return await sessions.sign_out(request)

    return routes


async def _fields(request: Request) -> dict[str, str]:
    """Raises InvalidInput `invalid_form`."""
    body = await request.body()
    try:
        return dict(parse_qsl(body[:_MOST_FORM_BYTES].decode("utf-8", "replace"), max_num_fields=20))
    except ValueError:
        raise InvalidInput("invalid_form", "The form has too many fields. Open the page and try again.") from None
