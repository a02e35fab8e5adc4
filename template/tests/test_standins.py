"""The stand-ins themselves, where a test of the service could be fooled by them."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from tests.support.standins import StandinsView

OPENAI = "/openai/v1/chat/completions"
ANTHROPIC = "/anthropic/v1/messages"
HEADERS = {
    OPENAI: {"authorization": "Bearer standin-key"},
    ANTHROPIC: {"x-api-key": "standin-key", "anthropic-version": "2023-06-01"},
}
PATHS = pytest.mark.parametrize("path", [OPENAI, ANTHROPIC])


async def ask(
    standins: StandinsView,
    path: str,
    body: dict[str, object],
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    required = {"max_tokens": 9} if path == ANTHROPIC else {}
    sent = HEADERS[path] if headers is None else headers
    return await standins.http.post(standins.url + path, headers=sent, json=required | body)


def says(text: str, model: str = "m", role: str = "user", **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": role, "content": text}], **more}


@PATHS
async def test_only_the_stand_ins_key_opens(standins: StandinsView, path: str) -> None:
    wrong = {name: value.replace("standin", "other") for name, value in HEADERS[path].items()}
    for headers in ({}, wrong):
        answer = await ask(standins, path, says("Hi"), headers)
        assert answer.status_code == 401
        assert "api" in answer.json()["error"]["message"].lower()


@PATHS
@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"model": "m"},
        {"model": "m", "messages": []},
        {"model": "m", "messages": ["Hi"]},
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "api_key": "k"},
    ],
)
async def test_what_the_apis_refuse_is_refused(
    standins: StandinsView, path: str, body: dict[str, object]
) -> None:
    assert (await ask(standins, path, body)).status_code == 400


async def test_each_api_refuses_the_others_ways(standins: StandinsView) -> None:
    versionless = {"x-api-key": "standin-key"}
    answers = [
        await ask(standins, OPENAI, says("Hi", max_tokens=9)),
        await ask(standins, ANTHROPIC, says("Hi", max_tokens=None)),
        await ask(standins, ANTHROPIC, says("Hi", role="system")),
        await ask(standins, ANTHROPIC, says("Hi"), versionless),
    ]
    assert [answer.status_code for answer in answers] == [400] * 4


@PATHS
async def test_a_body_that_is_no_json_object_is_refused(standins: StandinsView, path: str) -> None:
    for content in (b"", b"{", b"[]", b"\xff"):
        answer = await standins.http.post(
            standins.url + path, headers=HEADERS[path], content=content
        )
        assert answer.status_code == 400


async def test_the_journal_tells_how_each_call_ended(standins: StandinsView) -> None:
    marker = str(uuid4())
    hanging = asyncio.ensure_future(ask(standins, OPENAI, says(marker, "standin-hang")))
    while not await standins.journal(marker, wait=0):
        pass
    await ask(standins, ANTHROPIC, says(marker))
    assert [c["outcome"] for c in await standins.journal(marker, wait=0)] == ["open", "answered"]
    hanging.cancel()
    calls = await standins.journal(marker)
    assert [c["outcome"] for c in calls] == ["client-left", "answered"]
    assert [c["path"] for c in calls] == [OPENAI, ANTHROPIC]
    assert calls[0]["body"] == says(marker, "standin-hang")
    assert calls[1]["headers"]["x-api-key"] == "standin-key"


async def test_flaky_is_counted_for_each_body_apart(standins: StandinsView) -> None:
    statuses = []
    for text in (str(uuid4()), str(uuid4())):
        for _ in range(3):
            answer = await ask(standins, OPENAI, says(text, "standin-flaky-503-1"))
            statuses.append(answer.status_code)
    assert statuses == [503, 200, 200] * 2


async def test_many_calls_at_once_are_all_answered(standins: StandinsView) -> None:
    texts = [str(uuid4()) for _ in range(100)]
    answers = await asyncio.gather(*(ask(standins, OPENAI, says(text)) for text in texts))
    said = [answer.json()["choices"][0]["message"]["content"] for answer in answers]
    assert said == [f"You said: {text}" for text in texts]


async def test_there_is_nothing_else(standins: StandinsView) -> None:
    assert (await standins.http.get(f"{standins.url}/")).status_code == 404
    assert (await standins.http.get(standins.url + OPENAI)).status_code == 404
