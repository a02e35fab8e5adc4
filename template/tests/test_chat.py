"""POST /v1/chat, with every provider there is."""

import json
from typing import Any

import httpx
import pytest

from service.problems import provider_problem
from service.providers.base import ChatRequest, Message, PermissionDeniedError, ProviderError
from service.providers.chosen import chosen
from tests.conftest import Env, serve
from tests.support.choices import PROVIDERS, variable
from tests.support.clients import events
from tests.support.standins import CALLS, StandinsView

pytestmark = pytest.mark.parametrize("provider", PROVIDERS)


def chat(provider: str, text: str, **changes: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "provider": provider, **changes}


def values(sent: Any) -> list[Any]:
    """All texts and numbers in a JSON value, in their order."""
    if isinstance(sent, dict | list):
        inner = sent.values() if isinstance(sent, dict) else sent
        return [value for each in inner for value in values(each)]
    return [sent]


async def stream(client: httpx.AsyncClient, body: dict[str, Any]) -> list[tuple[str, Any]]:
    """The events of a streamed answer, each as its name and its JSON value."""
    answer = await client.post("/v1/chat", json=body | {"stream": True})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream"
    return [(name, json.loads(data)) for name, data in events(answer.text)]


async def test_the_answer_comes_back(client: httpx.AsyncClient, provider: str, marker: str) -> None:
    answer = await client.post("/v1/chat", json=chat(provider, f"hello {marker}"))
    body = answer.json()
    assert answer.status_code == 200
    assert body.pop("id").startswith("chat_")
    assert body == {
        "provider": provider,
        "model": "standin-echo",
        "text": f"You said: hello {marker}",
        "finish_reason": "stop",
        "usage": {"input_tokens": 2, "output_tokens": 4},
    }


async def test_the_conversation_and_its_settings_reach_the_provider(
    client: httpx.AsyncClient, standins: StandinsView, provider: str, marker: str
) -> None:
    turns = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": marker},
    ]
    model = f"m-{marker}"
    body = {"messages": turns, "provider": provider, "model": model}
    answer = await client.post("/v1/chat", json=body | {"max_tokens": 7, "temperature": 0.5})
    assert (answer.json()["provider"], answer.json()["model"]) == (provider, model)
    (call,) = await standins.journal(marker)
    sent = values(call["body"])
    assert call["path"].endswith(CALLS[provider].replace("standin-echo", model))
    assert {0.5, 7, "be kind"} <= set(sent)
    said = [turn["content"] for turn in turns if turn["role"] != "system"]
    assert [value for value in sent if value in said] == said


async def test_nothing_is_sent_that_nobody_asked_for(
    client: httpx.AsyncClient, standins: StandinsView, provider: str, marker: str
) -> None:
    await client.post("/v1/chat", json=chat(provider, marker))
    (call,) = await standins.journal(marker)
    assert set(call["body"]) <= {"model", "messages", "contents", "max_tokens"}


async def test_it_streams(client: httpx.AsyncClient, provider: str, marker: str) -> None:
    *deltas, (last, done) = await stream(client, chat(provider, f"hello {marker}"))
    assert {name for name, _ in deltas} == {"delta"}
    assert len(deltas) == 4
    assert "".join(data["text"] for _, data in deltas) == f"You said: hello {marker}"
    assert last == "done"
    assert done.pop("id").startswith("chat_")
    assert done == {
        "provider": provider,
        "model": "standin-echo",
        "finish_reason": "stop",
        "usage": {"input_tokens": 2, "output_tokens": 4},
    }


async def test_the_first_words_come_before_the_last_are_written(
    client: httpx.AsyncClient, standins: StandinsView, provider: str, marker: str
) -> None:
    body = chat(provider, marker, model="standin-endless", stream=True)
    async with client.stream("POST", "/v1/chat", json=body) as answer:
        first = await anext(answer.aiter_text())
        assert first.startswith("event: delta\n")
        (call,) = await standins.journal(marker, wait=0)
        assert call["outcome"] == "open"


