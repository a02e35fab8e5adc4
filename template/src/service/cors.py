"""Which front ends may call this service from a browser.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

import re
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, BeforeValidator, Field

from service.context import Context, Slot
from service.settings import LOOPBACK_HOSTS, ServiceUrl, Settings, is_local, split
from service.web import Problem, Request, Response

MAX_AGE_SECONDS = 7200
"""How long browsers may remember a preflight's answer. Chromium keeps none for longer."""

# What scripts may read of any answer; the other headers have to be exposed.
_SAFELISTED = frozenset({
    "cache-control", "content-language", "content-length", "content-type", "expires",
    "last-modified", "pragma",
})  # fmt: skip
_METHOD = "access-control-request-method"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(?: *, *[\w!#$%&'*+.^`|~-]+)*", re.ASCII)


def _origin(url: str) -> str:
    if not re.fullmatch(r"https?://[a-z0-9.:\[\]-]+", url) or str(httpx.URL(url)) != url:
        raise ValueError(
            "needs origins as browsers send them, such as https://app.example.com: "
            "in lower case, without a path or a default port"
        )
    return url


Origin = Annotated[ServiceUrl, AfterValidator(_origin)]
Origins = Annotated[frozenset[Origin], BeforeValidator(split), Field(min_length=1)]
"""Origins, separated by commas."""

DEFAULT_ORIGINS = Slot[frozenset[str]]()
"""The front ends' origins where CORS_ORIGINS names none."""

USES_COOKIES = Slot[bool]()
"""Whether a browser may identify callers by a cookie."""


class CorsSettings(Settings):
    """The origins of the front ends that may call this service."""

    origins: Origins | None = Field(alias="CORS_ORIGINS", default=None)


class Cors:
    """Lets scripts of the allowed origins call this service and read its answers.

    In a `local` run every origin on this machine is allowed, too. `uses_cookies` lets the browser
    send the caller's cookies.
    """

    def __init__(
        self, origins: frozenset[str], *, uses_cookies: bool = False, local: bool = False
    ) -> None:
        self._origins = origins
        self._uses_cookies = uses_cookies
        self._local = local

    def preflight(self, request: Request) -> Response:
        """The answer to what a browser asks before the request itself. Raises Problem: 403."""
        if not self._allows(request.headers["origin"]):
            raise Problem(403, "This origin may not call the service.")
        headers = {
            "access-control-allow-methods": request.headers[_METHOD],
            "access-control-max-age": str(MAX_AGE_SECONDS),
        }
        asked = request.headers.get("access-control-request-headers", "")
        if _HEADER_NAMES.fullmatch(asked):
            headers["access-control-allow-headers"] = asked
        return Response(204, headers)

    def refuse_forgery(self, request: Request) -> None:
        """Refuse what a page of another origin has a browser send with its user's cookies (CSRF).

        Such a page cannot add an Authorization header. Raises Problem: 403.
        """
        origin = request.headers.get("origin")
        by_cookie = self._uses_cookies and "authorization" not in request.headers
        if origin is None or not by_cookie or request.method in _SAFE_METHODS:
            return
        own = "{0.scheme}://{0.netloc}".format(urlsplit(request.url))
        if origin != own and not self._allows(origin):
            raise Problem(403, "This origin may not call the service with cookies.")

    def share(self, request: Request, response: Response) -> None:
        """Let a script of the request's origin read the response, if it is an allowed one."""
        if not (self._origins or self._local):
            return
        headers = response.headers
        exposed = sorted({name.lower() for name in headers} - _SAFELISTED)
        headers["vary"] = ", ".join(filter(None, (headers.get("vary"), "Origin")))
        origin = request.headers.get("origin")
        if origin is None or not self._allows(origin):
            return
        headers["access-control-allow-origin"] = origin
        headers["access-control-expose-headers"] = ", ".join(exposed)
        if self._uses_cookies:
            headers["access-control-allow-credentials"] = "true"

    def _allows(self, origin: str) -> bool:
        return origin in self._origins or (self._local and _is_on_this_machine(origin))


def requested_method(request: Request) -> str:
    """The method that a request is about: its own, or the one that a preflight asks for."""
    return request.headers[_METHOD] if is_preflight(request) else request.method


def is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and {"origin", _METHOD} <= request.headers.keys()


def cors(context: Context) -> Cors:
    settings = context.settings(CorsSettings)
    return Cors(
        settings.origins or context.find(DEFAULT_ORIGINS) or frozenset(),
        uses_cookies=context.find(USES_COOKIES) or False,
        local=is_local(context.env),
    )


def _is_on_this_machine(origin: str) -> bool:
    try:
        return httpx.URL(_origin(origin)).host in LOOPBACK_HOSTS
    except (ValueError, httpx.InvalidURL):
        return False
