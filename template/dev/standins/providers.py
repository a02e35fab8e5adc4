"""Stand-ins for the providers' APIs: their formats, and behaviour chosen by the model's name.

| model | what happens |
| --- | --- |
| `standin-<status>` | that status, in the API's error shape |
| `standin-page-<status>` | that status with a web page, as from a gateway |
| `standin-flaky-<status>-<n>` | so for the first n calls with this very body, then an echo |
| `standin-null` | an answer without text |
| `standin-refusal` | the model declines |
| `standin-length` | an echo that ends for want of tokens |
| `standin-verbatim` | the last user message is the body of the answer, byte for byte |
| `standin-garbage` | 200 with broken JSON |
| `standin-hang` | no answer until the client goes |
| `standin-endless` | a stream of words, one every 20 ms, until the client goes |
| `standin-cut` | the connection breaks half-way |
| `standin-unfinished` | a stream that ends properly for HTTP, not for the API |
| `standin-stream-error` | a stream with the API's error in the middle |
| anything else | `You said: <last user message>`, streamed word by word |

Tokens are counted in words. The one API key is `standin-key`.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

KEY = "standin-key"
PERIOD = 0.02
PAGE = b"<html><title>Bad gateway</title>" + b"<p>Try again." * 10_000
BROKEN = {"standin-cut", "standin-unfinished", "standin-garbage", "standin-stream-error"}


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

    def send_part(self, content: bytes) -> None:
        """Promise more than is sent, and hang up."""

    def begin_stream(self) -> None:
        """Start an answer of server-sent events."""

    def send_events(self, text: str) -> None:
        """Send server-sent events at once."""

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

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(errors="replace")

    @property
    def body(self) -> object:
        """The body as the JSON value it is, or as text when it is none."""
        try:
            return json.loads(self.content)
        except ValueError:
            return self.text

    def entry(self) -> dict[str, object]:
        """The call as the journal shows it."""
        return {
            "path": self.path,
            "headers": self.headers,
            "body": self.body,
            "outcome": self.outcome,
        }


@dataclass(frozen=True)
class Reply:
    """What the model is to say."""

    model: str
    text: str | None
    input_tokens: int
    finish: str = "stop"
    usage_wanted: bool = False
    words: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Cut the text into what is streamed at a time: a word and the space before it."""
        object.__setattr__(self, "words", re.findall(r"\s*\S+\s*$|\s*\S+", self.text or ""))

    @property
    def output_tokens(self) -> int:
        """One a word."""
        return len(self.words)


class Api(ABC):
    """The format of one provider's API."""

    path: ClassVar[str]
    request_id: ClassVar[str]
    error_types: ClassVar[Mapping[int, str]]
    parameters: ClassVar[frozenset[str]]
    headers: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def key(self, headers: Mapping[str, str]) -> str | None:
        """The API key that came with a call."""

    @abstractmethod
    def error(self, status: int, message: str) -> dict[str, object]:
        """An error, in the answer or in the stream."""

    @abstractmethod
    def answer(self, reply: Reply) -> dict[str, object]:
        """A whole answer."""

    @abstractmethod
    def opening(self, reply: Reply) -> str:
        """The events before the first word."""

    @abstractmethod
    def word(self, reply: Reply, text: str) -> str:
        """The event of a word."""

    @abstractmethod
    def closing(self, reply: Reply) -> str:
        """The events after the last word."""

    @abstractmethod
    def failure(self, message: str) -> str:
        """The event of an error in the middle of a stream."""

    def problem(self, body: Mapping[str, object]) -> str | None:
        """What the API would refuse in a request's body."""
        messages = body.get("messages")
        if not isinstance(body.get("model"), str):
            return "model: a string is required"
        if not isinstance(messages, list) or not messages:
            return "messages: at least one is required"
        if not all(isinstance(message, dict) for message in messages):
            return "messages: each must be an object"
        if unknown := sorted(set(body) - self.parameters):
            return f"unknown parameter: {unknown[0]}"
        return None


def _event(data: object, name: str | None = None) -> str:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "") + f"data: {text}\n\n"


