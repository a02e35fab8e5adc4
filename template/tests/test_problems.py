"""Requests that cannot be served: what they are told, and that no provider hears of them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.problems import explain
from service.web import MAX_BODY_BYTES, Unavailable
from tests.conftest import Env, serve, service_context
from tests.support.standins import StandinsView

JSON = {"content-type": "application/json"}


def body(marker: str, **changes: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": marker}], **changes}


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.status_code == status == problem["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_an_unknown_path(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/v1/chat/nothing"), 404)


async def test_another_method(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/chat")
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "POST"


async def test_a_method_nobody_knows(client: httpx.AsyncClient) -> None:
    answer = await client.request("PROPFIND", "/healthz")
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b'{"messages": [', 400, id="broken JSON"),
        pytest.param(b"\x00" * 100, 400, id="NUL bytes"),
        pytest.param(b'{"messages": "\xff\xfe"}', 400, id="not UTF-8"),
        pytest.param(b'{"messages": "\\ud800"}', 400, id="half a surrogate pair"),
        pytest.param(b"[" * 100_000, 400, id="deep nesting"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, id="deep objects"),
        pytest.param(b"null", 422, id="null"),
        pytest.param(b"[]", 422, id="a list"),
        pytest.param(b"NaN", 422, id="not a number"),
        pytest.param(b"x" * (MAX_BODY_BYTES + 1), 413, id="a byte too many"),
    ],
)
async def test_a_body_that_is_no_chat(
    client: httpx.AsyncClient, content: bytes, status: int
) -> None:
    assert_problem(await post(client, lambda: content), status)


async def test_a_large_body_of_unknown_length(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    assert_problem(await post(client, chunks), 413)


async def post(
    client: httpx.AsyncClient, content: Callable[[], bytes | AsyncIterator[bytes]]
) -> httpx.Response:
    """The answer to a body; asked for again where it was lost.

    A server that answers before the end of a body closes the connection, and a client that is still
    sending may miss the answer (RFC 9112, section 9.6).
    """
    for _ in range(3):
        with suppress(httpx.NetworkError):
            return await client.post("/v1/chat", content=content(), headers=JSON)
    return await client.post("/v1/chat", content=content(), headers=JSON)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "json"])
async def test_another_content_type(
    client: httpx.AsyncClient, standins: StandinsView, marker: str, kind: str | None
) -> None:
    headers = {"content-type": kind} if kind else {}
    content = json.dumps(body(marker)).encode()
    assert_problem(await client.post("/v1/chat", content=content, headers=headers), 415)
    assert await standins.journal(marker) == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"messages": []}, "#/messages"),
        ({"messages": "hello"}, "#/messages"),
        ({"messages": [{"role": "user"}]}, "#/messages/0/content"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "#/messages/0/role"),
        ({"messages": [{"role": "user", "content": 1}]}, "#/messages/0/content"),
        ({"messages": [{"role": "user", "content": ""}]}, "#/messages/0/content"),
        ({"messages": [{"role": "user", "content": "a\x00b"}]}, "#/messages/0/content"),
        ({"messages": [{"role": "system", "content": "be kind"}]}, "#/messages"),
        ({"provider": "unknown"}, "#/provider"),
        ({"provider": 7}, "#/provider"),
        ({"model": ""}, "#/model"),
        ({"model": "m" * 201}, "#/model"),
        ({"model": "a\nb"}, "#/model"),
        ({"max_tokens": 0}, "#/max_tokens"),
        ({"max_tokens": "10"}, "#/max_tokens"),
        ({"max_tokens": True}, "#/max_tokens"),
        ({"temperature": -0.1}, "#/temperature"),
        ({"temperature": "hot"}, "#/temperature"),
        ({"stream": "yes"}, "#/stream"),
        ({"colour": "red"}, "#/colour"),
        ({"a/b~c": 1}, "#/a~1b~0c"),
    ],
)
async def test_a_field_that_cannot_be(
    client: httpx.AsyncClient,
    standins: StandinsView,
    marker: str,
    change: dict[str, Any],
    pointer: str,
) -> None:
    answer = await client.post("/v1/chat", json=body(marker, model=marker) | change)
    problem = assert_problem(answer, 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    details = [error["detail"] for error in problem["errors"]]
    assert all(details)
    assert not any("Value error" in detail for detail in details)  # pydantic's, not ours
    assert await standins.journal(marker) == []


async def test_all_bad_fields_are_told_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/chat", json={"stream": 1, "max_tokens": 0})
    errors = assert_problem(answer, 422)["errors"]
    assert {error["pointer"] for error in errors} == {"#/messages", "#/stream", "#/max_tokens"}


@pytest.mark.parametrize(
    "message",
    [{"role": "user"}, {"role": "robot", "content": "hi"}, {"role": "robot", "content": ""}, 7],
)
async def test_one_bad_message_is_one_error(client: httpx.AsyncClient, message: object) -> None:
    answer = await client.post("/v1/chat", json={"messages": [message]})
    assert len(assert_problem(answer, 422)["errors"]) == 1


async def test_an_unconfigured_service_says_so_and_nothing_more(
    unconfigured: httpx.AsyncClient,
) -> None:
    answer = await unconfigured.post("/v1/chat", json=body("hello"))
    problem = assert_problem(answer, 500)
    assert problem["detail"] == "This service is not configured. Its log says what to set."


async def test_locally_the_missing_setting_is_named(
    env: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    bindings = {name: value for name, value in env.items() if not isinstance(value, str)}
    async with serve(bindings | {"ENVIRONMENT": "local"}) as service:
        answer = await service.post("/v1/chat", json=body("hello"))
    assert " is not set: set it with " in assert_problem(answer, 500)["detail"]
    assert " is not set: set it with " in capsys.readouterr().out


async def test_a_default_provider_that_there_is_not(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    async with serve(env | {"DEFAULT_PROVIDER": "unknown"}) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=body(marker))
    assert "DEFAULT_PROVIDER" in assert_problem(answer, 500)["detail"]


async def test_local_settings_serve_this_machine_only(env: Env) -> None:
    async with serve(env) as service:
        answer = await service.get("http://api.example.com/healthz")
    assert_problem(answer, 403)


@dataclass(frozen=True)
class BrokenEnvironment:
    """Says where the service runs, and fails otherwise in a way that nothing in it foresees."""

    where: str

    def get(self, name: str, /) -> object:
        if name == "ENVIRONMENT":
            return self.where
        raise RuntimeError(f"secret text about {name}")


@pytest.mark.parametrize("where", ["production", "local"])
async def test_an_unexpected_error_shows_its_message_to_the_caller_in_local_runs_only(
    where: str, client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(BrokenEnvironment(where)) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=body("hello"))
    problem = assert_problem(answer, 500)
    assert problem["detail"] == "Something went wrong in this service."
    assert ("RuntimeError: secret text about" in problem.get("exception", "")) == (where == "local")
    assert ("secret text" in answer.text) == (where == "local")
    log = capsys.readouterr().out
    assert "RuntimeError" in log
    assert "test_problems.py" in log
    assert "secret text" not in log


class Down(Unavailable):
    answer = "It is down."


@pytest.mark.parametrize("where", ["production", "local"])
async def test_what_is_unavailable_shows_its_cause_in_local_runs_only(where: str, env: Env) -> None:
    error = Down("no answer")
    error.__cause__ = OSError("the reason")
    async with service_context(env | {"ENVIRONMENT": where}) as context:
        problem = context.get(explain)(error)
    assert (problem.status, problem.detail) == (503, "It is down.")
    shown = {"exception": "Down: no answer, caused by OSError: the reason"}
    assert problem.extensions == (shown if where == "local" else {})
