"""Google: the Gemini API, https://ai.google.dev/api/generate-content."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import BaseModel, model_validator
from pydantic.alias_generators import to_camel

from service.providers.base import (
    AccountError,
    AuthenticationError,
    ChatRequest,
    Completion,
    ContentBlockedError,
    Delta,
    Finish,
    LocationError,
    Part,
    Usage,
)
from service.providers.errors import ErrorReport, ErrorTable, ReportedError, Seconds
from service.providers.sse import Event
from service.providers.upstream import ApiSettings, HttpProvider, Reader, Tokens, prefixed
from service.settings import ServiceUrl

ROLES = {"user": "user", "assistant": "model"}

# Words of our own, where the API has none: for a finish reason, and for an error.
TOOL_CALLS = "TOOL_CALLS"
PROMPT_BLOCKED = "PROMPT_BLOCKED"


class GoogleSettings(ApiSettings):
    """Where the Gemini API is, as whom it is called, and for which models."""

    model_config = prefixed("GOOGLE")

    base_url: ServiceUrl = "https://generativelanguage.googleapis.com/v1beta"


class _Camel(BaseModel, alias_generator=to_camel):
    """Written `likeThis` in JSON."""


class _Part(_Camel):
    text: str | None = None
    thought: bool | None = None
    function_call: dict[str, Any] | None = None


class _Content(_Camel):
    parts: list[_Part] | None = None


class _Candidate(_Camel):
    index: int = 0
    content: _Content | None = None
    finish_reason: str | None = None

    @property
    def parts(self) -> list[_Part]:
        return (self.content.parts if self.content else None) or []

    @property
    def text(self) -> str:
        return "".join(part.text or "" for part in self.parts if not part.thought)

    @property
    def calls_tools(self) -> bool:
        return any(part.function_call is not None for part in self.parts)


class _Feedback(_Camel):
    block_reason: str | None = None


class _Usage(_Camel):
    prompt_token_count: Tokens = None
    tool_use_prompt_token_count: Tokens = None
    candidates_token_count: Tokens = None
    thoughts_token_count: Tokens = None
    cached_content_token_count: Tokens = None


class _Chunk(_Camel):
    response_id: str | None = None
    model_version: str | None = None
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    error: dict[str, Any] | None = None

    @property
    def candidate(self) -> _Candidate:
        """The first one, empty where there is none."""
        return next((each for each in self.candidates or [] if each.index == 0), _Candidate())

    @property
    def block_reason(self) -> str | None:
        """Why the prompt was blocked, if it was: there is no candidate then."""
        return self.prompt_feedback.block_reason if self.prompt_feedback else None

    def check_prompt(self) -> None:
        """Raise ReportedError if the prompt was blocked."""
        if self.block_reason:
            raise ReportedError(ErrorReport(type=PROMPT_BLOCKED, message=self.block_reason))


class _Answer(_Chunk):
    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if not self.candidates and not self.block_reason:
            raise ValueError("neither a candidate nor the reason why there is none")
        return self


class _ErrorDetail(_Camel):
    """https://google.aip.dev/193: an ErrorInfo has a reason, a RetryInfo a delay."""

    reason: str | None = None
    retry_delay: Seconds = None


class _Error(_Camel):
    code: int | None = None
    status: str | None = None
    message: str | None = None
    details: list[_ErrorDetail] = []


class _ErrorBody(BaseModel):
    error: _Error

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, body: object) -> object:
        # Where a stream was asked for, the error can come as the only item of a list.
        return body[0] if isinstance(body, list) and len(body) == 1 else body


