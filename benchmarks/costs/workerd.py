"""Workers on workerd: alone for cold starts, in Miniflare for everything that needs bindings."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryFile
from time import perf_counter
from typing import IO, Any

import psutil

from benchmarks.costs.processes import Command, CommandError, progress, started
from benchmarks.costs.workers import Home, Worker

TIMEOUT = 60.0

# The "development" Pyodide is the one that workerd takes from a folder. The highest of these flags
# wins, so the released ones are switched off, and what they imply is switched on.
PYODIDE_FLAGS = (
    "python_workers_development",
    "no_python_workers_314",
    "no_python_workers_20250116",
    "python_dedicated_snapshot",
)


class UnexpectedAnswerError(Exception):
    """A Worker did not answer as it does when it works."""


class Client:
    """One kept connection to a Worker."""

    def __init__(self, address: tuple[str, int], headers: Mapping[str, str]) -> None:
        self._connection = HTTPConnection(*address, timeout=TIMEOUT)
        self._headers = headers

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, path: str, body: object = None) -> HTTPResponse:
        """GET, or POST a JSON body.

        Returns:
            The response, its body unread.

        Raises:
            UnexpectedAnswerError: the status is not 200.
        """
        method, content, headers = "GET", None, {**self._headers}
        if body is not None:
            method, content = "POST", json.dumps(body).encode()
            headers["content-type"] = "application/json"
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        if response.status != 200:
            raise UnexpectedAnswerError(f"{path}: {response.status} {response.read(2000)!r}")
        return response

    def ask(self, path: str, body: object = None) -> float:
        """Milliseconds from a request to the end of its response."""
        start = perf_counter()
        self.send(path, body).read()
        return (perf_counter() - start) * 1000


@dataclass(frozen=True)
class Running:
    """A Worker that serves, and the headers of a caller that it knows."""

    process: psutil.Process
    address: tuple[str, int]
    headers: Mapping[str, str]

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A connection."""
        client = Client(self.address, self.headers)
        try:
            yield client
        finally:
            client.close()

    def cpu_seconds(self) -> float:
        """The processor time of workerd so far, in all its threads."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mib(self) -> float:
        """The resident memory of workerd."""
        return float(self.process.memory_info().rss / 2**20)


def make_snapshot(worker: Worker, home: Home) -> None:
    """Save the memory after the Worker's imports, as a deploy does."""
    progress(f"{worker.name}: making its snapshot")
    worker.snapshot.parent.mkdir(parents=True, exist_ok=True)
    _write_config(worker)
    with _serving(worker, home, "--python-save-snapshot"):
        pass
    if not worker.snapshot.exists():
        raise CommandError(f"{worker.name}: workerd saved no snapshot")


@contextmanager
def restored(worker: Worker, home: Home) -> Iterator[float]:
    """Start workerd alone from the Worker's snapshot; the Worker has no bindings.

    Returns:
        The seconds from the start of the process to its first 200.
    """
    with _serving(worker, home, "--python-load-snapshot", worker.snapshot.name) as seconds:
        yield seconds


@contextmanager
def _serving(worker: Worker, home: Home, *options: str) -> Iterator[float]:
    # The socket listens before workerd does: the first request waits in it, and nothing polls.
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    command: Command = (
        home.workerd,
        "serve",
        "--experimental",
        f"--pyodide-bundle-disk-cache-dir={home.bundle}",
        f"--python-snapshot-dir={worker.snapshot.parent}",
        f"--socket-fd=http={listening.fileno()}",
        *options,
        _config(worker),
    )
    with TemporaryFile("w+", encoding="utf-8") as log:
        start = perf_counter()
        with started(command, worker.folder, stdout=log, stderr=log, files=(listening.fileno(),)):
            listening.close()  # or a request would wait for a workerd that has ended
            client = Client(address, {})
            try:
                client.ask("/healthz")
            except (OSError, HTTPException, UnexpectedAnswerError) as error:
                log.seek(0)
                raise CommandError(f"{worker.name}: {error}\n{log.read()[-4000:]}") from error
            finally:
                client.close()
            yield perf_counter() - start


def _config(worker: Worker) -> Path:
    return worker.folder / "workerd.capnp"  # whose paths are relative to it


def _write_config(worker: Worker) -> None:
    """Write workerd's own configuration for the Worker."""
    flags = (*worker.config["compatibility_flags"], *PYODIDE_FLAGS)
    modules = ",\n".join(
        f"    (name = {json.dumps(name)}, {_kind(name)} = embed {json.dumps(file)})"
        for name, file in worker.modules()
    )
    text = f"""\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
{modules}
  ],
  compatibilityDate = {json.dumps(worker.config["compatibility_date"])},
  compatibilityFlags = {json.dumps(flags)},
);
"""
    _config(worker).write_text(text, encoding="utf-8")


def _kind(name: str) -> str:
    """As wrangler uploads a module: prompts as text, and what packages bring as data."""
    if name.endswith(".py"):
        return "pythonModule"
    return "text" if name.endswith(".txt") and not name.startswith("python_modules/") else "data"


@contextmanager
def standins(home: Home) -> Iterator[str]:
    """The stand-ins for providers and issuers.

    Returns:
        Their address.
    """
    command = ("uv", "run", "--quiet", "python", "-m", "dev.standins")
    with started(command, home.folder, stdout=PIPE) as process:
        yield str(_line(process.stdout)["url"])


@contextmanager
def in_miniflare(
    worker: Worker, home: Home, standins_url: str, *, instant: bool = False
) -> Iterator[Running]:
    """Start Miniflare from the Worker's snapshot, with its bindings and the stand-ins.

    Args:
        worker: the Worker.
        home: the project that has Miniflare.
        standins_url: where the stand-ins are.
        instant: let a Worker in the same process answer in the place of the providers, at once.
    """
    script = Path(__file__).parent / "miniflare.mjs"
    spec = worker.folder / ".cache" / "modules.json"
    modules = [{"name": name, "file": file} for name, file in worker.modules()]
    spec.write_text(json.dumps({"modules": modules, "flags": PYODIDE_FLAGS}))
    options = {
        "home": home.folder,
        "bundle": home.bundle,
        "snapshot": worker.snapshot,
        "standins": standins_url,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    command: Command = (home.node, script, *flags, *(["--instant"] if instant else ()), spec)
    with (
        TemporaryFile("w+", encoding="utf-8") as log,
        started(command, worker.folder, stdout=PIPE, stderr=log) as process,
    ):
        try:
            told = _line(process.stdout)
        except ValueError:
            log.seek(0)
            raise CommandError(f"{worker.name}: no Miniflare\n{log.read()[-4000:]}") from None
        children = psutil.Process(process.pid).children(recursive=True)
        workerd = next(child for child in children if child.name() == "workerd")
        yield Running(workerd, ("127.0.0.1", told["port"]), told["headers"])


def _line(stream: IO[str] | None) -> dict[str, Any]:
    """The line of JSON that a server prints once it answers."""
    line = stream.readline() if stream else ""
    parsed: dict[str, Any] = json.loads(line)
    return parsed
