"""Clerk's session tokens: https://clerk.com/docs/backend-requests/resources/session-tokens."""

import time
from collections.abc import Callable
from re import fullmatch
from typing import Annotated, Self

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from service.auth import Principal, Unauthorized
from service.auth.jwt import Claims, Expectations, InvalidToken, examine, verify
from service.auth.keys import KeySet
from service.runtime import VerifySignature
from service.settings import ServiceUrl, Settings, SettingsError

SESSION_COOKIE = "__session"

_OPEN_TO_ALL = (
    "AUTH_AUTHORIZED_PARTIES is not set: name your front ends' origins, such as "
    "https://app.example.com, under [vars] of wrangler.toml, or set AUTH_AUDIENCE"
)


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _origin(url: str) -> str:
    if not fullmatch(r"https?://[a-z0-9.:\[\]-]+", url):
        raise ValueError("needs origins in lower case, such as https://app.example.com")
    return url


Origin = Annotated[ServiceUrl, AfterValidator(_origin)]
Origins = Annotated[frozenset[Origin], BeforeValidator(_split), Field(min_length=1)]


class ClerkSettings(Settings):
    """Which tokens are let in. The issuer is Clerk's Frontend API URL.

    Audience and authorized parties are each enforced when set; one of them has to be. A token
    without an authorized party, as native apps get them, passes only where none are set.
    """

    issuer: ServiceUrl = Field(alias="AUTH_ISSUER")
    jwks_url: ServiceUrl | None = Field(alias="AUTH_JWKS_URL", default=None)
    audience: str | None = Field(alias="AUTH_AUDIENCE", default=None)
    authorized_parties: Origins | None = Field(alias="AUTH_AUTHORIZED_PARTIES", default=None)

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
        self._expected = Expectations(
            issuer=settings.issuer,
            audience=settings.audience,
            authorized_parties=settings.authorized_parties,
        )
        self._keys = KeySet(settings.key_set_url, self._expected.algorithms, http, clock)
        self._verify_signature = verify_signature
        self._clock = clock

    async def authenticate(self, headers: httpx.Headers) -> Principal:
        """Who sent the request with these headers, by its bearer token or session cookie.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        try:
            token = examine(_token(headers), self._expected, self._clock())
            _check_session(token.claims)
            keys = await self._keys.find(token.kid)
            claims = await verify(token, keys, self._verify_signature)
        except InvalidToken as error:
            raise Unauthorized(str(error), "invalid_token") from error
        return Principal(claims.sub, claims)


def _check_session(claims: Claims) -> None:
    if not claims.sub:
        raise InvalidToken("the token has no subject")
    # A "pending" session's user still has a task to do, such as choosing an organization.
    if (claims.model_extra or {}).get("sts", "active") != "active":
        raise InvalidToken("the session is not active")


def _token(headers: httpx.Headers) -> str:
    """The one token of a request: bearer and cookie may both be there when they are the same."""
    tokens = {*_bearer_tokens(headers), *_session_cookies(headers)}
    if not tokens:
        raise Unauthorized("the request has no bearer token and no session cookie")
    if len(tokens) > 1:
        raise InvalidToken("the request has several tokens that differ")
    return tokens.pop()


def _bearer_tokens(headers: httpx.Headers) -> list[str]:
    """RFC 6750, section 2.1. Raises InvalidToken for several Authorization headers."""
    values = headers.get_list("authorization")
    # The Worker is given several headers as one, joined by commas, which no token has.
    if len(values) > 1 or any("," in value for value in values):
        raise InvalidToken("the request has several Authorization headers")
    credentials = [value.strip().partition(" ") for value in values]
    return [token.strip(" ") for scheme, _, token in credentials if scheme.lower() == "bearer"]


def _session_cookies(headers: httpx.Headers) -> list[str]:
    pairs = [pair for line in headers.get_list("cookie") for pair in line.split(";")]
    cookies = [pair.strip().partition("=") for pair in pairs]
    # Signing out leaves an empty cookie behind.
    return [value for name, _, value in cookies if name == SESSION_COOKIE and value]
