"""Data points of Analytics Engine. Locally nothing can read them back: a double takes them."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from service.telemetry.analytics_engine import BLOBS, DOUBLES, UNKNOWN
from tests.conftest import Env, serve
from tests.support.choices import PROVIDERS
from tests.support.points import Points


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
    assert point["indexes"] == [provider]
    assert told.pop("latency_ms") >= 0
    assert (told.pop("first_token_ms") == UNKNOWN) is not stream
    assert told == {
        "provider": provider,
        "model": "standin-echo",
        "route": "/v1/chat",
        "outcome": "ok",
        "attempts": 1,
        "input_tokens": 2,
        "output_tokens": 4,
    }
    assert marker not in str(point)


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
