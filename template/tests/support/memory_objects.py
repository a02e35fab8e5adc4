"""A Durable Object binding's face, for CPython, where the real one cannot run."""

import asyncio
from collections import defaultdict

from service.ledger import Ledger, Limits, Reserved, Used


class MemoryStorage:
    """Gives way while it is waited for, as a real one does."""

    def __init__(self) -> None:
        self._values: dict[str, Used] = {}

    async def get(self, key: str, /) -> Used | None:
        await asyncio.sleep(0)
        return self._values.get(key)

    async def put(self, key: str, value: Used, /) -> None:
        await asyncio.sleep(0)
        self._values[key] = value


class MemoryObject:
    """One ledger, entered by one at a time."""

    def __init__(self) -> None:
        self._ledger = Ledger(MemoryStorage())
        self._gate = asyncio.Lock()

    async def today(self) -> Used:
        async with self._gate:
            return await self._ledger.today()

    async def reserve(self, limits: Limits, tokens: int, /) -> Reserved:
        async with self._gate:
            return await self._ledger.reserve(limits, tokens)

    async def correct(self, date: str, requests: int, tokens: int, /) -> Used:
        async with self._gate:
            return await self._ledger.correct(date, requests, tokens)


class MemoryObjects:
    """An object a name."""

    def __init__(self) -> None:
        self._objects = defaultdict[str, MemoryObject](MemoryObject)

    def getByName(self, name: str, /) -> MemoryObject:  # noqa: N802 - its real name
        return self._objects[name]
