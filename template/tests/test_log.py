"""Log lines: JSON, each with the id of the request it belongs to."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from service.log import elapsed_ms, log, request_id
from service.web import Request, Response, Route
from tests.conftest import Env, in_process, new_name, serve
from tests.support.standins import KEY

Lines = list[dict[str, Any]]


def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    log("info", "something", path="/a\nb", count=3, nothing=None)
    assert lines(capsys) == [{"level": "info", "event": "something", "path": "/a\nb", "count": 3}]


def test_a_secret_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    log("info", "something", key=SecretStr("hidden"))
    assert "hidden" not in capsys.readouterr().out


@given(text=st.text())
def test_no_text_breaks_a_line_in_two(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", printed.append)
        log("info", "something", text=text)
    (line,) = printed
    assert line.splitlines() == [line]
    assert json.loads(line)["text"] == text


async def test_interleaved_requests_keep_their_own_ids(capsys: pytest.CaptureFixture[str]) -> None:
    turns = asyncio.Barrier(3)

    async def request(number: int) -> None:
        request_id.set(f"r{number}")
        await turns.wait()
        log("info", "deep inside", number=number)

    await asyncio.gather(*(request(number) for number in range(3)))
    told = lines(capsys)
    assert len(told) == 3
    assert all(line["request_id"] == f"r{line['number']}" for line in told)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/v1/things/a-file-name.txt", "/v1/things/{name}"),
        ("GET", "/v1/things/a-file-name.txt?query=a-file-name.txt", "/v1/things/{name}"),
        ("POST", "/v1/things/a-file-name.txt", None),  # 405
        ("GET", "/a-file-name.txt", None),  # 404
    ],
)
async def test_a_request_s_line_names_the_route_and_never_the_path(
    env: Env, capsys: pytest.CaptureFixture[str], method: str, path: str, route: str | None
) -> None:
    async def nothing(_request: Request) -> Response:
        return Response(204)

    service = in_process(env)
    service.app.routes.append(Route("GET", "/v1/things/{name}", nothing, public=True))
    async with httpx.AsyncClient(transport=service, base_url="http://localhost") as client:
        await client.request(method, path)
    printed = capsys.readouterr().out
    assert "a-file-name" not in printed
    (line,) = [json.loads(text) for text in printed.splitlines()]
    assert line.get("route") == route
    assert "path" not in line


async def test_what_is_logged_deep_inside_has_the_request_s_id(
    client: httpx.AsyncClient, env: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "model": "standin-503"}
    async with serve(env) as service:
        service.headers.update(client.headers)
        answers = await asyncio.gather(
            *(service.post("/v1/chat", json=body, headers={"cf-ray": f"r{n}"}) for n in range(3))
        )
    assert [answer.headers["x-request-id"] for answer in answers] == ["r0", "r1", "r2"]
    told = lines(capsys)
    for number in range(3):
        of_it = [line["event"] for line in told if line["request_id"] == f"r{number}"]
        assert sorted(of_it) == ["provider_call", "provider_failed", "request"]
    assert len(told) == 9


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["standin-echo", "standin-401", "standin-503", "standin-cut"])
async def test_no_key_no_token_and_nothing_that_was_said_is_logged(
    client: httpx.AsyncClient,
    env: Env,
    capsys: pytest.CaptureFixture[str],
    model: str,
    stream: bool,
) -> None:
    marker = new_name()
    body = {"messages": [{"role": "user", "content": marker}], "model": model, "stream": stream}
    async with serve(env) as service:
        service.headers.update(client.headers)
        await service.post("/v1/chat", json=body)
    printed = capsys.readouterr().out
    assert "provider_call" in printed
    assert marker not in printed
    assert KEY not in printed
    assert client.headers.get("authorization", KEY) not in printed
    # What is wrong with a key can show some of it.
    assert "The stand-in was asked for a 401." not in printed


def test_a_clock_that_falls_behind_took_no_time() -> None:
    assert elapsed_ms(time.perf_counter() + 60) == 0
    assert elapsed_ms(time.perf_counter() - 60) > 59_000
