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
from typing import Annotated, Protocol, Self

from pydantic import BeforeValidator, Field, field_validator

from service.assistant import assistant
from service.context import ROUTES, Context, Slot
from service.departure import uninterrupted
from service.idempotency import Claim, Keys, new_chat_id
from service.log import log, where
from service.problems import Explain, explain
from service.providers.base import (
    AuthenticationError,
    ChatRequest,
    Completion,
    Delta,
    Message,
    OverloadedError,
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
"""Where chats are kept. One that also has `Claims` remembers Idempotency-Keys."""


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
        )
        return cls(answer, chat_id)

    def note(self, **known: object) -> None:
        """Learn more about the answer."""
        self.answer = self.answer.model_copy(update=known)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

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
        """The whole answer, stored under `chat_id`, else a new one. Raises ProviderError.

        `stored` says whether it was: an answer that could not be stored is an answer all the same.
        """
        for turn in self._turns(body):
            try:
                async with self._recorded(request, body, turn, chat_id) as call:
                    completion = await turn.provider.complete(turn.request)
                    call.answer = completion.model_copy(update={"fallback_from": turn.failed})
                break
            except ProviderError as error:
                if turn.ends_with(error):
                    raise
        return call.answer

    async def _events(
        self, request: Request, body: ChatBody, claim: Claim
    ) -> AsyncGenerator[bytes, None]:
        """The answer's events, after an empty one that says that there is an answer."""
        begun = False
        async with claim:
            for turn in self._turns(body):
                try:
                    async with (
                        self._recorded(request, body, turn, claim.chat_id) as call,
                        await turn.provider.stream(turn.request) as stream,
                    ):
                        call.note(attempts=stream.attempts, passage=stream.passage)
                        call.first_token_ms = call.elapsed_ms()
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
                except Exception as error:
                    if begun:
                        yield event("error", self._explain(error).document(request.id))
                        break
                    if turn.ends_with(error):
                        raise

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
            _log(error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            call.outcome = "client-left"
            raise
        finally:
            call.latency_ms = call.elapsed_ms()
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
    failed = completion.fallback_from
    fallback = {"fallback_from": failed} if failed else {}
    return told | fallback | ({"stored": False} if completion.stored is False else {})


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