class OpenAI(Api):
    """Chat completions."""

    path = "/openai/v1/chat/completions"
    request_id = "x-request-id"
    error_types: ClassVar = {429: "requests", 500: "server_error", 503: "server_error"}
    _codes: ClassVar = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
    parameters = frozenset(
        {"model", "messages", "max_completion_tokens", "temperature", "stream", "stream_options"}
    )
    _finish: ClassVar = {"stop": "stop", "length": "length", "refusal": "stop"}

    def key(self, headers: Mapping[str, str]) -> str | None:
        """A bearer token."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return key if scheme.lower() == "bearer" else None

    def error(self, status: int, message: str) -> dict[str, object]:
        """An object named error."""
        kind = self.error_types.get(status, "invalid_request_error")
        code = self._codes.get(status)
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def answer(self, reply: Reply) -> dict[str, object]:
        """One choice."""
        refused = reply.finish == "refusal"
        message = {
            "role": "assistant",
            "content": None if refused else reply.text,
            "refusal": reply.text if refused else None,
        }
        choice = {"index": 0, "message": message, "finish_reason": self._finish[reply.finish]}
        return {
            "id": "chatcmpl-standin",
            "object": "chat.completion",
            "created": 0,
            "model": reply.model,
            "choices": [choice],
            "usage": self._usage(reply),
        }

    def opening(self, reply: Reply) -> str:
        """A chunk with the role."""
        return self._chunk(reply, {"role": "assistant", "content": ""})

    def word(self, reply: Reply, text: str) -> str:
        """A chunk with content, or with refusal."""
        return self._chunk(reply, {"refusal" if reply.finish == "refusal" else "content": text})

    def closing(self, reply: Reply) -> str:
        """A chunk with the finish reason, one with the usage if it was asked for, and the end."""
        usage = {**self._part(reply), "choices": [], "usage": self._usage(reply)}
        return (
            self._chunk(reply, {}, self._finish[reply.finish])
            + (_event(usage) if reply.usage_wanted else "")
            + _event("[DONE]")
        )

    def failure(self, message: str) -> str:
        """The error object in place of a chunk."""
        return _event(self.error(500, message))

    def _part(self, reply: Reply) -> dict[str, object]:
        return {
            "id": "chatcmpl-standin",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": reply.model,
        }

    def _chunk(self, reply: Reply, delta: object, finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({**self._part(reply), "choices": [choice], "usage": None})

    def _usage(self, reply: Reply) -> dict[str, int]:
        return {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
        }


class Anthropic(Api):
    """Messages."""

    path = "/anthropic/v1/messages"
    request_id = "request-id"
    error_types: ClassVar = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
    parameters = frozenset({"model", "messages", "max_tokens", "system", "temperature", "stream"})
    headers = frozenset({"anthropic-version"})
    _stop: ClassVar = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}

    def key(self, headers: Mapping[str, str]) -> str | None:
        """A header of its own."""
        return headers.get("x-api-key")

    def problem(self, body: Mapping[str, object]) -> str | None:
        """That max_tokens is required, and system is no role, comes on top."""
        if not isinstance(body.get("max_tokens"), int):
            return "max_tokens: Field required"
        if problem := super().problem(body):
            return problem
        roles = {message.get("role") for message in _messages(body)}
        return None if roles <= {"user", "assistant"} else "messages: unexpected role"

    def error(self, status: int, message: str) -> dict[str, object]:
        """An object named error in an object of type error."""
        otherwise = "api_error" if status >= 500 else "invalid_request_error"
        kind = self.error_types.get(status, otherwise)
        return {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_standin",
        }

    def answer(self, reply: Reply) -> dict[str, object]:
        """Blocks of content; a refusal has none."""
        return {
            **self._message(reply),
            "content": [{"type": "text", "text": reply.text}] if self._says(reply) else [],
            "stop_reason": self._stop[reply.finish],
            "usage": {"input_tokens": reply.input_tokens, "output_tokens": self._counted(reply)},
        }

    def opening(self, reply: Reply) -> str:
        """The message without content, a ping, and the start of the first block."""
        usage = {"input_tokens": reply.input_tokens, "output_tokens": 1}
        message = {**self._message(reply), "content": [], "stop_reason": None, "usage": usage}
        start = {"type": "content_block_start", "index": 0}
        block = {**start, "content_block": {"type": "text", "text": ""}}
        return (
            _event({"type": "message_start", "message": message}, "message_start")
            + _event({"type": "ping"}, "ping")
            + (_event(block, "content_block_start") if self._says(reply) else "")
        )

    def word(self, reply: Reply, text: str) -> str:
        """A delta of the first block."""
        if not self._says(reply):
            return ""
        delta = {"type": "text_delta", "text": text}
        return _event(
            {"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta"
        )

    def closing(self, reply: Reply) -> str:
        """The end of the block, the reason with the usage, and the end of the message."""
        stop = {"stop_reason": self._stop[reply.finish], "stop_sequence": None}
        usage = {"output_tokens": self._counted(reply)}
        end = _event({"type": "content_block_stop", "index": 0}, "content_block_stop")
        return (
            (end if self._says(reply) else "")
            + _event({"type": "message_delta", "delta": stop, "usage": usage}, "message_delta")
            + _event({"type": "message_stop"}, "message_stop")
        )

    def failure(self, message: str) -> str:
        """An event named error."""
        return _event(self.error(529, message), "error")

    def _message(self, reply: Reply) -> dict[str, object]:
        return {
            "id": "msg_standin",
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "stop_sequence": None,
        }

    def _says(self, reply: Reply) -> bool:
        return reply.text is not None and reply.finish != "refusal"

    def _counted(self, reply: Reply) -> int:
        return reply.output_tokens if self._says(reply) else 0


APIS: Mapping[str, Api] = {api.path: api for api in (OpenAI(), Anthropic())}


def play(call: Call, wire: Wire) -> None:
    """Answer a call as its model's name asks; raises ClientLeftError when the client goes."""
    api, body = APIS[call.path], call.body
    refusal = _refusal(api, call.headers, body)
    if refusal or not isinstance(body, dict):
        return _refuse(api, wire, *(refusal or (400, "The body must be a JSON object.")))
    if status := _wanted_status(str(body["model"]), call.earlier):
        return _refuse(api, wire, status, f"The stand-in was asked for a {status}.")
    if page := re.fullmatch(r"standin-page-(\d{3})", str(body["model"])):
        return wire.send_text(PAGE, "text/html", int(page[1]))
    respond = _stream if body.get("stream") is True else _complete
    return respond(api, _reply(body), _said(body), wire)


