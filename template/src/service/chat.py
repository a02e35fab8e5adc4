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
from dataclasses import dataclass, field
from typing import Annotated, Protocol
from uuid import uuid4

from pydantic import BeforeValidator, Field, field_validator

from service.assistant import assistant
from service.context import ROUTES, Context, Slot
from service.log import log
from service.problems import Explain, explain
from service.providers.base import (
    AuthenticationError,
    ChatRequest,
    Completion,
    Delta,
    Message,
    OverloadedError,
    Passage,
    PermissionDeniedError,
    Provider,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    ServerError,
    Usage,
)
from service.providers.chosen import chosen
from service.settings import Settings, SettingsError, split
from service.telemetry.events import ProviderCall, Telemetry, telemetry
from service.web import Problem, Request, Response, Route, event, json_response, read_json

# What another provider can make good: this one has too much to do, is down or out of reach. Rate
# limits are among them, for each provider has its own. Everything else says something of the
# request, the key or our reading of the answer, which a provider more would only hide; and what
# one provider blocks is not carried to the next.
_PASSED_ON = (
    OverloadedError,
    RateLimitedError,
    ServerError,
    ProviderTimeoutError,
    ProviderConnectionError,
)

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


class ChatSettings(Settings):
    """Which provider answers a request that names none, and which when that one cannot."""

    default_provider: str | None = Field(alias="DEFAULT_PROVIDER", default=None)
    fallback_providers: Annotated[tuple[str, ...], BeforeValidator(split)] = Field(
        alias="FALLBACK_PROVIDERS", default=()
    )


