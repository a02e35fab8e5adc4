"""Log lines: one JSON object each, as Workers Logs indexes them."""

import json
import time
from contextvars import ContextVar
from traceback import walk_tb

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that is being answered, and that whatever is logged meanwhile belongs to.

Each request is answered in a context of its own, however they interleave.
"""

_JSON = json.JSONEncoder(default=str)  # json.dumps makes one a call


def log(level: str, event: str, /, **fields: object) -> None:
    """Write one line, with the request's id; fields that are None are left out."""
    line = {"level": level, "event": event, "request_id": request_id.get(), **fields}
    known = {name: value for name, value in line.items() if value is not None}
    print(_JSON.encode(known))


def elapsed_ms(start: float) -> float:
    """Milliseconds since that `time.perf_counter()`.

    Never below zero, although a Worker's clock can fall back by some milliseconds.
    """
    return max(0.0, time.perf_counter() - start) * 1000


def where(error: BaseException) -> list[str]:
    """Where `error` was raised, innermost last: file, line and function.

    Its message is left out on purpose: it can quote a prompt, an answer or a key.
    """
    return [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
