"""What every provider is to the rest of the service: requests, answers, errors, one protocol."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Annotated, ClassVar, Literal, Protocol, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Text


class ChatRequest(_Value):
    """A conversation to go on with. What is None is left to the provider, `model` to its settings.

    Frozen, but for its JSON any list will do for `messages`.
    """

    messages: Annotated[tuple[Message, ...], Field(min_length=1, strict=False)]
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
    `fallback_from` are the providers that could not answer before this one did. `stored` is None
    where nothing stores answers.
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

    @property
    def default_model(self) -> str:
        """The model of a request that names none."""

    async def complete(self, request: ChatRequest) -> Completion:
        """The whole answer; raises ProviderError."""

    async def stream(self, request: ChatRequest) -> Stream:
        """The answer as it comes, from its first part on; until there it retries, then never.

        Raises ProviderError.
        """


@dataclass(eq=False, kw_only=True)
class ProviderError(Exception):
    """A provider did not answer as it should.

    Its text holds no key, no prompt and nothing of what the provider wrote; that is in `detail`,
    cut short, for logs alone. `retry_after` is in seconds; `attempts` were made. What a gateway
    said is of the last of them.
    """

    kind: ClassVar[str] = "provider-error"
    meaning: ClassVar[str] = "failed"

    provider: str
    status: int | None = None
    request_id: str | None = None
    retry_after: float | None = None
    retryable: bool = False
    attempts: int = 1
    passage: Passage = field(default=Passage(), repr=False)
    detail: str = field(default="", repr=False)

    def __str__(self) -> str:
        status = f" (status {self.status})" if self.status else ""
        return f"{self.provider} {self.meaning}{status}"


class AuthenticationError(ProviderError):
    """401: the API key is wrong."""

    kind = "authentication"
    meaning = "refused the API key"


class PermissionDeniedError(ProviderError):
    """403: the API key may not do this."""

    kind = "permission"
    meaning = "denied permission"


class RateLimitedError(ProviderError):
    """429: too many calls, or the quota is used up."""

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

    A model that declines in an answer of its own is no error: see FinishReason.
    """

    kind = "content-blocked"
    meaning = "blocked the content"


class BadRequestError(ProviderError):
    """Any other 4xx: the provider does not take this request, or has no such model."""

    kind = "bad-request"
    meaning = "refused the request"


class ProviderTimeoutError(ProviderError):
    """No answer in time, by our clock or, 408 and 504, by the provider's."""

    kind = "timeout"
    meaning = "did not answer in time"


class ProviderConnectionError(ProviderError):
    """The provider cannot be reached, or the connection broke."""

    kind = "connection"
    meaning = "cannot be reached"


class MalformedAnswerError(ProviderError):
    """The answer is not what the API's description says, too long, or incomplete."""

    kind = "malformed-answer"
    meaning = "sent an answer that makes no sense"
