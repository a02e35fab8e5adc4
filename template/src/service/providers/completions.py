"""Chat completions: the format that OpenAI made and others speak, each with its own accent."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field

from service.providers.base import ChatRequest, Completion, Delta, Finish, FinishReason, Part, Usage
from service.providers.errors import ReportedError
from service.providers.sse import Event
from service.providers.upstream import HttpProvider, Reader, Tokens

END = "[DONE]"


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


class _Details(BaseModel):
    cached_tokens: Tokens = None
    reasoning_tokens: Tokens = None


class _Usage(BaseModel):
    prompt_tokens: Tokens = None
    completion_tokens: Tokens = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


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
    object: str | None = None
    error: dict[str, Any] | None = None

    @property
    def is_error(self) -> bool:
        return bool(self.error) or self.object == "error"


class ChatCompletions(HttpProvider):
    """An API of chat completions."""

    path = "/chat/completions"
    max_tokens: ClassVar[str] = "max_tokens"
    """What the API calls the most tokens that an answer may have."""
    stream_options: ClassVar = {"stream": True, "stream_options": {"include_usage": True}}
    finish_reasons: ClassVar = {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "function_call": "tool_calls",
        "content_filter": "content_filter",
    }

    def headers(self, key: str) -> dict[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {key}"}

    def body(self, request: ChatRequest, model: str) -> dict[str, object]:
        """Messages as they are."""
        return {
            "model": model,
            "messages": [message.model_dump() for message in request.messages],
            self.max_tokens: request.max_tokens,
            "temperature": request.temperature,
        }

    def completion(self, content: bytes, model: str) -> Completion:
        """The first choice."""
        answer = _Answer.model_validate_json(content)
        choice = answer.choices[0]
        reason = self.finish_reason(choice.finish_reason)
        return Completion(
            id=answer.id or "",
            provider=self.name,
            model=answer.model or model,
            text=choice.message.text,
            finish_reason=_declined(choice.message.refusal, reason),
            raw_finish_reason=choice.finish_reason,
            usage=_usage(answer.usage),
        )

    def reader(self, model: str) -> Reader:
        """The first choice, until the end that is no JSON."""
        return _Reader(model, self)


class _Reader(Reader):
    def __init__(self, model: str, api: ChatCompletions) -> None:
        self._id = ""
        self._model = model
        self._api = api
        self._finish_reason: str | None = None
        self._refusal = ""
        self._usage: _Usage | None = None

    def read(self, event: Event) -> Iterator[Part]:
        if event.data.strip() == END:
            yield self._finish()
        else:
            chunk = _Chunk.model_validate_json(event.data)
            if chunk.is_error:
                raise ReportedError(self._api.error(event.data.encode()))
            yield from self._chunk(chunk)

    def end(self, *, broken: bool) -> Finish | None:  # noqa: ARG002 - the reason comes last
        return self._finish() if self._finish_reason else None

    def _finish(self) -> Finish:
        return Finish(
            id=self._id,
            model=self._model,
            finish_reason=_declined(self._refusal, self._api.finish_reason(self._finish_reason)),
            raw_finish_reason=self._finish_reason,
            usage=_usage(self._usage),
        )

    def _chunk(self, chunk: _Chunk) -> Iterator[Part]:
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


def _declined(refusal: str, reason: FinishReason) -> FinishReason:
    # A refusal ends with "stop", as if it were an answer.
    return "content_filter" if refusal else reason


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    read, written = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=read.cached_tokens if read else None,
        reasoning_tokens=written.reasoning_tokens if written else None,
    )
