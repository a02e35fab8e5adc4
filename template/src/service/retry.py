"""Try again: a decorator for async functions and methods.

    @retry(max_attempts=5, exceptions=(httpx.TransportError,))
    async def ask() -> str: ...

Between two attempts it waits a random time below a growing bound (exponential backoff with full
jitter), so that those who failed together do not come back together.
"""

import asyncio
import inspect
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import KW_ONLY, dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """How often, how long and after which errors to try again. Calling it decorates.

    Cancellation and other exits (any BaseException that is no Exception) are never retried. When
    nothing is left to try, the last error is raised as itself, its attempts added as a note.

    Args:
        max_attempts: Calls in all, the first one included.
        delay: The bound of the first wait, in seconds.
        backoff: What each further bound is multiplied by; at least 1.
        exceptions: The kinds of error worth another attempt.
        retry_if: Says of such an error whether it is.
        max_delay: The most that a wait between two attempts lasts, in seconds.
        budget: No attempt is begun later than this many seconds after the first.
        on_retry: Told the number of the attempt that failed, its error and the wait in seconds.
        sleep: Waits so many seconds.
        clock: Tells seconds that never run backwards.
        random: Draws a number from 0 up to 1.

    An error's own `retry_after`, a number of seconds, is waited for at least. Where it does not fit
    the budget, or `max_delay` without a budget, there is no further attempt: an earlier one would
    only be refused again.

    Raises:
        TypeError: An argument is of the wrong type, or what is decorated is no async function.
        ValueError: An argument is out of its range.
    """

    max_attempts: int = 3
    delay: float = 1.0
    backoff: float = 2.0
    exceptions: tuple[type[Exception], ...] = (Exception,)
    _: KW_ONLY
    retry_if: Callable[[Exception], bool] | None = None
    max_delay: float = 60.0
    budget: float | None = None
    on_retry: Callable[[int, Exception, float], None] | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        """Refuse what could only fail later, in the middle of an outage."""
        _check_count("max_attempts", self.max_attempts)
        _check_number("delay", self.delay)
        _check_number("backoff", self.backoff, least=1.0)
        _check_number("max_delay", self.max_delay)
        if self.budget is not None:
            _check_number("budget", self.budget)
        _check_exceptions(self.exceptions)
        for name in ("retry_if", "on_retry", "clock", "random"):
            _check_hook(name, getattr(self, name), optional=name in ("retry_if", "on_retry"))
        if not callable(self.sleep):
            raise TypeError(f"sleep must be an async function, not {self.sleep!r}")

    def __call__(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Make `function` try again; its signature stays."""
        _check_function(function)

        @wraps(function)
        async def attempts(*args: P.args, **kwargs: P.kwargs) -> T:
            start = self.clock()
            bound = min(self.delay, self.max_delay)
            attempt = 1
            while True:
                try:
                    return await function(*args, **kwargs)
                except self.exceptions as error:
                    wait = self._wait(error, bound)
                    if not self._goes_on(error, attempt, wait, self.clock() - start):
                        error.add_note(f"gave up after {attempt} of {self.max_attempts} attempts")
                        raise
                    if self.on_retry:
                        self.on_retry(attempt, error, wait)
                await self.sleep(wait)
                bound = min(bound * self.backoff, self.max_delay)
                attempt += 1

        return attempts

    def _wait(self, error: Exception, bound: float) -> float:
        asked = getattr(error, "retry_after", None)
        wished = asked if isinstance(asked, int | float) and asked >= 0 else 0.0
        return max(self.random() * bound, wished)

    def _goes_on(self, error: Exception, attempt: int, wait: float, elapsed: float) -> bool:
        fits = wait <= self.max_delay if self.budget is None else elapsed + wait <= self.budget
        return (
            attempt < self.max_attempts and fits and (self.retry_if is None or self.retry_if(error))
        )


retry = Retry


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}; the decorator is @retry()")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def _check_number(name: str, value: object, least: float = 0.0) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value) or value < least:
        raise ValueError(f"{name} must be finite and at least {least:g}, not {value}")


def _check_exceptions(kinds: object) -> None:
    if not isinstance(kinds, tuple) or not kinds:
        raise TypeError(f"exceptions must be a tuple of classes, not {kinds!r}")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"exceptions must be subclasses of Exception, not {kind!r}")


def _check_hook(name: str, hook: object, *, optional: bool) -> None:
    if optional and hook is None:
        return
    # Nobody would wait for an async one, and what it returns is always true.
    if not callable(hook) or inspect.iscoroutinefunction(hook):
        raise TypeError(f"{name} must be a plain function, not {hook!r}")


def _check_function(function: object) -> None:
    if inspect.iscoroutinefunction(function):
        return
    name = getattr(function, "__qualname__", repr(function))
    if inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{name} is an async generator: what it has yielded cannot be taken back, so retry the"
            " coroutine that opens the stream instead"
        )
    raise TypeError(
        f"{name} is not an async function: waiting between attempts would put its thread to sleep,"
        " and a Worker has only one, so every request would stop"
    )
