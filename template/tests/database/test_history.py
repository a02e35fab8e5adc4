"""Stored chats, as their caller sees them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.database.chats import Chats
from tests.conftest import Env, new_name, serve
from tests.support.choices import PROVIDERS
from tests.support.clients import answer_when, events
from tests.support.standins import StandinsView

BOTH = pytest.mark.parametrize("stream", [False, True])


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


async def test_a_deleted_chat_frees_its_idempotency_key(
    client: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    body = {"messages": [{"role": "user", "content": marker}]}
    key = {"idempotency-key": marker}
    first = (await client.post("/v1/chat", json=body, headers=key)).json()
    assert (await client.delete(f"/v1/chats/{first['id']}")).status_code == 204
    again = (await client.post("/v1/chat", json=body | {"max_tokens": 7}, headers=key)).json()
    assert again["text"] == first["text"]
    assert again["id"] != first["id"]
    assert len(await standins.journal(marker)) == 2


@pytest.mark.parametrize("chat_id", ["chat_0", "x' OR '1'='1", "%00", "..", "a" * 65])
async def test_a_chat_that_never_was(client: httpx.AsyncClient, chat_id: str) -> None:
    assert (await client.get(f"/v1/chats/{chat_id}")).status_code == 404


@pytest.fixture
async def broken(
    client: httpx.AsyncClient, env: Env, standins_url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service whose database always fails."""

    class Failing:
        def prepare(self, sql: str) -> Any:
            raise OSError(f"secret text: {sql}")

    url = f"{standins_url}/turso/faults/status-500/{new_name()}"
    async with serve(env | {"DB": Failing(), "TURSO_DATABASE_URL": url}) as service:
        service.headers.update(client.headers)
        yield service


async def test_a_database_that_fails_is_a_503(broken: httpx.AsyncClient) -> None:
    answer = await broken.get("/v1/chats")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "The database cannot be used at the moment."


@BOTH
async def test_an_answer_that_cannot_be_stored_arrives_and_says_so(
    broken: httpx.AsyncClient, marker: str, stream: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"messages": [{"role": "user", "content": marker}], "stream": stream}
    answer = await broken.post("/v1/chat", json=body)
    assert answer.status_code == 200
    if stream:
        told = events(answer.text)
        assert [name for name, _ in told] == ["delta"] * (len(told) - 1) + ["done"]
        assert json.loads(told[-1][1])["stored"] is False
    else:
        assert answer.json()["text"] == f"You said: {marker}"
        assert answer.json()["stored"] is False
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_event = {line["event"]: line for line in lines}
    assert by_event["chat_not_stored"]["level"] == "error"
    assert by_event["provider_call"]["stored"] is False
    assert by_event["provider_call"]["outcome"] == "ok"
    assert "secret text" not in str(lines)
    assert marker not in str(lines)


@BOTH
async def test_an_answer_waits_only_so_long_until_it_is_stored(
    client: httpx.AsyncClient, env: Env, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    async def add(*_: object) -> None:
        await asyncio.Future()

    monkeypatch.setattr(Chats, "add", add)
    monkeypatch.setattr("service.chat.STORE_SECONDS", 0.01)
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": stream}
    async with serve(env) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=body)
    assert answer.status_code == 200
    assert '"stored":false' in answer.text


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_of_a_stream_that_is_left_what_came_is_stored(
    client: httpx.AsyncClient, provider: str, marker: str
) -> None:
    body = {"messages": [{"role": "user", "content": marker}], "provider": provider}
    changes = {"model": "standin-endless", "stream": True}
    async with client.stream("POST", "/v1/chat", json=body | changes) as answer:
        received = await anext(answer.aiter_text())
    # It is stored after the client has gone.
    answer = await answer_when(client, "/v1/chats?limit=1", lambda a: bool(a.json()["chats"]))
    (found,) = answer.json()["chats"]
    chat = (await client.get(f"/v1/chats/{found['id']}")).json()
    assert chat["finish_reason"] == "client_left"
    assert chat["messages"] == body["messages"]
    assert chat["text"].startswith("word ")
    assert received


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_who_leaves_after_the_last_word_has_the_whole_answer_stored(
    client: httpx.AsyncClient, env: Env, provider: str, marker: str
) -> None:
    body = {"messages": [{"role": "user", "content": marker}], "provider": provider}
    async with serve(env) as service:
        service.headers.update(client.headers)
        async with service.stream("POST", "/v1/chat", json=body | {"stream": True}) as answer:
            chunks = answer.aiter_bytes()
            # Its end has been read when the next event is asked for.
            while f'{marker}"'.encode() not in await anext(chunks):
                pass
        (chat_id, *_) = await ids(service, limit=1)
        chat = (await service.get(f"/v1/chats/{chat_id}")).json()
    assert chat["text"] == f"You said: {marker}"
    assert chat["finish_reason"] in {"client_left", "stop"}


async def test_a_client_that_leaves_while_its_chat_is_stored_stops_nothing(
    client: httpx.AsyncClient, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, store = asyncio.Event(), Chats.add

    async def add(self: Chats, *chat: Any) -> None:
        begun.set()
        await asyncio.sleep(0.01)
        await store(self, *chat)

    monkeypatch.setattr(Chats, "add", add)
    async with serve(env) as service:
        service.headers.update(client.headers)
        saying = asyncio.ensure_future(say(service, "hello"))
        await begun.wait()
        saying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saying
        (chat_id,) = await ids(service, limit=1)
        chat = (await service.get(f"/v1/chats/{chat_id}")).json()
    assert (chat["text"], chat["finish_reason"]) == ("You said: hello", "stop")
