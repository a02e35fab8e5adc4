"""Calls to a provider's HTTP API: what they have in common, errors and retries above all."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Set
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Protocol, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, BeforeValidator, Field, SecretStr, ValidationError

from service.providers.base import (
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    Completion,
    ContentBlockedError,
    Finish,
    FinishReason,
    MalformedAnswerError,
    OverloadedError,
    Part,
    Passage,
    PermissionDeniedError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    ServerError,
    Stream,
)
from service.providers.sse import Event, EventTooLongError, Parser
from service.retry import Retry
from service.retry_after import duration, retry_after
from service.settings import HeaderSecret, Settings

MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_ERROR_BYTES = 16 * 1024
MAX_DETAIL_CHARS = 500

T = TypeVar("T")


def _worth_another(error: Exception) -> bool:
    return isinstance(error, ProviderError) and error.retryable


RETRY = Retry(
    max_attempts=3,
    delay=0.5,
    max_delay=8.0,
    # Somebody is waiting for the answer: after a call that timed out there is no time for another.
    budget=20.0,
    exceptions=(ProviderError,),
    retry_if=_worth_another,
)


class RetrySettings(Settings):
    """How patient calls are, in seconds: what RETRY's `delay` and `budget` are set to."""

    delay: float = Field(alias="RETRY_DELAY", default=RETRY.delay, ge=0, allow_inf_nan=False)
    budget: float | None = Field(
        alias="RETRY_BUDGET", default=RETRY.budget, ge=0, allow_inf_nan=False
    )

    def applied_to(self, policy: Retry) -> Retry:
        """The policy with these seconds."""
        return replace(policy, delay=self.delay, budget=self.budget)


ApiKey = HeaderSecret
"""What opens a provider's API."""


def _count(value: object) -> int | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return int(value) if 0 <= value < 2**53 else None


Tokens = Annotated[int | None, BeforeValidator(_count)]
"""A number of tokens as APIs write it; None for what is none."""


def _seconds(value: object) -> float | None:
    return duration(str(value).removesuffix("s"))


Seconds = Annotated[float | None, BeforeValidator(_seconds)]
"""A duration as APIs write it: 7, "7.5", "7.5s"; None for what is none."""


class ErrorReport(BaseModel):
    """An API's error object."""

    type: str | None = None
    code: str | int | None = None
    message: str | None = None
    retry_after: Seconds = None


class ErrorBody(BaseModel):
    """The body of an answer that is an error."""

    error: ErrorReport


class ReportedError(Exception):
    """The API reported an error in what began as an answer: in the middle of a stream, say."""

    def __init__(self, report: ErrorReport) -> None:
        super().__init__(report.type)
        self.report = report


class Reader(ABC):
    """The state of one streamed answer."""

    @abstractmethod
    def read(self, event: Event) -> Iterator[Part]:
        """What an event adds; Finish where it is the last.

        Raises ValidationError for what the API does not say, and ReportedError.
        """

    def end(self) -> Finish | None:
        """What the end of the stream means; None where the API has an event that should have come.

        Raises ReportedError.
        """
        return None


class ApiSettings(Protocol):
    """What every provider needs to be told."""

    @property
    def api_key(self) -> SecretStr:
        """The secret that calls are made with."""

    @property
    def base_url(self) -> str:
        """The API's address, without a slash at its end."""

    @property
    def model(self) -> str:
        """The model of a request that names none."""


@dataclass(frozen=True)
class OwnError:
    """An error of a gateway's own: of this kind, or of the one that its status stands for."""

    message: str
    kind: type[ProviderError] | None = None


class Gateway(Protocol):
    """What calls go through on their way to an API, where they do."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What it is told with each call."""

    def base_url(self, provider: str) -> str:
        """Where it takes calls for that provider's API, without a slash at its end."""

    def passage(self, headers: Mapping[str, str]) -> Passage:
        """What an answer's headers say of its way through."""

    def own_error(self, content: bytes) -> OwnError | None:
        """The error in an answer that is not the API's; None where it is the API's."""


