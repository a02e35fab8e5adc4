"""Cloudflare Access's application tokens.

https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/
"""

import re
import time
from collections.abc import Callable

import httpx
from pydantic import Field

from service.auth import IDENTITY, Principal, Unauthorized
from service.auth.bearer import bearer_tokens, the_only
from service.auth.jwt import Claims, InvalidToken, Unverified
from service.auth.keys import at
from service.auth.scopes import granted
from service.auth.tokens import Tokens, TokenSettings
from service.context import Context
from service.cors import USES_COOKIES
from service.runtime import VerifySignature
from service.settings import ServiceUrl

HEADER = "Cf-Access-Jwt-Assertion"

_SERVICE_TOKEN = re.compile(r"[0-9a-f]{32}\.access")
_CERTIFICATE = "certificate:"


class AccessSettings(TokenSettings):
    """Which tokens are let in: those of one team (the issuer) for its applications' AUD tags."""

    issuer: ServiceUrl = Field(alias="AUTH_ISSUER")


class Access:
    """Tells who sent a request; one serves all requests of the isolate."""

    def __init__(
        self,
        settings: AccessSettings,
        http: httpx.AsyncClient,
        verify_signature: VerifySignature,
        clock: Callable[[], float] = time.time,
    ) -> None:
        issuer = settings.issuer
        keys = {issuer: at(f"{issuer}/cdn-cgi/access/certs")}
        self._tokens = Tokens(settings, keys, http, verify_signature, clock)

    async def authenticate(self, headers: httpx.Headers) -> Principal:
        """Who sent the request with these headers, by the token that Access has put among them.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        bearer_tokens(headers)  # of no use here, but several are never in order
        token = (the_only(headers, HEADER) or "").strip(" ")
        if not token:
            raise Unauthorized(f"the request has no {HEADER} header: it did not come by Access")
        return await self._tokens.principal(token, _subject, _scopes)


def _subject(token: Unverified) -> str:
    claims, others = token.claims, token.claims.others
    # "org" is a session with the whole team, which no application is to take.
    if others.get("type", "app") != "app":
        raise InvalidToken("the token is not for an application")
    if claims.sub:
        # Access's own ids of users are UUIDs. What looks like a machine's name is no user's.
        if _SERVICE_TOKEN.fullmatch(claims.sub) or claims.sub.startswith(_CERTIFICATE):
            raise InvalidToken("the token's subject could be a machine's")
        return claims.sub
    # Without a user the subject is empty, and the name of a service token, which Access chose and
    # which ends in ".access", stands there; or the one in a client's certificate, which can be any.
    name = others.get("common_name")
    if not isinstance(name, str) or not name:
        return ""
    return name if _SERVICE_TOKEN.fullmatch(name) else f"{_CERTIFICATE}{name}"


def _scopes(claims: Claims) -> frozenset[str]:
    """Access puts what it takes over from an identity provider's tokens under `custom`."""
    custom = claims.others.get("custom")
    return granted(claims.others) | granted(custom if isinstance(custom, dict) else {})


def access(context: Context) -> Access:
    settings = context.settings(AccessSettings)
    return Access(settings, context.http, context.runtime.verify_signature)


# Access reads the cookie CF_Authorization, and hands the Worker its header.
feature = (IDENTITY.by(access), USES_COOKIES.by(lambda _context: True))
