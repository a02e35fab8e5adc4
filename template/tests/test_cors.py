"""CORS: which front ends may call the service from a browser, and what their scripts may read."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cors import Cors, CorsSettings
from service.settings import SettingsError
from service.web import MAX_BODY_BYTES, Request, Response, Route
from tests.conftest import Env, in_process, new_address, serve
from tests.support.choices import AUTH, HAS_AUTH
from tests.support.clients import events
from tests.support.rate_limiter import LIMIT

LOCAL_ORIGIN = "http://localhost:5173"
"""A front end on the developer's machine, which local runs allow."""
ORIGIN = "https://app.example.com"
OTHERS = [
    "https://other.example.com",
    "https://app.example.com.evil.example",
    "https://app.example.com:8443",
    "http://app.example.com",
    "https://APP.example.com",
    "https://app.example.com/",
    "https://app.example.com,https://other.example.com",
    "http://localhost.evil.example",
    "http://localhost:5173@evil.example",
    "http://localhost:5173/",
    "null",
    "*",
    "",
]
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,traceparent",
}
CHAT = {"messages": [{"role": "user", "content": "hello"}]}


def production(**changes: str) -> Env:
    """A deployed environment whose list of origins is ORIGIN."""
    issuer = {"AUTH_ISSUER": "https://issuer.example.com", "AUTH_AUDIENCE": "api"}
    return {"ENVIRONMENT": "production", **issuer, "CORS_ORIGINS": ORIGIN, **changes}


def assert_shared(answer: httpx.Response, origin: str = LOCAL_ORIGIN) -> None:
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["vary"] == "Origin"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert "x-request-id" in exposed
    uses_cookies = AUTH in {"clerk", "cloudflare-access"}
    assert ("access-control-allow-credentials" in answer.headers) == uses_cookies


