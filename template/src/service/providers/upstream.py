"""What every provider with an HTTP API shares: its settings, its calls and their retries."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Protocol, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from service.providers.base import (
    BadRequestError,
    ChatRequest,
    Completion,
    Delta,
    Finish,
    FinishReason,
    MalformedAnswerError,
    Part,
    Passage,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    Stream,
    UnavailableModelError,
)
from service.providers.errors import (
    ErrorBody,
    ErrorReport,
    ErrorTable,
    ReportedError,
    provider_error,
)
from service.providers.sse import Event, EventTooLongError, Parser
from service.providers.transport import (
    BROKEN,
    MAX_ERROR_BYTES,
    Answer,
    AnswerTooLongError,
    Stopwatch,
    TimedOutError,
    Timeouts,
    chunks,
    read_up_to,
)
from service.retry import Retry
from service.settings import HeaderSecret, ServiceUrl, Settings, split

ANY_MODEL = "*"
UNREADABLE = (ValidationError, EventTooLongError, AnswerTooLongError)
"""What is raised for an answer that the API's description does not allow."""

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


def prefixed(prefix: str) -> ConfigDict:
    """Has each field of a provider's settings come from the variable PREFIX_FIELD."""
    return ConfigDict(alias_generator=lambda field: f"{prefix}_{field.upper()}")


class ApiSettings(Timeouts):
    """Where an API is, as whom it is called, for which models, and how long it may take."""

    api_key: HeaderSecret = Field(min_length=1)
    base_url: ServiceUrl
    model: str = Field(min_length=1)
    models: Annotated[frozenset[str], BeforeValidator(split)] = frozenset()


def _count(value: object) -> int | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return int(value) if 0 <= value < 2**53 else None


Tokens = Annotated[int | None, BeforeValidator(_count)]
"""A number of tokens as APIs write it; None for what is none."""


class Reader(ABC):
    """The state of one streamed answer."""

    @abstractmethod
    def read(self, event: Event) -> Iterator[Part]:
        """What an event adds; Finish where it is the last.

        Raises ValidationError for what the API does not say, and ReportedError.
        """

    def end(self, *, broken: bool) -> Finish | None:  # noqa: ARG002 - for those that need it
        """How the answer ended, if all of it has come; None where something is missing.

        Called where the stream ends without the API's last event, or is `broken`. Raises
        ReportedError.
        """
        return None


@dataclass(frozen=True)
class OwnError:
    """An error of a gateway's own; `status` is the one that its answer should have had."""

    message: str
    code: int
    status: int
    kind: type[ProviderError]


class Gateway(Protocol):
    """What calls go through on their way to an API, where they do."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What it is told with each call."""

    def base_url(self, path: str) -> str:
        """Where it takes calls for the API with that `gateway_path`, without a slash at its end."""

    def passage(self, headers: Mapping[str, str]) -> Passage:
        """What an answer's headers say of its way through."""

    def own_error(self, content: bytes, status: int) -> OwnError | None:
        """The error in an answer that is not the API's; None where it is the API's."""


