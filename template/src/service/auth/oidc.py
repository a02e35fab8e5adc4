"""The tokens of any OpenID Connect issuer, as bearer tokens.

OpenID Connect Discovery 1.0; RFC 9068 for access tokens that are JSON Web Tokens.
"""

import time
from collections.abc import Callable
from re import fullmatch

import httpx
from pydantic import BaseModel, ConfigDict, Field

from service.auth import IDENTITY, ROUTE_CHECKS, Principal, Unauthorized
from service.auth.bearer import bearer_tokens
from service.auth.fetched import FRESH_SECONDS, Fetched, read_document
from service.auth.jwt import Claims, Expectations
from service.auth.keys import CacheSeconds, KeySet, Locate, at
from service.auth.scopes import RequiredScopes, check_routes, check_scopes
from service.auth.tokens import Algorithms, Tokens
from service.context import Context
from service.runtime import VerifySignature
from service.settings import LOOPBACK_HOSTS, ExactUrl, ServiceUrl, Settings
from service.web import Route

TYPES = frozenset({"jwt", "at+jwt"})


class OidcSettings(Settings):
    """Which tokens are let in, and what they must allow.

    The issuer is compared with that of tokens and of the discovery document character by character:
    with a slash at its end where theirs has one.
    """

    issuer: ExactUrl = Field(alias="AUTH_ISSUER")
    audience: str = Field(alias="AUTH_AUDIENCE")
    jwks_url: ServiceUrl | None = Field(alias="AUTH_JWKS_URL", default=None)
    algorithms: Algorithms = Field(alias="AUTH_ALGORITHMS", default=frozenset({"RS256"}))
    cache_seconds: CacheSeconds = Field(alias="AUTH_JWKS_CACHE_SECONDS", default=FRESH_SECONDS)
    required_scopes: RequiredScopes = Field(alias="AUTH_REQUIRED_SCOPES", default={})


class Oidc:
    """Tells who sent a request; one serves all requests of the isolate."""

    def __init__(
        self,
        settings: OidcSettings,
        http: httpx.AsyncClient,
        verify_signature: VerifySignature,
        clock: Callable[[], float] = time.time,
    ) -> None:
        expected = Expectations(
            issuer=settings.issuer,
            audience=settings.audience,
            algorithms=settings.algorithms,
            types=TYPES,
        )
        url = settings.jwks_url
        locate = at(url) if url else discovered(settings.issuer, http, clock)
        keys = KeySet(locate, settings.algorithms, http, clock, fresh=settings.cache_seconds)
        self._tokens = Tokens(expected, keys, verify_signature, clock)

    async def authenticate(self, headers: httpx.Headers) -> Principal:
        """Who sent the request with these headers, by its bearer token.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        for token in bearer_tokens(headers):
            return await self._tokens.principal(token, _subject)
        raise Unauthorized("the request has no bearer token")


def _subject(claims: Claims) -> str:
    return claims.sub


def discovered(issuer: str, http: httpx.AsyncClient, clock: Callable[[], float]) -> Locate:
    """Keys whose place the issuer's discovery document tells (section 4), cached as they are."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"

    async def fetch() -> str:
        document = await read_document(http, url, _Discovery)
        if document.issuer != issuer:
            raise ValueError("the discovery document is another issuer's")
        if not _is_safe(document.jwks_uri, issuer):
            raise ValueError("the discovery document's jwks_uri is not https")
        return document.jwks_uri

    return Fetched("discovery", fetch, clock).get


def _is_safe(uri: str, issuer: str) -> bool:
    try:
        url = httpx.URL(uri)
    except httpx.InvalidURL:
        return False
    # Only in local runs can the issuer itself be on this machine.
    local = issuer.startswith("http:") and url.scheme == "http" and url.host in LOOPBACK_HOSTS
    named = fullmatch(rb"[\w.:-]+", url.raw_host) and not url.userinfo
    return bool(named) and (url.scheme == "https" or local)


class _Discovery(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    issuer: str
    jwks_uri: str


def oidc(context: Context) -> Oidc:
    settings = context.settings(OidcSettings)
    return Oidc(settings, context.http, context.runtime.verify_signature)


def required_scopes(context: Context) -> Callable[[Principal, Route], None]:
    required = context.settings(OidcSettings).required_scopes
    check_routes(required, [route.name for route in context.routes() if not route.public])

    def check(principal: Principal, route: Route) -> None:
        check_scopes(principal, required.get(route.name, ()))

    return check


feature = (IDENTITY.by(oidc), ROUTE_CHECKS.by(required_scopes))
