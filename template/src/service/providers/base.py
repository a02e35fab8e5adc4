"""What every provider is to the rest of the service: requests, answers, errors, one protocol."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Annotated, ClassVar, Literal, Protocol, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "other", "client_left"]
"""Why an answer ended; a model that declined to answer ended it with "content_filter".

"client_left" is no provider's: the client left before the end.
"""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def _without_nul(text: str) -> str:
    # Databases and APIs disagree on whether the text goes on behind it.
    if "\0" in text:
        raise ValueError("needs to be without NUL characters")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_without_nul)]


class Message(_Value):
    """One turn of a conversation. Models can answer nothing, so an assistant's may be empty."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, AfterValidator(_without_nul)]

    @field_validator("content")
    @classmethod
    def _says_something(cls, content: str, info: ValidationInfo) -> str:
        if not content and info.data.get("role") in {"system", "user"}:
            raise ValueError("needs at least one character")
        return content


def _not_empty(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    # pydantic's min_length would count invalid items as missing ones, and report both.
    if not messages:
        raise ValueError("needs at least one message")
    return messages


class ChatRequest(_Value):
    """A conversation to go on with. What is None is left to the provider, `model` to its settings.

    Frozen, but for its JSON any list will do for `messages`.
    """

    messages: Annotated[tuple[Message, ...], Field(strict=False), AfterValidator(_not_empty)]
    model: str | None = Field(default=None, max_length=200, pattern="^[!-~]+$")
    max_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)


class Usage(_Value):
    """Tokens read and written; None where the provider did not say.

    Of `input_tokens`, `cached_tokens` came out of the provider's cache; of `output_tokens`,
    `reasoning_tokens` were thought and not said.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Passage(_Value):
    """What a gateway on the way to the provider says of a call; None where none says anything.

    `cache_status` is "HIT" for an answer out of the gateway's cache; `log_id` names the call there.
    """

    cache_status: str | None = None
    log_id: str | None = None


class Completion(_Value):
    """A whole answer; `id` is the provider's, "" when it gave none; `attempts` were made for it.

    `raw_finish_reason` is `finish_reason` in the provider's own word, None when it gave none.
    `fallback_from` are the providers that could not answer before this one did; `adjusted` are the
    request's parameters that this one was sent in another way, None for those left out. `stored` is
    None where nothing stores answers.
    """

    id: str
    provider: str
    model: str
    text: str
    finish_reason: FinishReason
    raw_finish_reason: str | None = None
    usage: Usage
    attempts: int = 1
    passage: Passage = Passage()
    fallback_from: tuple[str, ...] = ()
    adjusted: Mapping[str, float | None] = {}
    stored: bool | None = None


class Delta(_Value):
    """A piece of an answer's text, never empty."""

    text: str


class Finish(_Value):
    """The end of a streamed answer, and what a Completion says besides its text."""

    id: str
    model: str
    finish_reason: FinishReason
    raw_finish_reason: str | None
    usage: Usage


Part = Delta | Finish


class Stream:
    """A streamed answer: any number of Delta, then one Finish.

    Raises ProviderError where it breaks. Whoever holds it closes it, with `async with` or `aclose`,
    at any time; that aborts the call. `attempts` were made to open it.
    """

    def __init__(
        self,
        first: Part,
        rest: AsyncGenerator[Part, None],
        *,
        attempts: int,
        passage: Passage,
    ) -> None:
        self._first: Part | None = first
        self._rest = rest
        self.attempts = attempts
        self.passage = passage

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Part:
        if self._first is None:
            return await anext(self._rest)
        part, self._first = self._first, None
        return part

    async def aclose(self) -> None:
        """End the call, whether or not the answer is complete; nothing comes afterwards."""
        self._first = None
        await self._rest.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class Provider(Protocol):
    """A service with language models."""

    name: ClassVar[str]
    max_temperature: ClassVar[float]
    """The highest temperature that the API takes."""

    @property
    def default_model(self) -> str:
        """The model of a request that names none."""

    @property
    def models(self) -> frozenset[str] | None:
        """The models that callers may name; None for any."""

    async def complete(self, request: ChatRequest) -> Completion:
        """The whole answer; raises ProviderError."""

    async def stream(self, request: ChatRequest) -> Stream:
        """The answer as it comes, from its first part on; until there it retries, then never.

        Raises ProviderError.
        """


