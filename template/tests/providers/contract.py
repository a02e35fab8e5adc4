"""What holds for every provider alike; its own test module says how it is made."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service.providers.base import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    ContentBlockedError,
    Delta,
    Finish,
    LocationError,
    MalformedAnswerError,
    Message,
    OverloadedError,
    Passage,
    PermissionDeniedError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    ServerError,
    Stream,
    UnavailableModelError,
    Usage,
)
from service.providers.chosen import chosen
from service.providers.errors import MAX_DETAIL_CHARS, ReportedError
from service.providers.sse import MAX_EVENT_CHARS, Event
from service.providers.transport import MAX_ANSWER_BYTES
from service.providers.upstream import RETRY, HttpProvider
from service.retry import Retry
from tests.conftest import Env
from tests.support.choices import variable
from tests.support.standins import BASE_PATHS, CALLS, KEY, StandinsView

NOWHERE = "http://127.0.0.1:1"

STATUSES: list[tuple[int, type[ProviderError], int]] = [
    (301, MalformedAnswerError, 1),
    (400, BadRequestError, 1),
    (401, AuthenticationError, 1),
    (403, PermissionDeniedError, 1),
    (402, AccountError, 1),
    (404, BadRequestError, 1),
    (405, ProviderError, 1),
    (408, ProviderTimeoutError, 3),
    (409, OverloadedError, 3),
    (410, BadRequestError, 1),
    (413, BadRequestError, 1),
    (422, BadRequestError, 1),
    (429, RateLimitedError, 3),
    (500, ServerError, 3),
    (502, ServerError, 3),
    (503, OverloadedError, 3),
    (504, ProviderTimeoutError, 3),
    (529, OverloadedError, 3),
]
"""Status, error, and the calls that are made of it, if the API has no rule of its own."""

NAMES = st.from_regex(
    "candidates|choices|code|content|delta|details?|error|finish(R|_r)eason|id|index|message|msg"
    "|object|parts|promptFeedback|refusal|retryDelay|stop_reason|text|thought|tokens|type|usage"
    "|usageMetadata",
    fullmatch=True,
)
VALUES = st.from_regex("content-(delta|start)|error|message-(end|start)|text|ERROR", fullmatch=True)
JSON = st.recursive(
    VALUES | st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
"""Values that are not far from what the APIs write."""
EVENTS = st.from_regex(
    "message|error|content_block_delta|message_(delta|start|stop)", fullmatch=True
)


Case = tuple[int, Any, type[ProviderError]]
"""The status and the body of an error, and what it is."""

CALLERS_FAULT = (BadRequestError, ContentBlockedError)


@dataclass(frozen=True)
class Kind:
    """One provider, what is known of its API, and where that differs from most.

    `errors` are what the API's documentation and its users report, the last of them one that is the
    service's trouble. Each of `refused` makes a body, with some of its parameters replaced, one
    that the API refuses.
    """

    provider: type[HttpProvider]
    gateway_path: str
    errors: Sequence[Case]
    refused: Sequence[Mapping[str, object]]
    telemetry_name: str | None = None
    request_id: str | None = "req_standin"
    retries_conflicts: bool = True
    tells_refusals: bool = True
    ends_before_its_last_event: bool = True
    """Whether the finish reason of a stream comes in another event than the last."""
    permission_error: type[ProviderError] = PermissionDeniedError
    """A 403; where the API does not tell blocked content from it, that as well."""
    tells_blocks: bool = True
    wrong_key_status: int = 401
    stop: str = "stop"
    """The finish reason of a whole answer, in the API's own word."""

    @property
    def name(self) -> str:
        return self.provider.name

    def make(self, env: Env, http: httpx.AsyncClient, retry: Retry) -> HttpProvider:
        return self.provider(self.provider.settings.load(env), http, retry)