class Google(HttpProvider):
    """The Gemini API of AI Studio."""

    name = "google"
    settings = GoogleSettings
    gateway_path = "google-ai-studio/v1beta"
    telemetry_name = "gcp.gemini"
    path = "/models/{model}:generateContent"
    stream_path = "/models/{model}:streamGenerateContent?alt=sse"
    stream_options: ClassVar = {}
    finish_reasons: ClassVar = {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "CONTINUATION": "length",
        TOOL_CALLS: "tool_calls",
        "SAFETY": "content_filter",
        "RECITATION": "content_filter",
        "LANGUAGE": "content_filter",
        "BLOCKLIST": "content_filter",
        "PROHIBITED_CONTENT": "content_filter",
        "SPII": "content_filter",
        "MODEL_ARMOR": "content_filter",
        "ESCALATION": "content_filter",
        "IMAGE_SAFETY": "content_filter",
        "IMAGE_PROHIBITED_CONTENT": "content_filter",
        "IMAGE_RECITATION": "content_filter",
    }
    # https://ai.google.dev/gemini-api/docs/troubleshooting
    errors = ErrorTable(
        names={
            "API_KEY_INVALID": AuthenticationError,  # its status is 400
            "BILLING_DISABLED": AccountError,
            "CONSUMER_SUSPENDED": AccountError,
            "SERVICE_DISABLED": AccountError,
            "FAILED_PRECONDITION": AccountError,  # no billing where there is no free tier
            PROMPT_BLOCKED: ContentBlockedError,
        },
        phrases={"location is not supported": LocationError},
        statuses={PROMPT_BLOCKED: 400},
        retried=frozenset({408, 429}),
    )

    def headers(self, key: str) -> dict[str, str]:
        """The key in a header of its own: in the URL, the API's other way, it would be in logs."""
        return {"x-goog-api-key": key}

    def model(self, request: ChatRequest) -> str:
        """Without what the API's own list of models writes before each name, and the path too."""
        return super().model(request).removeprefix("models/")

    def body(self, request: ChatRequest, _model: str) -> dict[str, object]:
        """Turns of user and model; what the system says goes beside them, wherever it stood."""
        system = [message.content for message in request.messages if message.role == "system"]
        config = {"maxOutputTokens": request.max_tokens, "temperature": request.temperature}
        return {
            "systemInstruction": _content(*system) if system else None,
            "contents": [
                {"role": ROLES[message.role], **_content(message.content)}
                for message in request.messages
                if message.role != "system"
            ],
            "generationConfig": {name: value for name, value in config.items() if value is not None}
            or None,
        }

    def error(self, content: bytes) -> ErrorReport:
        """Its reason says more than its status, and how long to wait stands in its details."""
        error = _ErrorBody.model_validate_json(content).error
        reasons = (detail.reason for detail in error.details if detail.reason)
        delays = (d.retry_delay for d in error.details if d.retry_delay is not None)
        return ErrorReport(
            type=next(reasons, error.status),
            code=error.code,
            message=error.message,
            retry_after=next(delays, None),
        )

    def completion(self, content: bytes, model: str) -> Completion:
        """The first candidate, its thoughts left out."""
        answer = _Answer.model_validate_json(content)
        answer.check_prompt()
        end = answer.candidate.finish_reason
        return Completion(
            id=answer.response_id or "",
            provider=self.name,
            model=answer.model_version or model,
            text=answer.candidate.text,
            finish_reason=self.finish_reason(_reason(end, answer.candidate.calls_tools)),
            raw_finish_reason=end,
            usage=_usage(answer.usage_metadata),
        )

    def reader(self, model: str) -> Reader:
        """The first candidate, until the stream ends."""
        return _Reader(model, self)


class _Reader(Reader):
    def __init__(self, model: str, api: Google) -> None:
        self._id = ""
        self._model = model
        self._api = api
        self._end: str | None = None
        self._calls_tools = False
        self._usage: _Usage | None = None

    def read(self, event: Event) -> Iterator[Part]:
        chunk = _Chunk.model_validate_json(event.data)
        if chunk.error is not None:
            raise ReportedError(self._api.error(event.data.encode()))
        chunk.check_prompt()
        self._id = chunk.response_id or self._id
        self._model = chunk.model_version or self._model
        self._end = chunk.candidate.finish_reason or self._end
        self._calls_tools |= chunk.candidate.calls_tools
        # Each count is of the whole answer so far.
        self._usage = chunk.usage_metadata or self._usage
        if text := chunk.candidate.text:
            yield Delta(text=text)

    def end(self, *, broken: bool) -> Finish | None:
        # No event says that it is the last: some models give every one a finish reason.
        if broken or self._end is None:
            return None
        return Finish(
            id=self._id,
            model=self._model,
            finish_reason=self._api.finish_reason(_reason(self._end, self._calls_tools)),
            raw_finish_reason=self._end,
            usage=_usage(self._usage),
        )


def _content(*texts: str) -> dict[str, object]:
    return {"parts": [{"text": text} for text in texts]}


def _reason(end: str | None, calls_tools: bool) -> str | None:
    # A call of a tool ends with "STOP", as if it were an answer.
    return TOOL_CALLS if calls_tools and end == "STOP" else end


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    return Usage(
        input_tokens=_sum(usage.prompt_token_count, usage.tool_use_prompt_token_count),
        output_tokens=_sum(usage.candidates_token_count, usage.thoughts_token_count),
        cached_tokens=usage.cached_content_token_count,
        reasoning_tokens=usage.thoughts_token_count,
    )


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


PROVIDER = Google
