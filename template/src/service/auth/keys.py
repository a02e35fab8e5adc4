"""The issuer's public keys: RFC 7517, section 5."""

from collections.abc import Awaitable, Callable, Collection
from typing import Annotated

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

MAX_KEYS = 32

Locate = Callable[[], Awaitable[str]]
"""Tells where the keys are; raises as `Fetched` says."""


CacheSeconds = Annotated[float, Field(ge=COOLDOWN_SECONDS, le=STALE_SECONDS)]
"""How long keys serve before they are asked for again."""


class KeySet:
    """The keys that are fit for one of `algorithms`, cached; `clock` gives epoch seconds."""

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

    async def find(self, kid: str) -> tuple[Key, ...]:
        """The issuer's keys, asked for anew when they are old or none of them is called `kid`.

        Raises KeysUnavailable.
        """
        return await self._keys.get(lambda keys: not kid or any(key.kid == kid for key in keys))

    async def _fetch(self) -> tuple[Key, ...]:
        found = await read_document(self._http, await self._locate(), _Document, self._timeout)
        fit = (read_key(jwk, algorithm) for jwk in found.keys for algorithm in self._algorithms)
        return tuple(key for key in fit if key)


def at(url: str) -> Locate:
    """Keys whose place is known."""

    async def locate() -> str:
        return url

    return locate


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    keys: Annotated[list[object], Field(max_length=MAX_KEYS)]
