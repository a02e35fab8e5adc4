"""What is fetched from an issuer, cached for all requests of the isolate.

Requests run interleaved, and none may wait for another's I/O: the runtime would cancel it. So the
cache is plain values only. Whoever finds the value due for a refresh notes the time and fetches;
until that is COOLDOWN_SECONDS ago the others serve what there is. A note that nobody clears needs
no clean-up either when its writer is cancelled. Only a request with nothing to serve fetches
whatever the others do.

A token can ask for a key that is not there, and anybody can make up such tokens. So these have a
cooldown of their own. Until the first of them has its answer, the next few ask for themselves: what
the issuer has just begun to sign with is then known to all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel

from service.log import log
from service.web import Unavailable

FRESH_SECONDS = 60.0
STALE_SECONDS = 3600.0
COOLDOWN_SECONDS = 10.0
MAX_MISSES = 8
TIMEOUT_SECONDS = 5.0
MAX_ANSWER_BYTES = 65_536

T = TypeVar("T")
Document = TypeVar("Document", bound=BaseModel)


class KeysUnavailable(Unavailable):
    """There are no keys to verify anything with: no fault of the token, which may well be good."""

    answer = "Tokens cannot be verified at the moment."


class Fetched(Generic[T]):
    """What `fetch` gives, for so many seconds `fresh`; `name` is for the log.

    `clock` gives epoch seconds. `fetch` raises httpx.HTTPError, TimeoutError, ValueError or
    KeysUnavailable.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Awaitable[T]],
        clock: Callable[[], float],
        fresh: float = FRESH_SECONDS,
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._clock = clock
        self._fresh = fresh
        self._value: T | None = None
        # When the value was asked for, and when anybody last asked for one.
        self._value_from = -inf
        self._asked_at = -inf
        # The Worker's clock stands still between I/O: fetches are told apart by number.
        self._fetches = 0
        self._value_fetch = 0
        # When a value last did not suffice, that fetch's number, and how often it was so since.
        self._missed_at = -inf
        self._missed_fetch = 0
        self._misses = 0

    async def get(self, suffices: Callable[[T], bool] = lambda _: True) -> T:
        """The value, fetched anew when it is old or does not suffice.

        Values of up to STALE_SECONDS serve while there is no answer; raises KeysUnavailable without
        any.
        """
        value = self._value
        if value is None or not self._younger_than(STALE_SECONDS):
            return await self._refresh()
        due = self._is_due() if suffices(value) else self._may_miss()
        return await self._refresh() if due else value

    def _is_due(self) -> bool:
        return not (self._younger_than(self._fresh) or self._is_cooling(self._asked_at))

    def _may_miss(self) -> bool:
        if not self._is_cooling(self._missed_at):
            self._missed_at, self._missed_fetch, self._misses = self._clock(), self._fetches + 1, 0
        self._misses += 1
        return self._value_fetch < self._missed_fetch and self._misses <= MAX_MISSES

    def _younger_than(self, seconds: float) -> bool:
        # A value from the future means that the clock was set back: it would stay fresh for ever.
        return 0 <= self._clock() - self._value_from < seconds

    def _is_cooling(self, since: float) -> bool:
        return 0 <= self._clock() - since < COOLDOWN_SECONDS

    async def _refresh(self) -> T:
        asked_at = self._asked_at = self._clock()
        self._fetches += 1
        number = self._fetches
        try:
            value = await self._fetch()
        except (httpx.HTTPError, TimeoutError, ValueError, KeysUnavailable) as error:
            reason = f"{type(error).__name__}: {error}"
            log("warning", f"{self._name}_refresh_failed", reason=reason)
            if self._value is not None and self._younger_than(STALE_SECONDS):
                return self._value
            raise KeysUnavailable(f"the issuer's {self._name} cannot be had") from error
        if number <= self._value_fetch and self._value is not None:
            return self._value
        self._value, self._value_from, self._value_fetch = value, asked_at, number
        return value


async def read_document(
    http: httpx.AsyncClient, url: str, model: type[Document], seconds: float = TIMEOUT_SECONDS
) -> Document:
    """The JSON at `url` as a `model`, had within `seconds`.

    No redirect is followed: where an issuer's keys are is for the settings to say. Raises
    httpx.HTTPError, TimeoutError, or ValueError for any other answer, and for a large one.
    """
    body = bytearray()
    # The client's own timeout is for each chunk, and those could drip.
    async with asyncio.timeout(seconds), http.stream("GET", url) as response:
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"status {response.status_code}")
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise ValueError("the answer is too large")
    return model.model_validate_json(body)
