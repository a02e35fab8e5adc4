"""The quota as a caller meets it. Inside workerd, real Durable Objects keep the numbers."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from service.chat import ChatBody
from service.ledger import Limits, Reserved, Used
from service.providers.base import Usage
from service.quota import OUTPUT_TOKENS, Quota, QuotaSettings, QuotaUnavailable
from service.settings import SettingsError
from service.web import Problem
from tests.conftest import Env, new_name, serve
from tests.support.choices import PROVIDERS
from tests.support.clients import answer_when
from tests.support.standins import StandinsView, credentials

EVERY_PROVIDER = pytest.mark.parametrize("provider", PROVIDERS)
BOTH = pytest.mark.parametrize("stream", [False, True])


def chat(**changes: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}], **changes}


async def told(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/v1/quota")
    assert answer.status_code == 200
    quota: dict[str, Any] = answer.json()
    return quota


async def used(client: httpx.AsyncClient) -> tuple[int, int]:
    quota = await told(client)
    return quota["requests"]["used"], quota["tokens"]["used"]


@pytest.fixture
async def poor(client: httpx.AsyncClient, env: Env) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that gives two requests and 2000 tokens a day."""
    changes = {"QUOTA_REQUESTS_PER_DAY": "2", "QUOTA_TOKENS_PER_DAY": "2000"}
    async with serve(env | changes) as service:
        service.headers.update(client.headers)
        yield service


async def test_a_new_caller_has_everything(client: httpx.AsyncClient) -> None:
    quota = await told(client)
    resets = datetime.fromisoformat(quota.pop("resets_at"))
    assert resets.time() == datetime.min.time()
    assert resets > datetime.now(UTC)
    assert quota == {
        "requests": {"limit": 200, "used": 0, "left": 200},
        "tokens": {"limit": 200_000, "used": 0, "left": 200_000},
    }


@EVERY_PROVIDER
@BOTH
async def test_what_is_counted_is_what_the_provider_counted(
    client: httpx.AsyncClient, provider: str, stream: bool
) -> None:
    answer = await client.post("/v1/chat", json=chat(provider=provider, stream=stream))
    assert answer.status_code == 200
    assert await used(client) == (1, 1 + 3)


@EVERY_PROVIDER
@BOTH
async def test_what_got_no_answer_costs_nothing(
    client: httpx.AsyncClient, provider: str, stream: bool
) -> None:
    body = chat(provider=provider, stream=stream, model="standin-400")
    assert (await client.post("/v1/chat", json=body)).status_code == 422
    assert await used(client) == (0, 0)


@EVERY_PROVIDER
async def test_of_a_stream_that_breaks_what_came_is_counted(
    client: httpx.AsyncClient, provider: str
) -> None:
    body = chat(provider=provider, stream=True, model="standin-cut")
    assert "event: error" in (await client.post("/v1/chat", json=body)).text
    requests, tokens = await used(client)
    assert requests == 1
    assert 1 < tokens < 20


@EVERY_PROVIDER
async def test_of_a_stream_that_is_left_what_came_is_counted(
    client: httpx.AsyncClient, provider: str
) -> None:
    body = chat(provider=provider, stream=True, model="standin-endless")
    async with client.stream("POST", "/v1/chat", json=body) as answer:
        await anext(answer.aiter_text())
    # It is settled after the client has gone, which sees nothing of it: it asks until it is.
    async with asyncio.timeout(10):
        while (await used(client))[1] > OUTPUT_TOKENS:
            pass
    requests, tokens = await used(client)
    assert requests == 1
    assert 1 < tokens <= OUTPUT_TOKENS


async def test_five_streams_that_are_left_give_back_what_was_reserved(
    client: httpx.AsyncClient,
) -> None:
    most = 10_000

    async def leave() -> None:
        body = chat(stream=True, model="standin-endless", max_tokens=most)
        async with client.stream("POST", "/v1/chat", json=body) as answer:
            await anext(answer.aiter_text())

    await asyncio.gather(*(leave() for _ in range(5)))
    await answer_when(client, "/v1/quota", lambda a: a.json()["tokens"]["used"] <= most)
    requests, tokens = await used(client)
    assert requests == 5
    assert 5 < tokens < most / 10


async def test_one_request_too_many_is_told_to_wait_until_midnight(
    poor: httpx.AsyncClient,
) -> None:
    for _ in range(2):
        assert (await poor.post("/v1/chat", json=chat())).status_code == 200
    answer = await poor.post("/v1/chat", json=chat())
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 86_400
    problem = answer.json()
    assert problem["detail"] == "Today's quota has too few requests left for this."
    assert problem["quota"]["requests"] == {"limit": 2, "used": 2, "left": 0}


@BOTH
async def test_a_request_that_may_take_more_tokens_than_are_left_is_refused(
    poor: httpx.AsyncClient, stream: bool
) -> None:
    answer = await poor.post("/v1/chat", json=chat(max_tokens=2000, stream=stream))
    assert answer.status_code == 429
    assert answer.json()["detail"] == "Today's quota has too few tokens left for this."
    answer = await poor.post("/v1/chat", json=chat(max_tokens=1999, stream=stream))
    assert answer.status_code == 200


