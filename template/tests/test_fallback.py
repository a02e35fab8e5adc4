"""FALLBACK_PROVIDERS: who answers when the one that was asked cannot."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from service.chat import Chat, ChatSettings
from service.providers.base import ProviderConnectionError
from service.providers.chosen import chosen
from service.providers.upstream import RETRY
from service.settings import SettingsError
from service.telemetry.events import ProviderCall, Telemetry
from service.web import Problem, Request
from tests.conftest import Env, serve
from tests.support.choices import PROVIDERS, variable
from tests.support.clients import events
from tests.support.standins import StandinsView

FIRST, SECOND = PROVIDERS[:2]
SETTINGS = {"DEFAULT_PROVIDER": FIRST, "FALLBACK_PROVIDERS": ", ".join(PROVIDERS)}
NOWHERE = "http://127.0.0.1:1"

DOWN = [401, 402, 408, 409, 429, 500, 502, 503, 504, 529]
NOT_DOWN = ["standin-400", "standin-404", "standin-422", "standin-blocked", "standin-garbage"]


def asks(text: str, model: str, **changes: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "model": model, **changes}


@pytest.fixture
async def service(client: httpx.AsyncClient, env: Env) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service in which everybody is everybody's fallback."""
    async with serve(env | SETTINGS) as service:
        service.headers.update(client.headers)
        yield service


@pytest.mark.parametrize("status", DOWN)
async def test_the_next_one_answers_with_its_own_model_and_the_answer_says_so(
    service: httpx.AsyncClient, standins: StandinsView, marker: str, status: int
) -> None:
    answer = await service.post("/v1/chat", json=asks(marker, f"standin-final-{status}"))
    body = answer.json()
    assert (body["provider"], body["model"]) == (SECOND, "standin-echo")
    assert body["fallback_from"] == [FIRST]
    assert body["text"] == f"You said: {marker}"
    assert len(await standins.journal(marker)) == 2


async def test_the_next_one_s_stream_is_the_answer(service: httpx.AsyncClient, marker: str) -> None:
    body = asks(marker, "standin-final-503", stream=True)
    told = events((await service.post("/v1/chat", json=body)).text)
    assert [name for name, _ in told] == ["delta"] * 3 + ["done"]
    done = json.loads(told[-1][1])
    assert (done["provider"], done["fallback_from"]) == (SECOND, [FIRST])


@pytest.mark.parametrize("model", NOT_DOWN)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_another_could_not_make_good_stays_an_error(
    service: httpx.AsyncClient, standins: StandinsView, marker: str, model: str, stream: bool
) -> None:
    answer = await service.post("/v1/chat", json=asks(marker, model, stream=stream))
    if model == "standin-garbage" and stream:
        assert answer.text.count("event: error") == 1
    else:
        assert answer.status_code in {422, 502}
        assert FIRST in answer.json()["detail"]
    assert len(await standins.journal(marker)) == 1


@pytest.mark.parametrize("model", ["standin-stream-error", "standin-cut"])
async def test_after_the_first_token_nobody_else_goes_on(
    service: httpx.AsyncClient, standins: StandinsView, marker: str, model: str
) -> None:
    answer = await service.post("/v1/chat", json=asks(marker, model, stream=True))
    assert [name for name, _ in events(answer.text)] == ["delta", "error"]
    assert len(await standins.journal(marker)) == 1


async def test_whoever_a_request_names_comes_first(service: httpx.AsyncClient, marker: str) -> None:
    body = asks(marker, "standin-final-503", provider=SECOND)
    answer = (await service.post("/v1/chat", json=body)).json()
    assert (answer["provider"], answer["fallback_from"]) == (FIRST, [SECOND])


async def test_a_healthy_provider_s_answer_names_no_fallback(
    service: httpx.AsyncClient, marker: str
) -> None:
    answer = (await service.post("/v1/chat", json=asks(marker, "standin-echo"))).json()
    assert answer["provider"] == FIRST
    assert "fallback_from" not in answer


