"""Data points of Analytics Engine. Locally nothing can read them back: a double takes them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.analytics_engine import BLOBS, DOUBLES, UNKNOWN, AnalyticsEngine
from service.telemetry.events import ProviderCall
from tests.conftest import Env, serve
from tests.support.choices import HAS_AUTH, HAS_GATEWAY, PROVIDERS
from tests.support.points import Points
from tests.support.standins import KEY

TEXT = st.text() | st.text().map(lambda text: text * 5_000)
COUNT = st.none() | st.integers(min_value=0, max_value=2**53)
MILLISECONDS = st.floats(min_value=0, max_value=1e9)
CALLS = st.builds(
    ProviderCall,
    request_id=TEXT,
    provider=TEXT,
    model=TEXT,
    route=TEXT,
    outcome=TEXT,
    attempts=st.integers(min_value=0, max_value=100),
    latency_ms=MILLISECONDS,
    first_token_ms=st.none() | MILLISECONDS,
    input_tokens=COUNT,
    output_tokens=COUNT,
    cached_tokens=COUNT,
    reasoning_tokens=COUNT,
    fallback=st.booleans(),
    cache_status=st.none() | TEXT,
    subject=st.none() | TEXT,
    stored=st.none() | st.booleans(),
)


class Failing:
    """Cannot be written to."""

    def writeDataPoint(self, point: Mapping[str, Any], /) -> None:  # noqa: N802
        raise OSError(f"secret text: {point}")


def named(point: Mapping[str, Any]) -> dict[str, Any]:
    doubles = dict(zip(DOUBLES, point["doubles"], strict=True))
    return dict(zip(BLOBS, point["blobs"], strict=True)) | doubles


async def post(client: httpx.AsyncClient, env: Env, **body: Any) -> httpx.Response:
    """One chat with a service that has this environment, as the client's caller."""
    async with serve(env) as service:
        service.headers.update(client.headers)
        return await service.post("/v1/chat", json=body)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
async def test_one_point_a_call_with_a_double_for_the_binding(
    client: httpx.AsyncClient, env: Env, marker: str, provider: str, stream: bool
) -> None:
    points = Points()
    messages = [{"role": "user", "content": f"hello {marker}"}]
    await post(
        client, env | {"ANALYTICS": points}, messages=messages, provider=provider, stream=stream
    )
    (point,) = points
    told = named(point)
    subject = told.pop("subject")
    assert bool(subject) is HAS_AUTH
    assert point["indexes"] == [subject or provider]
    assert told.pop("latency_ms") >= 0
    assert told.pop("stored") in {1, UNKNOWN}  # with a database, without
    assert (told.pop("first_token_ms") == UNKNOWN) is not stream
    assert told == {
        "provider": provider,
        "model": "standin-echo",
        "route": "/v1/chat",
        "outcome": "ok",
        "cache_status": "MISS" if HAS_GATEWAY else "",
        "attempts": 1,
        "fallback": 0,
        "input_tokens": 2,
        "output_tokens": 4,
        "cached_tokens": UNKNOWN,
        "reasoning_tokens": UNKNOWN,
    }
    assert marker not in str(point)
    assert KEY not in str(point)


@given(call=CALLS)
def test_any_call_fits_what_the_engine_takes(call: ProviderCall) -> None:
    points = Points()
    AnalyticsEngine(points).record(call)
    ((index,), blobs, doubles) = (points[0][kind] for kind in ("indexes", "blobs", "doubles"))
    assert len(index.encode()) <= 96
    assert len(blobs) == len(BLOBS) <= 20
    assert sum(len(blob.encode()) for blob in blobs) <= 16_000
    assert len(doubles) == len(DOUBLES) <= 20
    assert all(type(double) is float for double in doubles)


@given(call=CALLS, short=st.text(max_size=90).filter(str.isascii))
def test_what_fits_is_written_as_it_is(call: ProviderCall, short: str) -> None:
    points = Points()
    AnalyticsEngine(points).record(replace(call, subject=short, model=short, attempts=7))
    told = named(points[0])
    assert (told["subject"], told["model"], told["attempts"]) == (short, short, 7)


async def test_the_binding_takes_a_point(
    client: httpx.AsyncClient, env: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    await post(client, env, messages=[{"role": "user", "content": "hello"}])
    told = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["provider_call", "request"]


@pytest.mark.parametrize(
    ("model", "outcome"), [("standin-400", "bad-request"), ("standin-401", "authentication")]
)
async def test_a_failed_call_is_told_too_with_a_double_for_the_binding(
    client: httpx.AsyncClient, env: Env, marker: str, model: str, outcome: str
) -> None:
    points = Points()
    messages = [{"role": "user", "content": marker}]
    await post(client, env | {"ANALYTICS": points}, messages=messages, model=model)
    (point,) = points
    told = named(point)
    assert (told["model"], told["outcome"]) == (model, outcome)
    assert told["input_tokens"] == UNKNOWN


async def test_a_point_that_cannot_be_written_costs_nobody_an_answer(
    client: httpx.AsyncClient, env: Env, marker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [{"role": "user", "content": marker}]
    answer = await post(client, env | {"ANALYTICS": Failing()}, messages=messages)
    assert answer.status_code == 200
    log = capsys.readouterr().out
    assert "telemetry_failed" in log
    assert "secret text" not in log
