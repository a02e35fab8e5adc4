"""How a call to an API is bounded: in time, and in what is read of its answer."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TypeVar

import httpx
from pydantic import Field

from service.settings import Settings

MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_ERROR_BYTES = 16 * 1024

T = TypeVar("T")


class Timeouts(Settings):
    """How long a provider may take, in seconds. Models that reason take minutes."""

    first_byte: float = Field(
        alias="PROVIDER_FIRST_BYTE_TIMEOUT", default=600, gt=0, allow_inf_nan=False
    )
    idle: float = Field(alias="PROVIDER_IDLE_TIMEOUT", default=120, gt=0, allow_inf_nan=False)
    call: float = Field(alias="PROVIDER_CALL_TIMEOUT", default=900, gt=0, allow_inf_nan=False)


class TimedOutError(Exception):
    """An answer took too long; the message says which timeout it was."""


class AnswerTooLongError(Exception):
    """An answer has more than MAX_ANSWER_BYTES."""


class Stopwatch:
    """Bounds all waits of one call.

    They share one timer, however many chunks a stream has: workerd allows 10,000 timers a request,
    and Pyodide keeps those that asyncio cancels. When the timer fires too early, because chunks
    have come in the meantime, it is set again for the rest.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        start = self._loop.time()
        self._first_byte_until = start + timeouts.first_byte
        self._call_until = start + timeouts.call
        self._begun = False
        self._task: asyncio.Task[object] | None = None
        self._until = 0.0
        self._expired = False
        self._timer: asyncio.Handle | None = None
        self._fires_at = 0.0

    def begin(self) -> None:
        """The answer's first part is there: from now on the idle timeout counts."""
        self._begun = True

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for it. Raises TimedOutError."""
        name, self._until = self._limit()
        self._task = task = asyncio.current_task()
        self._expired = False
        cancelled_before = task.cancelling() if task else 0
        if self._timer is None or self._until < self._fires_at:
            self._set_timer(self._until)
        try:
            return await awaitable
        except asyncio.CancelledError:
            # By the timer alone, and not by a client that leaves at the same time.
            if self._expired and task and task.uncancel() <= cancelled_before:
                raise TimedOutError(name) from None
            raise
        finally:
            self._task = None

    def stop(self) -> None:
        """The call is over."""
        if self._timer:
            self._timer.cancel()

    def _limit(self) -> tuple[str, float]:
        call = ("PROVIDER_CALL_TIMEOUT", self._call_until)
        if self._begun:
            waits = ("PROVIDER_IDLE_TIMEOUT", self._loop.time() + self._timeouts.idle)
        else:
            waits = ("PROVIDER_FIRST_BYTE_TIMEOUT", self._first_byte_until)
        return min(waits, call, key=lambda limit: limit[1])

    def _set_timer(self, when: float) -> None:
        self.stop()
        # Not `call_at`: Pyodide refuses a time that is past, be it by a microsecond.
        delay = max(0.0, when - self._loop.time())
        self._timer, self._fires_at = self._loop.call_later(delay, self._fire), when

    def _fire(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._loop.time() < self._until:
            self._set_timer(self._until)
            return
        self._expired = True
        self._task.cancel()


@dataclass(frozen=True)
class Answer:
    """An answer of which nothing but the head has been read, and what bounds the rest."""

    response: httpx.Response
    watch: Stopwatch

    async def aclose(self) -> None:
        """End the call, whether or not the answer is complete."""
        self.watch.stop()
        await self.response.aclose()


BROKEN = (httpx.TransportError, httpx.DecodingError, TimedOutError)
"""What is raised where an answer breaks off."""


async def chunks(answer: Answer, ending: bytes = b"") -> AsyncGenerator[bytes, None]:
    """An answer's body, then the `ending`. Raises AnswerTooLongError and what is in BROKEN."""
    size, body = 0, aiter(answer.response.aiter_bytes())
    while (chunk := await answer.watch.wait(anext(body, None))) is not None:
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise AnswerTooLongError
        yield chunk
    if ending:
        yield ending


async def read_up_to(limit: int, answer: Answer) -> bytes:
    """The beginning of a body, as much of it as comes: one that breaks off is no error."""
    content = bytearray()
    with suppress(*BROKEN):
        async with aclosing(chunks(answer)) as body:
            async for chunk in body:
                content += chunk
                if len(content) > limit:
                    break
    return bytes(content[:limit])
