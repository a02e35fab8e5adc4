"""POST /v1/chat: a conversation goes to a provider, its answer comes back, whole or streamed."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from pydantic import Field, field_validator

from service.log import log
from service.providers.base import (
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    Completion,
    Delta,
    Message,
    OverloadedError,
    PermissionDeniedError,
    Provider,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    Usage,
)
from service.settings import Settings, SettingsError
from service.telemetry.events import ProviderCall, Telemetry
from service.web import Problem, Request, Response, event, json_response, read_json

DEFAULT_RETRY_AFTER = 5.0
"""Seconds a caller is asked to wait where a provider that is too busy did not say."""

Remember = Callable[[str, Sequence[Message], Completion], Awaitable[None]]
"""Stores a chat: its caller, the messages and the answer."""

Settle = Callable[[Usage, str], Awaitable[None]]
"""Told how a call ended: its usage as far as the provider told it, and the text that came."""

Reserve = Callable[[str, ChatRequest], Awaitable[Settle]]
"""Takes from a caller's account what a call may use; a Problem where it is not there."""

Explain = Callable[[Exception], Problem]


class ChatSettings(Settings):
    """Which provider answers a request that names none."""

    default_provider: str | None = Field(alias="DEFAULT_PROVIDER", default=None)


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


@dataclass
class _Call:
    """What is known of a provider call so far."""

    provider: str
    model: str
    started: float
    outcome: str = "failed"
    attempts: int = 1
    first_token_ms: float | None = None
    usage: Usage = field(default_factory=Usage)
    texts: list[str] = field(default_factory=list)

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
        if self._default not in providers:
            names = " or ".join(providers)
            raise SettingsError([f"DEFAULT_PROVIDER is malformed: set it to {names}"])

    async def answer(self, request: Request) -> Response:
        """Problems: those of `read_json`, and those of `provider_problem`."""
        body = await read_json(request, ChatBody)
        if not body.stream:
            completion = await self.complete(request, body)
            return json_response(_answer(completion) | {"text": completion.text})
        events = self._events(request, self.provider_for(body), body)
        # Up to its first part, an error still has a status; and what has begun can be closed.
        await anext(events)
        return Response(200, {"content-type": "text/event-stream"}, events)

    def provider_for(self, body: ChatBody) -> Provider:
        """The provider that is to answer. Raises Problem where there is none of that name."""
        name = body.provider or self._default
        if name not in self._providers:
            names = " or ".join(self._providers)
            error = {"pointer": "#/provider", "detail": f"Input should be {names}"}
            raise Problem(422, "The request has invalid fields.", errors=[error])
        if name not in self._built:
            self._built[name] = self._providers[name]()
        return self._built[name]

    def _asked(self, body: ChatBody) -> ChatRequest:
        return body.model_copy(update={"messages": (*self._opening(), *body.messages)})

    async def complete(
        self, request: Request, body: ChatBody, *, chat_id: str | None = None
    ) -> Completion:
        """The whole answer, stored under `chat_id`, else a new one. Raises ProviderError."""
        provider, asked = self.provider_for(body), self._asked(body)
        async with self._recorded(request, provider, asked) as call:
            completion = await provider.complete(asked)
            call.texts.append(completion.text)
            call.attempts = completion.attempts
            call.model = completion.model
            call.usage = completion.usage
        return await self._remembered(request, body, completion, chat_id)

    async def _events(
        self, request: Request, provider: Provider, body: ChatBody
    ) -> AsyncGenerator[bytes, None]:
        """The answer's events, after an empty one that says that there is an answer."""
        begun = False
        asked = self._asked(body)
        try:
            async with self._recorded(request, provider, asked) as call:
                async with await provider.stream(asked) as stream:
                    call.attempts = stream.attempts
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
                provider=provider.name,
                text="".join(call.texts),
                attempts=call.attempts,
                **finish.model_dump(),
            )
            yield event("done", _answer(await self._remembered(request, body, completion)))
        except Exception as error:
            if not begun:
                raise
            yield event("error", self._explain(error).document(request.id))

    async def _remembered(
        self, request: Request, body: ChatBody, completion: Completion, chat_id: str | None = None
    ) -> Completion:
        """The completion under an id of our own, stored before the caller hears that it is."""
        completion = completion.model_copy(update={"id": chat_id or f"chat_{uuid4().hex}"})
        if self._remember:
            await self._remember(request.caller, body.messages, completion)
        return completion

    @asynccontextmanager
    async def _recorded(
        self, request: Request, provider: Provider, asked: ChatRequest
    ) -> AsyncIterator[_Call]:
        settle = await self._reserve(request.caller, asked) if self._reserve else None
        call = _Call(provider.name, asked.model or provider.default_model, time.perf_counter())
        record = self._telemetry.begin(call.provider, call.model)
        try:
            yield call
            call.outcome = "ok"
        except ProviderError as error:
            call.outcome, call.attempts = error.kind, max(call.attempts, error.attempts)
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
            route=request.path,
            outcome=call.outcome,
            attempts=call.attempts,
            latency_ms=call.elapsed_ms(),
            first_token_ms=call.first_token_ms,
            input_tokens=call.usage.input_tokens,
            output_tokens=call.usage.output_tokens,
            subject=self._telemetry.subject(request.caller),
        )


def provider_problem(error: ProviderError) -> Problem:
    """What a caller is told of a provider's failure; 422 where it may be the request's fault."""
    wait = {"retry-after": str(math.ceil(error.retry_after or DEFAULT_RETRY_AFTER))}
    match error:
        case RateLimitedError():
            return Problem(429, f"{error}.", headers=wait)
        case OverloadedError():
            return Problem(503, f"{error}.", headers=wait)
        case ProviderTimeoutError():
            return Problem(504, f"{error}.")
        case BadRequestError():
            return Problem(422, f"{error}.")
    return Problem(502, f"{error}.")


def _answer(completion: Completion) -> dict[str, object]:
    return completion.model_dump(include={"id", "provider", "model", "finish_reason", "usage"})


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
