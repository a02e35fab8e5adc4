"""A KV binding's face over a dict, for CPython, where the real one cannot run."""

from collections.abc import Mapping


class MemoryKV:
    """Keeps what is put, whatever its time to live."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    async def get(self, key: str, /) -> str | None:
        return self._values.get(key)

    async def put(self, key: str, value: str, _options: Mapping[str, object] | None = None) -> None:
        self._values[key] = value
