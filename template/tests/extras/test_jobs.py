"""Chats that are answered later, delivered by a double or, to the served Worker, by the queue."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.jobs import MAX_DELAY, MAX_JOB_BYTES
from tests.conftest import Env, in_process, new_name, serve
from tests.support.choices import PROVIDERS, variable
from tests.support.queues import Batch, MemoryQueue, Message
from tests.support.standins import StandinsView


def chat(text: str, **changes: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **changes}


async def sent(client: httpx.AsyncClient, env: Env, body: dict[str, Any], **headers: str) -> str:
    """The message that a job becomes, as the client's caller."""
    queue = MemoryQueue()
    async with serve(env | {"JOBS": queue}) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/jobs", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    (message,) = queue
    assert json.loads(message)["id"] == answer.json()["id"]
    return message


async def deliver(env: Env, *messages: Message) -> None:
    async with in_process(env) as service:
        await service.app.consume(Batch(messages))


class DelayingQueue(list[str]):
    """Keeps what is sent, with whatever delay."""

    async def send(self, body: str, _options: object, /) -> None:
        self.append(body)


class FullQueue:
    """Takes nothing."""

    async def send(self, body: str, _options: object, /) -> None:
        raise OSError(f"secret text: {body}")


async def test_a_job_is_taken(client: httpx.AsyncClient, marker: str) -> None:
    answer = await client.post("/v1/jobs", json=chat(marker))
    assert answer.status_code == 202
    assert answer.json()["id"].startswith("chat_")


async def test_nobody_is_asked_before_the_queue_delivers(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, marker: str
) -> None:
    await sent(client, env, chat(marker))
    assert await standins.journal(marker, wait=0) == []


async def test_a_delivered_job_is_done_and_acknowledged_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, marker: str
) -> None:
    settings = {"max_tokens": 77, "temperature": 0.25}
    message = Message(await sent(client, env, chat(marker, **settings)))
    await deliver(env, message)
    assert message.outcomes == ["ack"]
    (call,) = await standins.journal(marker)
    assert call["outcome"] == "answered"
    assert "77" in json.dumps(call["body"])


async def test_each_message_of_a_batch_fares_by_itself_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    good = Message(await sent(client, env, chat(marker)))
    busy = Message(await sent(client, env, chat(marker, model="standin-500")))
    malformed = Message("{}")
    await deliver(env, good, busy, malformed)
    assert good.outcomes == ["ack"]
    assert [len(message.outcomes) for message in (busy, malformed)] == [1, 1]
    assert "ack" not in busy.outcomes + malformed.outcomes


async def test_what_the_provider_refuses_is_not_tried_again_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, marker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = Message(await sent(client, env, chat(marker, model="standin-400")))
    await deliver(env, message)
    assert message.outcomes == ["ack"]
    assert "provider_failed" in capsys.readouterr().out


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_the_service_s_own_trouble_loses_no_job_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, marker: str, status: int
) -> None:
    message = Message(await sent(client, env, chat(marker)))
    default = {variable(PROVIDERS[0], "MODEL"): f"standin-{status}"}
    await deliver(env | default, message)
    assert message.outcomes == [10]


async def test_a_job_that_can_only_time_out_is_asked_twice_and_given_up_with_a_double(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, marker: str
) -> None:
    body = await sent(client, env, chat(marker, model="standin-hang"))
    queue = DelayingQueue()
    hurried = env | {"JOBS": queue, "PROVIDER_FIRST_BYTE_TIMEOUT": "0.1", "RETRY_BUDGET": "0"}
    for _ in range(2):
        message = Message(body)
        await deliver(hurried, message)
        assert message.outcomes == ["ack"]
        body = queue.pop()
    given_up = [Message(body, attempts) for attempts in (1, 2, 3)]
    await deliver(hurried, *given_up)
    assert [message.outcomes for message in given_up] == [[0], [0], [0]]
    assert len(await standins.journal(marker)) == 2


async def test_a_job_that_timed_out_is_retried_where_the_queue_takes_nothing_with_a_double(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    message = Message(await sent(client, env, chat(marker, model="standin-504")))
    await deliver(env | {"JOBS": FullQueue()}, message)
    assert message.outcomes == [10]


async def test_each_further_failure_waits_longer_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    body = await sent(client, env, chat(marker, model="standin-500"))
    messages = [Message(body, attempts) for attempts in (1, 2, 3, 10**6)]
    await deliver(env, *messages)
    assert [message.outcomes for message in messages] == [[10], [20], [40], [40960]]
    assert MAX_DELAY == 43200


async def test_lines_name_a_job_and_nothing_that_was_said_with_a_double_of_the_delivery(
    client: httpx.AsyncClient, env: Env, marker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = await sent(client, env, chat(marker))
    capsys.readouterr()
    await deliver(env, Message(body), Message(body))
    lines = capsys.readouterr().out.splitlines()
    assert {json.loads(line)["request_id"] for line in lines} == {json.loads(body)["id"]}
    assert "job_done" in {json.loads(line)["event"] for line in lines}
    assert not any(marker in line for line in lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
async def test_no_message_stops_the_others_with_a_double_of_the_delivery(
    env: Env, text: str
) -> None:
    messages = [Message(text), Message(text)]
    await deliver(env, *messages)
    assert [message.outcomes for message in messages] == [[0], [0]]


async def test_the_same_key_is_the_same_job(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    key = {"idempotency-key": new_name()}
    bodies = [await sent(client, env, chat(marker), **key) for _ in "12"]
    other = await sent(client, env, chat(marker))
    ids = [json.loads(body)["id"] for body in (*bodies, other)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"stream": True}, 422),
        ({"provider": "nobody"}, 422),
        ({"messages": []}, 422),
        ({"messages": [{"role": "user", "content": "a" * MAX_JOB_BYTES}]}, 413),
    ],
)
async def test_a_job_that_cannot_be(
    client: httpx.AsyncClient, changes: dict[str, Any], status: int
) -> None:
    answer = await client.post("/v1/jobs", json=chat("hello") | changes)
    assert answer.status_code == status


async def test_a_key_that_cannot_be_one_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "k" * 256}
    answer = await client.post("/v1/jobs", json=chat("hello"), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["header"] == "Idempotency-Key"


async def test_a_queue_that_takes_nothing_is_a_503(
    client: httpx.AsyncClient, env: Env, marker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(env | {"JOBS": FullQueue()}) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/jobs", json=chat(marker))
    assert answer.status_code == 503
    assert "secret text" not in capsys.readouterr().out
