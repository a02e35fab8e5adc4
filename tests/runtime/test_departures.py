"""A client that leaves: what a Worker's code still has to do is done, on workerd itself.

Workerd stops a request whose client has left, unless something holds it, and says more than once
that the client has left. No stand-in shows that.
"""

import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.workerd import Worker, Workerd
from tests.support import REPOSITORY

SERVICE = REPOSITORY / "template" / "src" / "service"
# `platform`, which is under test, and what it imports.
MODULES = ("__init__", "platform", "runtime", "settings", "web")
MAIN = '''\
import asyncio

from workers import WorkerEntrypoint

from service import platform
from service.web import Response


class CleanUp:
    """Is told as late as a database's answer would come."""

    def __init__(self, path):
        self.path = path

    async def __aenter__(self):
        print("begun", self.path)

    async def __aexit__(self, *_):
        await asyncio.sleep(0.2)
        await asyncio.sleep(0.2)
        print("cleaned up", self.path)


async def stream(path):
    async with CleanUp(path):
        while True:
            yield b"word "
            await asyncio.sleep(0.01)


async def handle(request):
    if request.path.startswith("/stream"):
        return Response(200, {}, stream(request.path))
    async with CleanUp(request.path):
        if request.path.startswith("/upload"):
            async for _ in request.body:
                pass
        await asyncio.sleep(3600)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await platform.answer(request, handle)
'''
PATIENCE = 60.0
"""Seconds until a test fails that waits for something."""
TIMES = 5


class Served:
    """The Worker above, and what it printed."""

    def __init__(self, port: int, log: Path) -> None:
        self._port = port
        self._log = log

    def connect(self, head: str, body: bytes = b"") -> socket.socket:
        """Send a request."""
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
        connection.sendall(f"{head} HTTP/1.1\r\nhost: localhost\r\n".encode())
        length = f"content-length: {2 * len(body)}\r\n\r\n" if body else "\r\n"
        connection.sendall(length.encode() + body)
        return connection

    def wait_for(self, words: str, times: int) -> None:
        """Wait until this was printed so often. Nothing was that is not expected."""
        deadline = time.monotonic() + PATIENCE
        while (printed := self._log.read_text()).count(f"{words}\n") < times:
            assert time.monotonic() < deadline, printed
            time.sleep(0.05)
        others = re.sub(r"(?m)^(begun|cleaned up) /\w+/[\w-]+\n", "", printed)
        assert not others
        assert printed.count(f"{words}\n") == times


@pytest.fixture(scope="module")
def served(workerd: Workerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    modules = {f"service/{name}.py": (SERVICE / f"{name}.py").read_text() for name in MODULES}
    worker = Worker({"main.py": MAIN, **modules}, packages=("*",), flags=("enable_request_signal",))
    folder = tmp_path_factory.mktemp("departures") / "worker"
    with workerd.serve(folder, {"main": worker}) as running:
        assert running.port, (folder / "log").read_text()
        yield Served(running.port, folder / "log")


def leave(connection: socket.socket, way: str) -> None:
    """Close the connection, by its leave or as a process does that is killed."""
    if way == "rst":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())
    else:
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@pytest.mark.parametrize("way", ["fin", "rst"])
def test_who_leaves_in_mid_stream_is_cleaned_up_after(served: Served, way: str) -> None:
    path = f"/stream/{way}"
    for _ in range(TIMES):
        connection = served.connect(f"GET {path}")
        while b"word" not in connection.recv(1000):
            pass
        leave(connection, way)
    served.wait_for(f"cleaned up {path}", TIMES)


def test_who_leaves_before_the_head_of_an_answer_is_cleaned_up_after(served: Served) -> None:
    # Who closes their half only may still want the answer: workerd notices a reset alone.
    path = "/whole/rst"
    connections = [served.connect(f"GET {path}") for _ in range(TIMES)]
    served.wait_for(f"begun {path}", TIMES)
    for connection in connections:
        leave(connection, "rst")
    served.wait_for(f"cleaned up {path}", TIMES)


@pytest.mark.parametrize("way", ["fin", "rst"])
def test_who_leaves_in_the_middle_of_a_body_is_cleaned_up_after(served: Served, way: str) -> None:
    path = f"/upload/{way}"
    connections = [served.connect(f"PUT {path}", b"x" * 1000) for _ in range(TIMES)]
    served.wait_for(f"begun {path}", TIMES)
    for connection in connections:
        leave(connection, way)
    served.wait_for(f"cleaned up {path}", TIMES)