async def test_a_client_that_leaves_ends_the_provider_s_work(
    client: httpx.AsyncClient, standins: StandinsView, provider: str, marker: str
) -> None:
    body = chat(provider, marker, model="standin-endless", stream=True)
    async with client.stream("POST", "/v1/chat", json=body) as answer:
        await anext(answer.aiter_text())
    (call,) = await standins.journal(marker)
    assert call["outcome"] == "client-left"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "status"),
    [
        ("standin-400", 422),
        ("standin-401", 502),
        ("standin-403", 502),
        ("standin-404", 422),
        ("standin-429", 429),
        ("standin-503", 503),
        ("standin-504", 504),
    ],
)
async def test_a_provider_that_fails(
    client: httpx.AsyncClient, provider: str, model: str, status: int, streamed: bool
) -> None:
    body = chat(provider, "hello", model=model, stream=streamed)
    answer = await client.post("/v1/chat", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert provider in answer.json()["detail"]
    assert "standin-key" not in answer.text
    assert ("retry-after" in answer.headers) == (status in {429, 503})


async def test_a_provider_that_comes_back_is_asked_again(
    client: httpx.AsyncClient, standins: StandinsView, provider: str, marker: str
) -> None:
    answer = await client.post("/v1/chat", json=chat(provider, marker, model="standin-flaky-429-1"))
    assert answer.status_code == 200
    assert len(await standins.journal(marker)) == 2


@pytest.mark.parametrize("model", ["standin-garbage", "standin-cut"])
async def test_an_answer_that_makes_no_sense(
    client: httpx.AsyncClient, provider: str, marker: str, model: str
) -> None:
    answer = await client.post("/v1/chat", json=chat(provider, marker, model=model))
    assert answer.status_code == 502


@pytest.mark.parametrize("model", ["standin-stream-error", "standin-cut", "standin-unfinished"])
async def test_a_stream_that_breaks_ends_with_an_error(
    client: httpx.AsyncClient, provider: str, marker: str, model: str
) -> None:
    told = await stream(client, chat(provider, f"hello {marker}", model=model))
    assert [name for name, _ in told[:-1]] == ["delta"] * (len(told) - 1)
    name, problem = told[-1]
    assert name == "error"
    assert problem["status"] in {502, 503}
    assert problem["request_id"]


@pytest.mark.parametrize(
    ("model", "finish_reason"),
    [("standin-length", "length"), ("standin-null", "stop")],
)
async def test_how_an_answer_ended(
    client: httpx.AsyncClient, provider: str, marker: str, model: str, finish_reason: str
) -> None:
    answer = await client.post("/v1/chat", json=chat(provider, marker, model=model))
    assert answer.json()["finish_reason"] == finish_reason


async def test_a_provider_without_its_key_is_not_asked(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, provider: str, marker: str
) -> None:
    del env[variable(provider, "API_KEY")]
    async with serve(env) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=chat(provider, marker))
    assert answer.status_code == 500
    assert f"{variable(provider, 'API_KEY')} is not set" in answer.json()["detail"]
    assert await standins.journal(marker) == []


async def test_the_setting_chooses_who_answers_by_default(
    client: httpx.AsyncClient, env: Env, provider: str
) -> None:
    async with serve(env | {"DEFAULT_PROVIDER": provider}) as service:
        service.headers.update(client.headers)
        body = {"messages": [{"role": "user", "content": "hi"}]}
        answer = await service.post("/v1/chat", json=body)
    assert answer.json()["provider"] == provider


async def test_logs_and_answer_share_a_request_id(
    client: httpx.AsyncClient,
    env: Env,
    provider: str,
    marker: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve(env) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=chat(provider, marker))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["event"] for line in lines} == {"provider_call", "request"}
    assert {line["request_id"] for line in lines} == {answer.headers["x-request-id"]}
    assert marker not in json.dumps(lines)


async def test_a_stream_that_is_left_is_logged_as_that(
    client: httpx.AsyncClient, env: Env, provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = chat(provider, "hello", stream=True, model="standin-endless")
    async with serve(env) as service:
        service.headers.update(client.headers)
        async with service.stream("POST", "/v1/chat", json=body) as answer:
            await anext(answer.aiter_text())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["outcome"] for line in lines if "outcome" in line] == ["client-left"]


