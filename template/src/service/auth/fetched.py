"""What is fetched from an issuer, cached for all requests of the isolate.

Requests run interleaved, and none may wait for another's I/O: the runtime would cancel it. So the
cache is plain values only, and who fetches takes a turn. There are so many turns in
COOLDOWN_SECONDS, however a fetch ends: anybody can make up tokens, so anybody can make the Worker
ask. A turn is given back when its request is cancelled. A client that leaves must not use up what
others need.

- A value that is due is fetched by one; the others are served what there is. One that is overdue is
  fetched by several: the first may have died without a word.
- Without a value several fetch at once. Who comes later looks again until one of them has it.
- A token may name a key that is not there. These have turns of their own: what the issuer has just
  begun to sign with has to be known to all who come with it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from math import inf
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel

from service.log import log
from service.retry_after import MAX_RETRY_AFTER, retry_after
from service.web import Unavailable

FRESH_SECONDS = 60.0
OVERDUE = 2
"""How many times as old as fresh a value is overdue."""
STALE_SECONDS = 3600.0
COOLDOWN_SECONDS = 10.0
MAX_TURNS = 8
TIMEOUT_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.1
MAX_CLOCK_LAG_SECONDS = 5.0
"""How far one request's clock may lag behind another's: each stands still between its I/O."""
MAX_ANSWER_BYTES = 65_536

T = TypeVar("T")
Document = TypeVar("Document", bound=BaseModel)


class KeysUnavailable(Unavailable):
    """There are no keys to verify anything with: no fault of the token, which may well be good."""

    answer = "Tokens cannot be verified at the moment."


class RefusedError(ValueError):
    """The issuer's server answered with an error; it may ask to be left alone for some seconds."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"status {response.status_code}")
        self.retry_after = retry_after(response.headers, datetime.now(UTC))


def _age(since: float, now: float) -> float:
    """The seconds since then. Infinite if the clock was set back: a value would never grow old."""
    age = now - since
    return inf if age < -MAX_CLOCK_LAG_SECONDS else max(age, 0.0)


class _Turns:
    """Which of the requests may fetch: so many in COOLDOWN_SECONDS."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken = 0
        self.since = -inf

    def are_over(self) -> bool:
        """Whether their time has passed, so that all are free again."""
        return _age(self.since, self._clock()) >= COOLDOWN_SECONDS

    def take(self, most: int) -> bool:
        """Take a turn, if fewer than `most` are taken."""
        if self.are_over():
            self.since, self._taken = self._clock(), 0
        if self._taken >= most:
            return False
        self._taken += 1
        return True

    def give_back(self, since: float) -> None:
        """Give back a turn of those that began at `since`."""
        if self.since == since:
            self._taken -= 1


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
        # When the value was asked for.
        self._value_from = -inf
        self._turns, self._misses = _Turns(clock), _Turns(clock)
        # The Worker's clock stands still between I/O: fetches are told apart by number.
        self._fetches = 0
        self._value_fetch = 0
        # The first fetch that began since a value last did not suffice.
        self._missed_fetch = 0
        self._pending = 0
        # Until then the issuer's server asks to be left alone.
        self._refused_until = -inf

    async def get(self, suffices: Callable[[T], bool] = lambda _: True) -> T:
        """A value that suffices, or one that the issuer has just given; fetched when it is due.

        Values of up to STALE_SECONDS serve while there is no answer. Raises KeysUnavailable without
        any, and where nobody can tell whether the issuer has something that suffices.
        """
        value = self._value
        if value is None or not self._younger_than(STALE_SECONDS):
            return await self._first()
        if not suffices(value):
            return await self._missed()
        if self._younger_than(self._fresh):
            return value
        most = 1 if self._younger_than(OVERDUE * self._fresh) else MAX_TURNS
        if not self._may_ask(self._turns, most):
            return value
        try:
            return await self._refresh(self._turns)
        except KeysUnavailable:
            return value

    async def _first(self) -> T:
        if self._may_ask(self._turns, MAX_TURNS):
            return await self._refresh(self._turns)
        # With timers of its own, a request may look at what another's I/O has brought.
        for _ in range(round(TIMEOUT_SECONDS / LOOK_AGAIN_SECONDS)):
            if not self._pending:
                break
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            if self._value is not None and self._younger_than(STALE_SECONDS):
                return self._value
        raise self._unavailable()

    async def _missed(self) -> T:
        if self._misses.are_over():
            self._missed_fetch = self._fetches + 1
        if self._value is not None and 0 < self._missed_fetch <= self._value_fetch:
            return self._value
        if self._may_ask(self._misses, MAX_TURNS):
            return await self._refresh(self._misses)
        raise self._unavailable()

    def _may_ask(self, turns: _Turns, most: int) -> bool:
        return not self._is_refused() and turns.take(most)

    def _is_refused(self) -> bool:
        # A time that is far away means that the clock was set back.
        return 0 < self._refused_until - self._clock() <= MAX_RETRY_AFTER

    def _younger_than(self, seconds: float) -> bool:
        return _age(self._value_from, self._clock()) < seconds

    def _unavailable(self) -> KeysUnavailable:
        error = KeysUnavailable(f"the issuer's {self._name} cannot be had")
        wait = self._refused_until - self._clock() if self._is_refused() else COOLDOWN_SECONDS
        error.retry_after = wait
        return error

    async def _refresh(self, turns: _Turns) -> T:
        asked_at, since = self._clock(), turns.since
        self._fetches += 1
        number = self._fetches
        self._pending += 1
        try:
            value = await self._fetch()
        except (httpx.HTTPError, TimeoutError, ValueError, KeysUnavailable) as error:
            reason = f"{type(error).__name__}: {error}"
            log("warning", f"{self._name}_refresh_failed", reason=reason)
            if isinstance(error, RefusedError) and error.retry_after:
                self._refused_until = self._clock() + error.retry_after
            if number < self._value_fetch and self._value is not None:
                return self._value
            raise self._unavailable() from error
        except asyncio.CancelledError:
            turns.give_back(since)
            raise
        finally:
            self._pending -= 1
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
            raise RefusedError(response)
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise ValueError("the answer is too large")
    return model.model_validate_json(body)
