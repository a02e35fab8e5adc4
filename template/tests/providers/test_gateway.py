"""Calls through a Cloudflare AI Gateway: what it is told, what it says, and its own errors."""

import json
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.providers.base import (
    AuthenticationError,
    ChatRequest,
    ContentBlockedError,
    GatewayError,
    Message,
    OverloadedError,
    Passage,
    Provider,
    ProviderError,
    RateLimitedError,
    ServerError,
)
from service.providers.chosen import chosen
from service.providers.gateway import MONTH, AIGateway, GatewaySettings
from service.providers.upstream import RETRY, HttpProvider
from service.settings import SettingsError
from tests.conftest import Env, serve
from tests.support.choices import PROVIDERS
from tests.support.standins import CALLS, KEY, StandinsView

TOKEN = "standin-gateway-token"  # noqa: S105
ACCOUNT = "0" * 32
SETTINGS = {"AI_GATEWAY_ACCOUNT_ID": ACCOUNT, "AI_GATEWAY_ID": "my-gateway"}

EVERY_PROVIDER = pytest.mark.parametrize("name", PROVIDERS)


def question(text: str, model: str | None = None) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), model=model)


async def no_sleep(_seconds: float) -> None:
    """Return at once."""


def provider(name: str, env: Env, http: httpx.AsyncClient) -> Provider:
    return chosen(env, http, replace(RETRY, sleep=no_sleep))[name]()


@EVERY_PROVIDER
async def test_calls_go_through_the_gateway_with_the_provider_s_own_key(
    env: Env, http: httpx.AsyncClient, standins: StandinsView, marker: str, name: str
) -> None:
    asked = provider(name, env, http)
    assert isinstance(asked, HttpProvider)
    completion = await asked.complete(question(marker))
    assert completion.text == f"You said: {marker}"
    (call,) = await standins.journal(marker)
    place = f"/gateway/{ACCOUNT}/standin/{asked.gateway_path}"
    assert call["path"] == place + CALLS[name]
    assert KEY in json.dumps(call["headers"])
    assert not [header for header in call["headers"] if header.startswith("cf-aig-")]


@EVERY_PROVIDER
async def test_the_gateway_is_told_what_the_settings_say(
    env: Env, http: httpx.AsyncClient, standins: StandinsView, marker: str, name: str
) -> None:
    env |= {
        "AI_GATEWAY_ID": "standin-authenticated",
        "AI_GATEWAY_TOKEN": TOKEN,
        "AI_GATEWAY_CACHE_TTL": "3600",
        "AI_GATEWAY_METADATA": '{"team": "süd", "user": 7, "test": true}',
    }
    async with await provider(name, env, http).stream(question(marker)) as stream:
        assert [part async for part in stream]
    (call,) = await standins.journal(marker)
    assert call["headers"]["cf-aig-authorization"] == f"Bearer {TOKEN}"
    assert call["headers"]["cf-aig-cache-ttl"] == "3600"
    metadata = json.loads(call["headers"]["cf-aig-metadata"])
    assert metadata == {"team": "süd", "user": 7, "test": True}
    assert TOKEN not in json.dumps(call["body"])


@EVERY_PROVIDER
async def test_an_answer_keeps_what_the_gateway_says_of_it(
    env: Env, http: httpx.AsyncClient, marker: str, name: str
) -> None:
    asked = provider(name, env | {"AI_GATEWAY_CACHE_TTL": "60"}, http)
    for status in ("MISS", "HIT"):
        passage = (await asked.complete(question(marker))).passage
        assert passage == Passage(cache_status=status, log_id="log_standin")
    for status in ("MISS", "HIT"):
        async with await asked.stream(question(f"stream {marker}")) as stream:
            assert stream.passage == Passage(cache_status=status, log_id="log_standin")


@EVERY_PROVIDER
@pytest.mark.parametrize(
    ("gateway", "error", "attempts"),
    [
        ("standin-limited", RateLimitedError, 3),
        ("standin-guarded", ContentBlockedError, 1),
        ("standin-down", OverloadedError, 3),
        ("standin-unanswered", ServerError, 3),
        ("standin-missing", GatewayError, 1),
    ],
)
async def test_the_gateway_s_own_errors_are_what_they_mean(
    env: Env, http: httpx.AsyncClient, name: str, *, gateway: str, error: type, attempts: int
) -> None:
    asked = provider(name, env | {"AI_GATEWAY_ID": gateway}, http)
    for call in (asked.complete, asked.stream):
        with pytest.raises(ProviderError) as caught:
            await call(question("hello"))
        assert type(caught.value) is error
        assert (caught.value.provider, caught.value.attempts) == (name, attempts)
        assert caught.value.passage.log_id == "log_standin"
        assert re.fullmatch(
            r"Rate limited|Prompt blocked .*|The gateway .*|Failed to get .*|Please configure .*",
            caught.value.detail,
        )


