"""What one caller used today (UTC), kept in a Durable Object of their own.

The object is one place in the world: whoever asks it, from wherever, asks about the same numbers.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, TypedDict

DAY = "day"
"""The one key: yesterday's numbers are of use to nobody."""


class Storage(Protocol):
    """What a ledger uses of a Durable Object's storage."""

    async def get(self, key: str, /) -> "Used | None":
        """The value; None where there is none."""

    async def put(self, key: str, value: "Used", /) -> object:
        """Store the value."""


class Used(TypedDict):
    """The requests and tokens of a `date` such as 2026-11-24, reserved ones included."""

    date: str
    requests: int
    tokens: int


class Limits(TypedDict):
    """The most of a day."""

    requests: int
    tokens: int


class Reserved(Used):
    """The numbers after a reservation that was `admitted`, or before one that was not."""

    admitted: bool


class Ledger:
    """Counts. `clock` tells epoch seconds.

    What is read is what is written next, though other requests wait at the object meanwhile: no
    event is delivered to a Durable Object while it waits for its storage (the input gate), so that
    a get, and the put after it with nothing else awaited between, are one step. And nobody is
    answered before what was put is on disk (the output gate).
    https://blog.cloudflare.com/durable-objects-easy-fast-correct-choose-three/
    """

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.time) -> None:
        self._storage = storage
        self._clock = clock

    async def today(self) -> Used:
        """The day's numbers so far."""
        date = datetime.fromtimestamp(self._clock(), UTC).date().isoformat()
        stored = await self._storage.get(DAY)
        if stored and stored["date"] == date:
            return stored
        return Used(date=date, requests=0, tokens=0)

    async def reserve(self, limits: Limits, tokens: int) -> Reserved:
        """Take one request and so many tokens, where both are left."""
        used = await self.today()
        requests, total = used["requests"] + 1, used["tokens"] + tokens
        if requests > limits["requests"] or total > limits["tokens"]:
            return Reserved(**used, admitted=False)
        taken = Used(date=used["date"], requests=requests, tokens=total)
        await self._storage.put(DAY, taken)
        return Reserved(**taken, admitted=True)

    async def correct(self, date: str, requests: int, tokens: int) -> Used:
        """Add to the numbers of `date`, or take from them where negative.

        Another day's are gone, and with them what is to correct.
        """
        used = await self.today()
        if used["date"] != date:
            return used
        corrected = Used(
            date=date,
            requests=max(0, used["requests"] + requests),
            tokens=max(0, used["tokens"] + tokens),
        )
        await self._storage.put(DAY, corrected)
        return corrected