class HttpProvider(ABC):
    """A provider with an HTTP API of JSON and server-sent events.

    It keeps nothing between calls, so that all requests of the Worker may share it.
    """

    name: ClassVar[str]
    settings: ClassVar[type[ApiSettings]]
    telemetry_name: ClassVar[str | None] = None
    """What OpenTelemetry's conventions call the provider, where that is not its name."""
    path: ClassVar[str]
    """Where calls go, below the API's address; `{model}` stands for the model's name."""
    stream_path: ClassVar[str | None] = None
    """Where calls for a stream go, if not there."""
    stream_options: ClassVar[Mapping[str, object]] = {"stream": True}
    request_id_header: ClassVar[str | None] = None
    finish_reasons: ClassVar[Mapping[str, FinishReason]]
    errors: ClassVar[ErrorTable] = ErrorTable()
    max_temperature: ClassVar[float] = 2.0

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
        self._gateway = gateway if self.gateway_path else None

    @property
    @abstractmethod
    def gateway_path(self) -> str:
        """What stands for the API's address below an AI Gateway's; empty where calls go past it."""

    @property
    def default_model(self) -> str:
        """The model of a request that names none."""
        return self._settings.model

    @property
    def models(self) -> frozenset[str] | None:
        """The models that callers may name; None for any."""
        models = self._settings.models
        return None if ANY_MODEL in models else models | {self.default_model}

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
        if reason in self.errors.statuses:
            raise ReportedError(ErrorReport(type=reason))
        return self.finish_reasons.get(reason or "", "other")

    async def complete(self, request: ChatRequest) -> Completion:
        """The whole answer; raises ProviderError."""
        model = self.model(request)
        body = self.body(_without_empty(request), model)

        async def answered() -> tuple[Completion, Passage]:
            answer = await self._post(self.path, body, request, model)
            with self._reading(answer, request):
                return await self._whole(answer, model), self._passage(answer)

        (completion, passage), attempts = await self._attempts(answered)
        return completion.model_copy(update={"attempts": attempts, "passage": passage})

    async def stream(self, request: ChatRequest) -> Stream:
        """The answer as it comes, from its first part on; raises ProviderError."""
        model = self.model(request)
        body = {**self.body(_without_empty(request), model), **self.stream_options}

        async def opened() -> tuple[Passage, Part, AsyncGenerator[Part, None]]:
            answer = await self._post(self.stream_path or self.path, body, request, model)
            parts = self._parts(answer, request, model)
            first = await anext(parts)
            answer.watch.begin()
            return self._passage(answer), first, parts

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

    async def _whole(self, answer: Answer, model: str) -> Completion:
        """The completion; also where the connection broke, if nothing is missing."""
        content, broken = bytearray(), None
        try:
            async with aclosing(chunks(answer)) as body:
                async for chunk in body:
                    content += chunk
        except BROKEN as error:
            broken = error
        finally:
            await answer.aclose()
        try:
            return self._read_whole(bytes(content), model)
        except ValidationError:
            raise broken or MalformedAnswerError(
                provider=self.name, detail="it is not what the API describes"
            ) from None

    async def _parts(
        self, answer: Answer, request: ChatRequest, model: str
    ) -> AsyncGenerator[Part, None]:
        """What a stream says, to its end; also where only its last words are missing or wrong."""
        with self._reading(answer, request):
            reader, parser, unread = self.reader(model), Parser(), bytearray()
            try:
                async with aclosing(chunks(answer, ending=b"\n\n")) as body:
                    async for chunk in body:
                        if not parser.has_begun:
                            unread += chunk
                        for event in parser.feed(chunk):
                            for part in self._read(reader, event):
                                yield part
                                if isinstance(part, Finish):
                                    return
            except (*BROKEN, *UNREADABLE, ReportedError):
                finish = reader.end(broken=True)
                if finish is None:
                    raise
                yield finish
                return
            finally:
                await answer.aclose()
            for part in self._ending(reader, None if parser.has_begun else bytes(unread), model):
                yield part

    def _ending(self, reader: Reader, unread: bytes | None, model: str) -> Iterator[Part]:
        """What is left to say where a stream ended without the API's last event.

        That is everything where there was no event: some APIs answer as a whole even so.
        """
        if unread is not None:
            completion = self._read_whole(unread, model)
            if completion.text:
                yield Delta(text=completion.text)
            yield Finish(**completion.model_dump(include=set(Finish.model_fields)))
        elif finish := reader.end(broken=False):
            yield finish
        else:
            raise MalformedAnswerError(provider=self.name, detail="the stream has no end")

    def _read_whole(self, content: bytes, model: str) -> Completion:
        """The completion, or the error in its place: ReportedError. Raises ValidationError."""
        try:
            return self.completion(content, model)
        except ValidationError:
            self._raise_reported(content)
            raise

    def _read(self, reader: Reader, event: Event) -> list[Part]:
        """The same for an event of a stream."""
        try:
            return list(reader.read(event))
        except ValidationError:
            self._raise_reported(event.data.encode())
            raise

    def _raise_reported(self, content: bytes) -> None:
        with suppress(ValidationError):
            report = self.error(content)
            if report.message or report.type:
                raise ReportedError(report)

    async def _post(
        self, path: str, body: Mapping[str, object], request: ChatRequest, model: str
    ) -> Answer:
        gateway, headers = self._gateway, self.headers(self._settings.api_key.get_secret_value())
        base_url = gateway.base_url(self.gateway_path) if gateway else self._settings.base_url
        call = self._client.build_request(
            "POST",
            base_url + path.format(model=quote(model, safe="")),
            headers={**headers, **gateway.headers} if gateway else headers,
            json={name: value for name, value in body.items() if value is not None},
            timeout=None,  # the stopwatch counts
        )
        watch = Stopwatch(self._settings)
        try:
            with self._translated(request):
                response = await watch.wait(self._client.send(call, stream=True))
        except BaseException:
            watch.stop()
            raise
        answer = Answer(response, watch)
        if response.status_code == httpx.codes.OK:
            return answer
        with self._reading(answer, request):
            try:
                raise self._refusal(answer, await read_up_to(MAX_ERROR_BYTES, answer), request)
            finally:
                await answer.aclose()

    def _passage(self, answer: Answer) -> Passage:
        return self._gateway.passage(answer.response.headers) if self._gateway else Passage()

    def _refusal(self, answer: Answer, content: bytes, request: ChatRequest) -> ProviderError:
        status, headers = answer.response.status_code, answer.response.headers
        if self._gateway and (own := self._gateway.own_error(content, status)):
            report = ErrorReport(code=own.code, message=own.message)
            return self._error(own.kind, report, own.status, headers)
        try:
            report = self.error(content)
        except ValidationError:
            report = ErrorReport(message=content.decode(errors="replace"))
        return self._reported_error(report, status, headers, request)

    def _reported_error(
        self, report: ErrorReport, status: int, headers: Mapping[str, str], request: ChatRequest
    ) -> ProviderError:
        kind = self.errors.kind(report, status)
        if kind is UnavailableModelError and self._is_callers(request.model):
            error = self._error(BadRequestError, report, status, headers)
            error.parameter = "model"
            return error
        return self._error(kind, report, status, headers)

    def _is_callers(self, model: str | None) -> bool:
        """Whether it was not the service that chose the model."""
        return model is not None and model not in {*self._settings.models, self.default_model}

    def _error(
        self,
        kind: type[ProviderError],
        report: ErrorReport,
        status: int,
        headers: Mapping[str, str],
    ) -> ProviderError:
        return provider_error(
            kind,
            report,
            status,
            headers,
            provider=self.name,
            key=self._settings.api_key.get_secret_value(),
            retried=self.errors.retried,
        )

    @contextmanager
    def _translated(self, request: ChatRequest) -> Iterator[None]:
        """Turn what goes wrong into the ProviderError that it is.

        The original is named, not chained: it can quote the key, the prompt or the answer.
        """
        try:
            yield
        except (TimedOutError, httpx.TimeoutException) as error:
            detail = str(error) if isinstance(error, TimedOutError) else type(error).__name__
            raise ProviderTimeoutError(provider=self.name, retryable=True, detail=detail) from None
        except httpx.TransportError as error:
            raise ProviderConnectionError(
                provider=self.name, retryable=True, detail=type(error).__name__
            ) from None
        except AnswerTooLongError:
            raise MalformedAnswerError(provider=self.name, detail="it is too long") from None
        except (*UNREADABLE, httpx.DecodingError) as error:
            raise MalformedAnswerError(provider=self.name, detail=type(error).__name__) from None
        except ReportedError as error:
            report, status = error.report, self.errors.status(error.report)
            raise self._reported_error(report, status, {}, request) from None

    @contextmanager
    def _reading(self, answer: Answer, request: ChatRequest) -> Iterator[None]:
        """The same for what goes wrong in an answer that has begun: its headers tell more."""
        try:
            with self._translated(request):
                yield
        except ProviderError as error:
            if self.request_id_header:
                error.request_id = answer.response.headers.get(self.request_id_header)
            error.passage = self._passage(answer)
            raise


def _without_empty(request: ChatRequest) -> ChatRequest:
    """The request without the turns in which a model said nothing, which most APIs refuse."""
    messages = tuple(message for message in request.messages if message.content)
    return request.model_copy(update={"messages": messages})