def assert_not_shared(answer: httpx.Response) -> None:
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_preflight_needs_no_credentials(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.options("/v1/chat", headers={"origin": LOCAL_ORIGIN, **PREFLIGHT})
    assert (answer.status_code, answer.content) == (204, b"")
    assert_shared(answer)
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-max-age"] == "7200"
    asked = PREFLIGHT["access-control-request-headers"]
    assert answer.headers["access-control-allow-headers"] == asked


async def test_preflights_are_never_limited(env: Env) -> None:
    headers = {"origin": LOCAL_ORIGIN, "cf-connecting-ip": new_address(), **PREFLIGHT}
    async with serve(env) as service:
        for _ in range(2 * LIMIT + 1):
            assert (await service.options("/v1/chat", headers=headers)).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/nothing", 404), ("DELETE", "/v1/chat", 405), ("post", "/v1/chat", 405)],
)
async def test_a_preflight_for_no_route(
    anyone: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    headers = {"origin": LOCAL_ORIGIN, "access-control-request-method": method}
    answer = await anyone.options(path, headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-methods" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/healthz", {}, 200),
        ("HEAD", "/healthz", {}, 200),
        ("POST", "/v1/chat", {"json": CHAT}, 200),
        ("GET", "/v1/nothing", {}, 404),
        ("DELETE", "/v1/chat", {}, 405),
        ("OPTIONS", "/v1/chat", {}, 405),
        ("POST", "/v1/chat", {"content": b"{}"}, 415),
        ("POST", "/v1/chat", {"json": {}}, 422),
        ("POST", "/v1/chat", {"json": {**CHAT, "model": "standin-500"}}, 502),
    ],
    ids=lambda value: str(value) if isinstance(value, int | str) else "",
)
async def test_every_answer_can_be_read_by_an_allowed_origin(
    client: httpx.AsyncClient, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    client.headers["origin"] = LOCAL_ORIGIN
    answer = await client.request(method, path, **more)
    assert answer.status_code == status
    assert_shared(answer)


async def test_a_stream_can_be_read_by_an_allowed_origin(client: httpx.AsyncClient) -> None:
    body = {**CHAT, "stream": True}
    answer = await client.post("/v1/chat", json=body, headers={"origin": LOCAL_ORIGIN})
    assert_shared(answer)
    assert events(answer.text)[-1][0] == "done"


async def test_no_credentials_is_an_answer_that_can_be_read(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.post("/v1/chat", json=CHAT, headers={"origin": LOCAL_ORIGIN})
    assert answer.status_code == (401 if HAS_AUTH else 200)
    assert_shared(answer)
    exposed = answer.headers["access-control-expose-headers"]
    assert ("www-authenticate" in exposed) == HAS_AUTH


async def test_a_429_can_be_read_with_its_retry_after(client: httpx.AsyncClient, env: Env) -> None:
    async with serve(env) as service:
        service.headers.update({**client.headers, "origin": LOCAL_ORIGIN})
        for _ in range(2 * LIMIT + 1):
            answer = await service.post("/v1/chat")
            if answer.status_code == 429:
                break
    assert answer.status_code == 429
    assert_shared(answer)
    assert "retry-after" in answer.headers["access-control-expose-headers"]


async def test_a_413_can_be_read(client: httpx.AsyncClient, env: Env) -> None:
    body = CHAT | {"model": "x" * MAX_BODY_BYTES}
    async with serve(env) as service:
        service.headers.update(client.headers)
        answer = await service.post("/v1/chat", json=body, headers={"origin": LOCAL_ORIGIN})
    assert answer.status_code == 413
    assert_shared(answer)


async def test_a_500_can_be_read(env: Env) -> None:
    async def fail(_request: Request) -> Response:
        raise RuntimeError

    service = in_process(env)
    service.app.routes.append(Route("GET", "/fail", fail, public=True))
    async with httpx.AsyncClient(transport=service, base_url="http://localhost") as client:
        answer = await client.get("/fail", headers={"origin": LOCAL_ORIGIN})
    assert answer.status_code == 500
    assert_shared(answer)


async def test_an_answer_varies_by_origin_also_without_one(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/healthz")
    assert answer.headers["vary"] == "Origin"
    assert_not_shared(answer)


async def test_a_route_s_own_vary_is_kept(env: Env) -> None:
    async def vary(_request: Request) -> Response:
        return Response(204, {"vary": "Accept"})

    service = in_process(env)
    service.app.routes.append(Route("GET", "/vary", vary, public=True))
    async with httpx.AsyncClient(transport=service, base_url="http://localhost") as client:
        assert (await client.get("/vary")).headers["vary"] == "Accept, Origin"


@pytest.mark.parametrize("origin", [*OTHERS, LOCAL_ORIGIN])
async def test_other_origins_are_told_nothing(origin: str) -> None:
    async with serve(production()) as service:
        headers = {"origin": origin}
        answers = [
            await service.get("/healthz", headers=headers),
            await service.get("/v1/nothing", headers=headers),
            await service.options("/v1/chat", headers=headers | PREFLIGHT),
        ]
    assert [answer.status_code for answer in answers] == [200, 404, 403]
    for answer in answers:
        assert_not_shared(answer)
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", OTHERS)
async def test_local_runs_allow_this_machine_alone(origin: str, env: Env) -> None:
    async with serve(env) as service:
        assert_not_shared(await service.get("/healthz", headers={"origin": origin}))


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080", "https://localhost"],
)
async def test_local_runs_allow_front_ends_on_this_machine(
    origin: str, anyone: httpx.AsyncClient
) -> None:
    assert_shared(await anyone.get("/healthz", headers={"origin": origin}), origin)


async def test_the_listed_origins_are_allowed() -> None:
    second = "https://b.example.com:8443"
    async with serve(production(CORS_ORIGINS=f"{ORIGIN}, {second}")) as service:
        for origin in (ORIGIN, second):
            headers = {"origin": origin}
            assert_shared(await service.get("/healthz", headers=headers), origin)
            preflight = await service.options("/v1/chat", headers=headers | PREFLIGHT)
            assert preflight.status_code == 204
            assert_shared(preflight, origin)


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "null",
        "app.example.com",
        "https://*.example.com",
        "https://App.example.com",
        "https://app.example.com/path",
        "https://app.example.com?query",
        "https://app.example.com:443",
        "https://app.example.com:",
        "https://user@app.example.com",
        "https://app.example.com,",
        "https://app.example.com https://b.example.com",
        "http://app.example.com",
        "http://localhost:3000",
        "ftp://app.example.com",
        "https://bücher.example",
    ],
)
async def test_a_malformed_list_is_named_and_takes_nothing_else_down(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match=r"CORS_ORIGINS is malformed \(.*needs "):
        CorsSettings.load({"CORS_ORIGINS": value})
    async with serve(production(CORS_ORIGINS=value)) as service:
        assert (await service.get("/healthz", headers={"origin": ORIGIN})).status_code == 200
        assert "CORS_ORIGINS" not in capsys.readouterr().out
        for request in (
            service.build_request("POST", "/v1/chat", json=CHAT),
            service.build_request("OPTIONS", "/v1/chat", headers=PREFLIGHT),
        ):
            request.headers["origin"] = ORIGIN
            answer = await service.send(request)
            assert answer.status_code == 500
            assert_not_shared(answer)
            line, *_ = capsys.readouterr().out.splitlines()
            assert "CORS_ORIGINS is malformed" in json.loads(line)["settings"]


async def test_without_a_list_nothing_is_allowed(unconfigured: httpx.AsyncClient) -> None:
    assert_not_shared(await unconfigured.get("/healthz", headers={"origin": ORIGIN}))


@given(st.text(), st.text(st.characters(codec="ascii")))
def test_no_text_gets_into_a_preflight_s_answer(origin: str, asked: str) -> None:
    headers = [
        (b"origin", ORIGIN.encode()),
        (b"access-control-request-method", b"PUT"),
        (b"access-control-request-headers", asked.encode()),
    ]
    request = preflight_of(httpx.Headers(headers))
    answer = Cors(frozenset({ORIGIN})).preflight(request)
    reflected = answer.headers.get("access-control-allow-headers", "x")
    assert reflected in {"x", asked}
    assert reflected.isprintable()
    assert all(name.strip() for name in reflected.split(","))
    response = Response(200)
    cors = Cors(frozenset({ORIGIN}), local=True)
    cors.share(preflight_of(httpx.Headers([(b"origin", origin.encode())])), response)
    assert response.headers == {"vary": "Origin"}


def preflight_of(headers: httpx.Headers) -> Request:
    return Request("OPTIONS", "http://localhost/", headers, nothing())


async def nothing() -> AsyncIterator[bytes]:
    chunks: tuple[bytes, ...] = ()
    for chunk in chunks:
        yield chunk
