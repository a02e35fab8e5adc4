"""Clerk's session tokens: https://clerk.com/docs/backend-requests/resources/session-tokens."""

import re
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Self

import httpx
from pydantic import Field, model_validator

from service.auth import IDENTITY, Principal, Unauthorized
from service.auth.bearer import bearer_tokens
from service.auth.jwt import Claims, InvalidToken, Unverified, peek
from service.auth.keys import at
from service.auth.scopes import granted, texts
from service.auth.tokens import Audiences, Tokens, TokenSettings
from service.context import Context
from service.cors import DEFAULT_ORIGINS, USES_COOKIES, Origins
from service.runtime import VerifySignature
from service.settings import ServiceUrl, SettingsError

_SESSION_COOKIE = re.compile(r"__session(_[\w-]+)?")
"""With the suffix of its application, which is a digest of its publishable key, or without."""

_SESSION, _TEMPLATE, _ANY = "cl_B7d4PD111AAA", "cl_B7d4PD222AAA", "cl_I7d4PD111III"
"""What a token is, by `cat` in its header: a session's, or of a JWT template, which outlives the
session that it comes from. Some instances do not tell: theirs are all the third.
"""

_MACHINE = "mch_"
"""What ids of machines begin with; those of users begin with `user_`."""

_NUMBER = re.compile(r"[0-9]{1,100}")

_OPEN_TO_ALL = (
    "AUTH_AUTHORIZED_PARTIES is not set: name your front ends' origins, such as "
    "https://app.example.com, in wrangler.toml, or set AUTH_AUDIENCE"
)


class ClerkSettings(TokenSettings):
    """Which tokens are let in. The issuer is Clerk's Frontend API URL.

    Audience and authorized parties are each enforced when set; one of them has to be. A token
    without an authorized party, as native apps get them, passes only where none are set.
    """

    issuer: ServiceUrl = Field(alias="AUTH_ISSUER")
    audiences: Audiences = Field(alias="AUTH_AUDIENCE", default=frozenset())
    authorized_parties: Origins | None = Field(alias="AUTH_AUTHORIZED_PARTIES", default=None)

    @model_validator(mode="after")
    def _is_not_open_to_all(self) -> Self:
        # A token made for any front end of the issuer would do.
        if not self.audiences and self.authorized_parties is None:
            raise SettingsError([_OPEN_TO_ALL])
        return self


class Clerk:
    """Tells who sent a request; one serves all requests of the isolate."""

    def __init__(
        self,
        settings: ClerkSettings,
        http: httpx.AsyncClient,
        verify_signature: VerifySignature,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = settings.issuer
        # A template's token is for whom its audience names, and for nobody without one.
        template = (_TEMPLATE,) if settings.audiences else ()
        self._subject = partial(_subject, categories=(_SESSION, _ANY, *template))
        self._tokens = Tokens(
            settings,
            {settings.issuer: at(f"{settings.issuer}/.well-known/jwks.json")},
            http,
            verify_signature,
            clock,
            authorized_parties=settings.authorized_parties,
        )

    async def authenticate(self, headers: httpx.Headers) -> Principal:
        """Who sent the request with these headers, by its bearer token or session cookie.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        token = _token(headers, self._issuer)
        return await self._tokens.principal(token, self._subject, _scopes)


def _subject(token: Unverified, categories: Collection[object]) -> str:
    # A "pending" session's user still has a task to do, such as choosing an organization.
    if token.claims.others.get("sts", "active") != "active":
        raise InvalidToken("the session is not active")
    # As in Clerk's own SDKs. Tokens between machines had no category before May 2026.
    machine = token.claims.sub.startswith(_MACHINE)
    if machine or token.header.others.get("cat", _SESSION) not in categories:
        raise InvalidToken("the token is not a session's")
    return token.claims.sub


def _scopes(claims: Claims) -> frozenset[str]:
    """What the token says, and what its active organization allows, by Clerk's own names for it."""
    version_2 = claims.others.get("v") == 2
    return granted(claims.others) | (_compact if version_2 else _plain)(claims.others)


def _plain(claims: Mapping[str, object]) -> frozenset[str]:
    """Of a session token of version 1: `org:admin` and `org:invoices:create`."""
    return frozenset([*texts(claims.get("org_role")), *texts(claims.get("org_permissions"))])


def _compact(claims: Mapping[str, object]) -> frozenset[str]:
    """The same of a token of version 2: the n-th number of `fpm` has a bit for each permission of
    `per`, the lowest for the first one, that the n-th of the organization's features has.
    """
    organization = claims.get("o")
    if not isinstance(organization, dict):
        return frozenset()
    roles = [f"org:{role}" for role in texts(organization.get("rol"))]
    listed = [feature.partition(":") for feature in _parts(claims.get("fea"))]
    features = [feature for owners, _, feature in listed if "o" in owners]
    numbers = _parts(organization.get("fpm"))
    permissions = [
        f"org:{feature}:{permission}"
        for feature, number in zip(features, numbers, strict=False)
        for bit, permission in enumerate(_parts(organization.get("per")))
        if _NUMBER.fullmatch(number) and int(number) >> bit & 1
    ]
    return frozenset([*roles, *permissions])


def _parts(claim: object) -> list[str]:
    return [part.strip() for text in texts(claim) for part in text.split(",")]


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
    claims = peek(token)
    return (claims.iss == issuer, claims.iat) if claims else (False, 0)


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
