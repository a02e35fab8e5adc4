"""Spans of provider calls. A double takes them: tracing is Cloudflare's, and nowhere else."""

import sys
from typing import Any

import httpx
import pytest

from service.providers.chosen import PROVIDERS as CHOSEN
from tests.conftest import Env, new_name, serve
from tests.support.choices import HAS_AUTH, HAS_GATEWAY, PROVIDERS
from tests.support.standins import KEY

if sys.platform == "emscripten":
    from tests.support.tracing_pyodide import Span, tracing, without_tracing
else:
    from tests.support.tracing_cpython import Span, tracing, without_tracing

NAMES = {each.name: each.telemetry_name or each.name for each in CHOSEN}


async def spans_of(client: httpx.AsyncClient, env: Env, **body: Any) -> list[Span]:
    """The spans of one chat of the client's caller."""
    with tracing() as (start_span, spans):
        async with serve(env, start_span) as service:
            service.headers.update(client.headers)
            await service.post("/v1/chat", json=body)
    return spans


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_is_a_span_with_a_double_for_the_tracing(
    client: httpx.AsyncClient, env: Env, provider: str, stream: bool
) -> None:
    marker = new_name()
    messages = [{"role": "user", "content": f"hello {marker}"}]
    spans = await spans_of(client, env, messages=messages, provider=provider, stream=stream)
    (span,) = spans
    assert (span["name"], span["status"]) == ("chat standin-echo", None)
    attributes = span["attributes"]
    assert isinstance(attributes, dict)
    assert ("gen_ai.response.time_to_first_chunk" in attributes) is stream
    assert ("enduser.pseudo.id" in attributes) is HAS_AUTH
    for of_this_call in (
        "gen_ai.response.time_to_first_chunk",
        "enduser.pseudo.id",
        "app.request_id",
        "app.gateway_log_id",
        "app.stored",
    ):
        attributes.pop(of_this_call, None)
    through_gateway = {"app.cache_status": "MISS"} if HAS_GATEWAY else {}
    assert attributes == through_gateway | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": NAMES[provider],
        "gen_ai.request.model": "standin-echo",
        "gen_ai.response.model": "standin-echo",
        "gen_ai.usage.input_tokens": 2,
        "gen_ai.usage.output_tokens": 4,
        "http.route": "/v1/chat",
        "app.outcome": "ok",
        "app.attempts": 1,
        "app.fallback": False,
    }
    assert marker not in str(spans)
    assert KEY not in str(spans)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_call_is_a_failed_span_with_a_double_for_the_tracing(
    client: httpx.AsyncClient, env: Env, stream: bool
) -> None:
    messages = [{"role": "user", "content": "hello"}]
    (span,) = await spans_of(client, env, messages=messages, model="standin-401", stream=stream)
    assert span["status"] == {"code": "error", "message": "authentication"}
    attributes = span["attributes"]
    assert isinstance(attributes, dict)
    assert attributes["error.type"] == "authentication"
    assert attributes["gen_ai.request.model"] == "standin-401"
    assert "gen_ai.response.model" not in attributes


async def test_without_tracing_there_are_no_spans_and_nobody_minds(
    client: httpx.AsyncClient, env: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(env, without_tracing) as service:
        service.headers.update(client.headers)
        messages = [{"role": "user", "content": "hello"}]
        answer = await service.post("/v1/chat", json={"messages": messages})
    assert answer.status_code == 200
    assert "telemetry_failed" not in capsys.readouterr().out
