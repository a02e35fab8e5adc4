"""Stored chats, each seen by its owner alone."""

import json
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from pydantic import TypeAdapter
from sqlalchemy import bindparam, delete, insert, select, tuple_
from sqlalchemy.dialects.sqlite import insert as upsert

from service.chat import ARCHIVE
from service.context import Context
from service.database.base import Database, Row, database
from service.database.tables import chat_keys as keys
from service.database.tables import chats as table
from service.idempotency import LEASE_SECONDS, Holder
from service.providers.base import Completion, Message, Usage

_MESSAGES = TypeAdapter(tuple[Message, ...])
_INSERT = insert(table)
# SQLite looks up the one id. (SQLAlchemy would not correlate an EXISTS in an ON CONFLICT.)
_IS_STORED = keys.c.chat_id.in_(select(table.c.id))
_KEY = upsert(keys)
_CLAIM = _KEY.on_conflict_do_update(  # One statement: of two at the same time, one has the key.
    index_elements=[keys.c.owner, keys.c.key],
    set_={name: _KEY.excluded[name] for name in ("fingerprint", "chat_id", "claimed_at")},
    where=(keys.c.claimed_at < bindparam("expired")) & ~_IS_STORED,
).returning(keys.c.chat_id)
_HOLDER = (
    select(keys.c.chat_id, keys.c.fingerprint, table)
    .outerjoin_from(keys, table, table.c.id == keys.c.chat_id)
    .where(keys.c.owner == bindparam("caller"), keys.c.key == bindparam("digest"))
)
_SUMMARY = [column for column in table.c if column.name not in {"owner", "messages", "text"}]


class Chats:
    """The chats of all callers; every method that has an owner sees theirs alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, owner: str, messages: Sequence[Message], answer: Completion) -> None:
        """Store a chat under its answer's id."""
        values = {
            "id": answer.id,
            "owner": owner,
            "created_at": int(time.time() * 1000),
            "provider": answer.provider,
            "model": answer.model,
            "messages": _MESSAGES.dump_json(tuple(messages)).decode(),
            "text": answer.text,
            "finish_reason": answer.finish_reason,
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
        }
        await self._database.run(_INSERT, values)

    async def page(
        self, owner: str, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, object]], str | None]:
        """Up to `limit` chats without their texts, newest first, and the next page's cursor.

        Raises ValueError for a cursor that no page gave.
        """
        newest_first = (table.c.created_at.desc(), table.c.id.desc())
        statement = select(*_SUMMARY).where(table.c.owner == owner).order_by(*newest_first)
        if cursor is not None:
            place = tuple_(table.c.created_at, table.c.id)
            statement = statement.where(place < tuple_(*_decode(cursor)))
        rows = await self._database.run(statement.limit(limit + 1))
        page = rows[:limit]
        next_cursor = _encode(page[-1]) if len(rows) > limit else None
        return [_summary(row) for row in page], next_cursor

    async def get(self, owner: str, chat_id: str) -> dict[str, object] | None:
        """One chat whole, or None where this owner has no such chat."""
        statement = select(table).where(table.c.owner == owner, table.c.id == chat_id)
        for row in await self._database.run(statement):
            return _summary(row) | {
                "messages": json.loads(str(row["messages"])),
                "text": row["text"],
            }
        return None

    async def has(self, owner: str, chat_id: str) -> bool:
        """Whether this owner has the chat."""
        statement = select(table.c.id).where(table.c.owner == owner, table.c.id == chat_id)
        return bool(await self._database.run(statement))

    async def delete(self, owner: str, chat_id: str) -> bool:
        """Whether this owner had the chat; it is gone now."""
        statement = delete(table).where(table.c.owner == owner, table.c.id == chat_id)
        return bool(await self._database.run(statement.returning(table.c.id)))

    async def claim(self, owner: str, key: str, holder: Holder) -> Holder | None:
        """See `service.idempotency.Claims`; `key` is a digest."""
        now = int(time.time() * 1000)
        values = {
            "owner": owner,
            "key": key,
            "fingerprint": holder.fingerprint,
            "chat_id": holder.chat_id,
            "claimed_at": now,
            "expired": now - LEASE_SECONDS * 1000,
        }
        if await self._database.run(_CLAIM, values):
            return holder
        for row in await self._database.run(_HOLDER, {"caller": owner, "digest": key}):
            answer = _completion(row) if row["id"] else None
            return Holder(str(row["chat_id"]), str(row["fingerprint"]), answer)
        return None

    async def release(self, owner: str, key: str, chat_id: str) -> None:
        """See `service.idempotency.Claims`."""
        is_this = (keys.c.owner == owner, keys.c.key == key, keys.c.chat_id == chat_id)
        await self._database.run(delete(keys).where(*is_this, ~_IS_STORED))

    async def delete_older_keys(self, before: int) -> None:
        """Free the keys from before that millisecond that have no chat."""
        await self._database.run(delete(keys).where(keys.c.claimed_at < before, ~_IS_STORED))

    async def delete_older(self, before: int, limit: int) -> int:
        """Delete up to `limit` chats from before that millisecond; how many there were."""
        old = select(table.c.id).where(table.c.created_at < before).limit(limit)
        statement = delete(table).where(table.c.id.in_(old)).returning(table.c.id)
        return len(await self._database.run(statement))


def chats(context: Context) -> Chats:
    return Chats(context.get(database))


feature = (ARCHIVE.by(chats),)


def _summary(row: Row) -> dict[str, object]:
    return {
        "id": row["id"],
        "created_at": row["created_at"],
        "provider": row["provider"],
        "model": row["model"],
        "finish_reason": row["finish_reason"],
        "usage": {name: row[name] for name in ("input_tokens", "output_tokens")},
    }


def _completion(row: Row) -> Completion:
    counted = {name: row[name] for name in ("input_tokens", "output_tokens")}
    kept = {name: row[name] for name in ("id", "provider", "model", "text", "finish_reason")}
    usage = Usage.model_validate(counted)
    return Completion.model_validate({**kept, "usage": usage, "stored": True})


def _encode(row: Row) -> str:
    return urlsafe_b64encode(f"{row['created_at']}:{row['id']}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[int, str]:
    place = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    found = re.fullmatch(r"([0-9]{1,15}):([\w-]{1,64})", place)
    if not found:
        raise ValueError("not a cursor")
    return int(found[1]), found[2]
