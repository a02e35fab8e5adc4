"""The HTTP server under the stand-ins: routing, the journal, and clients that go away."""

import importlib
import importlib.util
import json
import select
import socket
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import Condition
from typing import cast
from urllib.parse import parse_qs, urlsplit

from dev.standins.providers import Call, ClientLeftError, is_path, play

BODY_LIMIT = 32 * 2**20
JOURNAL_LENGTH = 10_000
JOURNAL_WAIT = 10.0
IDENTITY = ("/clerk/", "/access/", "/oidc/", "/keys/")
"""Where the paths begin that the identity providers answer."""

Identity = Callable[[str, str, str, bytes], tuple[int, dict[str, str], bytes]]
Turso = Callable[["Handler", str, str, bytes], None]
Store = Callable[[Mapping[str, str], str, bytes], tuple[int, dict[str, str], bytes]]


def _identity() -> Identity | None:
    """The key server and token mint, which a project without authentication does not have."""
    name = "dev.standins.identity"
    if importlib.util.find_spec(name) is None:
        return None
    handle: Identity = importlib.import_module(name).handle
    return handle


def _turso() -> Turso | None:
    """The libSQL servers, which a project with another database does not have."""
    name = "dev.standins.turso"
    if importlib.util.find_spec(name) is None:
        return None
    module = importlib.import_module(name)
    module.start()  # now: while a client waits, it could take too long
    handle: Turso = module.handle
    return handle


def _store() -> Store | None:
    """The Redis, which only a project that keeps its revoked tokens there has."""
    name = "dev.standins.upstash"
    if importlib.util.find_spec(name) is None:
        return None
    handle: Store = importlib.import_module(name).handle
    return handle