async def test_a_default_model_that_is_retired_is_not_the_caller_s_fault(
    client: httpx.AsyncClient, env: Env, provider: str
) -> None:
    async with serve(env | {variable(provider, "MODEL"): "standin-404"}) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=chat(provider, "hello"))
    assert answer.status_code == 502
    assert answer.json()["detail"].startswith(f"{provider} does not have the model (status 404)")


async def test_a_parameter_that_the_provider_refuses_is_pointed_at(
    client: httpx.AsyncClient, provider: str
) -> None:
    body = chat(provider, "hello", model="standin-picky", temperature=0.5)
    answer = await client.post("/v1/chat", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/temperature"]


@pytest.mark.parametrize("model", ["standin-echo", "standin-other"])
async def test_callers_may_name_the_models_of_the_settings(
    client: httpx.AsyncClient, env: Env, provider: str, model: str
) -> None:
    async with serve(env | {variable(provider, "MODELS"): "standin-other, more"}) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=chat(provider, "hello", model=model))
    assert (answer.status_code, answer.json()["model"]) == (200, model)


async def test_no_other_model_is_asked(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, provider: str, marker: str
) -> None:
    for allowed in ("", "standin-other"):
        async with serve(env | {variable(provider, "MODELS"): allowed}) as service:
            service.headers.update(client.headers)
            body = chat(provider, marker, model="standin-null")
            answer = await service.post("/v1/chat", json=body)
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "#/model"
        assert "standin-echo" in error["detail"]
    assert await standins.journal(marker) == []


async def test_no_more_tokens_are_asked_for_than_the_settings_allow(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, provider: str, marker: str
) -> None:
    async with serve(env | {"MAX_TOKENS": "9"}) as service:
        service.headers.update(client.headers)
        statuses = [
            (await service.post("/v1/chat", json=chat(provider, marker, max_tokens=n))).status_code
            for n in (9, 10)
        ]
    assert statuses == [200, 422]
    assert len(await standins.journal(marker)) == 1


async def test_an_empty_answer_can_be_sent_back_as_history(
    client: httpx.AsyncClient, provider: str, marker: str
) -> None:
    first = chat(provider, marker, model="standin-null")
    answer = (await client.post("/v1/chat", json=first)).json()
    turns = [*first["messages"], {"role": "assistant", "content": answer["text"]}]
    turns.append({"role": "user", "content": "and now?"})
    again = await client.post("/v1/chat", json={"messages": turns, "provider": provider})
    assert again.json()["text"] == "You said: and now?"


async def test_a_long_retry_after_reaches_the_caller_at_once(
    client: httpx.AsyncClient, standins: StandinsView, provider: str, marker: str
) -> None:
    body = chat(provider, marker, model="standin-later-429")
    answer = await client.post("/v1/chat", json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "38")
    assert len(await standins.journal(marker)) == 1


async def test_local_runs_show_what_the_provider_said_and_others_do_not(
    client: httpx.AsyncClient, provider: str
) -> None:
    answer = await client.post("/v1/chat", json=chat(provider, "hello", model="standin-403"))
    assert answer.json()["detail"].endswith(": The stand-in was asked for a 403.")
    error = PermissionDeniedError(provider=provider, status=403, detail="secret")
    assert "secret" not in provider_problem(error).detail


async def test_the_log_has_a_refusal_s_reason_and_nothing_of_the_prompt(
    client: httpx.AsyncClient,
    env: Env,
    http: httpx.AsyncClient,
    provider: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serve(env) as service:
        service.headers.update(client.headers)
        await service.post("/v1/chat", json=chat(provider, "a stand", model="standin-403"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["event"] == "provider_failed"]
    assert line["detail"].endswith("was asked for *** 403.")
    assert "stand" not in line["detail"]
    question = Message(role="user", content="a stand")
    request = ChatRequest(messages=(question,), model="standin-403")
    with pytest.raises(ProviderError) as caught:
        await chosen(env, http)[provider]().complete(request)
    assert line.get("type") == caught.value.type
