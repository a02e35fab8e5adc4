"""The service's HTTP client, on the platform's own way to the network."""

import httpx
import pytest

from service.about import NAME, VERSION
from service.providers.base import ChatRequest, Delta, Message
from service.providers.chosen import chosen
from tests.conftest import Env
from tests.support.choices import PROVIDERS
from tests.support.standins import BASE_PATHS, CALLS, StandinsView

PATH = BASE_PATHS[PROVIDERS[0]] + CALLS[PROVIDERS[0]]


async def test_it_says_who_calls(
    http: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    await http.post(standins.url + PATH, json={"marker": marker})
    (call,) = await standins.journal(marker)
    assert call["headers"]["user-agent"] == f"{NAME}/{VERSION}"


async def test_headers_may_be_more_than_ascii(
    http: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    answer = await http.get(f"{standins.url}/journal", params={"marker": marker})
    assert answer.headers["server-timing"] == "standins;dur=1µs"


async def test_an_address_where_nobody_answers_is_a_connect_error(http: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ConnectError):
        await http.get("http://127.0.0.1:1/")


async def test_bodies_of_any_size_arrive_as_they_were(
    http: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    text = marker + "naïve 中文 🦀" * 50_000
    await http.post(standins.url + PATH, json={"text": text})
    (call,) = await standins.journal(marker)
    assert call["body"] == {"text": text}


async def test_a_stream_outlasts_the_number_of_timers_that_a_request_may_have(
    env: Env, http: httpx.AsyncClient
) -> None:
    # workerd allows 10,000, and each word is a chunk with a timeout of its own.
    words = 12_000
    question = Message(role="user", content=f"{'a ' * words}")
    stream = await chosen(env, http)[PROVIDERS[0]]().stream(ChatRequest(messages=(question,)))
    async with stream:
        texts = [part.text async for part in stream if isinstance(part, Delta)]
    assert "".join(texts).count("a ") >= words - 1
    assert len(texts) >= words
