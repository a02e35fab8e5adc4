"""Clients as they are, many at once, slow, or gone: what only a served Worker shows.

All tests share a Worker with everything switched on. After each of them it has to answer, and to
have logged no error.
"""

import json
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.runtime.conftest import Make
from tests.runtime.test_local import address, started
from tests.template.combinations import everything

AT_ONCE = 50
PATIENCE = 120.0
"""Seconds until a test fails that waits for something."""

WAYS = pytest.mark.parametrize("way", ["fin", "rst"])
"""How a client closes its connection: by its leave, or as a process does that is killed."""

ENDLESS: Mapping[str, object] = {"model": "standin-endless", "stream": True}


@dataclass
class Worker:
    """A served Worker, its stand-ins, and what it logged."""

    url: str
    standins: str
    log: list[str] = field(default_factory=list)
    issuer: str = "oidc"

    def caller(self) -> dict[str, str]:
        """The headers of a caller whom nobody knows yet."""
        body = {"ttl": 3600, "claims": {"sub": f"user-{uuid4().hex}"}}
        answer = httpx.post(f"{self.standins}/{self.issuer}/token", json=body, timeout=PATIENCE)
        return {"authorization": f"Bearer {answer.json()['token']}"}

    def get(self, path: str, caller: Mapping[str, str] = {}) -> httpx.Response:
        return httpx.get(self.url + path, headers=caller, timeout=PATIENCE)

    def quota(self, caller: Mapping[str, str]) -> tuple[int, int]:
        """The requests and tokens that a caller has used."""
        quota = self.get("/v1/quota", caller).json()
        return quota["requests"]["used"], quota["tokens"]["used"]

    def outcomes(self, marker: str) -> list[str]:
        """How the provider's calls with a text in them ended."""
        url = f"{self.standins}/journal"
        calls = httpx.get(url, params={"marker": marker}, timeout=PATIENCE).json()
        return [call["outcome"] for call in calls]

    @contextmanager
    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Iterator["Client"]:
        """Send a request on a connection of its own."""
        place = urlsplit(self.url)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
        connection.request(method, path, body, dict(headers))
        try:
            yield Client(connection)
        finally:
            connection.close()

    def chat(
        self, caller: Mapping[str, str], text: str, **changes: object
    ) -> AbstractContextManager["Client"]:
        body = {"messages": [{"role": "user", "content": text}], **changes}
        headers = {**caller, "content-type": "application/json"}
        return self.request("POST", "/v1/chat", headers, json.dumps(body).encode())


@dataclass
class Client:
    """A connection on which a request was sent."""

    connection: HTTPConnection

    def response(self) -> HTTPResponse:
        return self.connection.getresponse()

    def leave(self, way: str) -> None:
        """Close the connection, whatever is under way."""
        sock = self.connection.sock
        if way == "fin":
            sock.shutdown(socket.SHUT_RDWR)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(sock.detach())  # whoever else has a hold of it


@pytest.fixture(scope="module")
def full(make: Make) -> Iterator[Worker]:
    """The Worker of a project with everything, which lets callers ask as often as they like."""
    (combination,) = [each for each in everything() if each["auth"] == "oidc"]
    project = make(combination)
    config = project / "wrangler.toml"
    text = config.read_text().replace("limit = 60,", "limit = 1000000,")
    text = re.sub(
        r"^(RATE_LIMIT_PERIOD = .*)", r'\1\nMAX_TOKENS = "1000000"', text, flags=re.MULTILINE
    )
    config.write_text(re.sub(r"(QUOTA_\w+_PER_DAY) = .*", r'\1 = "1000000000"', text))
    log: list[str] = []
    with started(project, "local", log) as printed:
        yield Worker(address(printed), address(printed, "Stand-ins"), log)


@pytest.fixture
def worker(full: Worker) -> Iterator[Worker]:
    """The Worker, which has to be well afterwards."""
    del full.log[:]
    yield full
    assert full.get("/healthz").json()["status"] == "ok"
    assert full.get("/v1/me", full.caller()).status_code == 200
    assert not [line for line in full.log if is_error(line)]


