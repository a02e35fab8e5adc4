"""Routes for everyone, such as webhooks: limited by address, with a raw body and its signature."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from service.web import Request, Response, Route, read_bytes
from tests.conftest import Env, in_process, new_address
from tests.support.clients import here
from tests.support.rate_limiter import LIMIT

# The binding's periods begin with the clock's: a test may see the end of one.
TWO_PERIODS = 2 * LIMIT + 1


async def echo(request: Request) -> Response:
    return Response(200, {"x-caller": repr(request.caller)}, await read_bytes(request, limit=10))


@asynccontextmanager
async def serve_hook(env: Env, *, limited: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """The service with a public route, /hook; its client comes from an address of its own."""
    service = in_process(env)
    service.app.routes.append(Route("POST", "/hook", echo, public=True, limited=limited))
    async with httpx.AsyncClient(transport=service, base_url="http://localhost") as client:
        client.headers["cf-connecting-ip"] = new_address()
        yield client


async def statuses(client: httpx.AsyncClient) -> list[int]:
    """Those of requests up to the first that is refused."""
    found: list[int] = []
    while len(found) < TWO_PERIODS and 429 not in found:
        found.append((await client.post("/hook")).status_code)
    return found


async def test_a_public_route_needs_no_credentials_and_has_no_caller(env: Env) -> None:
    async with serve_hook(env) as client:
        answer = await client.post("/hook", content=b"hello")
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers["x-caller"] == "''"


async def test_a_public_route_is_limited_by_address(
    env: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve_hook(env) as client:
        *admitted, refused = await statuses(client)
        assert ({*admitted}, refused) == ({200}, 429)
        address = client.headers["cf-connecting-ip"]
        client.headers["cf-connecting-ip"] = new_address()
        assert (await client.post("/hook")).status_code == 200
    printed = capsys.readouterr().out
    lines = [json.loads(line) for line in printed.splitlines()]
    (throttled,) = [line for line in lines if line.get("outcome") == "throttled"]
    assert throttled["route"] == "/hook"
    assert "subject" not in throttled
    assert address.rpartition("::")[0] not in printed


async def test_a_public_route_may_be_without_a_limit(env: Env) -> None:
    async with serve_hook(env, limited=False) as client:
        assert {*await statuses(client)} == {200}


async def test_a_raw_body_is_bounded(env: Env) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 6
        yield b"x" * 5

    raw = bytes(range(246, 256))
    async with serve_hook(env) as client:
        assert (await client.post("/hook", content=raw)).content == raw
        for content in (b"x" * 11, chunks()):
            answer = await client.post("/hook", content=content)
            assert answer.status_code == 413
            assert answer.json()["detail"] == "The body may have 10 bytes."


@pytest.mark.parametrize(
    ("secret", "data", "signature"),
    [
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ],
    ids=["RFC 4231, 4.3", "RFC 4231, 4.7"],
)
async def test_an_hmac_is_verified(secret: bytes, data: bytes, signature: str) -> None:
    right = bytes.fromhex(signature)
    assert await here.verify_hmac(secret, right, data)
    wrong = [b"", right[:-1], right + b"\0", bytes([right[0] ^ 1, *right[1:]])]
    for each in wrong:
        assert not await here.verify_hmac(secret, each, data)
    assert not await here.verify_hmac(secret, right, data + b"!")
    assert not await here.verify_hmac(secret + b"!", right, data)


async def test_an_empty_secret_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        await here.verify_hmac(b"", b"", b"")