class ChatBody(ChatRequest):
    """The body of a request."""

    provider: str | None = None
    stream: bool = False

    @field_validator("messages")
    @classmethod
    def _somebody_asks(cls, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        if all(message.role == "system" for message in messages):
            raise ValueError("needs a message that is not the system's")
        return messages


@dataclass(frozen=True)
class _Turn:
    """One provider's turn to answer a request, after those that `failed`."""

    provider: Provider
    request: ChatRequest
    failed: tuple[str, ...]
    is_last: bool

    def ends_with(self, error: Exception) -> bool:
        """Whether nobody else is asked after this error."""
        return self.is_last or not isinstance(error, _PASSED_ON)


@dataclass
class _Call:
    """What is known of a provider call so far."""

    provider: str
    model: str
    fallback: bool
    started: float = field(default_factory=time.perf_counter)
    outcome: str = "failed"
    attempts: int = 1
    first_token_ms: float | None = None
    usage: Usage = field(default_factory=Usage)
    texts: list[str] = field(default_factory=list)
    passage: Passage = field(default_factory=Passage)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000


class Chat:
    """Serves chats.

    `providers` builds each provider by its name, `opening` is what every conversation begins with,
    `remember` stores the chat without that. `reserve` comes before each call of a provider.
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
    ) -> None:
        self._providers = providers
        self._built: dict[str, Provider] = {}
        self._telemetry = telemetry
        self._explain = explain
        self._opening = opening
        self._remember = remember
        self._reserve = reserve
        self._default = settings.default_provider or next(iter(providers))
        self._fallback = settings.fallback_providers
        names = " or ".join(providers)
        if self._default not in providers:
            raise SettingsError([f"DEFAULT_PROVIDER is malformed: set it to {names}"])
        if not providers.keys() >= set(self._fallback):
            raise SettingsError(
                [f"FALLBACK_PROVIDERS is malformed: separate by commas some of {names}"]
            )

    async def answer(self, request: Request) -> Response:
        """Problems: those of `read_json`, and those of `provider_problem`."""
        body = await read_json(request, ChatBody)
        if not body.stream:
            completion = await self.complete(request, body)
            return json_response(_answer(completion) | {"text": completion.text})
        events = self._events(request, body)
        # Up to its first part, an error still has a status; and what has begun can be closed.
        await anext(events)
        return Response(200, {"content-type": "text/event-stream"}, events)

    def provider_for(self, body: ChatBody) -> Provider:
        """The provider that is to answer first. Raises Problem where there is none of that name."""
        return self._provider(body.provider or self._default)

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            names = " or ".join(self._providers)
            error = {"pointer": "#/provider", "detail": f"Input should be {names}"}
            raise Problem(422, "The request has invalid fields.", errors=[error])
        if name not in self._built:
            self._built[name] = self._providers[name]()
        return self._built[name]

    def _turns(self, body: ChatBody) -> Iterator[_Turn]:
        """Whoever was asked for, then the others in their order, each built at its turn."""
        first = body.provider or self._default
        names = dict.fromkeys((first, *self._fallback))
        failed: tuple[str, ...] = ()
        for name in names:
            provider = self._provider(name)
            # A model is one provider's: the others answer with their own.
            asked = self._asked(body, body.model if name == first else None)
            yield _Turn(provider, asked, failed, is_last=len(failed) == len(names) - 1)
            failed = (*failed, name)

    def _asked(self, body: ChatBody, model: str | None) -> ChatRequest:
        messages = (*self._opening(), *body.messages)
        return body.model_copy(update={"messages": messages, "model": model})

    async def complete(
        self, request: Request, body: ChatBody, *, chat_id: str | None = None
    ) -> Completion:
        """The whole answer, stored under `chat_id`, else a new one. Raises ProviderError."""
        for turn in self._turns(body):
            try:
                async with self._recorded(request, turn) as call:
                    completion = await turn.provider.complete(turn.request)
                    call.texts.append(completion.text)
                    call.attempts = completion.attempts
                    call.model = completion.model
                    call.usage, call.passage = completion.usage, completion.passage
                break
            except ProviderError as error:
                if turn.ends_with(error):
                    raise
        completion = completion.model_copy(update={"fallback_from": turn.failed})
        return await self._remembered(request, body, completion, chat_id)

    async def _events(self, request: Request, body: ChatBody) -> AsyncGenerator[bytes, None]:
        """The answer's events, after an empty one that says that there is an answer."""
        begun = False
        for turn in self._turns(body):
            try:
                async with self._recorded(request, turn) as call:
                    async with await turn.provider.stream(turn.request) as stream:
                        call.attempts, call.passage = stream.attempts, stream.passage
                        call.first_token_ms = call.elapsed_ms()
                        begun = True
                        yield b""
                        async for part in stream:
                            if isinstance(part, Delta):
                                call.texts.append(part.text)
                                yield event("delta", {"text": part.text})
                            else:
                                finish = part
                    call.model, call.usage = finish.model, finish.usage
                completion = Completion(
                    provider=turn.provider.name,
                    text="".join(call.texts),
                    attempts=call.attempts,
                    passage=call.passage,
                    fallback_from=turn.failed,
                    **finish.model_dump(),
                )
                yield event("done", _answer(await self._remembered(request, body, completion)))
                break
            except Exception as error:
                if begun:
                    yield event("error", self._explain(error).document(request.id))
                    break
                if turn.ends_with(error):
                    raise

    async def _remembered(
        self, request: Request, body: ChatBody, completion: Completion, chat_id: str | None = None
    ) -> Completion:
        """The completion under an id of our own, stored before the caller hears that it is."""
        completion = completion.model_copy(update={"id": chat_id or f"chat_{uuid4().hex}"})
        if self._remember:
            await self._remember(request.caller, body.messages, completion)
        return completion

    @asynccontextmanager
    async def _recorded(self, request: Request, turn: _Turn) -> AsyncIterator[_Call]:
        settle = await self._reserve(request.caller, turn.request) if self._reserve else None
        model = turn.request.model or turn.provider.default_model
        call = _Call(turn.provider.name, model, fallback=bool(turn.failed))
        record = self._telemetry.begin(call.provider, call.model)
        try:
            yield call
            call.outcome = "ok"
        except ProviderError as error:
            call.outcome, call.attempts = error.kind, max(call.attempts, error.attempts)
            call.passage = error.passage
            _log(error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            call.outcome = "client-left"
            raise
        finally:
            record(self._event(call, request))
            if settle:
                await settle(call.usage, "".join(call.texts))

    def _event(self, call: _Call, request: Request) -> ProviderCall:
        return ProviderCall(
            request_id=request.id,
            provider=call.provider,
            model=call.model,
            route=request.route,
            outcome=call.outcome,
            attempts=call.attempts,
            latency_ms=call.elapsed_ms(),
            first_token_ms=call.first_token_ms,
            input_tokens=call.usage.input_tokens,
            output_tokens=call.usage.output_tokens,
            cached_tokens=call.usage.cached_tokens,
            reasoning_tokens=call.usage.reasoning_tokens,
            fallback=call.fallback,
            cache_status=call.passage.cache_status,
            gateway_log_id=call.passage.log_id,
            subject=self._telemetry.subject(request.caller),
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
    )


def routes(context: Context) -> Sequence[Route]:
    return [Route("POST", "/v1/chat", lambda request: context.get(chat).answer(request))]


feature = (ROUTES.by(routes),)


def _answer(completion: Completion) -> dict[str, object]:
    """What is told besides the text; of the usage what is known, and whose fallback it was."""
    told = completion.model_dump(include={"id", "provider", "model", "finish_reason"})
    told["usage"] = completion.usage.model_dump(exclude_none=True)
    failed = completion.fallback_from
    return told | ({"fallback_from": failed} if failed else {})


def _log(error: ProviderError) -> None:
    # What a provider writes about a key can show some of it.
    about_key = isinstance(error, AuthenticationError | PermissionDeniedError)
    log(
        "warning",
        "provider_failed",
        problem=str(error),
        provider_request_id=error.request_id,
        detail=None if about_key else error.detail,
    )