@dataclass(eq=False, kw_only=True)
class ProviderError(Exception):
    """A provider did not answer as it should.

    Its text holds no key, no prompt and nothing of what the provider wrote. That is in `detail`,
    cut short, `type` and `code`. `parameter` is the field of the request that the provider refused,
    if it named one. `retry_after` is in seconds; `attempts` were made. What a gateway said is of
    the last of them.
    """

    kind: ClassVar[str] = "provider-error"
    meaning: ClassVar[str] = "failed"
    is_lasting: ClassVar[bool] = False
    """Whether the same call fails until the service's owner changes something."""
    is_passed_on: ClassVar[bool] = True
    """Whether another provider may be asked: it is this one's trouble, not the request's."""

    provider: str
    status: int | None = None
    request_id: str | None = None
    retry_after: float | None = None
    retryable: bool = False
    attempts: int = 1
    passage: Passage = field(default=Passage(), repr=False)
    type: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)
    parameter: str | None = field(default=None, repr=False)
    detail: str = field(default="", repr=False)

    def __str__(self) -> str:
        status = f" (status {self.status})" if self.status else ""
        return f"{self.provider} {self.meaning}{status}"


class AuthenticationError(ProviderError):
    """401: the API key is wrong."""

    kind = "authentication"
    meaning = "refused the API key"
    is_lasting = True


class PermissionDeniedError(ProviderError):
    """403: the API key may not do this."""

    kind = "permission"
    meaning = "denied permission"
    is_lasting = True


class AccountError(ProviderError):
    """402 and its like: no credit, a spending limit, no billing, a suspended account."""

    kind = "account"
    meaning = "does not serve the account"
    is_lasting = True


class LocationError(ProviderError):
    """The provider takes no calls from the place that the Worker ran in."""

    kind = "location"
    meaning = "does not serve the location of the Worker"
    is_lasting = True


class UnavailableModelError(ProviderError):
    """404 and 410: there is no such model, or not for this key. The service chose it."""

    kind = "unavailable-model"
    meaning = "does not have the model"
    is_lasting = True


class GatewayError(ProviderError):
    """The gateway on the way to the provider did not let the call through."""

    kind = "gateway"
    meaning = "is behind a gateway that refused the call"
    is_lasting = True


class RateLimitedError(ProviderError):
    """429: too many calls."""

    kind = "rate-limited"
    meaning = "limits the rate of calls"


class OverloadedError(ProviderError):
    """503 and 529: too busy for now."""

    kind = "overloaded"
    meaning = "is overloaded"


class ServerError(ProviderError):
    """Any other 5xx."""

    kind = "server-error"
    meaning = "failed internally"


class ContentBlockedError(ProviderError):
    """What was asked, or what the model would have answered, is against the provider's rules.

    A model that declines in an answer of its own is no error: see FinishReason. What one provider
    blocks is not carried to the next.
    """

    kind = "content-blocked"
    meaning = "blocked the content"
    is_passed_on = False


class BadRequestError(ProviderError):
    """400, 413, 422: the provider does not take this request, or has no model that it names."""

    kind = "bad-request"
    meaning = "refused the request"
    is_passed_on = False


class ProviderTimeoutError(ProviderError):
    """No answer in time, by our clock or, 408 and 504, by the provider's."""

    kind = "timeout"
    meaning = "did not answer in time"


class ProviderConnectionError(ProviderError):
    """The provider cannot be reached, or the connection broke."""

    kind = "connection"
    meaning = "cannot be reached"


class MalformedAnswerError(ProviderError):
    """The answer is not what the API's description says, too long, or incomplete.

    That is our reading of it, which another provider's answer would only hide.
    """

    kind = "malformed-answer"
    meaning = "sent an answer that makes no sense"
    is_passed_on = False
