"""CORS: front ends in a real browser, on origins of their own, call a Worker on workerd."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.browser import Browser, browser
from tests.runtime.conftest import Make
from tests.runtime.test_clients import Worker
from tests.runtime.test_local import address, started

# For the browser every name below .test is this machine, and any certificate is good.
FLAGS = ("--host-resolver-rules=MAP *.test 127.0.0.1", "--ignore-certificate-errors")

CALL = """(async () => {{
  try {{
    const response = await fetch({url}, {options});
    const text = await response.text();
    const headers = Object.fromEntries(response.headers);
    return {{ status: response.status, type: response.type, headers, text }};
  }} catch (error) {{
    return {{ error: String(error) }};
  }}
}})()"""
BLOCKED = {"error": "TypeError: Failed to fetch"}
JSON = {"content-type": "application/json"}


@dataclass
class FrontEnds:
    """A browser, the Worker, and the origins of pages: `listed` and `local` may call it."""

    browser: Browser
    worker: Worker
    listed: str
    local: str
    unlisted: str

    def call(self, path: str, **options: object) -> dict[str, Any]:
        """What a script on the current page sees of a call to the Worker."""
        url = json.dumps(self.worker.url + path)
        seen: dict[str, Any] = self.browser.js(CALL.format(url=url, options=json.dumps(options)))
        return seen

    def chat(self, caller: Mapping[str, str], text: str, **changes: object) -> dict[str, Any]:
        body = json.dumps({"messages": [{"role": "user", "content": text}], **changes})
        return self.call("/v1/chat", method="POST", headers={**caller, **JSON}, body=body)

    def sign_in(self) -> str:
        """Give the browser a session cookie for the Worker; its token."""
        token = self.worker.caller()["authorization"].removeprefix("Bearer ")
        self.browser.open(f"{self.worker.url}/healthz")
        self.browser.js(f"document.cookie = '__session={token}; SameSite=None; Secure; path=/'")
        return token


@pytest.fixture(scope="module")
def ends(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnds]:
    project = make({"bucket": True})
    folder = tmp_path_factory.mktemp("browser")
    certificate = make_certificate(folder)
    log: list[str] = []
    with pages() as plain, pages(certificate) as secure:
        listed = f"https://app.test:{secure}"
        config = project / "wrangler.toml"
        text = config.read_text().replace('CORS_ORIGINS = ""', f'CORS_ORIGINS = "{listed}"')
        config.write_text(text)
        with (
            started(project, "local", log) as printed,
            browser(folder / "profile", *FLAGS) as one,
        ):
            port = urlsplit(address(printed)).port
            worker = Worker(f"http://localhost:{port}", address(printed, "Stand-ins"), log, "clerk")
            local, unlisted = f"http://localhost:{plain}", f"http://evil.test:{plain}"
            yield FrontEnds(one, worker, listed, local, unlisted)


@contextmanager
def pages(certificate: Path | None = None) -> Iterator[int]:
    """Serve an empty page on a port of its own, under every name."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A front end</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def make_certificate(folder: Path) -> Path:
    """A certificate for the listed page, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(secret + certificate.public_bytes(pem))
    return path


@pytest.mark.parametrize("page", ["listed", "local"])
def test_a_front_end_reads_answers_errors_and_streams(ends: FrontEnds, page: str) -> None:
    ends.browser.open(getattr(ends, page))
    caller, marker = ends.worker.caller(), uuid4().hex

    whole = ends.chat(caller, marker)
    assert (whole["type"], whole["status"]) == ("cors", 200)
    assert json.loads(whole["text"])["text"] == f"You said: {marker}"
    stream = ends.chat(caller, marker, stream=True)
    assert stream["headers"]["content-type"] == "text/event-stream"
    assert "event: done" in stream["text"]

    errors = {
        401: ends.call("/v1/me", headers={"authorization": "Bearer x"}),
        404: ends.call("/v1/nothing"),
        405: ends.call("/v1/chat"),
        413: ends.chat(caller, "x" * 2**20),
        415: ends.call("/v1/chat", method="POST", headers=caller, body="{}"),
        422: ends.chat(caller, ""),
        502: ends.chat(caller, marker, model="standin-500"),
    }
    assert {status: seen["status"] for status, seen in errors.items()} == {
        status: status for status in errors
    }
    for seen in (whole, stream, *errors.values()):
        assert seen["headers"]["x-request-id"]
    assert "invalid_token" in errors[401]["headers"]["www-authenticate"]


@pytest.mark.parametrize("page", ["listed", "local"])
def test_a_front_end_puts_reads_and_deletes(ends: FrontEnds, page: str) -> None:
    ends.browser.open(getattr(ends, page))
    caller, path = ends.worker.caller(), f"/v1/files/{uuid4().hex}"
    assert ends.call(path, method="PUT", headers=caller, body="hello")["status"] == 200
    part = ends.call(path, headers={**caller, "range": "bytes=1-2"})
    assert (part["status"], part["text"]) == (206, "el")
    assert part["headers"]["content-range"] == "bytes 1-2/5"
    assert part["headers"]["etag"]
    assert ends.call(path, method="DELETE", headers=caller)["status"] == 204


def test_a_front_end_learns_how_long_to_wait(ends: FrontEnds) -> None:
    ends.browser.open(ends.listed)
    caller = ends.worker.caller()
    for _ in range(121):  # the limit's two periods, and one more
        seen = ends.call("/v1/me", headers=caller)
        if seen["status"] != 200:
            break
    assert (seen["status"], seen["headers"]["retry-after"]) == (429, "60")


def test_a_page_that_is_not_listed_reads_nothing_and_sends_nothing(ends: FrontEnds) -> None:
    ends.browser.open(ends.unlisted)
    ends.browser.messages()
    caller, marker = ends.worker.caller(), uuid4().hex
    assert ends.call("/healthz") == BLOCKED
    assert ends.call("/v1/me", headers=caller) == BLOCKED
    assert ends.chat(caller, marker) == BLOCKED
    assert ends.worker.outcomes(marker) == []
    messages = "".join(ends.browser.messages())
    missing = "No 'Access-Control-Allow-Origin' header is present"
    assert f"blocked by CORS policy: {missing}" in messages
    assert f"Response to preflight request doesn't pass access control check: {missing}" in messages


def test_a_route_that_is_not_there_has_no_preflight(ends: FrontEnds) -> None:
    ends.browser.open(ends.listed)
    ends.browser.messages()
    assert ends.call("/v1/chat", method="DELETE") == BLOCKED
    assert "It does not have HTTP ok status" in "".join(ends.browser.messages())


def test_a_front_end_may_use_the_session_cookie(ends: FrontEnds) -> None:
    ends.sign_in()
    ends.browser.open(ends.local)  # another origin of the same site: no other gets cookies today
    assert ends.call("/v1/me", credentials="include")["status"] == 200
    assert ends.call("/v1/me", credentials="omit")["status"] == 401
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
    options = {"method": "POST", "headers": JSON, "body": body, "credentials": "include"}
    assert ends.call("/v1/chat", **options)["status"] == 200
    ends.browser.open(ends.listed)
    assert ends.call("/v1/me", credentials="include")["status"] == 401


def test_a_page_that_is_not_listed_cannot_act_with_the_session_cookie(ends: FrontEnds) -> None:
    ends.sign_in()
    ends.browser.open(ends.unlisted)
    marker = uuid4().hex
    body = json.dumps({"messages": [{"role": "user", "content": marker}]})
    options = {"method": "POST", "body": body, "credentials": "include"}
    assert ends.call("/v1/me", credentials="include") == BLOCKED
    assert ends.call("/v1/chat", headers=JSON, **options) == BLOCKED
    # This one is sent: the browser needs no permission for it, as for a form.
    del ends.worker.log[:]
    assert ends.call("/v1/chat", mode="no-cors", **options)["type"] == "opaque"
    (line,) = [json.loads(line) for line in ends.worker.log if '"event": "request"' in line]
    assert (line["route"], line["status"]) == ("/v1/chat", 403)
    assert ends.worker.outcomes(marker) == []
