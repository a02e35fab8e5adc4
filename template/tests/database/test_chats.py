"""Chats are stored, each for its owner, whether or not a route serves them."""

import httpx
import pytest
from sqlalchemy import select

from service.database.base import Database
from service.database.chats import Chats
from service.database.tables import chats as table
from service.providers.base import Completion, Message, Usage
from tests.conftest import Env, new_name, serve

MESSAGES = [Message(role="user", content="hello")]


def answer(chat_id: str) -> Completion:
    return Completion(
        id=chat_id, provider="p", model="m", text="hi", finish_reason="stop", usage=Usage()
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_service_answers_is_stored(
    client: httpx.AsyncClient, env: Env, database: Database, marker: str, stream: bool
) -> None:
    body = {"messages": [{"role": "user", "content": marker}], "stream": stream}
    async with serve(env) as service:
        service.headers.update(client.headers)
        await service.post("/v1/chat", json=body)
    (row,) = await database.run(select(table).where(table.c.text == f"You said: {marker}"))
    assert marker in str(row["messages"])


async def test_a_chat_is_its_owner_s_alone(database: Database) -> None:
    chats, owner, other = Chats(database), new_name(), new_name()
    ids = [f"chat_{new_name()}" for _ in range(3)]
    for chat_id in ids:
        await chats.add(owner, MESSAGES, answer(chat_id))
    page, cursor = await chats.page(owner, 2, None)
    rest, end = await chats.page(owner, 2, cursor)
    assert sorted(str(chat["id"]) for chat in page + rest) == sorted(ids)
    assert end is None
    assert await chats.page(other, 2, None) == ([], None)
    for chat_id in ids:
        found = await chats.get(owner, chat_id)
        assert found
        assert (found["text"], found["messages"]) == ("hi", [{"role": "user", "content": "hello"}])
        assert await chats.get(other, chat_id) is None
        assert [await chats.has(one, chat_id) for one in (owner, other)] == [True, False]
        assert [await chats.delete(one, chat_id) for one in (other, owner)] == [False, True]
