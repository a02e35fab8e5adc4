"""The tokens of any OpenID Connect issuer, as bearer tokens.

OpenID Connect Discovery 1.0; RFC 9068 for access tokens that are JSON Web Tokens.
"""

import time
from collections.abc import Callable
from re import fullmatch
from typing import Annotated, Self

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from service.auth import IDENTITY, Principal, Unauthorized
from service.auth.bearer import bearer_tokens
from service.auth.fetched import Fetched, read_document
from service.auth.jwt import InvalidToken, Unverified
from service.auth.keys import Locate
from service.auth.tokens import Tokens, TokenSettings
from service.context import Context
from service.runtime import VerifySignature
from service.settings import LOOPBACK_HOSTS, ExactUrl, SettingsError, split

RFC_9068 = "at+jwt"
TYPES = frozenset({"jwt", RFC_9068})

_KINDS = {
    # https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
    "token_use": frozenset({"access"}),
    # Keycloak's, whose other tokens are ID, Refresh, Offline, Logout, DPoP and more.
    "typ": frozenset({"bearer", "access", RFC_9068}),
}
"""Claims in which some issuers say what a token is, and what an access token is there."""

_ID_TOKEN = frozenset({"nonce", "at_hash", "c_hash"})
"""Claims that only ID tokens have (OpenID Connect Core 1.0, sections 2 and 3.3.2.11)."""

_CLIENT_IDS = ("client_id", "cid", "appid")
"""What issuers call the client that a token was given to: RFC 9068's, Okta's and Entra's."""

_CLIENT = "client:"


def _issuer(url: str) -> str:
    # It stands between an issuer and a subject.
    if "|" in url:
        raise ValueError("needs issuers without a |")
    return url


Issuers = Annotated[
    tuple[Annotated[ExactUrl, AfterValidator(_issuer)], ...],
    BeforeValidator(split),
    Field(min_length=1),
]


class OidcSettings(TokenSettings):
    """Which tokens are let in.

    Issuers are compared with those of tokens and of discovery documents character by character:
    with a slash at the end where theirs has one.
    """

    issuers: Issuers = Field(alias="AUTH_ISSUER")

    @model_validator(mode="after")
    def _shares_no_keys(self) -> Self:
        if len(self.issuers) > 1 and (self.jwks_url or self.public_keys):
            raise SettingsError(
                ["AUTH_ISSUER names several: leave out AUTH_JWKS_URL and AUTH_PUBLIC_KEY"]
            )
        return self


class Oidc:
    """Tells who sent a request; one serves all requests of the isolate."""

    def __init__(
        self,
        settings: OidcSettings,
        http: httpx.AsyncClient,
        verify_signature: VerifySignature,
        clock: Callable[[], float] = time.time,
    ) -> None:
        keys = {issuer: discovered(issuer, http, clock) for issuer in settings.issuers}
        self._tokens = Tokens(settings, keys, http, verify_signature, clock, types=TYPES)

    async def authenticate(self, headers: httpx.Headers) -> Principal:
        """Who sent the request with these headers, by its bearer token.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        for token in bearer_tokens(headers):
            return await self._tokens.principal(token, _subject)
        raise Unauthorized("the request has no bearer token")


def _subject(token: Unverified) -> str:
    """Raises InvalidToken for what is not an access token (RFC 8725, section 3.12)."""
    claims, others = token.claims, token.claims.others
    said = {name: str(others[name]).lower() for name in _KINDS if name in others}
    if said.get("typ") == "jwt":  # the header's, repeated: it says nothing
        del said["typ"]
    if any(kind not in _KINDS[name] for name, kind in said.items()):
        raise InvalidToken("the token is not an access token")
    if not said and token.header.type != RFC_9068 and _ID_TOKEN & others.keys():
        raise InvalidToken("the token is an ID token, not an access token")
    # RFC 8417, section 2.2: of these, logout tokens are signed by the same keys.
    if "events" in others:
        raise InvalidToken("the token tells of an event, and is not an access token")
    if claims.sub.startswith(_CLIENT):
        raise InvalidToken("the token's subject could be a client's")
    # The subject of a client on its own is the client (RFC 9068, section 2.2), and an issuer may
    # let clients choose names that are users' (section 5).
    clients = [claims.azp, *(others.get(name) for name in _CLIENT_IDS)]
    return f"{_CLIENT}{claims.sub}" if claims.sub and claims.sub in clients else claims.sub


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


feature = (IDENTITY.by(oidc),)
