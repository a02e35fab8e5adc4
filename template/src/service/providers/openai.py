"""OpenAI: chat completions, https://platform.openai.com/docs/api-reference/chat."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, Field

from service.providers.base import ChatRequest, Completion, Delta, Finish, FinishReason, Part, Usage
from service.providers.sse import Event
from service.providers.upstream import ApiKey, ErrorReport, HttpProvider, StreamedError, Tokens
from service.settings import ServiceUrl, Settings

END = "[DONE]"

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class OpenAISettings(Settings):
    """Where OpenAI is, and as whom it is called."""

    api_key: ApiKey = Field(alias="OPENAI_API_KEY", min_length=1)
    base_url: ServiceUrl = Field(alias="OPENAI_BASE_URL", default="https://api.openai.com/v1")
    model: str = Field(alias="OPENAI_MODEL", min_length=1)


def _text(content: object) -> object:
    """Null is no text, and a list of parts is the text of those that have some."""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return "" if content is None else content


_Text = Annotated[str, BeforeValidator(_text)]


class _Message(BaseModel):
    content: _Text = ""
    refusal: _Text = ""

    @property
    def text(self) -> str:
        return self.content or self.refusal


class _Usage(BaseModel):
    prompt_tokens: Tokens = None
    completion_tokens: Tokens = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Answer(BaseModel):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _ChunkChoice(BaseModel):
    index: int = 0
    delta: _Message | None = None
    finish_reason: str | None = None


class _Chunk(BaseModel):
    id: str | None = None
    model: str | None = None
    choices: list[_ChunkChoice] = []
    usage: _Usage | None = None
    error: ErrorReport | None = None


class OpenAI(HttpProvider):
    """Chat completions of OpenAI, or of whoever speaks its language."""

    name = "openai"
    path = "/chat/completions"
    request_id_header = "x-request-id"
    stream_options: ClassVar = {"stream": True, "stream_options": {"include_usage": True}}
    error_statuses: ClassVar = {
        "invalid_request_error": 400,
        "invalid_api_key": 401,
        "insufficient_quota": 429,
        "rate_limit_exceeded": 429,
        "server_overloaded": 503,
    }

    def headers(self, key: str) -> dict[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {key}"}

    def body(self, request: ChatRequest, model: str) -> dict[str, object]:
        """Messages as they are; newer models refuse max_tokens by that name."""
        return {
            "model": model,
            "messages": [message.model_dump() for message in request.messages],
            "max_completion_tokens": request.max_tokens,
            "temperature": request.temperature,
        }

    def completion(self, content: bytes, model: str) -> Completion:
        """The first choice."""
        answer = _Answer.model_validate_json(content)
        choice = answer.choices[0]
        return Completion(
            id=answer.id or "",
            provider=self.name,
            model=answer.model or model,
            text=choice.message.text,
            finish_reason=_finish_reason(choice.finish_reason, choice.message.refusal),
            usage=_usage(answer.usage),
        )

    def reader(self, model: str) -> "_Reader":
        """The first choice, until the end that is no JSON."""
        return _Reader(model)


class _Reader:
    def __init__(self, model: str) -> None:
        self._id = ""
        self._model = model
        self._finish_reason: str | None = None
        self._refusal = ""
        self._usage: _Usage | None = None

    def read(self, event: Event) -> Iterator[Part]:
        if event.data == END:
            yield Finish(
                id=self._id,
                model=self._model,
                finish_reason=_finish_reason(self._finish_reason, self._refusal),
                usage=_usage(self._usage),
            )
        else:
            yield from self._chunk(_Chunk.model_validate_json(event.data))

    def _chunk(self, chunk: _Chunk) -> Iterator[Part]:
        if chunk.error:
            raise StreamedError(chunk.error)
        self._id = chunk.id or self._id
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices:
            if choice.index == 0:
                yield from self._choice(choice)

    def _choice(self, choice: _ChunkChoice) -> Iterator[Part]:
        self._finish_reason = choice.finish_reason or self._finish_reason
        if choice.delta and choice.delta.text:
            self._refusal = self._refusal or choice.delta.refusal
            yield Delta(text=choice.delta.text)


def _finish_reason(reason: str | None, refusal: str) -> FinishReason:
    # A refusal ends with "stop", as if it were an answer.
    return "content_filter" if refusal else FINISH_REASONS.get(reason or "", "other")


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    return Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)
