"""Bodies as bindings take and give them, on CPython, where there is no ReadableStream."""

from collections.abc import AsyncGenerator


class Bytes:
    """Stands in for a ReadableStream."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """All of it, in pieces."""
        for start in range(0, len(self._content), 65536):
            yield self._content[start : start + 65536]