async def test_who_asks_many_times_at_once_does_not_get_more(poor: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(poor.post("/v1/chat", json=chat(max_tokens=9)) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429, 429]


async def test_nobody_else_pays(poor: httpx.AsyncClient, standins: StandinsView) -> None:
    await poor.post("/v1/chat", json=chat())
    assert await used(poor) == (1, 4)
    poor.headers.update(credentials(await standins.token({"sub": new_name()})))
    assert await used(poor) == (0, 0)


class Down:
    """An account that cannot be reached, at first or after a reservation."""

    def __init__(self, *, later: bool) -> None:
        self._later = later

    def getByName(self, _name: str, /) -> "Down":  # noqa: N802 - its real name
        return self

    async def today(self) -> Used:
        raise OSError("secret text")

    async def reserve(self, _limits: Limits, tokens: int, /) -> Reserved:
        if self._later:
            today = datetime.now(UTC).date().isoformat()
            return Reserved(date=today, requests=1, tokens=tokens, admitted=True)
        raise OSError("secret text")

    async def correct(self, _date: str, _requests: int, _tokens: int, /) -> Used:
        raise OSError("secret text")


async def test_without_the_account_nothing_is_spent_with_a_double_for_it(
    client: httpx.AsyncClient, env: Env
) -> None:
    async with serve(env | {"QUOTA": Down(later=False)}) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=chat())
    assert answer.status_code == 503
    assert answer.json()["detail"] == "The quota cannot be checked at the moment."


async def test_an_answer_outlives_the_account_with_a_double_for_it(
    client: httpx.AsyncClient, env: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(env | {"QUOTA": Down(later=True)}) as service:
        service.headers.update(client.headers)
        assert (await service.post("/v1/chat", json=chat())).status_code == 200
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (failed,) = [line for line in lines if line["event"] == "quota_failed"]
    assert failed["error"] == "OSError"
    assert "secret text" not in str(lines)


class Slow(Down):
    async def reserve(self, _limits: Limits, _tokens: int, /) -> Reserved:
        reserved: Reserved = await asyncio.Future()
        return reserved


async def test_an_account_that_hangs_is_not_waited_for_with_a_double_for_it() -> None:
    quota = Quota(settings(), Slow(later=False), timeout=0)
    with pytest.raises(QuotaUnavailable):
        await quota.reserve("user_1", ChatBody.model_validate(chat()))


class Remembering(Down):
    """Takes everything, and remembers how it was corrected."""

    corrections: list[tuple[int, int]]

    async def correct(self, date: str, requests: int, tokens: int, /) -> Used:
        self.corrections = [(requests, tokens)]
        return Used(date=date, requests=0, tokens=0)


@pytest.mark.parametrize(
    ("usage", "text", "correction"),
    [
        (Usage(input_tokens=5, output_tokens=7), "", (0, 12 - 1 - OUTPUT_TOKENS)),
        (Usage(input_tokens=5), "12345678", (0, 7 - 1 - OUTPUT_TOKENS)),
        (Usage(output_tokens=7), "", (0, 8 - 1 - OUTPUT_TOKENS)),
        (Usage(), "123456789", (0, 4 - 1 - OUTPUT_TOKENS)),
        (Usage(), "", (-1, -1 - OUTPUT_TOKENS)),
    ],
)
async def test_what_the_provider_did_not_count_is_estimated_with_a_double_for_the_account(
    usage: Usage, text: str, correction: tuple[int, int]
) -> None:
    account = Remembering(later=True)
    settle = await Quota(settings(), account).reserve("user_1", ChatBody.model_validate(chat()))
    await settle(usage, text)
    assert account.corrections == [correction]


class Reserving(Remembering):
    """Takes its time to reserve."""

    def __init__(self, *, admitted: bool) -> None:
        super().__init__(later=True)
        self.begun = asyncio.Event()
        self.corrections = []
        self._admitted = admitted

    async def reserve(self, limits: Limits, tokens: int, /) -> Reserved:
        self.begun.set()
        await asyncio.sleep(0.01)
        reserved = await super().reserve(limits, tokens)
        return Reserved(**{**reserved, "admitted": self._admitted})


@pytest.mark.parametrize("admitted", [True, False])
async def test_who_leaves_while_tokens_are_reserved_has_them_back_with_a_double_for_the_account(
    admitted: bool,
) -> None:
    account = Reserving(admitted=admitted)
    asking = Quota(settings(), account).reserve("user_1", ChatBody.model_validate(chat()))
    task = asyncio.ensure_future(asking)
    await account.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert account.corrections == ([(-1, -1 - OUTPUT_TOKENS)] if admitted else [])


class Empty(Down):
    async def reserve(self, _limits: Limits, _tokens: int, /) -> Reserved:
        return Reserved(date="2026-11-24", requests=200, tokens=0, admitted=False)


@pytest.mark.parametrize(("time", "wait"), [("00:00:00", 86_400), ("23:59:59.5", 1)])
async def test_the_wait_ends_with_the_day_with_a_double_for_the_account(
    time: str, wait: int
) -> None:
    now = datetime.fromisoformat(f"2026-11-24T{time}+00:00").timestamp()
    quota = Quota(settings(), Empty(later=False), clock=lambda: now)
    with pytest.raises(Problem) as caught:
        await quota.reserve("user_1", ChatBody.model_validate(chat()))
    assert caught.value.headers["retry-after"] == str(wait)


def settings() -> QuotaSettings:
    return QuotaSettings.load({"QUOTA_REQUESTS_PER_DAY": "200", "QUOTA_TOKENS_PER_DAY": "200000"})


@pytest.mark.parametrize("value", ["", "0", "-1", "many"])
def test_a_quota_is_a_number(value: str) -> None:
    with pytest.raises(SettingsError, match="QUOTA_TOKENS_PER_DAY is"):
        QuotaSettings.load({"QUOTA_REQUESTS_PER_DAY": "1", "QUOTA_TOKENS_PER_DAY": value})
