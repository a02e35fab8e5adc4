"""Cohere: the Chat API, version 2, https://docs.cohere.com/reference/chat."""

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
    Part,
    Usage,
)
from service.providers.errors import ErrorReport, ErrorTable, ReportedError
from service.providers.sse import Event
from service.providers.upstream import ApiSettings, HttpProvider, Reader, Tokens, prefixed
from service.settings import ServiceUrl


class CohereSettings(ApiSettings):
    """Where Cohere is, as whom it is called, and for which models."""

    model_config = prefixed("COHERE")

    base_url: ServiceUrl = "https://api.cohere.com/v2"


class _Content(BaseModel):
    # Thoughts are in a field of their own.
    text: str | None = None


class _Message(BaseModel):
    content: list[_Content] | None = None


class _Tokens(BaseModel):
    input_tokens: Tokens = None
    output_tokens: Tokens = None


class _Usage(BaseModel):
    tokens: _Tokens | None = None
    billed_units: _Tokens | None = None
    cached_tokens: Tokens = None


class _Answer(BaseModel):
    id: str | None = None
    message: _Message
    finish_reason: str | None = None
    usage: _Usage | None = None


class _Start(BaseModel):
    id: str | None = None


class _DeltaMessage(BaseModel):
    content: _Content | None = None


class _Delta(BaseModel):
    message: _DeltaMessage | None = None


class _ContentEvent(BaseModel):
    delta: _Delta | None = None


class _Ending(BaseModel):
    finish_reason: str | None = None
    usage: _Usage | None = None
    error: str | None = None


class _End(BaseModel):
    delta: _Ending = _Ending()


class _Typed(BaseModel):
    type: str


class Cohere(HttpProvider):
    """The Chat API."""

    name = "cohere"
    settings = CohereSettings
    gateway_path = "cohere/v2"
    path = "/chat"
    request_id_header = "x-debug-trace-id"
    finish_reasons: ClassVar = {
        "COMPLETE": "stop",
        "STOP_SEQUENCE": "stop",
        "MAX_TOKENS": "length",
        "TOOL_CALL": "tool_calls",
    }
    max_temperature = 1.0
    # https://docs.cohere.com/reference/errors
    errors = ErrorTable(
        names={"498": ContentBlockedError},  # a word that Cohere does not allow, asked or answered
        phrases={"api calls / month": AccountError, "billing limit": AccountError},
        statuses={"ERROR": 500, "TIMEOUT": 504},
    )

    def headers(self, key: str) -> dict[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {key}"}

    def body(self, request: ChatRequest, model: str) -> dict[str, object]:
        """Messages as they are."""
        return {
            "model": model,
            "messages": [message.model_dump() for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }

    def error(self, content: bytes) -> ErrorReport:
        """An object of its own, with a message and no type."""
        return ErrorReport.model_validate_json(content)

    def completion(self, content: bytes, model: str) -> Completion:
        """The text of all the content that has some; the API does not say whose it is."""
        answer = _Answer.model_validate_json(content)
        return Completion(
            id=answer.id or "",
            provider=self.name,
            model=model,
            text="".join(part.text or "" for part in answer.message.content or []),
            finish_reason=self.finish_reason(answer.finish_reason),
            raw_finish_reason=answer.finish_reason,
            usage=_usage(answer.usage),
        )

    def reader(self, model: str) -> Reader:
        """The deltas of text, until the message ends."""
        return _Reader(model, self)


class _Reader(Reader):
    def __init__(self, model: str, api: Cohere) -> None:
        self._id = ""
        self._model = model
        self._api = api

    def read(self, event: Event) -> Iterator[Part]:
        # Other types are of tools and citations, and of whatever the API may grow.
        match _Typed.model_validate_json(event.data).type:
            case "message-start":
                self._id = _Start.model_validate_json(event.data).id or ""
            case "content-start" | "content-delta":
                delta = _ContentEvent.model_validate_json(event.data).delta
                if text := _delta_text(delta):
                    yield Delta(text=text)
            case "message-end":
                yield self._finish(_End.model_validate_json(event.data).delta)

    def _finish(self, ending: _Ending) -> Finish:
        if ending.error:
            raise ReportedError(ErrorReport(type=ending.finish_reason, message=ending.error))
        return Finish(
            id=self._id,
            model=self._model,
            finish_reason=self._api.finish_reason(ending.finish_reason),
            raw_finish_reason=ending.finish_reason,
            usage=_usage(ending.usage),
        )


def _delta_text(delta: _Delta | None) -> str | None:
    content = delta.message.content if delta and delta.message else None
    return content.text if content else None


def _usage(usage: _Usage | None) -> Usage:
    # What was read and written; what is billed leaves out Cohere's own part of the prompt.
    if usage is None:
        return Usage()
    counts = usage.tokens or usage.billed_units or _Tokens()
    return Usage(
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cached_tokens=usage.cached_tokens,
    )


PROVIDER = Cohere
