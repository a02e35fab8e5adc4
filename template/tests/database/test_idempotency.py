"""Idempotency-Key on chats: a request that is sent again is answered once."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from service.database.base import Database, DatabaseUnavailable
from service.database.chats import Chats
from service.database.tables import chat_keys
from service.idempotency import LEASE_SECONDS, MAX_KEY_CHARS
from tests.conftest import Env, serve
from tests.support.clients import events
from tests.support.standins import StandinsView

BOTH = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture
async def service(client: httpx.AsyncClient, env: Env) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service in this process, which a test can change."""
    async with serve(env) as service:
        service.headers.update(client.headers)
        yield service


def chat(text: str, **changes: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **changes}


async def post(
    client: httpx.AsyncClient, body: dict[str, Any], key: str, **headers: str
) -> httpx.Response:
    return await client.post("/v1/chat", json=body, headers={"idempotency-key": key, **headers})


def told(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says, whole or streamed."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] == "application/json":
        whole: dict[str, Any] = answer.json()
        return whole
    *deltas, (last, done) = events(answer.text)
    assert last == "done"
    text = "".join(json.loads(data)["text"] for _, data in deltas)
    return {**json.loads(done), "text": text}


@BOTH
async def test_the_same_key_and_body_answer_what_is_stored(
    client: httpx.AsyncClient,
    standins: StandinsView,
    marker: str,
    stream: bool,
) -> None:
    body = chat(marker, stream=stream)
    first, again = [await post(client, body, marker) for _ in "12"]
    assert told(first)["text"] == f"You said: {marker}"
    assert told(again) == told(first)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(await standins.journal(marker)) == 1


async def test_an_answer_without_text_is_replayed_too(
    client: httpx.AsyncClient, marker: str
) -> None:
    body = chat(marker, model="standin-null", stream=True)
    first, again = [await post(client, body, marker) for _ in "12"]
    assert told(first) == told(again)
    assert told(again)["text"] == ""


async def test_of_many_at_the_same_time_one_asks_the_provider(
    client: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    answers = await asyncio.gather(*(post(client, chat(marker), marker) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({told(answer)["id"] for answer in answers if answer.status_code == 200}) == 1
    assert len(await standins.journal(marker)) == 1


async def test_while_the_first_is_under_way_the_second_is_told_to_wait(
    client: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    body = chat(marker, model="standin-endless", stream=True)
    key = {"idempotency-key": marker}
    async with client.stream("POST", "/v1/chat", json=body, headers=key) as first:
        await anext(first.aiter_text())
        second = await post(client, body, marker)
        assert second.status_code == 409
        assert int(second.headers["retry-after"]) > 0
        assert len(await standins.journal(marker, wait=0)) == 1


async def leave(client: httpx.AsyncClient, body: dict[str, Any], key: str) -> httpx.Response:
    """The answer of a stream that is left after its first words."""
    headers = {"idempotency-key": key}
    async with client.stream("POST", "/v1/chat", json=body, headers=headers) as answer:
        await anext(answer.aiter_text())
    return answer


async def test_a_key_whose_client_left_half_way_asks_again(
    client: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    body = chat(marker, model="standin-endless", stream=True)
    for calls in (1, 2):
        answer = await leave(client, body, marker)
        while answer.status_code == 409:  # a departure takes a moment to arrive
            await asyncio.sleep(0.1)
            answer = await leave(client, body, marker)
        assert answer.status_code == 200
        assert "idempotency-replayed" not in answer.headers
        assert len(await standins.journal(marker)) == calls


@BOTH
@pytest.mark.parametrize(
    "changes",
    [{"max_tokens": 7}, {"messages": [{"role": "user", "content": "another"}]}, {"stream": True}],
)
async def test_another_body_with_the_key_is_refused(
    client: httpx.AsyncClient,
    standins: StandinsView,
    marker: str,
    stream: bool,
    changes: dict[str, Any],
) -> None:
    body = chat(marker, stream=stream and "stream" not in changes)
    assert (await post(client, body, marker)).status_code == 200
    answer = await post(client, body | changes, marker)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error == {"header": "Idempotency-Key", "detail": "was used with another body"}
    assert len(await standins.journal(marker)) == 1


async def test_how_the_body_is_written_makes_no_difference(
    client: httpx.AsyncClient, marker: str
) -> None:
    first = await post(client, chat(marker), marker)
    content = json.dumps({"stream": False, "model": None, **chat(marker)}, indent=4)
    headers = {"idempotency-key": marker, "content-type": "application/json"}
    again = await client.post("/v1/chat", content=content, headers=headers)
    assert told(again) == told(first)


@BOTH
@pytest.mark.parametrize("model", ["standin-400", "standin-500", "standin-cut"])
async def test_a_call_without_an_answer_gives_its_key_back(
    client: httpx.AsyncClient,
    standins: StandinsView,
    marker: str,
    stream: bool,
    model: str,
) -> None:
    body = chat(marker, model=model, stream=stream)
    first = await post(client, body, marker)
    calls = len(await standins.journal(marker))
    again = await post(client, body, marker)
    assert again.status_code == first.status_code
    assert "idempotency-replayed" not in again.headers
    assert len(await standins.journal(marker)) == 2 * calls
    assert told(await post(client, chat(marker), marker))["text"] == f"You said: {marker}"


@pytest.mark.parametrize("text", ["", "k" * (MAX_KEY_CHARS + 1)])
async def test_a_key_that_cannot_be(client: httpx.AsyncClient, marker: str, text: str) -> None:
    answer = await post(client, chat(marker), text)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["header"] == "Idempotency-Key"
    longest = marker.ljust(MAX_KEY_CHARS, "k")
    assert told(await post(client, chat(marker), longest))["text"]


@BOTH
async def test_nothing_is_asked_while_nobody_can_tell_who_has_the_key(
    service: httpx.AsyncClient,
    standins: StandinsView,
    marker: str,
    stream: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def down(*_: object) -> None:
        raise DatabaseUnavailable("down")

    monkeypatch.setattr(Chats, "claim", down)
    answer = await post(service, chat(marker, stream=stream), marker)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert await standins.journal(marker, wait=0) == []
    without = await service.post("/v1/chat", json=chat(marker, stream=stream))
    assert told(without)["text"] == f"You said: {marker}"


@BOTH
async def test_an_answer_that_is_not_stored_gives_its_key_back(
    service: httpx.AsyncClient,
    standins: StandinsView,
    marker: str,
    stream: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outages, store = [DatabaseUnavailable("down")], Chats.add

    async def add(self: Chats, *chat: Any) -> None:
        if outages:
            raise outages.pop()
        await store(self, *chat)

    monkeypatch.setattr(Chats, "add", add)
    first, again = [await post(service, chat(marker, stream=stream), marker) for _ in "12"]
    assert told(first)["stored"] is False
    assert "stored" not in told(again)
    assert len(await standins.journal(marker)) == 2


async def test_a_key_that_cannot_be_given_back_costs_nobody_an_answer(
    service: httpx.AsyncClient,
    marker: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def down(*_: object) -> None:
        raise DatabaseUnavailable("down")

    for method in ("add", "release"):
        monkeypatch.setattr(Chats, method, down)
    assert told(await post(service, chat(marker), marker))["stored"] is False
    assert (await post(service, chat(marker), marker)).status_code == 409
    assert "key_not_released" in capsys.readouterr().out


async def test_a_client_that_leaves_while_its_key_is_taken_gives_it_back(
    service: httpx.AsyncClient,
    standins: StandinsView,
    marker: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, claim = asyncio.Event(), Chats.claim

    async def slowly(self: Chats, *claimed: Any) -> Any:
        begun.set()
        await asyncio.sleep(0.01)
        return await claim(self, *claimed)

    with monkeypatch.context() as patch:
        patch.setattr(Chats, "claim", slowly)
        asking = asyncio.ensure_future(post(service, chat(marker), marker))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert await standins.journal(marker, wait=0) == []
    assert told(await post(service, chat(marker), marker))["text"] == f"You said: {marker}"


async def test_a_key_is_free_again_when_whoever_held_it_has_died(
    service: httpx.AsyncClient,
    database: Database,
    marker: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def died(*_: object) -> None:
        pass

    async def age(seconds: int) -> None:
        moment = chat_keys.c.claimed_at - seconds * 1000
        is_this = chat_keys.c.key == sha256(marker.encode()).hexdigest()
        await database.run(update(chat_keys).where(is_this).values(claimed_at=moment))

    body = chat(marker, model="standin-400")
    await post(service, chat(marker), f"another {marker}")
    with monkeypatch.context() as patch:
        patch.setattr(Chats, "release", died)
        assert (await post(service, body, marker)).status_code == 422
    await age(LEASE_SECONDS - 60)
    assert (await post(service, body, marker)).status_code == 409
    await age(120)
    answer = await post(service, chat(marker), marker)
    assert told(answer)["text"] == f"You said: {marker}"
    # A stored answer stays, however old it is.
    await age(LEASE_SECONDS + 60)
    assert told(await post(service, chat(marker), marker)) == told(answer)
