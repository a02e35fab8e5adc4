"""Clerk's session tokens: https://clerk.com/docs/backend-requests/resources/session-tokens."""

import re
import time
from collections.abc import Callable
from typing import Self

import httpx
from pydantic import Field, model_validator

from service.auth import IDENTITY, Principal, Unauthorized
from service.auth.algorithms import decode_base64url
from service.auth.bearer import bearer_tokens
from service.auth.fetched import FRESH_SECONDS
from service.auth.jwt import Claims, Expectations, InvalidToken
from service.auth.keys import CacheSeconds, KeySet, at
from service.auth.tokens import Algorithms, Tokens
from service.context import Context
from service.cors import DEFAULT_ORIGINS, USES_COOKIES, Origins
from service.runtime import VerifySignature
from service.settings import ServiceUrl, Settings, SettingsError

_SESSION_COOKIE = re.compile(r"__session(_[\w-]+)?")
"""With the suffix of its application, which is a digest of its publishable key, or without."""

_OPEN_TO_ALL = (
    "AUTH_AUTHORIZED_PARTIES is not set: name your front ends' origins, such as "
    "https://app.example.com, under [vars] of wrangler.toml, or set AUTH_AUDIENCE"
)


class ClerkSettings(Settings):
    """Which tokens are let in. The issuer is Clerk's Frontend API URL.

    Audience and authorized parties are each enforced when set; one of them has to be. A token
    without an authorized party, as native apps get them, passes only where none are set.
    """

    issuer: ServiceUrl = Field(alias="AUTH_ISSUER")
    jwks_url: ServiceUrl | None = Field(alias="AUTH_JWKS_URL", default=None)
    audience: str | None = Field(alias="AUTH_AUDIENCE", default=None)
    authorized_parties: Origins | None = Field(alias="AUTH_AUTHORIZED_PARTIES", default=None)
    algorithms: Algorithms = Field(alias="AUTH_ALGORITHMS", default=frozenset({"RS256"}))
    cache_seconds: CacheSeconds = Field(alias="AUTH_JWKS_CACHE_SECONDS", default=FRESH_SECONDS)

    @model_validator(mode="after")
    def _is_not_open_to_all(self) -> Self:
        # A token made for any front end of the issuer would do.
        if self.audience is None and self.authorized_parties is None:
            raise SettingsError([_OPEN_TO_ALL])
        return self

    @property
    def key_set_url(self) -> str:
        """AUTH_JWKS_URL, or where Clerk publishes the issuer's keys."""
        return self.jwks_url or f"{self.issuer}/.well-known/jwks.json"


class Clerk:
    """Tells who sent a request; one serves all requests of the isolate."""

    def __init__(
        self,
        settings: ClerkSettings,
        http: httpx.AsyncClient,
        verify_signature: VerifySignature,
        clock: Callable[[], float] = time.time,
    ) -> None:
        expected = Expectations(
            issuer=settings.issuer,
            audience=settings.audience,
            authorized_parties=settings.authorized_parties,
            algorithms=settings.algorithms,
        )
        keys = KeySet(
            at(settings.key_set_url),
            settings.algorithms,
            http,
            clock,
            fresh=settings.cache_seconds,
        )
        self._issuer = settings.issuer
        self._tokens = Tokens(expected, keys, verify_signature, clock)

    async def authenticate(self, headers: httpx.Headers) -> Principal:
        """Who sent the request with these headers, by its bearer token or session cookie.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        return await self._tokens.principal(_token(headers, self._issuer), _subject)


def _subject(claims: Claims) -> str:
    # A "pending" session's user still has a task to do, such as choosing an organization.
    if (claims.model_extra or {}).get("sts", "active") != "active":
        raise InvalidToken("the session is not active")
    return claims.sub


def _token(headers: httpx.Headers, issuer: str) -> str:
    """The token of a request: as in Clerk's own SDKs, a bearer token comes before cookies."""
    bearer, cookies = bearer_tokens(headers), _session_cookies(headers)
    if not (bearer or cookies):
        raise Unauthorized("the request has no bearer token and no session cookie")
    # Several applications may share a domain, and a cookie may outlive its successor.
    newest = max(cookies, key=lambda token: _freshness(token, issuer), default="")
    return next(filter(None, bearer), newest)


def _session_cookies(headers: httpx.Headers) -> list[str]:
    pairs = [pair for line in headers.get_list("cookie") for pair in line.split(";")]
    cookies = [pair.strip().partition("=") for pair in pairs]
    # Signing out leaves an empty cookie behind.
    return [value for name, _, value in cookies if _SESSION_COOKIE.fullmatch(name) and value]


def _freshness(token: str, issuer: str) -> tuple[bool, float]:
    """Whether the token says that it is the issuer's, and since when: nothing to rely on."""
    try:
        _, claims_json, _ = token.split(".")
        claims = Claims.model_validate_json(decode_base64url(claims_json))
    except ValueError:
        return False, 0
    return claims.iss == issuer, claims.iat


def clerk(context: Context) -> Clerk:
    settings = context.settings(ClerkSettings)
    return Clerk(settings, context.http, context.runtime.verify_signature)


def authorized_parties(context: Context) -> frozenset[str]:
    return context.settings(ClerkSettings).authorized_parties or frozenset()


feature = (
    IDENTITY.by(clerk),
    DEFAULT_ORIGINS.by(authorized_parties),
    USES_COOKIES.by(lambda _context: True),
)
