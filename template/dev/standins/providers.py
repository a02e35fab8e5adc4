"""Stand-ins for the providers' APIs: behaviour chosen by the model's name, the same for all.

The formats are in modules of their own, in `apis`.

| model | what happens |
| --- | --- |
| `standin-<status>` | that status, in the API's error shape |
| `standin-final-<status>` | so, and not to be asked again: `x-should-retry: false` |
| `standin-page-<status>` | that status with a web page, as from a gateway |
| `standin-flood-<status>` | that status with a body that does not end until the client goes |
| `standin-flaky-<status>-<n>` | so for the first n calls with this very body, then an echo |
| `standin-null` | an answer without text |
| `standin-refusal` | the model declines |
| `standin-blocked` | what was asked is blocked |
| `standin-length` | an echo that ends for want of tokens |
| `standin-verbatim` | the last user message is the body of the answer, byte for byte |
| `standin-garbage` | 200 with broken JSON |
| `standin-hang` | no answer until the client goes |
| `standin-stall` | a word, then silence until the client goes |
| `standin-comments` | a stream of nothing but comments, one every 20 ms, until the client goes |
| `standin-late-cut` | the connection breaks before the last event of a stream |
| `standin-unterminated` | a stream without the empty line after its last event |
| `standin-broken-<status>` | that status with `retry-after: 7` and a body that breaks off |
| `standin-later-<status>` | that status with `retry-after: 38` |
| `standin-picky` | an echo; a request with a temperature is refused |
| `standin-endless` | a stream of words, one every 20 ms, until the client goes |
| `standin-cut` | the connection breaks half-way |
| `standin-unfinished` | a stream that ends properly for HTTP, not for the API |
| `standin-stream-error` | a stream with the API's error in the middle |
| `standin-scraps` | an echo whose stream comes byte by byte, with all that such streams may hold |
| anything else | `You said: <last user message>`, streamed word by word |

Tokens are counted in words. The one API key is `standin-key`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from dev.standins.api import Api, Body, Question, Reply, event, scraps
from dev.standins.apis import APIS

KEY = "standin-key"
PERIOD = 0.02
PAGE = b"<html><title>Bad gateway</title>" + b"<p>Try again." * 10_000
BROKEN = {
    "standin-cut",
    "standin-unfinished",
    "standin-garbage",
    "standin-stall",
    "standin-stream-error",
}


class ClientLeftError(Exception):
    """The client closed the connection before its answer was complete."""


class Wire(Protocol):
    """How an answer goes out. Everything raises ClientLeftError when nobody is there to take it."""

    def send_json(
        self, status: int, value: object, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with a JSON text."""

    def send_text(self, content: bytes, kind: str, status: int = 200) -> None:
        """Answer with these very bytes."""

    def send_part(
        self, content: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Promise more than is sent, and hang up."""

    def begin_stream(self, status: int = 200) -> None:
        """Start an answer of server-sent events."""

    def send_events(self, text: str | bytes) -> None:
        """Send server-sent events, or some bytes of them, at once."""

    def end_stream(self, text: str) -> None:
        """Send the last events and end the answer properly."""

    def hang_up(self) -> None:
        """Break the connection in the middle of whatever was sent."""

    def pause(self, seconds: float | None) -> None:
        """Wait, for ever when None."""


@dataclass
class Call:
    """One call to a provider, as the journal keeps it."""

    path: str
    headers: dict[str, str]
    content: bytes
    outcome: str = "open"
    earlier: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)
    """What is added to the answer on its way back."""

    @property
    def body(self) -> object:
        """The body as the JSON value it is, or as text when it is none."""
        try:
            return json.loads(self.content)
        except ValueError:
            return self.content.decode(errors="replace")

    def entry(self) -> dict[str, object]:
        """The call as the journal shows it."""
        return {
            "path": self.path,
            "headers": self.headers,
            "body": self.body,
            "outcome": self.outcome,
        }


def _passage(path: str) -> Any:
    """The way that a path takes through an AI Gateway, where this project has one."""
    name = "dev.standins.gateway"
    return import_module(name).passage(path) if find_spec(name) else None


def _api_path(path: str) -> str:
    """The path of the API, also for what comes through a gateway."""
    passage = _passage(path)
    return str(passage.path) if passage else path


def is_path(path: str) -> bool:
    """Whether a provider takes calls there."""
    return any(api.match(_api_path(path)) for api in APIS)


def play(call: Call, wire: Wire) -> None:
    """Answer a call as its model's name asks; raises ClientLeftError when the client goes."""
    if passage := _passage(call.path):
        call.answer_headers = passage.headers(call.headers, call.earlier)
        if refusal := passage.refusal(call.headers):
            return wire.send_json(*refusal)
    return _play(call, wire)


def _play(call: Call, wire: Wire) -> None:
    path = _api_path(call.path)
    places = ((api.match(path), api) for api in APIS)
    match, api = next((match, api) for match, api in places if match)
    body = call.body
    if api.request_id:
        call.answer_headers = {**call.answer_headers, api.request_id: "req_standin"}
    key = api.key(call.headers)
    if key != KEY:
        return wire.send_json(api.wrong_key, api.key_error(f"API key not valid: {key}"))
    if not isinstance(body, dict):
        return _refuse(api, wire, 400, "The body must be a JSON object.")
    if problem := _problem(api, call.headers, body):
        return _refuse(api, wire, api.wrong_body, problem)
    question = api.question(match.groupdict(), body)
    if question.model == "standin-picky" and _has_temperature(body):
        return _refuse(api, wire, api.wrong_body, "`temperature` is deprecated for this model.")
    return _respond(api, question, call.earlier, wire)


def _respond(api: Api, question: Question, earlier: int, wire: Wire) -> None:
    if status := _wanted_status(question.model, earlier):
        return _refuse(api, wire, status, f"The stand-in was asked for a {status}.")
    if found := re.fullmatch(r"standin-(final|later|broken|page|flood)-(\d{3})", question.model):
        return _fail(api, found[1], int(found[2]), wire)
    if question.model == "standin-blocked":
        return _block(api, question, wire)
    respond = _stream if question.streamed else _complete
    return respond(api, _reply(question), wire)


def _fail(api: Api, way: str, status: int, wire: Wire) -> None:
    match way:
        case "final":
            wire.send_json(status, api.error(status, "Final."), {"x-should-retry": "false"})
        case "later":
            wire.send_json(status, api.error(status, "Later."), {"retry-after": "38"})
        case "broken":
            wire.send_part(b'{"error": {"mess', status, {"retry-after": "7"})
        case "page":
            wire.send_text(PAGE, "text/html", status)
        case "flood":
            _flood(status, wire)


def _problem(api: Api, headers: Mapping[str, str], body: Body) -> str | None:
    missing = sorted(api.required_headers - set(headers))
    return f"{missing[0]}: header is required" if missing else api.problem(body)


def _has_temperature(body: Body) -> bool:
    config = body.get("generationConfig")
    return "temperature" in body or (isinstance(config, dict) and "temperature" in config)


def _wanted_status(model: str, earlier: int) -> int | None:
    always = re.fullmatch(r"standin-(\d{3})", model)
    flaky = re.fullmatch(r"standin-flaky-(\d{3})-(\d+)", model)
    if always:
        return int(always[1])
    return int(flaky[1]) if flaky and earlier < int(flaky[2]) else None


def _refuse(api: Api, wire: Wire, status: int, message: str) -> None:
    patience = {api.retry_after: "1"} if api.retry_after and status in {429, 503} else {}
    wire.send_json(status, api.error(status, message), patience)


def _block(api: Api, question: Question, wire: Wire) -> None:
    status, body = api.block()
    if status == 200 and question.streamed:
        return wire.send_text(event(body).encode(), "text/event-stream")
    return wire.send_json(status, body)


def _reply(question: Question) -> Reply:
    match question.model:
        case "standin-null":
            return Reply(question, None)
        case "standin-refusal":
            return Reply(question, "I cannot help with that.", "refusal")
    finish = "length" if question.model == "standin-length" else "stop"
    return Reply(question, f"You said: {question.said}", finish)


def _complete(api: Api, reply: Reply, wire: Wire) -> None:
    match reply.model:
        case "standin-hang" | "standin-endless":
            _hang(wire)
        case "standin-garbage":
            wire.send_text(b'{"id": "broken', "application/json")
        case "standin-verbatim":
            wire.send_text(reply.question.said.encode(), "application/json")
        case "standin-cut":
            wire.send_part(b'{"id": ')
        case "standin-stream-error":
            _refuse(api, wire, 500, "The stand-in was asked to fail.")
        case _:
            wire.send_json(200, api.answer(reply))


def _stream(api: Api, reply: Reply, wire: Wire) -> None:
    match reply.model:
        case "standin-hang":
            _hang(wire)
        case "standin-verbatim":
            wire.send_text(reply.question.said.encode(), "text/event-stream")
        case "standin-scraps":
            _scrap(api, reply, wire)
        case _:
            _stream_words(api, reply, wire)


def _stream_words(api: Api, reply: Reply, wire: Wire) -> None:
    wire.begin_stream()
    wire.send_events(api.opening(reply))
    babble = {"standin-endless": api.word(reply, "word "), "standin-comments": ": still there\n\n"}
    if text := babble.get(reply.model):
        _babble(text, wire)
    for number, word in enumerate(reply.words):
        if number == 1 and reply.model in BROKEN:
            break
        wire.send_events(api.word(reply, word))
    _end(api, reply, wire)


def _end(api: Api, reply: Reply, wire: Wire) -> None:
    match reply.model:
        case "standin-cut":
            wire.hang_up()
        case "standin-late-cut":
            *events, _last = api.closing(reply).split("\n\n")[:-1]
            wire.send_events("".join(f"{event}\n\n" for event in events))
            wire.hang_up()
        case "standin-stall":
            _hang(wire)
        case "standin-unfinished":
            wire.end_stream("")
        case "standin-unterminated":
            wire.end_stream(api.closing(reply).rstrip())
        case "standin-garbage":
            wire.end_stream(event('{"id": "broken'))
        case "standin-stream-error":
            wire.end_stream(api.failure("Overloaded"))
        case _:
            wire.end_stream(api.closing(reply))


def _scrap(api: Api, reply: Reply, wire: Wire) -> None:
    words = "".join(api.word(reply, word) for word in reply.words)
    wire.begin_stream()
    for byte in scraps(api.opening(reply) + words + api.closing(reply)):
        wire.send_events(bytes([byte]))
    wire.end_stream("")


def _flood(status: int, wire: Wire) -> None:
    wire.begin_stream(status)
    while True:
        wire.send_events(PAGE)


def _hang(wire: Wire) -> None:
    while True:
        wire.pause(None)


def _babble(text: str, wire: Wire) -> None:
    while True:
        wire.send_events(text)
        wire.pause(PERIOD)
