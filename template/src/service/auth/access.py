"""Cloudflare Access's application tokens.

https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/
"""

import time
from collections.abc import Callable

import httpx
from pydantic import Field

from service.auth import IDENTITY, Principal, Unauthorized
from service.auth.bearer import bearer_tokens, the_only
from service.auth.fetched import FRESH_SECONDS
from service.auth.jwt import Claims, Expectations, InvalidToken
from service.auth.keys import CacheSeconds, KeySet, at
from service.auth.tokens import Algorithms, Tokens
from service.context import Context
from service.cors import USES_COOKIES
from service.runtime import VerifySignature
from service.settings import ServiceUrl, Settings

HEADER = "Cf-Access-Jwt-Assertion"


class AccessSettings(Settings):
    """Which tokens are let in: those of one team (the issuer) for one application (its AUD tag)."""

    issuer: ServiceUrl = Field(alias="AUTH_ISSUER")
    audience: str = Field(alias="AUTH_AUDIENCE")
    jwks_url: ServiceUrl | None = Field(alias="AUTH_JWKS_URL", default=None)
    algorithms: Algorithms = Field(alias="AUTH_ALGORITHMS", default=frozenset({"RS256"}))
    cache_seconds: CacheSeconds = Field(alias="AUTH_JWKS_CACHE_SECONDS", default=FRESH_SECONDS)

    @property
    def key_set_url(self) -> str:
        """AUTH_JWKS_URL, or where Access publishes the team's keys."""
        return self.jwks_url or f"{self.issuer}/cdn-cgi/access/certs"


class Access:
    """Tells who sent a request; one serves all requests of the isolate."""

    def __init__(
        self,
        settings: AccessSettings,
        http: httpx.AsyncClient,
        verify_signature: VerifySignature,
        clock: Callable[[], float] = time.time,
    ) -> None:
        expected = Expectations(
            issuer=settings.issuer, audience=settings.audience, algorithms=settings.algorithms
        )
        keys = KeySet(
            at(settings.key_set_url),
            settings.algorithms,
            http,
            clock,
            fresh=settings.cache_seconds,
        )
        self._tokens = Tokens(expected, keys, verify_signature, clock)

    async def authenticate(self, headers: httpx.Headers) -> Principal:
        """Who sent the request with these headers, by the token that Access has put among them.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        bearer_tokens(headers)  # of no use here, but several are never in order
        token = (the_only(headers, HEADER) or "").strip(" ")
        if not token:
            raise Unauthorized(f"the request has no {HEADER} header: it did not come by Access")
        return await self._tokens.principal(token, _subject)


def _subject(claims: Claims) -> str:
    others = claims.model_extra or {}
    # "org" is a session with the whole team, which no application is to take.
    if others.get("type", "app") != "app":
        raise InvalidToken("the token is not for an application")
    # A service token has its name there, and an empty subject.
    common_name = others.get("common_name")
    return claims.sub or (common_name if isinstance(common_name, str) else "")


def access(context: Context) -> Access:
    settings = context.settings(AccessSettings)
    return Access(settings, context.http, context.runtime.verify_signature)


# Access reads the cookie CF_Authorization, and hands the Worker its header.
feature = (IDENTITY.by(access), USES_COOKIES.by(lambda _context: True))
