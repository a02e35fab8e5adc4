"""RETRY_DELAY and RETRY_BUDGET: how long is waited before a provider is asked again."""

from dataclasses import replace
from itertools import count

import httpx
import pytest

from service.providers.base import ChatRequest, Message, OverloadedError
from service.providers.chosen import chosen
from service.providers.upstream import RETRY
from service.settings import SettingsError
from tests.conftest import Env
from tests.support.choices import PROVIDERS

pytestmark = pytest.mark.parametrize("provider", PROVIDERS)


async def waits(
    env: Env, http: httpx.AsyncClient, provider: str, *, call_takes: int = 0
) -> list[float]:
    """The seconds that were waited between the calls of a provider that stays overloaded."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    clock = count(step=call_takes).__next__
    policy = replace(RETRY, sleep=sleep, random=lambda: 1.0, clock=clock)
    question = Message(role="user", content="anybody there?")
    request = ChatRequest(messages=(question,), model="standin-503")
    with pytest.raises(OverloadedError):
        await chosen(env, http, policy)[provider]().complete(request)
    return waited


async def test_the_first_wait_is_what_the_setting_says(
    env: Env, http: httpx.AsyncClient, provider: str
) -> None:
    assert await waits(env | {"RETRY_DELAY": "0.25"}, http, provider) == [0.25, 0.5]
    assert await waits(env | {"RETRY_DELAY": ""}, http, provider) == [0.5, 1.0]


async def test_nobody_is_asked_again_when_the_budget_does_not_last_for_the_wait(
    env: Env, http: httpx.AsyncClient, provider: str
) -> None:
    patience = {"RETRY_DELAY": "6", "RETRY_BUDGET": "5"}
    assert await waits(env | patience, http, provider) == []


async def test_nobody_is_asked_again_after_twenty_seconds(
    env: Env, http: httpx.AsyncClient, provider: str
) -> None:
    patience = {"RETRY_DELAY": "1"}
    assert await waits(env | patience, http, provider, call_takes=9) == [1, 2]
    assert await waits(env | patience, http, provider, call_takes=10) == [1]
    assert await waits(env | patience, http, provider, call_takes=20) == []


@pytest.mark.parametrize("name", ["RETRY_DELAY", "RETRY_BUDGET"])
@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
async def test_what_is_no_time_to_wait_is_refused(
    env: Env, http: httpx.AsyncClient, provider: str, name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"{name} is malformed"):
        chosen(env | {name: value}, http)[provider]()
