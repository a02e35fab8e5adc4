"""The issuer's public keys, cached for all requests of the isolate.

Requests run interleaved, and none may wait for another's I/O: the runtime would cancel it. So the
cache is plain values only. Whoever finds it due for a refresh notes the time and fetches; until
that is COOLDOWN_SECONDS ago the others serve what there is. A note that nobody clears needs no
clean-up either when its writer is cancelled. Only a request with nothing to serve fetches whatever
the others do.
"""

import asyncio
from collections.abc import Callable, Collection
from math import inf
from typing import Annotated

import httpx
from pydantic import BaseModel, ConfigDict, Field

from service.auth.jwt import Key, read_key
from service.log import log
from service.web import Unavailable

FRESH_SECONDS = 60.0
STALE_SECONDS = 3600.0
COOLDOWN_SECONDS = 10.0
TIMEOUT_SECONDS = 5.0
MAX_ANSWER_BYTES = 65_536
MAX_KEYS = 32


class KeysUnavailable(Unavailable):
    """There are no keys to verify anything with: no fault of the token, which may well be good."""

    answer = "Tokens cannot be verified at the moment."


class KeySet:
    """The keys at `url` that are fit for one of `algorithms`; `clock` gives epoch seconds."""

    def __init__(
        self,
        url: str,
        algorithms: Collection[str],
        http: httpx.AsyncClient,
        clock: Callable[[], float],
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._url = url
        self._algorithms = algorithms
        self._http = http
        self._clock = clock
        self._timeout = timeout
        self._keys: tuple[Key, ...] = ()
        # When the keys were asked for, and when anybody last asked for some.
        self._keys_from = -inf
        self._asked_at = -inf
        # The Worker's clock stands still between I/O: fetches are told apart by number.
        self._fetches = 0
        self._keys_fetch = 0

    async def find(self, kid: str) -> tuple[Key, ...]:
        """The issuer's keys, asked for anew when they are old or none of them is called `kid`.

        Keys of up to STALE_SECONDS serve while the issuer has no answer; raises KeysUnavailable
        without any.
        """
        return await self._refresh() if self._is_due(kid) else self._keys

    def _is_due(self, kid: str) -> bool:
        if not self._younger_than(STALE_SECONDS):
            return True
        known = any(kid in ("", key.kid) for key in self._keys)
        cooling = self._clock() - self._asked_at < COOLDOWN_SECONDS
        return not (cooling or (known and self._younger_than(FRESH_SECONDS)))

    def _younger_than(self, seconds: float) -> bool:
        # Keys from the future mean that the clock was set back: they would stay fresh for ever.
        return 0 <= self._clock() - self._keys_from < seconds

    async def _refresh(self) -> tuple[Key, ...]:
        asked_at = self._asked_at = self._clock()
        self._fetches += 1
        number = self._fetches
        try:
            keys = await self._fetch()
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            log("warning", "key_set_refresh_failed", reason=f"{type(error).__name__}: {error}")
            if self._younger_than(STALE_SECONDS):
                return self._keys
            raise KeysUnavailable("the issuer's keys cannot be had") from error
        if number > self._keys_fetch:
            self._keys, self._keys_from, self._keys_fetch = keys, asked_at, number
        return self._keys

    async def _fetch(self) -> tuple[Key, ...]:
        """Raises httpx.HTTPError, TimeoutError, or ValueError for an answer that is no key set."""
        body = bytearray()
        # The client follows no redirects; its own timeout is for each chunk, and those could drip.
        async with asyncio.timeout(self._timeout), self._http.stream("GET", self._url) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise ValueError("the answer is too large")
        found = _Document.model_validate_json(body).keys
        fit = (read_key(jwk, algorithm) for jwk in found for algorithm in self._algorithms)
        return tuple(key for key in fit if key)


class _Document(BaseModel):
    """RFC 7517, section 5."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    keys: Annotated[list[object], Field(max_length=MAX_KEYS)]
