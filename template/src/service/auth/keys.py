"""The issuer's public keys: RFC 7517, section 5."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Annotated, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, Field

from service.auth.algorithms import Key, read_key
from service.auth.fetched import (
    COOLDOWN_SECONDS,
    FRESH_SECONDS,
    STALE_SECONDS,
    TIMEOUT_SECONDS,
    Fetched,
    read_document,
)

Locate = Callable[[], Awaitable[str]]
"""Tells where the keys are; raises as `Fetched` says."""


CacheSeconds = Annotated[float, Field(ge=COOLDOWN_SECONDS, le=STALE_SECONDS)]
"""How long keys serve before they are asked for again."""


class Keys:
    """What an issuer published: only what a token asks for is parsed, and that once."""

    def __init__(self, published: Sequence[object], algorithms: Collection[str]) -> None:
        self._published = published
        self._algorithms = algorithms
        self._parsed: dict[str, tuple[Key, ...]] = {}

    def has(self, kid: str) -> bool:
        """Whether a key is called so, fit or not; each set has the key without a name."""
        return not kid or any(_kid(jwk) == kid for jwk in self._published)

    def called(self, kid: str) -> tuple[Key, ...]:
        """The keys of this name that are fit for one of the algorithms; without a name, all."""
        if kid not in self._parsed and self.has(kid):
            wanted = [jwk for jwk in self._published if kid in ("", _kid(jwk))]
            fit = (read_key(jwk, algorithm) for jwk in wanted for algorithm in self._algorithms)
            self._parsed[kid] = tuple(key for key in fit if key)
        return self._parsed.get(kid, ())


def _kid(jwk: object) -> object:
    return jwk.get("kid") if isinstance(jwk, dict) else None


class KeySource(Protocol):
    """Where an issuer's keys come from; one serves all requests of the isolate."""

    async def find(self, kid: str) -> Keys:
        """Keys among which is what the issuer calls `kid`, if it has it. Raises KeysUnavailable."""

    async def newer(self, than: Keys) -> Keys:
        """What the issuer has now, if that can be another set. Raises KeysUnavailable."""


class FixedKeys:
    """Keys that the settings hold. They have no names: whatever a token calls its key, it is one.

    `published` is of JWKs.
    """

    def __init__(self, published: Sequence[object], algorithms: Collection[str]) -> None:
        self._keys = _NamelessKeys(published, algorithms)

    async def find(self, _kid: str) -> Keys:
        return self._keys

    async def newer(self, _than: Keys) -> Keys:
        return self._keys


class _NamelessKeys(Keys):
    def called(self, kid: str) -> tuple[Key, ...]:
        return tuple(replace(key, kid=kid) for key in super().called(""))


class KeySet:
    """An issuer's keys for one of `algorithms`, cached; `clock` gives epoch seconds."""

    def __init__(
        self,
        locate: Locate,
        algorithms: Collection[str],
        http: httpx.AsyncClient,
        clock: Callable[[], float],
        *,
        fresh: float = FRESH_SECONDS,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._locate = locate
        self._algorithms = algorithms
        self._http = http
        self._timeout = timeout
        self._keys = Fetched("key_set", self._fetch, clock, fresh)

    async def find(self, kid: str) -> Keys:
        """The issuer's keys, asked for anew when they are old or none of them is called `kid`.

        Raises KeysUnavailable.
        """
        return await self._keys.get(lambda keys: keys.has(kid))

    async def newer(self, than: Keys) -> Keys:
        """The issuer's keys, asked for anew unless others have been since: some may be changed.

        Raises KeysUnavailable.
        """
        return await self._keys.get(lambda keys: keys is not than)

    async def _fetch(self) -> Keys:
        found = await read_document(self._http, await self._locate(), _Document, self._timeout)
        return Keys(found.keys, self._algorithms)


def at(url: str) -> Locate:
    """Keys whose place is known."""

    async def locate() -> str:
        return url

    return locate


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    keys: list[object]
