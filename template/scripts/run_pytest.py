"""Runs inside Pyodide: pytest on the event loop of JavaScript. Its value is what runs the tests."""

import asyncio
import asyncio.runners
import contextvars
import importlib
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

from pyodide.ffi import run_sync

T = TypeVar("T")


class Runner:
    """Stands in for asyncio.Runner: JavaScript's loop cannot be started, stopped or replaced.

    `run` waits by JavaScript Promise Integration: it suspends the whole Python stack.
    """

    def __init__(
        self,
        *,
        debug: bool | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._loop = asyncio.get_event_loop()
        self._context = contextvars.copy_context()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def run(
        self, coro: Coroutine[object, object, T], *, context: contextvars.Context | None = None
    ) -> T:
        result: T = run_sync(self._loop.create_task(coro, context=context or self._context))
        return result

    def close(self) -> None:
        """The loop goes on."""


for module in (asyncio, asyncio.runners):
    vars(module)["Runner"] = Runner

# Only now: it takes the Runner that it finds.
pytest = importlib.import_module("pytest")


def run(args: Sequence[str], env: Mapping[str, str]) -> int:
    """Runs pytest with `args`; returns its exit code."""
    os.environ.update(env)
    return int(pytest.main(list(args)))


run
