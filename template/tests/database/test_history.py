"""Stored chats, as their caller sees them."""

from typing import Any

import httpx
import pytest

from tests.conftest import Env, serve
from tests.support.clients import events


async def say(client: httpx.AsyncClient, text: str, **changes: Any) -> str:
    """Have a chat; its id."""
    body = {"messages": [{"role": "user", "content": text}], **changes}
    answer = await client.post("/v1/chat", json=body)
    return str(answer.raise_for_status().json()["id"])


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/v1/chats", params=query)
    return [chat["id"] for chat in answer.raise_for_status().json()["chats"]]


async def test_a_chat_can_be_read_again(client: httpx.AsyncClient) -> None:
    text = "naïve 中文 🦀 \"quoted\" 'quoted' ; -- {{ braces }}\n"
    chat_id = await say(client, text)
    chat = (await client.get(f"/v1/chats/{chat_id}")).json()
    assert chat.pop("created_at") > 1_700_000_000_000
    assert chat == {
        "id": chat_id,
        "provider": chat["provider"],
        "model": "standin-echo",
        "messages": [{"role": "user", "content": text}],
        "text": f"You said: {text}",
        "finish_reason": "stop",
        "usage": chat["usage"],
    }
    assert chat["usage"]["output_tokens"] > 0


async def test_a_streamed_chat_is_stored_when_it_is_done(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    answer = await client.post("/v1/chat", json=body)
    assert events(answer.text)[-1][0] == "done"
    (chat_id, *_) = await ids(client, limit=1)
    assert chat_id in answer.text
    assert (await client.get(f"/v1/chats/{chat_id}")).json()["text"] == "You said: hello"


async def test_a_failed_chat_is_not_stored(client: httpx.AsyncClient) -> None:
    before = await ids(client, limit=100)
    body = {"messages": [{"role": "user", "content": "hello"}], "model": "standin-400"}
    assert (await client.post("/v1/chat", json=body)).status_code == 422
    assert await ids(client, limit=100) == before


async def test_pages_go_from_the_newest_to_the_oldest(client: httpx.AsyncClient) -> None:
    said = [await say(client, f"number {number}") for number in range(5)]
    first = (await client.get("/v1/chats", params={"limit": 2})).json()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await client.get("/v1/chats", params=query)).json()
    seen = [chat["id"] for chat in first["chats"] + second["chats"]]
    assert sorted(seen) == sorted(said[1:])
    times = [chat["created_at"] for chat in first["chats"] + second["chats"]]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "ten"},
        {"limit": "-1"},
        {"limit": "1" * 5000},
        {"limit": "٣"},
        {"cursor": "nonsense"},
        {"cursor": "MTp4OyBEUk9Q"},
        {"cursor": "é"},
        {"cursor": ""},
        {"cursor": "A" * 5000},
    ],
)
async def test_a_page_that_cannot_be(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await client.get("/v1/chats", params=query)
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == list(query)


async def test_a_deleted_chat_is_gone(client: httpx.AsyncClient) -> None:
    chat_id = await say(client, "hello")
    answer = await client.delete(f"/v1/chats/{chat_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.get(f"/v1/chats/{chat_id}")).status_code == 404
    assert (await client.delete(f"/v1/chats/{chat_id}")).status_code == 404


@pytest.mark.parametrize("chat_id", ["chat_0", "x' OR '1'='1", "%00", "..", "a" * 65])
async def test_a_chat_that_never_was(client: httpx.AsyncClient, chat_id: str) -> None:
    assert (await client.get(f"/v1/chats/{chat_id}")).status_code == 404


async def test_a_database_that_fails_is_a_503(
    client: httpx.AsyncClient, env: Env, standins_url: str, marker: str
) -> None:
    class Failing:
        def prepare(self, sql: str) -> Any:
            raise OSError(f"secret text: {sql}")

    failing = {
        "DB": Failing(),
        "TURSO_DATABASE_URL": f"{standins_url}/turso/faults/status-500/{marker}",
    }
    async with serve(env | failing) as service:
        service.headers.update(client.headers)
        answers = [
            await service.get("/v1/chats"),
            await service.post(
                "/v1/chat", json={"messages": [{"role": "user", "content": marker}]}
            ),
        ]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].json()["detail"] == "The database cannot be used at the moment."