def is_error(line: str) -> bool:
    """Whether a line of the log is one, or a traceback's.

    R2 does not tell an upload that breaks off from a failure of its own.
    """
    if not line.startswith("{"):
        return True
    logged = json.loads(line)
    return bool(logged["level"] == "error") and logged.get("error") != "FilesUnavailable"


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    """Runs things at once."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield threads


def wait_until(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.2)


@WAYS
def test_who_leaves_in_mid_stream_pays_for_what_came(
    worker: Worker, crowd: ThreadPoolExecutor, way: str
) -> None:
    caller, marker = worker.caller(), uuid4().hex
    # Which is what is reserved for each call: more than all of them can get.
    most = 1_000_000

    def leave(number: int) -> None:
        with worker.chat(caller, f"{marker} {number}", **ENDLESS, max_tokens=most) as client:
            response = client.response()
            assert response.status == 200
            while b"delta" not in response.readline():
                pass
            client.leave(way)

    list(crowd.map(leave, range(AT_ONCE)))
    wait_until(lambda: worker.outcomes(marker) == ["client-left"] * AT_ONCE)
    wait_until(lambda: worker.quota(caller)[1] < most)
    requests, tokens = worker.quota(caller)
    assert requests == AT_ONCE
    assert tokens > AT_ONCE

    # And from there on to the token: two words of a question, four of its answer.
    for _ in range(3):
        with worker.chat(caller, f"{marker} exactly") as client:
            assert client.response().status == 200
    assert worker.quota(caller) == (AT_ONCE + 3, tokens + 3 * 6)


@WAYS
def test_who_leaves_before_the_answer_stops_nobody_else(
    worker: Worker, crowd: ThreadPoolExecutor, way: str
) -> None:
    caller, marker = worker.caller(), uuid4().hex

    def leave(number: int) -> None:
        with worker.chat(caller, f"{marker} {number}", model="standin-hang") as client:
            wait_until(lambda: len(worker.outcomes(f'{marker} {number}"')) == 1)
            client.leave(way)

    def stay(number: int) -> str:
        with worker.chat(caller, f"{marker} stays {number}") as client:
            return str(json.load(client.response())["text"])

    list(crowd.map(leave, range(AT_ONCE)))
    texts = list(crowd.map(stay, range(AT_ONCE)))
    assert texts == [f"You said: {marker} stays {number}" for number in range(AT_ONCE)]


def test_a_stream_of_forty_thousand_chunks_arrives(worker: Worker) -> None:
    words = 40_000
    with worker.chat(worker.caller(), "a " * words, stream=True) as client:
        events = [line for line in client.response() if line.startswith(b"event: ")]
    assert events[-1] == b"event: done\n"
    assert events.count(b"event: delta\n") >= words


def test_fifty_requests_of_each_kind_are_answered_at_once(
    worker: Worker, crowd: ThreadPoolExecutor
) -> None:
    caller = worker.caller()
    client = httpx.Client(
        base_url=worker.url,
        headers=caller,
        timeout=PATIENCE,
        limits=httpx.Limits(max_connections=AT_ONCE),
    )

    def ask(method: str, path: str, status: int, **more: Any) -> str:  # noqa: ANN401 - httpx's
        answer = client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.text

    def chat(path: str, text: str, status: int = 200, **changes: object) -> str:
        body = {"messages": [{"role": "user", "content": text}], **changes}
        return ask("POST", path, status, json=body)

    kinds: list[Callable[[int], bool]] = [
        lambda _: '"ok"' in ask("GET", "/healthz", 200),
        lambda _: "subject" in ask("GET", "/v1/me", 200),
        lambda _: "limit" in ask("GET", "/v1/quota", 200),
        lambda _: "chats" in ask("GET", "/v1/chats?limit=3", 200),
        lambda _: "request_id" in ask("GET", "/v1/me", 401, headers={"authorization": "Bearer x"}),
        lambda i: f"chat {i}!" in chat("/v1/chat", f"chat {i}!"),
        lambda i: "event: done" in chat("/v1/chat", f"stream {i}!", stream=True),
        lambda i: "request_id" in chat("/v1/chat", f"broken {i}", 502, model="standin-500"),
        lambda i: "chat_" in chat("/v1/jobs", f"job {i}", 202),
        lambda i: "queued" in ask("POST", "/v1/summaries", 202, json={"text": f"text {i}"}),
        lambda i: "etag" in ask("PUT", f"/v1/files/{i}", 200, content=b"x" * 50_000),
        lambda _: "files" in ask("GET", "/v1/files", 200),
    ]
    with client:
        numbers = range(AT_ONCE)
        answers = [crowd.submit(kind, number) for number in numbers for kind in kinds]
        assert all(answer.result() for answer in answers)


def test_who_reads_slowly_gets_everything_and_holds_up_nobody(worker: Worker) -> None:
    caller, marker = worker.caller(), uuid4().hex
    text = f"{marker} {'z' * 900_000} end"
    with worker.chat(caller, text, stream=True) as client:
        response = client.response()
        begun = response.read(1)
        with worker.chat(caller, "Hello!") as other:  # while nobody reads
            assert other.response().status == 200
        received = begun
        while part := response.read1(1000):
            received += part
    assert text.encode() in b"".join(re.findall(rb'"text":"(.*?)"', received))
    assert b"event: done" in received


@WAYS
def test_an_upload_that_breaks_off_leaves_no_file(worker: Worker, way: str) -> None:
    caller = worker.caller()
    headers = {**caller, "content-length": "1000000"}
    with worker.request("PUT", "/v1/files/broken", headers, b"x" * 500_000) as client:
        client.leave(way)
    assert worker.get("/v1/files/broken", caller).status_code == 404
    assert worker.get("/v1/files", caller).json()["files"] == []


@WAYS
def test_a_question_that_breaks_off_is_no_error(worker: Worker, way: str) -> None:
    headers = {
        **worker.caller(),
        "content-type": "application/json",
        "content-length": "1000000",
    }
    with worker.request("POST", "/v1/chat", headers, b"[" * 500_000) as client:
        client.leave(way)


def test_a_body_that_is_too_large_is_answered_before_it_is_sent(worker: Worker) -> None:
    headers = {**worker.caller(), "content-type": "application/json", "content-length": "10000000"}
    with worker.request("POST", "/v1/chat", headers, b"{") as client:
        assert client.response().status == 413
