"""What a job answered is a chat of its caller."""

import json

import httpx
import pytest

from service.database.base import DatabaseUnavailable
from service.database.chats import Chats
from service.jobs import FIRST_DELAY
from tests.conftest import SERVED_AT, Env, serve
from tests.extras.test_jobs import chat, deliver, sent
from tests.support.clients import answer_when
from tests.support.queues import Message
from tests.support.standins import StandinsView

if SERVED_AT:

    async def test_the_queue_delivers_a_job_and_its_chat_is_stored(
        served: httpx.AsyncClient, marker: str
    ) -> None:
        job = (await served.post("/v1/jobs", json=chat(marker))).json()
        path = f"/v1/chats/{job['id']}"
        answer = await answer_when(served, path, lambda answer: answer.status_code != 404)
        assert answer.json()["text"] == f"You said: {marker}"


async def test_a_job_that_is_done_is_a_stored_chat_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    body = await sent(client, env, chat(marker))
    path = f"/v1/chats/{json.loads(body)['id']}"
    async with serve(env) as service:
        service.headers.update(client.headers)
        assert (await service.get(path)).status_code == 404
        await deliver(env, Message(body))
        answer = await service.get(path)
    assert answer.json()["text"] == f"You said: {marker}"


async def test_a_job_that_is_delivered_twice_is_done_once_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, marker: str
) -> None:
    body = await sent(client, env, chat(marker))
    messages = [Message(body), Message(body)]
    for message in messages:
        await deliver(env, message)
    assert [message.outcomes for message in messages] == [["ack"], ["ack"]]
    assert len(await standins.journal(marker)) == 1


async def test_a_job_that_is_delivered_twice_at_once_is_stored_once_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    body = await sent(client, env, chat(marker))
    messages = [Message(body), Message(body)]
    await deliver(env, *messages)
    await deliver(env, *(again := [Message(body, 2) for m in messages if m.outcomes != ["ack"]]))
    assert all(message.outcomes == ["ack"] for message in again)
    async with serve(env) as service:
        service.headers.update(client.headers)
        chats = (await service.get("/v1/chats")).json()["chats"]
    assert len([c for c in chats if c["id"] == json.loads(body)["id"]]) == 1


async def test_a_job_whose_answer_cannot_be_stored_is_tried_again_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> None:
        raise DatabaseUnavailable("down")

    message = Message(await sent(client, env, chat(marker)))
    with monkeypatch.context() as patch:
        patch.setattr(Chats, "add", down)
        await deliver(env, message)
    assert message.outcomes == [FIRST_DELAY]
    await deliver(env, again := Message(message.body, 2))
    assert again.outcomes == ["ack"]
