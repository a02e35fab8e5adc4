"""How long chats are kept."""

from sqlalchemy import insert, select

from service.database.base import Database
from service.database.chats import Chats
from service.database.retention import BATCH, MS_PER_DAY, Retention, RetentionSettings
from service.database.tables import chat_keys, chats
from tests.conftest import new_name

NOW = 100 * MS_PER_DAY
"""In milliseconds: years before anything that another test stores, which then stays."""


def retention(database: Database, days: int, now: int = NOW) -> Retention:
    settings = RetentionSettings.load({"CHATS_KEEP_DAYS": str(days)})
    return Retention(settings, Chats(database), clock=lambda: now / 1000)


async def store(database: Database, owner: str, *moments: int) -> None:
    """Chats of these milliseconds."""
    rows = [
        {
            "id": f"chat_{owner}_{number}",
            "owner": owner,
            "created_at": moment,
            "provider": "p",
            "model": "m",
            "messages": "[]",
            "text": "",
            "finish_reason": "stop",
        }
        for number, moment in enumerate(moments)
    ]
    # D1 takes 100 values a statement.
    some = [rows[start : start + 10] for start in range(0, len(rows), 10)]
    await database.batch([insert(chats).values(each) for each in some])


async def moments(database: Database, owner: str) -> list[object]:
    statement = select(chats.c.created_at).where(chats.c.owner == owner)
    return [row["created_at"] for row in await database.run(statement)]


async def test_chats_that_are_too_old_are_deleted_and_the_others_stay(database: Database) -> None:
    owner = new_name()
    limit = NOW - 3 * MS_PER_DAY
    await store(database, owner, limit - 1, limit, NOW)
    await retention(database, days=3).run()
    assert sorted(map(str, await moments(database, owner))) == [str(limit), str(NOW)]


async def test_keys_go_with_their_chats_and_old_ones_without_a_chat(database: Database) -> None:
    owner = new_name()
    old = NOW - 4 * MS_PER_DAY
    await store(database, owner, old, NOW)
    claims = {"chat": f"chat_{owner}_0", "kept": f"chat_{owner}_1", "none": "", "recent": ""}
    rows = [
        {"owner": owner, "key": key, "fingerprint": "", "chat_id": chat_id, "claimed_at": old}
        for key, chat_id in claims.items()
    ]
    rows[-1]["claimed_at"] = NOW
    await database.run(insert(chat_keys).values(rows))
    await retention(database, days=3).run()
    left = await database.run(select(chat_keys.c.key).where(chat_keys.c.owner == owner))
    assert sorted(str(row["key"]) for row in left) == ["kept", "recent"]


async def test_many_are_deleted_in_batches(database: Database) -> None:
    owner = new_name()
    await store(database, owner, *range(BATCH + 2))
    await retention(database, days=1, now=2 * MS_PER_DAY).run()
    assert await moments(database, owner) == []


async def test_how_many_were_deleted_is_told(database: Database) -> None:
    now = 10 * MS_PER_DAY
    await retention(database, days=1, now=now).run()
    await store(database, new_name(), 1, 2, now)
    assert await retention(database, days=1, now=now).run() == {"deleted": 2}


def test_chats_are_kept_for_thirty_days_unless_told_otherwise() -> None:
    assert RetentionSettings.load({}).keep_days == 30
