"""POST /v1/chat: a conversation goes to a provider, its answer comes back, whole or streamed."""

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Protocol, Self

from pydantic import BeforeValidator, Field, field_validator

from service.assistant import assistant
from service.context import ROUTES, Context, Slot
from service.departure import uninterrupted
from service.idempotency import Claim, Keys, new_chat_id
from service.log import elapsed_ms, log, where
from service.problems import Explain, explain
from service.providers.base import (
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    Completion,
    Delta,
    Message,
    Provider,
    ProviderError,
    Usage,
)
from service.providers.chosen import chosen
from service.providers.errors import redacted
from service.settings import Settings, SettingsError, split
from service.telemetry.events import ProviderCall, Record, Telemetry, telemetry
from service.web import (
    Problem,
    Request,
    Response,
    Route,
    Unavailable,
    event,
    json_response,
    read_json,
)

STORE_SECONDS = 10.0
"""How long an answer waits until it is stored."""

OPTIONAL_PARAMETERS = frozenset({"temperature", "max_tokens"})
"""What a fallback's provider may be asked without."""

Remember = Callable[[str, Sequence[Message], Completion], Awaitable[None]]
"""Stores a chat: its caller, the messages and the answer."""

Settle = Callable[[Usage, str], Awaitable[None]]
"""Told how a call ended: its usage as far as the provider told it, and the text that came."""

Reserve = Callable[[str, ChatRequest], Awaitable[Settle]]
"""Takes from a caller's account what a call may use; a Problem where it is not there."""

RESERVE = Slot[Reserve]()


class Archive(Protocol):
    """Keeps chats, each for its caller."""

    async def add(self, owner: str, messages: Sequence[Message], answer: Completion, /) -> None:
        """Store a chat under its answer's id."""

    async def has(self, owner: str, chat_id: str, /) -> bool:
        """Whether this caller has the chat."""


ARCHIVE = Slot[Archive]()
"""Where chats are kept. One that also has `Claims` remembers Idempotency-Keys."""


class ChatSettings(Settings):
    """Which provider answers a request that names none, and which when that one cannot.

    `max_tokens` is the most that a request may ask for.
    """

    default_provider: str | None = Field(alias="DEFAULT_PROVIDER", default=None)
    fallback_providers: Annotated[tuple[str, ...], BeforeValidator(split)] = Field(
        alias="FALLBACK_PROVIDERS", default=()
    )
    max_tokens: int = Field(alias="MAX_TOKENS", default=32_768, ge=1, le=10_000_000)