@dataclass(frozen=True)
class Call:
    """An entry of the journal."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]
    outcome: str


class Caller:
    """Calls a provider with requests that bear a marker, and looks them up in the journal."""

    def __init__(self, kind: Kind, standins: StandinsView) -> None:
        self.marker = f"marker-{uuid4()}"
        self.waits: list[float] = []
        self._kind = kind
        self._standins = standins

    def provider(
        self, *, key: str = KEY, base_url: str | None = None, **settings: str
    ) -> HttpProvider:
        """The provider, on the stand-ins if it is told nothing else; it does not sleep."""
        name = self._kind.name
        env: Env = {
            "ENVIRONMENT": "local",
            variable(name, "API_KEY"): key,
            variable(name, "BASE_URL"): base_url or self._standins.url + BASE_PATHS[name],
            variable(name, "MODEL"): "standin-echo",
            variable(name, "MODELS"): "*",
            **settings,
        }
        policy = replace(RETRY, sleep=self._sleep, random=lambda: 1.0)
        return self._kind.make(env, self._standins.http, policy)

    def request(self, model: str | None = None, text: str = "") -> ChatRequest:
        """A question that ends with the marker; `text` in its place goes without."""
        return ChatRequest(
            messages=(Message(role="user", content=text or f"Hello {self.marker}"),), model=model
        )

    async def calls(self, wait: int = 5) -> list[Call]:
        """What the stand-in was asked; waits so many seconds for calls to end."""
        return [Call(**call) for call in await self._standins.journal(self.marker, wait)]

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


async def text_and_finish(stream: Stream) -> tuple[str, Finish]:
    """Read a stream to its end."""
    async with stream:
        parts = [part async for part in stream]
    finish = parts.pop()
    assert isinstance(finish, Finish)
    assert all(isinstance(part, Delta) and part.text for part in parts)
    return "".join(part.text for part in parts if isinstance(part, Delta)), finish


class ProviderContract:
    """Subclassed once a provider, with `kind` set."""

    kind: Kind

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give the tests of documented errors and refused bodies each of the provider's."""
        if "error_case" in metafunc.fixturenames:
            ids = [f"{status}-{error.kind}" for status, _, error in self.kind.errors]
            metafunc.parametrize("error_case", self.kind.errors, ids=ids)
        if "refused" in metafunc.fixturenames:
            metafunc.parametrize("refused", self.kind.refused)

    @property
    def provider(self) -> HttpProvider:
        """The provider, for what needs no call: nobody would answer one."""
        nobody = httpx.AsyncBaseTransport()
        values = {"API_KEY": KEY, "MODEL": "m", "BASE_URL": "https://api.example"}
        env: Env = {variable(self.kind.name, name): value for name, value in values.items()}
        return self.kind.make(env, httpx.AsyncClient(transport=nobody), RETRY)

    @pytest.fixture
    def caller(self, standins: StandinsView) -> Caller:
        return Caller(self.kind, standins)

    def test_gateways_and_conventions_have_its_name(self) -> None:
        assert self.provider.gateway_path == self.kind.gateway_path
        assert self.kind.provider.telemetry_name == self.kind.telemetry_name

    async def test_documented_errors_that_are_not_the_requests_fault_are_the_services_trouble(
        self, env: Env, error_case: Case
    ) -> None:
        status, body, expected = error_case
        error = await self.refusal(env, status, body)
        assert isinstance(error, expected)
        assert error.status == status
        lasting = (AccountError, AuthenticationError, LocationError, UnavailableModelError)
        if isinstance(error, lasting):
            assert (error.is_passed_on, error.retryable) == (True, False)
        if isinstance(error, CALLERS_FAULT):
            assert (error.is_passed_on, error.retryable) == (False, False)

    async def test_an_error_in_place_of_an_answer_is_the_providers_error(self, env: Env) -> None:
        _, body, expected = self.kind.errors[-1]
        error = await self.refusal(env, 200, body)
        # Without a status, not every API tells what it was.
        assert isinstance(error, (expected, ServerError))
        assert error.is_passed_on

    async def refusal(self, env: Env, status: int, body: object) -> ProviderError:
        """The error of a call that is answered so."""
        transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=body))
        async with httpx.AsyncClient(transport=transport) as http:
            provider = chosen(env, http, Retry(1))[self.kind.name]()
            question = Message(role="user", content="hello")
            with pytest.raises(ProviderError) as caught:
                await provider.complete(ChatRequest(messages=(question,)))
        return caught.value

    async def test_the_stand_in_refuses_what_the_api_refuses(
        self, caller: Caller, standins: StandinsView, refused: Mapping[str, object]
    ) -> None:
        provider = self.provider
        url = standins.url + BASE_PATHS[self.kind.name] + CALLS[self.kind.name]
        body = provider.body(caller.request(), "m")
        known = {name: value for name, value in body.items() if value is not None}
        statuses = [
            (await standins.http.post(url, headers=provider.headers(KEY), json=sent)).status_code
            for sent in (known, {**known, **refused})
        ]
        assert statuses[0] == 200
        assert statuses[1] in {400, 422}

    async def test_answers(self, caller: Caller) -> None:
        completion = await caller.provider().complete(caller.request())
        assert completion.provider == caller.provider().name == self.kind.name
        assert completion.model == caller.provider().default_model == "standin-echo"
        assert completion.text == f"You said: Hello {caller.marker}"
        assert (completion.finish_reason, completion.raw_finish_reason) == ("stop", self.kind.stop)
        assert completion.usage == Usage(input_tokens=2, output_tokens=4)
        assert (completion.attempts, completion.passage) == (1, Passage())
        assert completion.id

    async def test_answers_as_a_stream(self, caller: Caller) -> None:
        stream = await caller.provider().stream(caller.request())
        assert stream.attempts == 1
        text, finish = await text_and_finish(stream)
        assert text == f"You said: Hello {caller.marker}"
        assert finish.model == "standin-echo"
        assert (finish.finish_reason, finish.raw_finish_reason) == ("stop", self.kind.stop)
        assert finish.usage == Usage(input_tokens=2, output_tokens=4)
        assert finish.id
        assert [call.outcome for call in await caller.calls()] == ["answered"]

    async def test_unicode_survives(self, caller: Caller) -> None:
        text = "naïve 中文 🦀 \u2028 \x7f 'quoted' \"text\" \\"
        request = caller.request(text=text)
        assert (await caller.provider().complete(request)).text == f"You said: {text}"
        answer, _ = await text_and_finish(await caller.provider().stream(request))
        assert answer == f"You said: {text}"

    async def test_the_last_turn_is_answered(self, caller: Caller) -> None:
        turns = [("system", "Be brief."), ("user", "One"), ("assistant", "1"), ("user", "Two")]
        messages = [{"role": role, "content": content} for role, content in turns]
        request = ChatRequest.model_validate({"messages": messages})
        completion = await caller.provider().complete(request)
        assert completion.text == "You said: Two"
        assert completion.usage.input_tokens == 5

    async def test_an_answer_cut_for_want_of_tokens_says_so(self, caller: Caller) -> None:
        request = caller.request("standin-length")
        assert (await caller.provider().complete(request)).finish_reason == "length"
        _, finish = await text_and_finish(await caller.provider().stream(request))
        assert finish.finish_reason == "length"

    async def test_an_answer_without_text_is_empty(self, caller: Caller) -> None:
        request = caller.request("standin-null")
        assert (await caller.provider().complete(request)).text == ""
        text, finish = await text_and_finish(await caller.provider().stream(request))
        assert (text, finish.finish_reason) == ("", "stop")

    async def test_a_refusal_ends_with_content_filter_where_the_api_tells_it(
        self, caller: Caller
    ) -> None:
        expected = "content_filter" if self.kind.tells_refusals else "stop"
        request = caller.request("standin-refusal")
        completion = await caller.provider().complete(request)
        assert completion.finish_reason == expected
        text, finish = await text_and_finish(await caller.provider().stream(request))
        assert (text, finish.finish_reason) == (completion.text, expected)

    async def test_blocked_content_is_an_error_of_its_own_where_the_api_tells_it(
        self, caller: Caller
    ) -> None:
        expected = ContentBlockedError if self.kind.tells_blocks else self.kind.permission_error
        provider, request = caller.provider(), caller.request("standin-blocked")
        for call in (provider.complete, provider.stream):
            with pytest.raises(ProviderError) as caught:
                await call(request)
            assert type(caught.value) is expected
            assert (caught.value.retryable, caught.value.attempts) == (False, 1)
            assert caught.value.request_id == self.kind.request_id
            assert caught.value.detail
        assert len(await caller.calls()) == 2

    async def test_a_stream_may_come_byte_by_byte_with_all_that_streams_may_hold(
        self, caller: Caller
    ) -> None:
        text = f"naïve 中文 🦀 {caller.marker}"
        stream = await caller.provider().stream(caller.request("standin-scraps", text))
        answer, finish = await text_and_finish(stream)
        assert answer == f"You said: {text}"
        assert (finish.finish_reason, finish.usage.output_tokens) == ("stop", 6)

    @pytest.mark.parametrize(("status", "error", "attempts"), STATUSES)
    async def test_every_error_status(
        self, caller: Caller, status: int, error: type[ProviderError], attempts: int
    ) -> None:
        if status == 409 and not self.kind.retries_conflicts:
            attempts = 1
        if status == 403:
            error = self.kind.permission_error
        provider, request = caller.provider(), caller.request(f"standin-{status}")
        for call in (provider.complete, provider.stream):
            with pytest.raises(ProviderError) as caught:
                await call(request)
            assert type(caught.value) is error
            assert caught.value.status == status
            assert caught.value.provider == provider.name
            assert caught.value.request_id == self.kind.request_id
            assert caught.value.detail == f"The stand-in was asked for a {status}."
            assert caught.value.attempts == attempts
        assert len(await caller.calls()) == 2 * attempts

    async def test_a_gateways_page_in_place_of_an_error_is_cut_short(self, caller: Caller) -> None:
        with pytest.raises(ServerError) as caught:
            await caller.provider().complete(caller.request("standin-page-502"))
        assert caught.value.detail.startswith("<html><title>Bad gateway")
        assert len(caught.value.detail) == MAX_DETAIL_CHARS

    async def test_an_error_whose_body_breaks_off_keeps_its_status_and_retry_after(
        self, caller: Caller
    ) -> None:
        for call in (caller.provider().complete, caller.provider().stream):
            with pytest.raises(RateLimitedError) as caught:
                await call(caller.request("standin-broken-429"))
            assert (caught.value.status, caught.value.retry_after) == (429, 7)
            assert caught.value.request_id == self.kind.request_id

    async def test_a_stream_that_breaks_after_its_finish_reason_is_an_answer(
        self, caller: Caller
    ) -> None:
        stream = await caller.provider().stream(caller.request("standin-late-cut"))
        if not self.kind.ends_before_its_last_event:
            with pytest.raises(ProviderConnectionError):
                await text_and_finish(stream)
            return
        text, finish = await text_and_finish(stream)
        assert (text, finish.finish_reason) == (f"You said: Hello {caller.marker}", "stop")

    async def test_a_stream_may_end_without_its_last_empty_line(self, caller: Caller) -> None:
        stream = await caller.provider().stream(caller.request("standin-unterminated"))
        text, finish = await text_and_finish(stream)
        assert (text, finish.finish_reason) == (f"You said: Hello {caller.marker}", "stop")

    @pytest.mark.parametrize("name", ["PROVIDER_FIRST_BYTE_TIMEOUT", "PROVIDER_CALL_TIMEOUT"])
    async def test_a_stream_of_comments_alone_is_a_timeout(self, caller: Caller, name: str) -> None:
        with pytest.raises(ProviderTimeoutError) as caught:
            await caller.provider(**{name: "0.3"}).stream(caller.request("standin-comments"))
        assert caught.value.detail == name
        assert {call.outcome for call in await caller.calls()} == {"client-left"}

    async def test_a_stream_may_not_take_longer_than_the_whole_call(self, caller: Caller) -> None:
        provider = caller.provider(PROVIDER_CALL_TIMEOUT="0.5")
        stream = await provider.stream(caller.request("standin-endless"))
        with pytest.raises(ProviderTimeoutError) as caught:
            await text_and_finish(stream)
        assert caught.value.detail == "PROVIDER_CALL_TIMEOUT"
        assert {call.outcome for call in await caller.calls()} == {"client-left"}

    async def test_the_turns_of_a_model_that_said_nothing_are_left_out(
        self, caller: Caller
    ) -> None:
        turns = [("user", "One"), ("assistant", ""), ("user", caller.marker)]
        messages = [{"role": role, "content": content} for role, content in turns]
        await caller.provider().complete(ChatRequest.model_validate({"messages": messages}))
        (call,) = await caller.calls()
        assert "One" in json.dumps(call.body)
        assert not re.search(r"assistant|\"model\": \"\"|\"role\": \"model", json.dumps(call.body))

    async def test_a_default_model_that_does_not_exist_is_the_services_trouble(
        self, caller: Caller
    ) -> None:
        provider = caller.provider(**{variable(self.kind.name, "MODEL"): "standin-404"})
        with pytest.raises(UnavailableModelError) as caught:
            await provider.complete(caller.request())
        assert (caught.value.retryable, caught.value.is_passed_on) == (False, True)

    async def test_a_model_that_the_caller_named_and_does_not_exist_is_the_callers(
        self, caller: Caller
    ) -> None:
        with pytest.raises(BadRequestError) as caught:
            await caller.provider().complete(caller.request("standin-404"))
        assert caught.value.parameter == "model"

    async def test_a_refused_parameter_is_named(self, caller: Caller) -> None:
        request = caller.request("standin-picky").model_copy(update={"temperature": 0.5})
        with pytest.raises(BadRequestError) as caught:
            await caller.provider().complete(request)
        assert caught.value.parameter == "temperature"

    async def test_an_error_without_end_is_left(self, caller: Caller) -> None:
        for call in (caller.provider().complete, caller.provider().stream):
            with pytest.raises(BadRequestError) as caught:
                await call(caller.request("standin-flood-400"))
            assert len(caught.value.detail) == MAX_DETAIL_CHARS
        assert [call.outcome for call in await caller.calls()] == ["client-left"] * 2

    async def test_retry_after_is_told_and_honoured(self, caller: Caller) -> None:
        with pytest.raises(RateLimitedError) as caught:
            await caller.provider().complete(caller.request("standin-429"))
        assert caught.value.retry_after == 0.001
        assert caller.waits == [0.5, 1.0]

    async def test_a_passing_failure_is_retried(self, caller: Caller) -> None:
        completion = await caller.provider().complete(caller.request("standin-flaky-503-2"))
        assert (completion.text, completion.attempts) == (f"You said: Hello {caller.marker}", 3)
        assert len(await caller.calls()) == 3

    async def test_a_passing_failure_to_open_a_stream_is_retried(self, caller: Caller) -> None:
        stream = await caller.provider().stream(caller.request("standin-flaky-529-1"))
        assert stream.attempts == 2
        text, _ = await text_and_finish(stream)
        assert text == f"You said: Hello {caller.marker}"

    async def test_an_error_in_mid_stream_comes_after_what_was_said_and_is_not_retried(
        self, caller: Caller
    ) -> None:
        stream = await caller.provider().stream(caller.request("standin-stream-error"))
        assert await anext(stream) == Delta(text="You")
        with pytest.raises((OverloadedError, ServerError)) as caught:
            await anext(stream)
        assert (caught.value.retryable, caught.value.detail) == (True, "Overloaded")
        assert caught.value.request_id == self.kind.request_id
        assert len(await caller.calls()) == 1

    @pytest.mark.parametrize(
        ("model", "error"),
        [
            ("standin-cut", ProviderConnectionError),
            ("standin-unfinished", MalformedAnswerError),
            ("standin-garbage", MalformedAnswerError),
            ("standin-stall", ProviderTimeoutError),
        ],
    )
    async def test_a_stream_that_breaks_is_no_success(
        self, caller: Caller, model: str, error: type[ProviderError]
    ) -> None:
        provider = caller.provider(PROVIDER_IDLE_TIMEOUT="0.1")
        stream = await provider.stream(caller.request(model))
        with pytest.raises(error) as caught:
            await text_and_finish(stream)
        assert caught.value.request_id == self.kind.request_id
        assert len(await caller.calls()) == 1

    async def test_a_cut_answer_is_asked_for_again(self, caller: Caller) -> None:
        with pytest.raises(ProviderConnectionError) as caught:
            await caller.provider().complete(caller.request("standin-cut"))
        assert caught.value.attempts == len(await caller.calls()) == 3

    async def test_broken_json_is_a_malformed_answer(self, caller: Caller) -> None:
        with pytest.raises(MalformedAnswerError) as caught:
            await caller.provider().complete(caller.request("standin-garbage"))
        assert caught.value.request_id == self.kind.request_id
        assert len(await caller.calls()) == 1

    @pytest.mark.parametrize(
        "answer", ["null", "[]", "{}", '"text"', "1", "[" * 10_000, " ", '{"id": "\\ud800"}']
    )
    async def test_json_of_another_shape_is_a_malformed_answer(
        self, caller: Caller, answer: str
    ) -> None:
        request = caller.request("standin-verbatim", answer)
        with pytest.raises(MalformedAnswerError):
            await caller.provider().complete(request)
        with pytest.raises(MalformedAnswerError):
            await caller.provider().stream(request)

    # Of the contract's subclasses each has examples of its own, which is what is wanted here.
    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(JSON, EVENTS)
    def test_no_json_is_too_strange(self, value: object, name: str) -> None:
        text = json.dumps(value)
        with suppress(ValidationError, ReportedError):
            self.provider.completion(text.encode(), "m")
        with suppress(ValidationError):
            self.provider.error(text.encode())
        with suppress(ValidationError, ReportedError):
            list(self.provider.reader("m").read(Event(name, text)))

    async def test_an_answer_without_end_is_given_up(self, caller: Caller) -> None:
        comment = ":" + "x" * 1023 + "\n"
        request = caller.request("standin-verbatim", comment * (MAX_ANSWER_BYTES // 1024 + 1))
        for call in (caller.provider().complete, caller.provider().stream):
            with pytest.raises(MalformedAnswerError) as caught:
                await call(request)
            assert caught.value.detail == "it is too long"

    async def test_an_event_without_end_is_given_up(self, caller: Caller) -> None:
        event = caller.request("standin-verbatim", "data: " + "x" * MAX_EVENT_CHARS)
        with pytest.raises(MalformedAnswerError):
            await caller.provider().stream(event)

    async def test_closing_a_stream_early_aborts_the_call(self, caller: Caller) -> None:
        async with await caller.provider().stream(caller.request("standin-endless")) as stream:
            for _ in range(3):
                assert isinstance(await anext(stream), Delta)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert [call.outcome for call in await caller.calls()] == ["client-left"]

    async def test_closing_a_stream_unread_aborts_the_call(self, caller: Caller) -> None:
        stream = await caller.provider().stream(caller.request("standin-endless"))
        await stream.aclose()
        assert [call.outcome for call in await caller.calls()] == ["client-left"]

    async def test_cancelling_a_call_aborts_it_and_nothing_is_retried(self, caller: Caller) -> None:
        for number, call in enumerate((caller.provider().complete, caller.provider().stream)):
            task = asyncio.ensure_future(call(caller.request("standin-hang")))
            while len(await caller.calls(wait=0)) == number:
                assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [call.outcome for call in await caller.calls()] == ["client-left"] * 2

    @pytest.mark.parametrize("name", ["PROVIDER_FIRST_BYTE_TIMEOUT", "PROVIDER_CALL_TIMEOUT"])
    async def test_silence_is_a_timeout_and_aborts_the_call(
        self, caller: Caller, name: str
    ) -> None:
        provider = caller.provider(**{name: "0.1"})
        for call in (provider.complete, provider.stream):
            with pytest.raises(ProviderTimeoutError) as caught:
                await call(caller.request("standin-hang"))
            assert (caught.value.status, caught.value.detail) == (None, name)
        assert {call.outcome for call in await caller.calls()} == {"client-left"}

    async def test_nobody_there_is_a_connection_error(self, caller: Caller) -> None:
        for call in (
            caller.provider(base_url=NOWHERE).complete,
            caller.provider(base_url=NOWHERE).stream,
        ):
            with pytest.raises(ProviderConnectionError) as caught:
                await call(caller.request())
            assert caught.value.attempts == 3

    async def test_a_wrong_key_is_refused_and_never_shown(self, caller: Caller) -> None:
        key = "sk-secret-0123456789"
        with pytest.raises(AuthenticationError) as caught:
            await caller.provider(key=key).complete(caller.request())
        shown = [str(caught.value), repr(caught.value), caught.value.detail]
        assert key not in " ".join(shown)
        assert caught.value.detail == "API key not valid: ***"
        status = self.kind.wrong_key_status
        assert str(caught.value) == f"{self.kind.name} refused the API key (status {status})"

    async def test_the_key_goes_into_a_header_and_nowhere_else(self, caller: Caller) -> None:
        await caller.provider().complete(caller.request())
        (call,) = await caller.calls()
        assert KEY not in json.dumps(call.body)
        assert KEY not in call.path
        assert KEY in json.dumps(call.headers)

    async def test_neither_key_nor_prompt_is_in_an_error(self, caller: Caller) -> None:
        for model in ("standin-400", "standin-500", "standin-garbage", "standin-cut"):
            with pytest.raises(ProviderError) as caught:
                await caller.provider().complete(caller.request(model))
            assert caller.marker not in repr(caught.value) + caught.value.detail
            assert KEY not in repr(caught.value) + caught.value.detail
            assert caught.value.__cause__ is None

    async def test_the_model_is_the_requests_else_the_settings(self, caller: Caller) -> None:
        odd = 'gpt/../4?x=1#"{}%2F:'
        assert (await caller.provider().complete(caller.request(odd))).model == odd
        assert (await caller.provider().complete(caller.request())).model == "standin-echo"
        strange, usual = [call.path for call in await caller.calls()]
        assert usual == BASE_PATHS[self.kind.name] + CALLS[self.kind.name]
        # Whatever its name, where a model stands in the path it is one step of it.
        assert strange.count("/") == usual.count("/")
        assert unquote(strange) == usual.replace("standin-echo", odd)
