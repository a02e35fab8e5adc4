"""Anthropic: the Messages API, https://docs.anthropic.com/en/api/messages."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import BaseModel, Field

from service.providers.base import ChatRequest, Completion, Delta, Finish, Part, Usage
from service.providers.sse import Event
from service.providers.upstream import (
    ApiKey,
    ErrorReport,
    HttpProvider,
    Reader,
    ReportedError,
    Tokens,
)
from service.settings import ServiceUrl, Settings

VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 4096
"""The API wants a number in every request; every model of it can write so many."""
BLOCKED = "blocked by content filtering policy"
"""What the message of an error says that is of no type of its own."""


class AnthropicSettings(Settings):
    """Where Anthropic is, and as whom it is called."""

    api_key: ApiKey = Field(alias="ANTHROPIC_API_KEY", min_length=1)
    base_url: ServiceUrl = Field(alias="ANTHROPIC_BASE_URL", default="https://api.anthropic.com/v1")
    model: str = Field(alias="ANTHROPIC_MODEL", min_length=1)


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


class Anthropic(HttpProvider):
    """The Messages API."""

    name = "anthropic"
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
    block_errors = frozenset({BLOCKED})
    error_statuses: ClassVar = {
        BLOCKED: 400,
        "invalid_request_error": 400,
        "authentication_error": 401,
        "permission_error": 403,
        "not_found_error": 404,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "timeout_error": 504,
        "overloaded_error": 529,
    }

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
        """Blocked content is told from any other bad request by its message alone."""
        report = super().error(content)
        is_block = BLOCKED in (report.message or "")
        return report.model_copy(update={"type": BLOCKED}) if is_block else report

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
        # Events of other names are to be ignored, so that the API can grow.
        match event.name:
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
                yield Finish(
                    id=self._id,
                    model=self._model,
                    finish_reason=self._api.finish_reason(self._stop_reason),
                    raw_finish_reason=self._stop_reason,
                    usage=self._usage,
                )
            case "error":
                raise ReportedError(self._api.error(event.data.encode()))

    def _count(self, usage: _Usage | None) -> None:
        # Each count is of the whole answer so far, and stands until the next.
        if usage is not None:
            self._usage = usage.over(self._usage)