class ChatBody(ChatRequest):
    """The body of a request."""

    provider: str | None = None
    stream: bool = False

    @field_validator("messages")
    @classmethod
    def _somebody_asks(cls, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        if all(message.role == "system" or not message.content for message in messages):
            raise ValueError("needs a message that is not the system's")
        return messages


@dataclass(frozen=True)
class _Turn:
    """One provider's turn to answer a request, after those that `failed`.

    `adjusted` are the caller's parameters that it gets in another way, None for those left out.
    """

    provider: Provider
    request: ChatRequest
    failed: tuple[str, ...]
    adjusted: Mapping[str, float | None]

    def without(self, parameter: str) -> "_Turn":
        """The same turn, without this parameter."""
        request = self.request.model_copy(update={parameter: None})
        return replace(self, request=request, adjusted={**self.adjusted, parameter: None})


class _Turns:
    """Whoever was asked for, then the others in their order, each built at its turn.

    `fit` makes a provider's turn of its name and those that failed before it.
    """

    def __init__(self, names: Sequence[str], fit: Callable[[str, tuple[str, ...]], _Turn]) -> None:
        self._names = names
        self._fit = fit
        self._failed: tuple[str, ...] = ()
        self._first_error: ProviderError | None = None
        self._turn: _Turn | None = None
        self._again = False

    def __iter__(self) -> Iterator[_Turn]:
        for name in self._names:
            self._turn, self._again = self._fit(name, self._failed), True
            while self._again:
                self._again = False
                yield self._turn
            self._failed = (*self._failed, name)

    def failed(self, error: Exception) -> None:
        """Go on after this error. Raises the first turn's error where nobody else may answer.

        What a fallback says of the request never counts: it was meant for the first provider.
        """
        turn = self._turn
        if turn is None or not isinstance(error, ProviderError):
            raise error
        if not turn.failed:
            self._first_error = error
        elif isinstance(error, BadRequestError) and (name := _refused(turn.request, error)):
            self._turn, self._again = turn.without(name), True
            return
        is_last = len(turn.failed) == len(self._names) - 1
        fallback_refuses = bool(turn.failed) and isinstance(error, BadRequestError)
        if is_last or not (error.is_passed_on or fallback_refuses):
            raise self._first_error or error


def _refused(request: ChatRequest, error: BadRequestError) -> str | None:
    """The optional parameter of the request that a provider does not take."""
    sent = [name for name in OPTIONAL_PARAMETERS if getattr(request, name) is not None]
    return error.parameter if error.parameter in sent else None


@dataclass
class _Call:
    """What is known of a provider call so far, and its `answer` but for the `texts` that came."""

    answer: Completion
    chat_id: str
    started: float = field(default_factory=time.perf_counter)
    outcome: str = "failed"
    latency_ms: float = 0.0
    first_token_ms: float | None = None
    texts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, turn: _Turn, chat_id: str) -> Self:
        """A call of which nothing is known: should its client leave, that is how it ends."""
        answer = Completion(
            id="",
            provider=turn.provider.name,
            model=turn.request.model or turn.provider.default_model,
            text="",
            finish_reason="client_left",
            usage=Usage(),
            fallback_from=turn.failed,
            adjusted=turn.adjusted,
        )
        return cls(answer, chat_id)

    def note(self, **known: object) -> None:
        """Learn more about the answer."""
        self.answer = self.answer.model_copy(update=known)

    def text(self) -> str:
        return self.answer.text or "".join(self.texts)