class HttpProvider(ABC):
    """A provider with an HTTP API of JSON and server-sent events.

    It keeps nothing between calls, so that all requests of the Worker may share it.
    """

    name: ClassVar[str]
    path: ClassVar[str]
    """Where calls go, below the API's address; `{model}` stands for the model's name."""
    stream_path: ClassVar[str | None] = None
    """Where calls for a stream go, if not there."""
    stream_options: ClassVar[Mapping[str, object]] = {"stream": True}
    request_id_header: ClassVar[str | None] = None
    finish_reasons: ClassVar[Mapping[str, FinishReason]]
    error_statuses: ClassVar[Mapping[str, int]] = {}
    """The status that an error's type, its code or a finish reason stands for in an answer."""
    key_errors: ClassVar[frozenset[str]] = frozenset()
    """The types or codes of error that mean a wrong API key, whatever their status."""
    block_errors: ClassVar[frozenset[str]] = frozenset()
    """The types, codes or statuses of error that mean blocked content."""
    passing_statuses: ClassVar[frozenset[int]] = frozenset({408, 409, 429})
    """The 4xx that the API's own clients ask again after."""

    def __init__(
        self,
        settings: ApiSettings,
        client: httpx.AsyncClient,
        retry: Retry = RETRY,
        gateway: Gateway | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._retry = retry
        self._gateway = gateway

    @property
    def default_model(self) -> str:
        """The model of a request that names none."""
        return self._settings.model

    def model(self, request: ChatRequest) -> str:
        """The model that answers a request."""
        return request.model or self.default_model

    @abstractmethod
    def headers(self, key: str) -> dict[str, str]:
        """The headers that carry the API key."""

    @abstractmethod
    def body(self, request: ChatRequest, model: str) -> dict[str, object]:
        """The request in the API's format, None for what is not to be sent."""

    @abstractmethod
    def completion(self, content: bytes, model: str) -> Completion:
        """Read an answer; raises ValidationError and ReportedError."""

    @abstractmethod
    def reader(self, model: str) -> Reader:
        """A reader for one streamed answer."""

    def error(self, content: bytes) -> ErrorReport:
        """Read the body of an error; raises ValidationError."""
        return ErrorBody.model_validate_json(content).error

    def finish_reason(self, reason: str | None) -> FinishReason:
        """The API's finish reason in our words; raises ReportedError for one that is an error."""
        if reason in self.error_statuses:
            raise ReportedError(ErrorReport(type=reason))
        return self.finish_reasons.get(reason or "", "other")

    async def complete(self, request: ChatRequest) -> Completion:
        """The whole answer; raises ProviderError."""
        model = self.model(request)
        body = self.body(request, model)

        async def answered() -> tuple[Completion, Passage]:
            response = await self._post(self.path, body, model)
            with self._reading(response):
                content = await _content(response)
                return self.completion(content, model), self._passage(response)

        (completion, passage), attempts = await self._attempts(answered)
        return completion.model_copy(update={"attempts": attempts, "passage": passage})

    async def stream(self, request: ChatRequest) -> Stream:
        """The answer as it comes, from its first part on; raises ProviderError."""
        model = self.model(request)
        body = {**self.body(request, model), **self.stream_options}

        async def opened() -> tuple[Passage, Part, AsyncGenerator[Part, None]]:
            response = await self._post(self.stream_path or self.path, body, model)
            parts = self._parts(response, model)
            return self._passage(response), await anext(parts), parts

        (passage, first, rest), attempts = await self._attempts(opened)
        return Stream(first, rest, attempts=attempts, passage=passage)

    async def _attempts(self, call: Callable[[], Awaitable[T]]) -> tuple[T, int]:
        attempts = 0

        @self._retry
        async def attempt() -> T:
            nonlocal attempts
            attempts += 1
            return await call()

        try:
            return await attempt(), attempts
        except ProviderError as error:
            error.attempts = attempts
            raise

    async def _parts(self, response: httpx.Response, model: str) -> AsyncGenerator[Part, None]:
        with self._reading(response):
            try:
                reader, events = self.reader(model), Parser()
                async with aclosing(_chunks(response)) as chunks:
                    async for chunk in chunks:
                        for event in events.feed(chunk):
                            for part in reader.read(event):
                                yield part
                                if isinstance(part, Finish):
                                    return
                if finish := reader.end():
                    yield finish
                    return
                raise MalformedAnswerError(provider=self.name, detail="the stream has no end")
            finally:
                await response.aclose()

    async def _post(self, path: str, body: Mapping[str, object], model: str) -> httpx.Response:
        gateway, headers = self._gateway, self.headers(self._settings.api_key.get_secret_value())
        base_url = gateway.base_url(self.name) if gateway else self._settings.base_url
        request = self._client.build_request(
            "POST",
            base_url + path.format(model=quote(model, safe="")),
            headers={**headers, **gateway.headers} if gateway else headers,
            json={name: value for name, value in body.items() if value is not None},
        )
        with self._translated():
            response = await self._client.send(request, stream=True)
        if response.status_code == httpx.codes.OK:
            return response
        with self._reading(response):
            try:
                raise self._refusal(response, await _beginning(response))
            finally:
                await response.aclose()

    def _passage(self, response: httpx.Response) -> Passage:
        return self._gateway.passage(response.headers) if self._gateway else Passage()

    def _refusal(self, response: httpx.Response, content: bytes) -> ProviderError:
        status, headers = response.status_code, response.headers
        if self._gateway and (own := self._gateway.own_error(content)):
            report = ErrorReport(message=own.message)
            return self._error(report, status, headers, own.kind or error_class(status))
        try:
            report = self.error(content)
        except ValidationError:
            report = ErrorReport(message=content.decode(errors="replace"))
        return self._error(report, status, headers, self._kind(report, status))

    def _kind(self, report: ErrorReport, status: int) -> type[ProviderError]:
        names = {str(report.type), str(report.code), str(status)}
        if names & self.key_errors:
            return AuthenticationError
        return ContentBlockedError if names & self.block_errors else error_class(status)

    def _error(
        self,
        report: ErrorReport,
        status: int,
        headers: Mapping[str, str],
        kind: type[ProviderError],
    ) -> ProviderError:
        wait = retry_after(headers, datetime.now(UTC))
        return kind(
            provider=self.name,
            status=status,
            retry_after=report.retry_after if wait is None else wait,
            retryable=is_retryable(status, headers, self.passing_statuses),
            detail=self._safe(report.message or ""),
        )

    def _status(self, report: ErrorReport) -> int:
        if isinstance(report.code, int) and 400 <= report.code < 600:
            return report.code
        names = (str(report.code), str(report.type))
        return next(
            (self.error_statuses[name] for name in names if name in self.error_statuses), 500
        )

    def _safe(self, detail: str) -> str:
        return detail.replace(self._settings.api_key.get_secret_value(), "***")[:MAX_DETAIL_CHARS]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what goes wrong into the ProviderError that it is.

        The original is named, not chained: it can quote the key, the prompt or the answer.
        """
        try:
            yield
        except httpx.TimeoutException as error:
            raise ProviderTimeoutError(
                provider=self.name, retryable=True, detail=type(error).__name__
            ) from None
        except httpx.TransportError as error:
            raise ProviderConnectionError(
                provider=self.name, retryable=True, detail=type(error).__name__
            ) from None
        except (ValidationError, EventTooLongError, httpx.DecodingError) as error:
            raise MalformedAnswerError(provider=self.name, detail=type(error).__name__) from None
        except _AnswerTooLongError:
            raise MalformedAnswerError(provider=self.name, detail="it is too long") from None
        except ReportedError as error:
            report, status = error.report, self._status(error.report)
            raise self._error(report, status, {}, self._kind(report, status)) from None

    @contextmanager
    def _reading(self, response: httpx.Response) -> Iterator[None]:
        """The same for what goes wrong in an answer that has begun: its headers tell more."""
        try:
            with self._translated():
                yield
        except ProviderError as error:
            if self.request_id_header:
                error.request_id = response.headers.get(self.request_id_header)
            error.passage = self._passage(response)
            raise


class _AnswerTooLongError(Exception):
    pass


async def _content(response: httpx.Response) -> bytes:
    content = bytearray()
    try:
        async with aclosing(_chunks(response)) as chunks:
            async for chunk in chunks:
                content += chunk
    finally:
        await response.aclose()
    return bytes(content)


async def _chunks(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise _AnswerTooLongError
        yield chunk


async def _beginning(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_ERROR_BYTES:
            break
    return bytes(content[:MAX_ERROR_BYTES])


_ERRORS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    408: ProviderTimeoutError,
    429: RateLimitedError,
    503: OverloadedError,
    504: ProviderTimeoutError,
    529: OverloadedError,
}


def error_class(status: int) -> type[ProviderError]:
    """The error that a status other than 200 stands for."""
    if status < 400:
        return MalformedAnswerError
    return _ERRORS.get(status, BadRequestError if status < 500 else ServerError)


def is_retryable(status: int, headers: Mapping[str, str], passing: Set[int]) -> bool:
    """Whether the same call may go well later: after a `passing` status or any 5xx.

    Of these the provider can take some out, and a conflict in, by a word of its own.
    """
    said = headers.get("x-should-retry")
    passes = status in passing or status >= 500
    return said != "false" and (passes or (status == httpx.codes.CONFLICT and said == "true"))