class Journal:
    """What the providers were asked, newest last, so that a test can see both ends of a call."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=JOURNAL_LENGTH)
        self._changed = Condition()

    def add(self, call: Call) -> None:
        """Number the call among the equal ones before it, and keep it."""
        with self._changed:
            call.earlier = sum(
                (old.path, old.content) == (call.path, call.content) for old in self._calls
            )
            self._calls.append(call)

    def settle(self, call: Call, outcome: str) -> None:
        """Say how the call ended: "answered" or "client-left"."""
        with self._changed:
            call.outcome = outcome
            self._changed.notify_all()

    def read(self, marker: str, wait: float) -> list[dict[str, object]]:
        """The calls whose body contains `marker`, after at most `wait` seconds for open ones."""

        def found() -> list[Call]:
            return [call for call in self._calls if marker.encode() in call.content]

        with self._changed:
            self._changed.wait_for(lambda: all(c.outcome != "open" for c in found()), wait)
            return [call.entry() for call in found()]


class Handler(BaseHTTPRequestHandler):
    """One connection of a client. What `play` needs of a wire stands here too."""

    server: "Server"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "standins"
    call: Call | None = None

    def do_GET(self) -> None:
        """Route."""
        self._route(b"")

    def do_POST(self) -> None:
        """Route with a body; one without its length, or too long, ends the connection."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            self.close_connection = True
            self.send_json(411, {"error": "content-length is missing"})
        elif int(length) > BODY_LIMIT:
            self.close_connection = True
            self.send_json(413, {"error": "the body is too long"})
        else:
            self._route(self.rfile.read(int(length)))

    def _route(self, body: bytes) -> None:
        url = urlsplit(self.path)
        if url.path == "/journal":
            self._journal(url.query)
        elif self.command == "POST" and is_path(self.path):
            self._provider(self.path, body)
        elif self.server.identity and url.path.startswith(IDENTITY):
            status, headers, content = self.server.identity(
                self.server.url, self.command, self.path, body
            )
            self._send(status, headers, content)
        elif url.path.startswith("/turso/") and self.server.turso:
            self.server.turso(self, self.command, url.path, body)
        elif self.command == "POST" and url.path.startswith("/upstash") and self.server.store:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(*self.server.store(headers, self.path, body))
        else:
            self.send_json(404, {"error": f"no stand-in for {self.command} {url.path}"})

    def _journal(self, query: str) -> None:
        asked = parse_qs(query)
        marker, wait = asked.get("marker", [""])[0], asked.get("wait", ["0"])[0]
        seconds = min(float(wait), JOURNAL_WAIT) if wait.isdecimal() else 0.0
        self.send_json(200, self.server.journal.read(marker, seconds))

    def _provider(self, path: str, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.call = Call(path, headers, body)
        self.server.journal.add(self.call)
        try:
            play(self.call, self)
        except ClientLeftError:
            self.close_connection = True
            self.server.journal.settle(self.call, "client-left")
        finally:
            self.call = None

    def send_json(
        self, status: int, value: object, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with a JSON text."""
        content = json.dumps(value).encode()
        self._send(status, {"content-type": "application/json", **(headers or {})}, content)

    def send_text(self, content: bytes, kind: str, status: int = 200) -> None:
        """Answer with these very bytes."""
        self._send(status, {"content-type": kind}, content)

    def send_part(
        self, content: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Promise more than is sent, and hang up."""
        self._answered()
        about = {"content-type": "application/json", "content-length": "100000"}
        self._head(status, about | dict(headers or {}))
        self._write(content)
        self.hang_up()

    def begin_stream(self, status: int = 200) -> None:
        """Start an answer of server-sent events."""
        self._head(status, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})

    def send_events(self, text: str | bytes) -> None:
        """Send server-sent events at once; raises ClientLeftError when nobody reads them."""
        self.pause(0)
        self._write(_chunk(text))

    def end_stream(self, text: str) -> None:
        """Send the last events and end the answer properly."""
        self._answered()
        self._write(_chunk(text) + b"0\r\n\r\n")

    def hang_up(self) -> None:
        """Break the connection in the middle of whatever was sent."""
        self._answered()
        self.close_connection = True

    def pause(self, seconds: float | None) -> None:
        """Wait, for ever when None; raises ClientLeftError as soon as the client goes."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        with _client_may_leave():
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ClientLeftError

    def _send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self._answered()
        if status == HTTPStatus.NO_CONTENT:  # bytes after it would be taken for the next answer
            self._head(status, headers)
            return
        self._head(status, {**headers, "content-length": str(len(content))})
        self._write(content)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        added = self.call.answer_headers if self.call else {}
        for name, value in {**headers, **added}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("connection", "close")
        # Not ASCII, as libSQL's; in UTF-8, which workerd takes every header for.
        timing = "standins;dur=1\N{MICRO SIGN}s".encode().decode("latin-1")
        self.send_header("server-timing", timing)
        with _client_may_leave():
            self.end_headers()

    def _write(self, content: bytes) -> None:
        with _client_may_leave():
            self.wfile.write(content)

    def _answered(self) -> None:
        # Before the last bytes leave, so that whoever has read them finds it in the journal.
        if self.call:
            self.server.journal.settle(self.call, "answered")

    def log_message(self, *_: object) -> None:
        """Keep quiet: the journal tells more."""


@contextmanager
def _client_may_leave() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ClientLeftError from error


def _chunk(text: str | bytes) -> bytes:
    content = text.encode() if isinstance(text, str) else text
    return b"%x\r\n%s\r\n" % (len(content), content) if content else b""


class Server(ThreadingMixIn, TCPServer):
    """A thread a connection, on loopback only. Closing it ends the open ones and their threads."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        """Bind `port` of 127.0.0.1, 0 for a free one.

        Raises OSError when it is taken, RuntimeError when the database cannot start.
        """
        self.journal = Journal()
        self.identity = _identity()
        self.turso = _turso()
        self.store = _store()
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection, and remember it for the end."""
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def close_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Forget a connection that is over."""
        self._connections.discard(cast("socket.socket", request))
        super().close_request(request)

    def server_close(self) -> None:
        """Stop listening, hang up on everybody, and wait for the threads."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, *_: object) -> None:
        """Report what is wrong with the stand-ins, but not that a client went."""
        if not isinstance(sys.exc_info()[1], OSError | ClientLeftError):
            traceback.print_exc()