class Chat:
    """Serves chats.

    `providers` builds each provider by its name, `opening` is what every conversation begins with,
    `remember` stores the chat without that. `reserve` comes before each call of a provider.
    `keys` knows what was answered before.
    """

    def __init__(
        self,
        settings: ChatSettings,
        providers: Mapping[str, Callable[[], Provider]],
        telemetry: Telemetry,
        *,
        explain: Explain,
        opening: Callable[[], Sequence[Message]] = tuple,
        remember: Remember | None = None,
        reserve: Reserve | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._providers = providers
        self._built: dict[str, Provider] = {}
        self._telemetry = telemetry
        self._explain = explain
        self._opening = opening
        self._remember = remember
        self._reserve = reserve
        self._keys = keys or Keys()
        self._default = settings.default_provider or next(iter(providers))
        self._fallback = settings.fallback_providers
        self._max_tokens = settings.max_tokens
        names = " or ".join(providers)
        if self._default not in providers:
            raise SettingsError([f"DEFAULT_PROVIDER is malformed: set it to {names}"])
        if not providers.keys() >= set(self._fallback):
            raise SettingsError(
                [f"FALLBACK_PROVIDERS is malformed: separate by commas some of {names}"]
            )

    async def answer(self, request: Request) -> Response:
        """Problems: those of `read_json`, of `Keys.claim`, and of `provider_problem`."""
        body = await read_json(request, ChatBody)
        claim = await self._keys.claim(request, body)
        if claim.answer:
            return _replayed(claim.answer, streamed=body.stream)
        if not body.stream:
            async with claim:
                completion = await self.complete(request, body, chat_id=claim.chat_id)
                claim.is_stored = completion.stored is True
            return _whole(completion)
        events = self._events(request, body, claim)
        # Up to its first part, an error still has a status; and what has begun can be closed.
        await anext(events)
        return Response(200, {"content-type": "text/event-stream"}, events)

    def provider_for(self, body: ChatBody) -> Provider:
        """The provider that is to answer first. Raises Problem for what the settings do not allow.

        That is another provider, another model, or more tokens.
        """
        provider = self._provider(body.provider or self._default)
        if body.model and provider.models is not None and body.model not in provider.models:
            raise _not_allowed("model", " or ".join(sorted(provider.models)))
        if body.max_tokens and body.max_tokens > self._max_tokens:
            raise _not_allowed("max_tokens", f"less than or equal to {self._max_tokens}")
        return provider

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            raise _not_allowed("provider", " or ".join(self._providers))
        if name not in self._built:
            self._built[name] = self._providers[name]()
        return self._built[name]

    def _turns(self, body: ChatBody) -> _Turns:
        """Raises Problem as `provider_for` does."""
        self.provider_for(body)
        first = body.provider or self._default
        names = tuple(dict.fromkeys((first, *self._fallback)))
        return _Turns(names, lambda name, failed: self._turn(body, name, failed))

    def _turn(self, body: ChatBody, name: str, failed: tuple[str, ...]) -> _Turn:
        provider = self._provider(name)
        messages, adjusted = (*self._opening(), *body.messages), dict[str, float | None]()
        if failed:
            # A model is one provider's: the others answer with their own.
            adjusted = _fitting(body, provider)
        update = {"messages": messages, **({"model": None} if failed else {}), **adjusted}
        return _Turn(provider, body.model_copy(update=update), failed, adjusted)

    async def complete(
        self, request: Request, body: ChatBody, *, chat_id: str | None = None
    ) -> Completion:
        """The whole answer, stored under `chat_id`, else a new one. Raises ProviderError.

        `stored` says whether it was: an answer that could not be stored is an answer all the same.
        """
        turns = self._turns(body)
        for turn in turns:
            try:
                async with self._recorded(request, body, turn, chat_id) as call:
                    completion = await turn.provider.complete(turn.request)
                    marks = {"fallback_from": turn.failed, "adjusted": turn.adjusted}
                    call.answer = completion.model_copy(update=marks)
                break
            except ProviderError as error:
                turns.failed(error)
        return call.answer

    async def _events(
        self, request: Request, body: ChatBody, claim: Claim
    ) -> AsyncGenerator[bytes, None]:
        """The answer's events, after an empty one that says that there is an answer."""
        begun = False
        async with claim:
            turns = self._turns(body)
            for turn in turns:
                try:
                    async with (
                        self._recorded(request, body, turn, claim.chat_id) as call,
                        await turn.provider.stream(turn.request) as stream,
                    ):
                        call.note(attempts=stream.attempts, passage=stream.passage)
                        call.first_token_ms = elapsed_ms(call.started)
                        begun = True
                        yield b""
                        async for part in stream:
                            if isinstance(part, Delta):
                                call.texts.append(part.text)
                                yield event("delta", {"text": part.text})
                            else:
                                call.note(**dict(part))
                    claim.is_stored = call.answer.stored is True
                    yield event("done", _answer(call.answer))
                    break
                except Exception as error:  # noqa: BLE001 - it is passed on or told
                    if begun:
                        yield event("error", self._explain(error).document(request.id))
                        break
                    turns.failed(error)

    @asynccontextmanager
    async def _recorded(
        self, request: Request, body: ChatBody, turn: _Turn, chat_id: str | None
    ) -> AsyncIterator[_Call]:
        """A provider call. However it ends, what came is stored, told and settled."""
        settle = await self._reserve(request.caller, turn.request) if self._reserve else None
        call = _Call.of(turn, chat_id or new_chat_id())
        record = self._telemetry.begin(call.answer.provider, call.answer.model)
        try:
            yield call
            call.outcome = "ok"
        except ProviderError as error:
            call.outcome = error.kind
            attempts = max(call.answer.attempts, error.attempts)
            call.note(attempts=attempts, passage=error.passage)
            _log(error, turn.request)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            call.outcome = "client-left"
            raise
        finally:
            call.latency_ms = elapsed_ms(call.started)
            await uninterrupted(self._concluded(request, body, call, record, settle))

    async def _concluded(
        self,
        request: Request,
        body: ChatBody,
        call: _Call,
        record: Record,
        settle: Settle | None,
    ) -> None:
        call.note(text=call.text())
        if call.outcome == "ok" or (call.outcome == "client-left" and call.texts):
            # Whoever sends the request again is to get a whole answer, not what came of this one.
            is_whole = call.answer.finish_reason != "client_left"
            call.note(id=call.chat_id if is_whole else new_chat_id())
            call.note(stored=await self._stored(request.caller, body.messages, call.answer))
        record(self._event(call, request))
        if settle:
            await settle(call.answer.usage, call.answer.text)

    async def _stored(
        self, caller: str, messages: Sequence[Message], answer: Completion
    ) -> bool | None:
        """Whether the answer is stored now. The caller has paid for it, and gets it either way."""
        if not self._remember:
            return None
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._remember(caller, messages, answer)
        except Exception as error:  # noqa: BLE001 - an archive may be anybody's
            reason = str(error) if isinstance(error, Unavailable) else None
            kind = type(error).__name__
            log("error", "chat_not_stored", error=kind, reason=reason, where=where(error))
            return False
        return True

    def _event(self, call: _Call, request: Request) -> ProviderCall:
        answer = call.answer
        return ProviderCall(
            request_id=request.id,
            provider=answer.provider,
            model=answer.model,
            route=request.route,
            outcome=call.outcome,
            attempts=answer.attempts,
            latency_ms=call.latency_ms,
            first_token_ms=call.first_token_ms,
            input_tokens=answer.usage.input_tokens,
            output_tokens=answer.usage.output_tokens,
            cached_tokens=answer.usage.cached_tokens,
            reasoning_tokens=answer.usage.reasoning_tokens,
            fallback=bool(answer.fallback_from),
            cache_status=answer.passage.cache_status,
            gateway_log_id=answer.passage.log_id,
            subject=self._telemetry.subject(request.caller),
            stored=answer.stored,
        )


def chat(context: Context) -> Chat:
    """The chat that callers have."""
    archive = context.find(ARCHIVE)
    return Chat(
        context.settings(ChatSettings),
        chosen(context.env, context.http),
        context.get(telemetry),
        explain=context.get(explain),
        opening=context.get(assistant).opening,
        remember=archive.add if archive else None,
        reserve=context.find(RESERVE),
        keys=Keys(archive),
    )


def routes(context: Context) -> Sequence[Route]:
    return [Route("POST", "/v1/chat", lambda request: context.get(chat).answer(request))]


feature = (ROUTES.by(routes),)


def _answer(completion: Completion) -> dict[str, object]:
    """What is told besides the text; of the usage what is known, and what is not as usual."""
    told = completion.model_dump(include={"id", "provider", "model", "finish_reason"})
    told["usage"] = completion.usage.model_dump(exclude_none=True)
    if completion.fallback_from:
        told["fallback_from"] = completion.fallback_from
    if completion.adjusted:
        told["adjusted"] = completion.adjusted
    if completion.stored is False:
        told["stored"] = False
    return told


def _whole(completion: Completion) -> Response:
    return json_response(_answer(completion) | {"text": completion.text})


def _replayed(completion: Completion, *, streamed: bool) -> Response:
    """An answer that was stored, in the form that was asked for."""
    response = _whole(completion)
    if streamed:
        delta = event("delta", {"text": completion.text}) if completion.text else b""
        body = delta + event("done", _answer(completion))
        response = Response(200, {"content-type": "text/event-stream"}, body)
    response.headers["idempotency-replayed"] = "true"
    return response


def _not_allowed(name: str, allowed: str) -> Problem:
    error = {"pointer": f"#/{name}", "detail": f"Input should be {allowed}"}
    return Problem(422, "The request has invalid fields.", errors=[error])


def _fitting(request: ChatRequest, provider: Provider) -> dict[str, float | None]:
    """The parameters of the request that are out of this provider's range, brought into it."""
    most = provider.max_temperature
    too_hot = request.temperature is not None and request.temperature > most
    return {"temperature": most} if too_hot else {}


def _log(error: ProviderError, request: ChatRequest) -> None:
    # What a provider writes about a key can show some of it.
    about_key = isinstance(error, AuthenticationError)
    said = [message.content for message in request.messages]

    def told(text: str | None) -> str | None:
        return redacted(text, *said) if text else None

    log(
        "warning",
        "provider_failed",
        problem=str(error),
        provider_request_id=error.request_id,
        type=told(error.type),
        code=told(error.code),
        parameter=error.parameter,
        detail=None if about_key else told(error.detail),
    )
