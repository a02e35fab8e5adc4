"""Anthropic: the Messages API, https://docs.anthropic.com/en/api/messages."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import BaseModel

from service.providers.base import (
    AccountError,
    ChatRequest,
    Completion,
    ContentBlockedError,
    Delta,
    Finish,
    LocationError,
    Part,
    Usage,
)
from service.providers.errors import ErrorReport, ErrorTable, ReportedError
from service.providers.sse import Event
from service.providers.upstream import ApiSettings, HttpProvider, Reader, Tokens, prefixed
from service.settings import ServiceUrl

VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 4096
"""The API wants a number in every request; every model of it can write so many."""


class AnthropicSettings(ApiSettings):
    """Where Anthropic is, as whom it is called, and for which models."""

    model_config = prefixed("ANTHROPIC")

    base_url: ServiceUrl = "https://api.anthropic.com/v1"


class _Block(BaseModel):
    type: str
    text: str = ""


class _Details(BaseModel):
    thinking_tokens: Tokens = None


class _Usage(BaseModel):
    input_tokens: Tokens = None
    cache_creation_input_tokens: Tokens = None
    cache_read_input_tokens: Tokens = None
    output_tokens: Tokens = None
    output_tokens_details: _Details | None = None

    @property
    def total_input(self) -> int | None:
        # The API's input_tokens are those that no cache had a part in.
        counts = (
            self.input_tokens,
            self.cache_creation_input_tokens,
            self.cache_read_input_tokens,
        )
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    def over(self, earlier: Usage) -> Usage:
        """These counts, and of the earlier ones those that are not among them."""
        counts = {
            "input_tokens": self.total_input,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cache_read_input_tokens,
            "reasoning_tokens": (self.output_tokens_details or _Details()).thinking_tokens,
        }
        known = {name: count for name, count in counts.items() if count is not None}
        return earlier.model_copy(update=known)


class _Answer(BaseModel):
    id: str | None = None
    model: str | None = None
    content: list[_Block]
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Start(BaseModel):
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None


class _MessageStart(BaseModel):
    message: _Start


class _BlockDelta(BaseModel):
    delta: _Block


class _Stop(BaseModel):
    stop_reason: str | None = None


class _MessageDelta(BaseModel):
    delta: _Stop
    usage: _Usage | None = None


class _ErrorDetails(BaseModel):
    error_code: str | None = None


class _Error(BaseModel):
    type: str | None = None
    message: str | None = None
    details: _ErrorDetails | None = None


class _ErrorBody(BaseModel):
    error: _Error


class _Typed(BaseModel):
    type: str = "message"


class Anthropic(HttpProvider):
    """The Messages API."""

    name = "anthropic"
    settings = AnthropicSettings
    gateway_path = "anthropic/v1"
    path = "/messages"
    request_id_header = "request-id"
    finish_reasons: ClassVar = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }
    max_temperature = 1.0
    # https://platform.claude.com/docs/en/api/errors
    errors = ErrorTable(
        names={
            "billing_error": AccountError,
            "enforced_spend_limit_reached": AccountError,
        },
        phrases={
            "blocked by content filtering policy": ContentBlockedError,
            "credit balance is too low": AccountError,
            "api usage limits": AccountError,
            "organization has been disabled": AccountError,
            "request not allowed": LocationError,
        },
        statuses={
            "invalid_request_error": 400,
            "authentication_error": 401,
            "billing_error": 402,
            "permission_error": 403,
            "not_found_error": 404,
            "conflict_error": 409,
            "request_too_large": 413,
            "rate_limit_error": 429,
            "timeout_error": 504,
            "overloaded_error": 529,
        },
    )

    def headers(self, key: str) -> dict[str, str]:
        """The key in a header of its own, and the version that these formats are of."""
        return {"x-api-key": key, "anthropic-version": VERSION}

    def body(self, request: ChatRequest, model: str) -> dict[str, object]:
        """Turns of user and assistant; what the system says goes beside them, wherever it stood."""
        system = [message.content for message in request.messages if message.role == "system"]
        turns = [message for message in request.messages if message.role != "system"]
        return {
            "model": model,
            "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
            "system": "\n\n".join(system) or None,
            "messages": [message.model_dump() for message in turns],
            "temperature": request.temperature,
        }

    def completion(self, content: bytes, model: str) -> Completion:
        """The text of all the blocks that are text."""
        answer = _Answer.model_validate_json(content)
        return Completion(
            id=answer.id or "",
            provider=self.name,
            model=answer.model or model,
            text="".join(block.text for block in answer.content if block.type == "text"),
            finish_reason=self.finish_reason(answer.stop_reason),
            raw_finish_reason=answer.stop_reason,
            usage=(answer.usage or _Usage()).over(Usage()),
        )

    def error(self, content: bytes) -> ErrorReport:
        """Its code, where it has one, is in its details."""
        error = _ErrorBody.model_validate_json(content).error
        code = error.details.error_code if error.details else None
        return ErrorReport(type=error.type, code=code, message=error.message)

    def reader(self, model: str) -> Reader:
        """The deltas of text, until the message stops."""
        return _Reader(model, self)


class _Reader(Reader):
    def __init__(self, model: str, api: Anthropic) -> None:
        self._id = ""
        self._model = model
        self._api = api
        self._stop_reason: str | None = None
        self._usage = Usage()

    def read(self, event: Event) -> Iterator[Part]:
        # Some proxies drop the names of events. Other names are ignored, so that the API can grow.
        is_named = event.name != "message"
        match event.name if is_named else _Typed.model_validate_json(event.data).type:
            case "message_start":
                start = _MessageStart.model_validate_json(event.data).message
                self._id = start.id or ""
                self._model = start.model or self._model
                self._count(start.usage)
            case "content_block_delta":
                delta = _BlockDelta.model_validate_json(event.data).delta
                if delta.type == "text_delta" and delta.text:
                    yield Delta(text=delta.text)
            case "message_delta":
                change = _MessageDelta.model_validate_json(event.data)
                self._stop_reason = change.delta.stop_reason
                self._count(change.usage)
            case "message_stop":
                yield self._finish()
            case "error":
                raise ReportedError(self._api.error(event.data.encode()))

    def end(self, *, broken: bool) -> Finish | None:  # noqa: ARG002 - the reason comes last
        return self._finish() if self._stop_reason else None

    def _finish(self) -> Finish:
        return Finish(
            id=self._id,
            model=self._model,
            finish_reason=self._api.finish_reason(self._stop_reason),
            raw_finish_reason=self._stop_reason,
            usage=self._usage,
        )

    def _count(self, usage: _Usage | None) -> None:
        # Each count is of the whole answer so far, and stands until the next.
        if usage is not None:
            self._usage = usage.over(self._usage)


PROVIDER = Anthropic
