"""The system prompt of the service's own."""

from datetime import UTC, datetime

import httpx
import pytest

from service.about import NAME
from service.assistant import Assistant, AssistantSettings
from tests.conftest import Env, serve
from tests.support.standins import StandinsView
from tests.test_chat import values

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_it_speaks_of_the_service_and_of_the_day() -> None:
    settings = AssistantSettings.load({"SYSTEM_PROMPT": "assistant"})
    (message,) = Assistant(settings, clock=lambda: NOON).opening()
    assert message.role == "system"
    assert f"the assistant of {NAME}." in message.content
    assert "Today is 2026-11-24." in message.content


def test_it_says_nothing_unless_it_is_told_to() -> None:
    assert Assistant(AssistantSettings.load({})).opening() == ()


@pytest.mark.parametrize("stream", [False, True])
async def test_it_comes_before_what_the_caller_says(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, marker: str, stream: bool
) -> None:
    turns = [{"role": "system", "content": "be kind"}, {"role": "user", "content": marker}]
    async with serve(env | {"SYSTEM_PROMPT": "assistant"}) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json={"messages": turns, "stream": stream})
    assert answer.status_code == 200
    (call,) = await standins.journal(marker)
    said = "\n".join(text for text in values(call["body"]) if isinstance(text, str))
    assert said.index(f"the assistant of {NAME}.") < said.index("be kind")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nothing", "prompts/nothing.txt: there is no such file"),
        ("../prompts/assistant", "SYSTEM_PROMPT is malformed"),
    ],
)
async def test_a_prompt_that_there_is_not(
    client: httpx.AsyncClient, env: Env, name: str, problem: str
) -> None:
    async with serve(env | {"SYSTEM_PROMPT": name}) as service:
        service.headers.update(client.headers)
        body = {"messages": [{"role": "user", "content": "hello"}]}
        answer = await service.post("/v1/chat", json=body)
    assert answer.status_code == 500
    assert problem in answer.json()["detail"]
