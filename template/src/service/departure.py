"""Work that has to end although the client has left, which cancels its request."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(
    work: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[object]] | None = None
) -> T:
    """Run `work` to its end, however the request is cancelled meanwhile.

    A write that is cancelled half-way may or may not have happened. So it is waited for, `undo`
    takes back its result, for nobody is left to use it, and only then the cancellation goes on.

    Args:
        work: What to run. Its errors are raised here.
        undo: Called with the result of `work` where the request was cancelled.

    Raises:
        asyncio.CancelledError: The request was cancelled; `work` and `undo` have ended.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if undo and not task.cancelled() and not task.exception():
            await undo(task.result())
        raise
