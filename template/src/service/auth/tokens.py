"""Issuers' tokens: what all identity services have in common."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Self

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from service.auth import Principal, Unauthorized
from service.auth.algorithms import ALGORITHMS, read_key
from service.auth.fetched import FRESH_SECONDS
from service.auth.jwt import (
    LEEWAY_SECONDS,
    Claims,
    Expectations,
    InvalidToken,
    Unverified,
    WrongSignature,
    examine,
    peek,
    verify,
)
from service.auth.keys import CacheSeconds, FixedKeys, KeySet, KeySource, Locate, at
from service.auth.pem import PublicKeys
from service.auth.scopes import granted
from service.runtime import VerifySignature
from service.settings import ServiceUrl, Settings, SettingsError, split

MAX_LEEWAY_SECONDS = 120


def _algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError(f"needs names out of {', '.join(ALGORITHMS)}, separated by commas")
    return name


Algorithms = Annotated[
    frozenset[Annotated[str, AfterValidator(_algorithm)]],
    BeforeValidator(split),
    Field(min_length=1),
]
"""The algorithms that an issuer may sign with (RFC 8725, section 3.1)."""

Audiences = Annotated[frozenset[Annotated[str, Field(min_length=1)]], BeforeValidator(split)]
"""The audiences of which a token has to name one (RFC 8725, section 3.9)."""

LeewaySeconds = Annotated[float, Field(ge=0, le=MAX_LEEWAY_SECONDS)]
"""How far the clocks of issuer and Worker may be apart."""


class TokenSettings(Settings):
    """Which tokens are accepted, and under which keys."""

    audiences: Audiences = Field(alias="AUTH_AUDIENCE")
    jwks_url: ServiceUrl | None = Field(alias="AUTH_JWKS_URL", default=None)
    public_keys: PublicKeys = Field(alias="AUTH_PUBLIC_KEY", default=())
    algorithms: Algorithms = Field(alias="AUTH_ALGORITHMS", default=frozenset({"RS256"}))
    cache_seconds: CacheSeconds = Field(alias="AUTH_JWKS_CACHE_SECONDS", default=FRESH_SECONDS)
    leeway: LeewaySeconds = Field(alias="AUTH_LEEWAY_SECONDS", default=LEEWAY_SECONDS)

    @model_validator(mode="after")
    def _has_keys_that_are_fit(self) -> Self:
        for jwk in self.public_keys:
            if not any(read_key(jwk, algorithm) for algorithm in self.algorithms):
                names = ", ".join(sorted(self.algorithms))
                raise SettingsError(
                    [f"AUTH_PUBLIC_KEY holds a key that is not fit for AUTH_ALGORITHMS: {names}"]
                )
        if self.public_keys and self.jwks_url:
            raise SettingsError(["AUTH_PUBLIC_KEY and AUTH_JWKS_URL are both set: keep one"])
        return self


@dataclass(frozen=True)
class _Issuer:
    """`prefix` keeps the issuer's subjects apart from those of the others."""

    expected: Expectations
    keys: KeySource
    prefix: str


class Tokens:
    """Verifies tokens; one serves all requests of the isolate.

    `issuers` are those that are trusted, and where each has its keys. Of several, the first one's
    subjects are as its tokens have them, also before there were others.
    """

    def __init__(
        self,
        settings: TokenSettings,
        issuers: Mapping[str, Locate],
        http: httpx.AsyncClient,
        verify_signature: VerifySignature,
        clock: Callable[[], float],
        *,
        types: frozenset[str] = frozenset({"jwt"}),
        authorized_parties: frozenset[str] | None = None,
    ) -> None:
        self._verify_signature = verify_signature
        self._clock = clock
        self._issuers: dict[str, _Issuer] = {}
        for issuer, locate in issuers.items():
            expected = Expectations(
                issuer=issuer,
                audiences=settings.audiences,
                authorized_parties=authorized_parties,
                algorithms=settings.algorithms,
                types=types,
                leeway=settings.leeway,
            )
            # Keys are an issuer's own: another's are not to verify its tokens, whatever their name.
            keys = _key_source(settings, locate, http, clock)
            prefix = f"{issuer}|" if self._issuers else ""
            self._issuers[issuer] = _Issuer(expected, keys, prefix)

    async def principal(
        self,
        token: str,
        subject: Callable[[Unverified], str],
        scopes: Callable[[Claims], frozenset[str]] = lambda claims: granted(claims.others),
    ) -> Principal:
        """Whose token it is; `subject` tells that by what it says, and may raise InvalidToken.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        issuer = self._issuer_of(token)
        try:
            unverified = examine(token, issuer.expected, self._clock())
            name = issuer.prefix + self._own(subject(unverified))
            claims = await self._verified(unverified, issuer.keys)
        except InvalidToken as error:
            raise Unauthorized(str(error), "invalid_token") from error
        return Principal(name, claims, scopes(claims))

    def _issuer_of(self, token: str) -> _Issuer:
        first, *others = self._issuers.values()
        claims = peek(token) if others else None
        return self._issuers.get(claims.iss, first) if claims else first

    def _own(self, subject: str) -> str:
        if not subject:
            raise InvalidToken("the token has no subject")
        prefixes = [issuer.prefix for issuer in self._issuers.values() if issuer.prefix]
        if subject.startswith(tuple(prefixes)):
            raise InvalidToken("the token's subject could be another issuer's")
        return subject

    async def _verified(self, token: Unverified, source: KeySource) -> Claims:
        keys = await source.find(token.kid)
        try:
            return await verify(token, keys.called(token.kid), self._verify_signature)
        except WrongSignature:
            # Some issuers put another key under a name that is known.
            newer = await source.newer(keys)
            if newer.called(token.kid) == keys.called(token.kid):
                raise
            return await verify(token, newer.called(token.kid), self._verify_signature)


def _key_source(
    settings: TokenSettings, locate: Locate, http: httpx.AsyncClient, clock: Callable[[], float]
) -> KeySource:
    if settings.public_keys:
        return FixedKeys(settings.public_keys, settings.algorithms)
    locate = at(settings.jwks_url) if settings.jwks_url else locate
    return KeySet(locate, settings.algorithms, http, clock, fresh=settings.cache_seconds)
