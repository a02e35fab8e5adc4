"""Log lines: one JSON object each, as Workers Logs indexes them."""

import json
from traceback import walk_tb


def log(level: str, event: str, /, **fields: object) -> None:
    """Write one line; fields that are None are left out."""
    known = {name: value for name, value in fields.items() if value is not None}
    print(json.dumps({"level": level, "event": event, **known}, default=str))


def where(error: BaseException) -> list[str]:
    """Where `error` was raised, innermost last: file, line and function.

    Its message is left out on purpose: it can quote a prompt, an answer or a key.
    """
    return [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