@EVERY_PROVIDER
@pytest.mark.parametrize("token", ["", "another"])
async def test_a_gateway_that_refuses_its_token_is_not_taken_for_the_provider(
    env: Env, http: httpx.AsyncClient, name: str, token: str
) -> None:
    env |= {"AI_GATEWAY_ID": "standin-authenticated", "AI_GATEWAY_TOKEN": token}
    with pytest.raises(AuthenticationError) as caught:
        await provider(name, env, http).complete(question("hello"))
    told = f"{name} is behind an AI Gateway that refused AI_GATEWAY_TOKEN (status 401)"
    assert str(caught.value) == told


@EVERY_PROVIDER
async def test_the_provider_s_errors_come_through_as_they_are(
    env: Env, http: httpx.AsyncClient, name: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        await provider(name, env, http).complete(question("hello", "standin-404"))
    assert caught.value.kind == "bad-request"
    assert caught.value.detail == "The stand-in was asked for a 404."


async def test_callers_are_told_that_content_was_blocked(
    client: httpx.AsyncClient, env: Env
) -> None:
    async with serve(env | {"AI_GATEWAY_ID": "standin-guarded"}) as service:
        service.headers.update(client.headers)
        body = {"messages": [{"role": "user", "content": "hello"}]}
        answer = await service.post("/v1/chat", json=body)
    assert answer.status_code == 422
    assert "blocked the content" in answer.json()["detail"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["standin-echo", "standin-404", "standin-garbage", "standin-cut"])
async def test_the_log_says_where_the_gateway_s_own_log_has_the_call(
    client: httpx.AsyncClient,
    env: Env,
    capsys: pytest.CaptureFixture[str],
    model: str,
    *,
    stream: bool,
) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "model": model, "stream": stream}
    async with serve(env) as service:
        service.headers.update(client.headers)
        await service.post("/v1/chat", json=body)
    told = next(line for line in capsys.readouterr().out.splitlines() if "provider_call" in line)
    assert '"gateway_log_id": "log_standin"' in told
    assert '"cache_status": "MISS"' in told


def test_the_gateway_is_cloudflare_s_unless_set_otherwise() -> None:
    gateway = AIGateway(GatewaySettings.load(SETTINGS))
    place = f"https://gateway.ai.cloudflare.com/v1/{ACCOUNT}/my-gateway"
    assert gateway.base_url("openai") == f"{place}/openai"
    assert gateway.headers == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AI_GATEWAY_ACCOUNT_ID", ""),
        ("AI_GATEWAY_ACCOUNT_ID", "your-account-id"),
        ("AI_GATEWAY_ACCOUNT_ID", "../" + ACCOUNT),
        ("AI_GATEWAY_ID", ""),
        ("AI_GATEWAY_ID", "my/gateway"),
        ("AI_GATEWAY_TOKEN", "two words"),
        ("AI_GATEWAY_CACHE_TTL", "an hour"),
        ("AI_GATEWAY_CACHE_TTL", "59"),
        ("AI_GATEWAY_CACHE_TTL", str(MONTH + 1)),
        ("AI_GATEWAY_METADATA", "team: search"),
        ("AI_GATEWAY_METADATA", '["team"]'),
        ("AI_GATEWAY_METADATA", '{"team": {"name": "search"}}'),
        ("AI_GATEWAY_METADATA", '{"team": null}'),
        ("AI_GATEWAY_METADATA", '{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}'),
        ("AI_GATEWAY_BASE_URL", "http://gateway.example.com"),
    ],
)
def test_a_setting_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        GatewaySettings.load(SETTINGS | {name: value})
    assert not value or value not in str(caught.value)
    assert "secret put AI_GATEWAY_TOKEN" in str(caught.value) or name != "AI_GATEWAY_TOKEN"


@given(
    st.dictionaries(
        st.text(max_size=9),
        st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False),
        max_size=5,
    )
)
def test_metadata_of_every_kind_fits_into_a_header(metadata: dict[str, Any]) -> None:
    settings = GatewaySettings.load(SETTINGS | {"AI_GATEWAY_METADATA": json.dumps(metadata)})
    header = AIGateway(settings).headers.get("cf-aig-metadata", "{}")
    assert json.loads(header) == metadata
    assert header.isascii()
    assert header.isprintable()


@given(st.binary() | st.text().map(str.encode))
def test_no_error_is_too_strange(content: bytes) -> None:
    assert AIGateway(GatewaySettings.load(SETTINGS)).own_error(content, 400) is None
