"""The rate limit: who is told to wait, for how long, and what happens where nobody counts."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from service.limits import RateLimit, RateLimitSettings
from service.web import Request
from tests.conftest import Env, new_address, new_name, serve
from tests.support.choices import HAS_AUTH
from tests.support.rate_limiter import CONFIG, LIMIT
from tests.support.standins import StandinsView, credentials

# The binding's periods begin with the clock's: a test may see the end of one.
TWO_PERIODS = 2 * LIMIT + 1


async def become(client: httpx.AsyncClient, standins: StandinsView, name: str) -> None:
    """Make the client another caller."""
    client.headers["cf-connecting-ip"] = new_address()
    if HAS_AUTH:
        client.headers.update(credentials(await standins.token({"sub": name})))


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    """The cheapest request that has a caller: what it sends is no chat."""
    return await client.post("/v1/chat")


async def ask_until_refused(client: httpx.AsyncClient) -> httpx.Response:
    for _ in range(TWO_PERIODS):
        answer = await ask(client)
        if answer.status_code != 415:
            return answer
    pytest.fail(f"{TWO_PERIODS} requests were let through")


async def test_one_too_many_is_told_when_to_come_back(client: httpx.AsyncClient) -> None:
    answer = await ask_until_refused(client)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Too many requests. Wait up to 60 seconds."


async def test_another_caller_is_not_refused(
    client: httpx.AsyncClient, standins: StandinsView
) -> None:
    await ask_until_refused(client)
    await become(client, standins, new_name())
    assert (await ask(client)).status_code == 415


async def test_what_needs_no_caller_is_never_refused(anyone: httpx.AsyncClient) -> None:
    for _ in range(LIMIT + 1):
        assert (await anyone.get("/healthz")).status_code == 200


async def test_the_log_says_who_is_throttled_but_not_their_name(
    standins: StandinsView, env: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    name = new_name()
    async with serve(env) as service:
        await become(service, standins, name)
        answer = await ask_until_refused(service)
    log = capsys.readouterr().out
    lines = [json.loads(line) for line in log.splitlines()]
    (throttled,) = [line for line in lines if line.get("outcome") == "throttled"]
    assert throttled["request_id"] == answer.headers["x-request-id"]
    assert throttled["route"] == "/v1/chat"
    assert name not in log


class Failing:
    async def limit(self, options: Mapping[str, str], /) -> Mapping[str, object]:
        raise OSError(f"secret text: {options}")


class Mute:
    async def limit(self, _options: Mapping[str, str], /) -> Mapping[str, object]:
        return {}


class Hanging:
    async def limit(self, _options: Mapping[str, str], /) -> Mapping[str, object]:
        return await asyncio.Future()


@pytest.mark.parametrize("binding", [Failing(), Mute()])
async def test_a_binding_that_fails_refuses_nobody_with_a_double_for_it(
    client: httpx.AsyncClient, env: Env, binding: object, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(env | {"RATE_LIMITER": binding}) as service:
        service.headers.update(client.headers)
        answer = await ask(service)
    assert answer.status_code == 415
    log = capsys.readouterr().out
    assert '"event": "rate_limit_failed"' in log
    assert "secret text" not in log


async def test_a_binding_that_hangs_is_not_waited_for_with_a_double_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = RateLimitSettings.load({"RATE_LIMIT_PERIOD": "60"})
    limit = RateLimit(settings, Hanging(), throttled=nobody_is, timeout=0)
    request = Request("GET", "http://localhost/", httpx.Headers(), nothing())
    await limit.admit(request, "/", "user_1")
    assert '"error": "TimeoutError"' in capsys.readouterr().out


def nobody_is(*_: object) -> None:
    pytest.fail("a request was refused")


async def nothing() -> AsyncIterator[bytes]:
    chunks: tuple[bytes, ...] = ()
    for chunk in chunks:
        yield chunk


def test_the_wait_is_the_binding_s_period_in_every_environment() -> None:
    environments = [CONFIG, *CONFIG["env"].values()]
    for environment in environments:
        (limit,) = environment["ratelimits"]
        assert environment["vars"]["RATE_LIMIT_PERIOD"] == str(limit["simple"]["period"])
    ids = {environment["ratelimits"][0]["namespace_id"] for environment in environments}
    assert len(ids) == len(environments)
