"""Revoked tokens in Workers KV.

Reading costs next to nothing: each of Cloudflare's locations caches, also that a key is not there.
So it takes up to a minute, sometimes longer, until a revocation holds everywhere.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from service.auth.revocation import STORE
from service.context import Context
from service.settings import binding


class KVBinding(Protocol):
    """What the service uses of the binding."""

    async def get(self, key: str, /) -> str | None:
        """The value; None where there is none."""


class KV:
    """The ids are the keys; their values say nothing."""

    def __init__(self, binding: KVBinding) -> None:
        self._binding = binding

    async def holds(self, keys: Sequence[str]) -> bool:
        """See `Store`."""
        values = await asyncio.gather(*(self._binding.get(key) for key in keys))
        return any(value is not None for value in values)


def kv(context: Context) -> KV:
    return KV(binding(context.env, "REVOKED"))


feature = (STORE.by(kv),)