async def test_without_the_setting_nobody_else_is_asked(
    client: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    answer = await client.post("/v1/chat", json=asks(marker, "standin-final-503"))
    assert answer.status_code == 503
    assert len(await standins.journal(marker)) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_each_call_is_recorded_by_itself(
    service: httpx.AsyncClient, marker: str, capsys: pytest.CaptureFixture[str], *, stream: bool
) -> None:
    await service.post("/v1/chat", json=asks(marker, "standin-final-529", stream=stream))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    calls = [line for line in lines if line["event"] == "provider_call"]
    assert [(c["provider"], c["outcome"], c["fallback"]) for c in calls] == [
        (FIRST, "overloaded", False),
        (SECOND, "ok", True),
    ]


class Outage:
    """A chat whose providers cannot be reached, some of them."""

    def __init__(self, env: Env, http: httpx.AsyncClient, *, unreachable: list[str]) -> None:
        self.recorded: list[ProviderCall] = []
        self.waits: list[float] = []
        retry = replace(RETRY, sleep=self._sleep)
        away = {name: NOWHERE for name in env if name.endswith("_BASE_URL")}
        working, broken = chosen(env, http, retry), chosen(env | away, http, retry)
        self.chat = Chat(
            ChatSettings.load(SETTINGS),
            {name: (broken if name in unreachable else working)[name] for name in PROVIDERS},
            Telemetry(self.recorded.append),
            explain=lambda error: Problem(502, str(error)),
        )

    async def ask(self, marker: str, **changes: Any) -> Any:
        """The answer's JSON."""
        content = json.dumps(asks(marker, "standin-echo", **changes)).encode()

        async def body() -> AsyncIterator[bytes]:
            yield content

        headers = httpx.Headers({"content-type": "application/json"})
        request = Request("POST", "http://localhost/v1/chat", headers, body())
        answer = await self.chat.answer(request)
        assert isinstance(answer.body, bytes)
        return json.loads(answer.body)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


async def test_a_provider_out_of_reach_is_asked_again_before_the_next_is(
    env: Env, http: httpx.AsyncClient, marker: str
) -> None:
    outage = Outage(env, http, unreachable=[FIRST])
    answer = await outage.ask(marker)
    assert (answer["provider"], answer["fallback_from"]) == (SECOND, [FIRST])
    assert [(c.outcome, c.attempts) for c in outage.recorded] == [("connection", 3), ("ok", 1)]
    assert len(outage.waits) == 2


async def test_they_are_asked_in_their_order_until_one_answers(
    env: Env, http: httpx.AsyncClient, marker: str
) -> None:
    *down, last = PROVIDERS
    answer = await Outage(env, http, unreachable=down).ask(marker)
    assert (answer["provider"], answer["fallback_from"]) == (last, down)


@pytest.mark.parametrize("stream", [False, True])
async def test_when_all_are_down_the_first_one_s_error_is_told(
    env: Env, http: httpx.AsyncClient, marker: str, stream: bool
) -> None:
    outage = Outage(env, http, unreachable=PROVIDERS)
    with pytest.raises(ProviderConnectionError) as caught:
        await outage.ask(marker, stream=stream)
    assert caught.value.provider == PROVIDERS[0]
    assert [call.fallback for call in outage.recorded] == [False] + [True] * (len(PROVIDERS) - 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fallback_is_asked_without_a_parameter_that_it_refuses_and_the_answer_says_so(
    client: httpx.AsyncClient, env: Env, marker: str, *, stream: bool
) -> None:
    async with serve(env | SETTINGS | {variable(SECOND, "MODEL"): "standin-picky"}) as service:
        service.headers.update(client.headers)
        body = asks(marker, "standin-final-503", temperature=0.5, stream=stream)
        answer = await service.post("/v1/chat", json=body)
    assert answer.status_code == 200
    told = json.loads(events(answer.text)[-1][1]) if stream else answer.json()
    assert (told["provider"], told["adjusted"]) == (SECOND, {"temperature": None})


async def test_a_fallback_gets_no_higher_temperature_than_it_takes(
    client: httpx.AsyncClient, env: Env, standins: StandinsView, marker: str
) -> None:
    async with serve(env | SETTINGS) as service:
        service.headers.update(client.headers)
        most = chosen(env, service)[SECOND]().max_temperature
        body = asks(marker, "standin-final-503", temperature=2)
        answer = (await service.post("/v1/chat", json=body)).json()
    assert answer.get("adjusted") == (None if most == 2 else {"temperature": most})
    (_, call) = await standins.journal(marker)
    assert f'"temperature": {most:g}' in json.dumps(call["body"]).replace(".0", "")


@pytest.mark.parametrize("model", ["standin-400", "standin-422", "standin-blocked", "standin-401"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_fallback_never_makes_the_outcome_worse(
    client: httpx.AsyncClient, env: Env, marker: str, model: str, *, stream: bool
) -> None:
    fallbacks = {variable(name, "MODEL"): model for name in PROVIDERS[1:]}
    async with serve(env | SETTINGS | fallbacks) as service:
        service.headers.update(client.headers)
        body = asks(marker, "standin-final-503", temperature=0.5, stream=stream)
        answer = await service.post("/v1/chat", json=body)
    assert answer.status_code == 503
    assert FIRST in answer.json()["detail"]


async def test_a_default_model_that_is_retired_is_passed_on(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    async with serve(env | SETTINGS | {variable(FIRST, "MODEL"): "standin-404"}) as service:
        service.headers.update(client.headers)
        body = {"messages": [{"role": "user", "content": marker}]}
        answer = (await service.post("/v1/chat", json=body)).json()
    assert (answer["provider"], answer["fallback_from"]) == (SECOND, [FIRST])


@pytest.mark.parametrize("names", ["unknown", f"{FIRST},", f"{FIRST};{SECOND}"])
async def test_a_fallback_that_there_is_not_is_named(
    env: Env, http: httpx.AsyncClient, names: str
) -> None:
    with pytest.raises(SettingsError, match="FALLBACK_PROVIDERS is malformed"):
        Chat(
            ChatSettings.load({"FALLBACK_PROVIDERS": names}),
            chosen(env, http),
            Telemetry(),
            explain=lambda error: Problem(502, str(error)),
        )
