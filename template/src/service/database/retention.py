"""How long chats are kept."""

import time
from collections.abc import Callable, Mapping

from pydantic import Field

from service.context import TASKS, Context, Task
from service.database.chats import Chats, chats
from service.settings import Settings

MS_PER_DAY = 24 * 60 * 60 * 1000
BATCH = 500
"""Chats deleted by one statement: each of them is short, and others get in between."""
MAX_BATCHES = 20
"""What is left after so many is for the next run."""


class RetentionSettings(Settings):
    """How many days a chat is kept."""

    keep_days: int = Field(alias="CHATS_KEEP_DAYS", default=30, ge=1, le=36_500)


class Retention:
    """Deletes what is too old; `clock` gives epoch seconds."""

    def __init__(
        self, settings: RetentionSettings, chats: Chats, clock: Callable[[], float] = time.time
    ) -> None:
        self._keep_ms = settings.keep_days * MS_PER_DAY
        self._chats = chats
        self._clock = clock

    async def run(self) -> Mapping[str, object]:
        """Delete old chats and their keys, everybody's. Raises DatabaseError."""
        before = int(self._clock() * 1000) - self._keep_ms
        deleted = 0
        for _ in range(MAX_BATCHES):
            batch = await self._chats.delete_older(before, BATCH)
            deleted += batch
            if batch < BATCH:
                break
        await self._chats.delete_older_keys(before)
        return {"deleted": deleted}


def tasks(context: Context) -> Mapping[str, Task]:
    async def delete_old_chats() -> Mapping[str, object]:
        return await Retention(context.settings(RetentionSettings), context.get(chats)).run()

    return {"old_chats": delete_old_chats}


feature = (TASKS.by(tasks),)
