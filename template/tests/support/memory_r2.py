"""An R2 bucket's face over a dict, for CPython, where no R2 can run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from tests.support.streams import Bytes


@dataclass(frozen=True)
class _Object:
    content: bytes
    metadata: Mapping[str, Any]
    uploaded: datetime = field(default_factory=lambda: datetime.now(UTC))

    def face(self, key: str, **more: object) -> SimpleNamespace:
        etag = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        return SimpleNamespace(
            key=key,
            size=len(self.content),
            etag=etag,
            httpEtag=f'"{etag}"',
            httpMetadata=SimpleNamespace(**self.metadata),
            uploaded=self.uploaded,
            **more,
        )


class MemoryBucket:
    """A new bucket, in memory."""

    def __init__(self) -> None:
        self._objects: dict[str, _Object] = {}

    async def put(self, key: str, value: object, options: Mapping[str, Any], /) -> SimpleNamespace:
        assert isinstance(value, Bytes)
        content = b"".join([chunk async for chunk in value.chunks()])
        self._objects[key] = _Object(content, options["httpMetadata"])
        return self._objects[key].face(key)

    async def head(self, key: str, /) -> SimpleNamespace | None:
        return self._objects[key].face(key) if key in self._objects else None

    async def get(
        self, key: str, options: Mapping[str, Any] | None = None, /
    ) -> SimpleNamespace | None:
        if key not in self._objects:
            return None
        part = self._objects[key].content
        if options:
            start = options["range"]["offset"]
            part = part[start : start + options["range"]["length"]]
        return self._objects[key].face(key, body=Bytes(part))

    async def delete(self, key: str, /) -> None:
        self._objects.pop(key, None)

    async def list(self, options: Mapping[str, Any], /) -> Mapping[str, Any]:
        after = options.get("startAfter", "")
        keys = sorted(k for k in self._objects if k.startswith(options["prefix"]) and k > after)
        found = [_listed(self._objects[key].face(key)) for key in keys[: options["limit"]]]
        return {"objects": found, "truncated": len(keys) > len(found)}


def _listed(face: SimpleNamespace) -> SimpleNamespace:
    """As in a list, whose objects the Workers SDK does not wrap: times stay JavaScript's."""
    milliseconds = face.uploaded.timestamp() * 1000
    return SimpleNamespace(
        **vars(face) | {"uploaded": SimpleNamespace(getTime=lambda: milliseconds)}
    )
