"""Who may talk to the page's server.

What enters: every request, before anything else sees it. What leaves: the request, or a refusal.
Always holds: the server is bound to loopback, yet any page in the user's browser, any name that
resolves to 127.0.0.1 and any user of this computer can reach it. So:

- Host must be the loopback name with our port: a rebound DNS name fails here;
- Origin, where there is one, must be ours, and a POST must have one: a foreign page fails here;
- what a browser says of the request's site must not be another one (Sec-Fetch-Site);
- /api/ wants the token of the URL's fragment in a header, compared in constant time. A fragment is
  never sent and never a referrer, and no cookie is set, so that nothing is sent by itself.

Every answer, a refusal too, has the headers that keep the page to its own files.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-mbn-token"
NAMES = ("127.0.0.1", "localhost")

HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


def new_token() -> str:
    """192 bits, for one run of the server."""
    return secrets.token_urlsafe(24)


class Guard:
    """ASGI middleware around the page's application."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in NAMES}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websockets
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self.refusal(str(scope["method"]), str(scope["path"]), Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send_guarded)
            return
        status, words = refusal
        await JSONResponse({"error": words}, status)(scope, receive, send_guarded)

    def refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        """The status and reason to refuse a request with; None where it may pass."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "this address is not the server's: open the link that mbn-live printed"
        origins = headers.getlist("origin")
        if any(origin not in self._origins for origin in origins) or (
            method != "GET" and len(origins) != 1
        ):
            return 403, "the request comes from another page"
        if not path.startswith("/api/"):
            return None
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return 403, "the request comes from another page"
        given = headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8"), self._token.encode("ascii")):
            return 401, "the token is missing or wrong: open the link that mbn-live printed"
        return None
