"""A Redis of Upstash's for one machine: its REST API over a dict that forgets what expired.

`POST /upstash` takes a command as a JSON array: SET with EX, DEL, EXISTS. For tests there are
addresses that fail: `/upstash/status/<n>`, `/upstash/text/<text>` and `/upstash/long`.
"""

import json
import threading
import time
from collections.abc import Mapping
from urllib.parse import unquote

TOKEN = "standin-key"  # noqa: S105 - the one that every stand-in takes

Answer = tuple[int, dict[str, str], bytes]


def handle(headers: Mapping[str, str], path: str, body: bytes) -> Answer:
    """Answers one POST to `/upstash` or below it with (status, headers, body)."""
    match path.strip("/").split("/"):
        case [_]:
            return _command(headers, body)
        case [_, "status", number]:
            return _json({"error": "ERR told to"}, int(number))
        case [_, "text", text]:
            return 200, {"content-type": "application/json"}, unquote(text).encode()
        case [_, "long"]:
            return _json({"result": 0, "padding": " " * 100_000})
    return _json({"error": f"no {path} here"}, 404)


def _command(headers: Mapping[str, str], body: bytes) -> Answer:
    if headers.get("authorization") != f"Bearer {TOKEN}":
        return _json({"error": "WRONGPASS invalid or missing auth token"}, 401)
    try:
        command = json.loads(body)
    except ValueError:
        return _json({"error": "ERR failed to parse pipeline request"}, 400)
    match command:
        case ["SET", str(key), str(value), "EX", int(seconds)]:
            return _json({"result": _redis.set(key, value, seconds)})
        case ["DEL", *keys]:
            return _json({"result": _redis.delete(keys)})
        case ["EXISTS", *keys]:
            return _json({"result": _redis.exists(keys)})
    return _json({"error": "ERR unknown command"}, 400)


def _json(value: object, status: int = 200) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(value).encode()


class _Redis:
    def __init__(self) -> None:
        self._values: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def set(self, key: str, value: str, seconds: int) -> str:
        with self._lock:
            self._values[key] = value, time.monotonic() + seconds
            return "OK"

    def delete(self, keys: list[str]) -> int:
        with self._lock:
            return sum(self._values.pop(key, None) is not None for key in keys)

    def exists(self, keys: list[str]) -> int:
        with self._lock:
            now = time.monotonic()
            return sum(key in self._values and self._values[key][1] > now for key in keys)


_redis = _Redis()
