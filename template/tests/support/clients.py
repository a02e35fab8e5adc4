"""Two ways to call the service: in the test's own process, and over HTTP."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import httpx

from service.app import App
from service.runtime import Runtime
from service.web import Native, Request

if sys.platform == "emscripten":
    from tests.support import runtime_pyodide as here
else:
    from tests.support import runtime_cpython as here

__all__ = ["AppTransport", "answer_when", "events", "here"]


class AppTransport(httpx.AsyncBaseTransport):
    """httpx straight into the service, without a server between."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.app = App(runtime)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.app.handle(
            Request(
                request.method,
                str(request.url),
                request.headers,
                _chunks(request),
                here.native(await request.aread()),
            )
        )
        if isinstance(answer.body, bytes):
            return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
        body = here.chunks(answer.body.stream) if isinstance(answer.body, Native) else answer.body
        return httpx.Response(answer.status, headers=answer.headers, stream=_Stream(body))

    async def aclose(self) -> None:
        """Close the service's own connections, which the Worker's fetch does not have."""
        await self._runtime.transport.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        await self._chunks.aclose()


async def _chunks(request: httpx.Request) -> AsyncIterator[bytes]:
    if isinstance(request.stream, httpx.AsyncByteStream):
        async for chunk in request.stream:
            yield chunk


def events(text: str) -> list[tuple[str, str]]:
    """A stream's events, each as (name, data), as this service writes them."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    return [(name.removeprefix("event: "), data.removeprefix("data: ")) for name, data in blocks]


async def answer_when(
    client: httpx.AsyncClient, path: str, is_ready: Callable[[httpx.Response], bool]
) -> httpx.Response:
    """The answer of `path` once it is ready, asked for again and again, seldom enough for limits.

    A test waits no longer than the `workerd_timeout` of pytest.
    """
    while not is_ready(answer := await client.get(path)):  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(1)
    return answer
