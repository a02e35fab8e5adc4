"""The only module that speaks JavaScript: fetch, Web Crypto, requests and responses.

Everything else in the service is plain Python. Three rules hold here. A dict goes through
`_object` and bytes through `to_js`, else they would arrive as proxies; and no JavaScript object is
kept in a module's global, where a deploy's snapshot could not hold it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from typing import Any

import httpx
import js
import workers
from pyodide.ffi import JsException, create_proxy, to_js
from workers import Request as WorkerRequest
from workers import Response as WorkerResponse

from service.runtime import EndSpan, Runtime, no_span
from service.web import Native, Request, Response

# fetch sets or undoes these itself: httpx must neither send them nor see them again.
_SENT_BY_FETCH = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
)
_UNDONE_BY_FETCH = frozenset(
    {b"content-encoding", b"content-length", b"transfer-encoding", b"connection"}
)

# What Web Crypto is told to import a key and to verify; it takes of each what it needs.
_WEB_CRYPTO: Mapping[str, Mapping[str, object]] = {
    "RS256": {"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"},
    "RS384": {"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-384"},
    "RS512": {"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-512"},
    "PS256": {"name": "RSA-PSS", "hash": "SHA-256", "saltLength": 32},
    "PS384": {"name": "RSA-PSS", "hash": "SHA-384", "saltLength": 48},
    "PS512": {"name": "RSA-PSS", "hash": "SHA-512", "saltLength": 64},
    "ES256": {"name": "ECDSA", "hash": "SHA-256", "namedCurve": "P-256"},
    "ES384": {"name": "ECDSA", "hash": "SHA-384", "namedCurve": "P-384"},
    "ES512": {"name": "ECDSA", "hash": "SHA-512", "namedCurve": "P-521"},
    "EdDSA": {"name": "Ed25519"},
    "Ed25519": {"name": "Ed25519"},
}
_CLIENT_CLOSED_REQUEST = 499
_MAX_TIMER_MS = 2**31 - 1


def runtime() -> Runtime:
    """What this platform gives the service; ask for it on a request, not while importing."""
    return Runtime(_Environment(), FetchTransport(), verify_signature, verify_hmac, start_span)


class _Environment:
    def get(self, name: str, /) -> object:
        return getattr(workers.env, name, None)


async def verify_signature(
    algorithm: str, jwk: Mapping[str, object], signature: bytes, data: bytes
) -> bool:
    """Verify on Web Crypto; see `VerifySignature`."""
    params = _object(_WEB_CRYPTO[algorithm])
    subtle = js.crypto.subtle
    try:
        key = await subtle.importKey("jwk", _object(jwk), params, False, to_js(["verify"]))
        return bool(await subtle.verify(params, key, to_js(signature), to_js(data)))
    except JsException as error:
        raise ValueError(f"Web Crypto refuses the key: {error.name}") from error


async def verify_hmac(secret: bytes, signature: bytes, data: bytes) -> bool:
    """Verify on Web Crypto; see `VerifyHmac`."""
    if not secret:
        raise ValueError("the secret is empty")
    params, usages = _object({"name": "HMAC", "hash": "SHA-256"}), to_js(["verify"])
    subtle = js.crypto.subtle
    key = await subtle.importKey("raw", to_js(secret), params, False, usages)
    return bool(await subtle.verify("HMAC", key, to_js(signature), to_js(data)))


def start_span(name: str) -> EndSpan:
    """Start a span where the runtime has tracing; see `StartSpan`.

    The fetch made meanwhile stands beside the span in its trace, not below: spans nest only in what
    a callback of JavaScript's begins, and the request's task began before.
    """
    module = workers.import_from_javascript("cloudflare:workers")
    start = getattr(getattr(module, "tracing", None), "startSpan", None)
    if start is None:
        return no_span(name)
    span = start(name)

    def end(attributes: Mapping[str, str | int | float | bool], failure: str | None) -> None:
        span.setAttributes(_object(attributes))
        if failure is not None:
            span.setStatus(_object({"code": "error", "message": failure}))
        span.end()

    return end


async def answer(
    request: WorkerRequest, handle: Callable[[Request], Coroutine[Any, Any, Response]]
) -> WorkerResponse:
    """Have `handle` answer the Worker's request, for as long as its client is there."""
    incoming = request.js_object
    headers, sent = httpx.Headers(_headers(incoming)), incoming.body
    service_request = Request(incoming.method, incoming.url, headers, _upload(sent), sent or b"")
    context, loop = copy_context(), asyncio.get_running_loop()
    # Eager: what waits for nothing has its answer now, not after two turns of the event loop.
    # (`loop.create_task` does not pass it on in Pyodide, and mypy reads for CPython 3.11, too.)
    task = asyncio.Task(  # type: ignore[call-arg]
        handle(service_request), loop=loop, context=context, eager_start=True
    )
    try:
        response = task.result() if task.done() else await _until_departure(task, incoming.signal)
    except asyncio.CancelledError:
        return WorkerResponse(None, status=_CLIENT_CLOSED_REQUEST)
    body: Any
    match response.body:
        case bytes():
            body = to_js(response.body) if response.body else None
        case Native():
            body = response.body.stream
        case _:
            body = _Stream(response.body, incoming.signal, context).readable
    answered = js.Headers.new(_object(response.headers))
    return WorkerResponse(body, status=response.status, headers=answered)