def _refusal(api: Api, headers: Mapping[str, str], body: object) -> tuple[int, str] | None:
    if api.key(headers) != KEY:
        return 401, "Incorrect API key provided."
    if missing := sorted(api.headers - set(headers)):
        return 400, f"{missing[0]}: header is required"
    problem = api.problem(body) if isinstance(body, dict) else None
    return (400, problem) if problem else None


def _wanted_status(model: str, earlier: int) -> int | None:
    always = re.fullmatch(r"standin-(\d{3})", model)
    flaky = re.fullmatch(r"standin-flaky-(\d{3})-(\d+)", model)
    if always:
        return int(always[1])
    return int(flaky[1]) if flaky and earlier < int(flaky[2]) else None


def _refuse(api: Api, wire: Wire, status: int, message: str) -> None:
    headers = {api.request_id: "req_standin"}
    if status in {429, 503}:
        headers["retry-after-ms"] = "1"
    wire.send_json(status, api.error(status, message), headers)


def _messages(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    messages = body["messages"]
    return messages if isinstance(messages, list) else []


def _said(body: Mapping[str, object]) -> str:
    said = [message.get("content") for message in _messages(body) if message.get("role") == "user"]
    return str(said[-1]) if said else ""


def _reply(body: Mapping[str, object]) -> Reply:
    model = str(body["model"])
    options = body.get("stream_options")
    usage_wanted = isinstance(options, dict) and options.get("include_usage") is True
    prompt = [str(body.get("system", ""))]
    prompt += [str(message.get("content")) for message in _messages(body)]
    counted = sum(len(text.split()) for text in prompt)
    if model == "standin-null":
        return Reply(model, None, counted)
    if model == "standin-refusal":
        return Reply(model, "I cannot help with that.", counted, "refusal")
    finish = "length" if model == "standin-length" else "stop"
    return Reply(model, f"You said: {_said(body)}", counted, finish, usage_wanted)


def _complete(api: Api, reply: Reply, said: str, wire: Wire) -> None:
    match reply.model:
        case "standin-hang" | "standin-endless":
            _hang(wire)
        case "standin-garbage":
            wire.send_text(b'{"id": "broken', "application/json")
        case "standin-verbatim":
            wire.send_text(said.encode(), "application/json")
        case "standin-cut":
            wire.send_part(b'{"id": ')
        case "standin-stream-error":
            _refuse(api, wire, 500, "The stand-in was asked to fail.")
        case _:
            wire.send_json(200, api.answer(reply), {api.request_id: "req_standin"})


def _stream(api: Api, reply: Reply, said: str, wire: Wire) -> None:
    if reply.model == "standin-hang":
        _hang(wire)
    if reply.model == "standin-verbatim":
        wire.send_text(said.encode(), "text/event-stream")
        return
    wire.begin_stream()
    wire.send_events(api.opening(reply))
    if reply.model == "standin-endless":
        _babble(api, reply, wire)
    for number, word in enumerate(reply.words):
        if number == 1 and reply.model in BROKEN:
            break
        wire.send_events(api.word(reply, word))
    match reply.model:
        case "standin-cut":
            wire.hang_up()
        case "standin-unfinished":
            wire.end_stream("")
        case "standin-garbage":
            wire.end_stream(_event('{"id": "broken'))
        case "standin-stream-error":
            wire.end_stream(api.failure("Overloaded"))
        case _:
            wire.end_stream(api.closing(reply))


def _hang(wire: Wire) -> None:
    while True:
        wire.pause(None)


def _babble(api: Api, reply: Reply, wire: Wire) -> None:
    while True:
        wire.send_events(api.word(reply, "word "))
        wire.pause(PERIOD)