async def _until_departure(task: asyncio.Task[Response], signal: Any) -> Response:
    departure = _Departure(signal, task)
    try:
        return await task
    finally:
        departure.forget()


async def _upload(stream: Any) -> AsyncGenerator[bytes, None]:
    """A request's body. It breaks off where its client has left, which cancels the request."""
    try:
        async for chunk in chunks(stream):
            yield chunk
    except JsException as error:
        raise asyncio.CancelledError from error


class _Departure:
    """Cancels a task, once, when the client goes away, unless told to forget it before.

    The runtime says so in two ways: the request's signal aborts, and the answer's stream is
    cancelled. A second cancellation would end the clean-up that the first one began.
    """

    def __init__(self, signal: Any, task: asyncio.Task[Any]) -> None:
        self._signal = signal
        self._task = task
        self._noticed = False
        self._listener = create_proxy(self.notice)
        signal.addEventListener("abort", self._listener)
        if signal.aborted:  # before anybody listened
            self.notice()

    def notice(self, _reason: object = None) -> None:
        """The client is gone."""
        if self._noticed or self._task.done():
            return
        self._noticed = True
        # Soon: what is cancelled before its first step cannot clean up.
        asyncio.get_running_loop().call_soon(self._task.cancel)
        # The runtime would not wait for the clean-up otherwise, and would log that the task ends by
        # being cancelled.
        held = create_proxy(asyncio.ensure_future(asyncio.wait([self._task])))
        self._task.add_done_callback(lambda _task: held.destroy())
        workers.wait_until(held)

    def forget(self) -> None:
        self._signal.removeEventListener("abort", self._listener)
        self._listener.destroy()


class _Stream:
    """An async generator as a ReadableStream, closed at its end or when its client is gone.

    A client that is gone shows in two ways. The stream is cancelled where the runtime does that
    (https://github.com/cloudflare/workerd/issues/6832), and the request's signal aborts.

    One task runs the whole generator in its request's `context`; a task for each chunk would cost
    more than the chunk.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], signal: Any, context: Context) -> None:
        self._chunks = chunks
        self._asked = asyncio.Event()
        self._controller: Any = None
        task = asyncio.get_running_loop().create_task(self._write(), context=context)
        self._departure = _Departure(signal, task)
        self._proxies = [create_proxy(self._pull), create_proxy(self._departure.notice)]
        source = {"pull": self._proxies[0], "cancel": self._proxies[1]}
        # Nothing is buffered, and pulled only when the client wants it.
        self.readable = js.ReadableStream.new(_object(source), _object({"highWaterMark": 0}))

    def _pull(self, controller: Any) -> None:
        self._controller = controller
        self._asked.set()

    async def _write(self) -> None:
        try:
            await self._asked.wait()
            async for chunk in self._chunks:
                await self._asked.wait()
                self._asked.clear()
                self._controller.enqueue(to_js(chunk))
            self._controller.close()
        except asyncio.CancelledError:
            pass  # the client is gone
        except Exception as error:
            self._controller.error(type(error).__name__)
            raise
        finally:
            await self._chunks.aclose()
            self._departure.forget()
            for proxy in self._proxies:
                proxy.destroy()


class FetchTransport(httpx.AsyncBaseTransport):
    """httpx over the platform's fetch: the Worker has no sockets.

    Of httpx's timeouts the read timeout counts: to the answer's head, and for each of its chunks.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.ConnectError, ReadTimeout, and while the body is read ReadError."""
        call = _Call(request)
        sent = [[k, v] for k, v in request.headers.items() if k.lower() not in _SENT_BY_FETCH]
        init: dict[str, Any] = {
            "method": request.method,
            "headers": to_js(sent),
            "redirect": "manual",
            "signal": call.signal,
        }
        if content := await request.aread():
            init["body"] = to_js(content)
        response = await call.wait(js.fetch(str(request.url), _object(init)), httpx.ConnectError)
        kept = [(k, v) for k, v in _headers(response) if k not in _UNDONE_BY_FETCH]
        return httpx.Response(response.status, headers=kept, stream=_Body(response, call))


class _Call:
    """One fetch: whatever waits for it stops at its timeout, and it is aborted with its caller."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._timeout: float | None = request.extensions.get("timeout", {}).get("read")
        self._controller = js.AbortController.new()
        self._expire = self._controller.abort.bind(self._controller)
        self.signal = self._controller.signal

    def abort(self) -> None:
        self._controller.abort()

    async def wait(self, promise: Awaitable[Any], error_class: type[httpx.NetworkError]) -> Any:
        timer = self._set_timer()
        try:
            return await promise
        except asyncio.CancelledError:
            self.abort()
            raise
        except JsException as error:
            if self.signal.aborted:  # by the timer, for nobody else aborts what is waited for
                message = f"nothing for {self._timeout} s"
                raise httpx.ReadTimeout(message, request=self._request) from None
            raise error_class(str(error.message), request=self._request) from error
        finally:
            js.clearTimeout(timer)

    def _set_timer(self) -> Any:
        # Not asyncio's: Pyodide never clears the timer of a timeout that was cancelled, and workerd
        # allows 10,000 active timers a request: a stream has more chunks than that.
        if self._timeout is None:
            return None
        return js.setTimeout(self._expire, min(self._timeout * 1000, _MAX_TIMER_MS))


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: Any, call: _Call) -> None:
        self._reader = response.body.getReader() if response.body else None
        self._call = call
        self._done = self._reader is None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._reader and not self._done:
            part = await self._call.wait(self._reader.read(), httpx.ReadError)
            self._done = part.done
            if not part.done:
                yield part.value.to_bytes()

    async def aclose(self) -> None:
        if not self._done:
            self._done = True
            self._call.abort()


async def chunks(stream: Any) -> AsyncGenerator[bytes, None]:
    """What comes out of a ReadableStream; nothing where there is none."""
    if not stream:
        return
    reader = stream.getReader()
    while not (part := await reader.read()).done:
        yield part.value.to_bytes()


def _headers(message: Any) -> list[tuple[bytes, bytes]]:
    """The headers of a JavaScript request or response, for httpx, which takes text for ASCII."""
    entries = js.Array.from_(message.headers).to_py()  # in one go: each step to JavaScript costs
    return [(name.encode(), value.encode()) for name, value in entries]


def _object(entries: Mapping[str, object]) -> Any:
    return to_js(entries, dict_converter=js.Object.fromEntries)
