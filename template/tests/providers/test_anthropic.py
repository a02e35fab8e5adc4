"""Anthropic's own formats."""

import json
from typing import Any

import pytest

from service.providers.anthropic import DEFAULT_MAX_TOKENS, Anthropic, AnthropicSettings
from service.providers.base import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    ContentBlockedError,
    Delta,
    LocationError,
    MalformedAnswerError,
    Message,
    OverloadedError,
    PermissionDeniedError,
    ProviderTimeoutError,
    RateLimitedError,
    ServerError,
    UnavailableModelError,
    Usage,
)
from service.settings import SettingsError
from tests.providers.contract import Caller, Case, Kind, ProviderContract, text_and_finish


def events(*data: dict[str, object]) -> str:
    """A stream of these, each named after its type."""
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in data)


def said(text: str) -> dict[str, object]:
    """A piece of text."""
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def error(kind: str, message: str = "No.", code: str | None = None) -> Any:
    details = {"error_code": code} if code else None
    return {"type": "error", "error": {"type": kind, "message": message, "details": details}}


ERRORS: list[Case] = [
    (400, error("invalid_request_error"), BadRequestError),
    (
        400,
        error(
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans &"
            " Billing to upgrade or purchase credits.",
        ),
        AccountError,
    ),
    (
        400,
        error("invalid_request_error", "You have reached your specified API usage limits."),
        AccountError,
    ),
    (
        400,
        error(
            "invalid_request_error",
            "You have reached your specified workspace API usage limits.",
        ),
        AccountError,
    ),
    (
        400,
        error("invalid_request_error", "This organization has been disabled."),
        AccountError,
    ),
    (
        400,
        error("invalid_request_error", "Output blocked by content filtering policy"),
        ContentBlockedError,
    ),
    (401, error("authentication_error"), AuthenticationError),
    (402, error("billing_error"), AccountError),
    (403, error("permission_error"), PermissionDeniedError),
    (403, error("forbidden", "Request not allowed"), LocationError),
    (404, error("not_found_error", "model: claude-2"), UnavailableModelError),
    (409, error("conflict_error"), OverloadedError),
    (413, error("request_too_large"), BadRequestError),
    (429, error("rate_limit_error"), RateLimitedError),
    (429, error("rate_limit_error", code="enforced_spend_limit_reached"), AccountError),
    (504, error("timeout_error"), ProviderTimeoutError),
    (529, error("overloaded_error"), OverloadedError),
]
"""Status and body as the API's documentation and its users report them, and what they are."""


class TestAnthropic(ProviderContract):
    """The contract, and what is Anthropic's alone."""

    kind = Kind(
        Anthropic,
        gateway_path="anthropic/v1",
        errors=ERRORS,
        refused=[{"messages": [{"role": "system", "content": "Hi"}]}, {"max_tokens": None}],
        stop="end_turn",
    )

    async def test_sends_only_what_was_set_and_what_the_api_requires(self, caller: Caller) -> None:
        await caller.provider().complete(caller.request())
        (call,) = await caller.calls()
        assert call.headers["x-api-key"] == "standin-key"
        assert call.headers["anthropic-version"] == "2023-06-01"
        assert call.headers["content-type"] == "application/json"
        assert "authorization" not in call.headers
        assert call.body == {
            "model": "standin-echo",
            "max_tokens": DEFAULT_MAX_TOKENS,
            "messages": [{"role": "user", "content": f"Hello {caller.marker}"}],
        }

    async def test_sends_all_that_was_set(self, caller: Caller) -> None:
        request = ChatRequest(
            messages=(
                Message(role="system", content="Be brief."),
                Message(role="user", content="One"),
                Message(role="assistant", content="1"),
                Message(role="system", content="Be kind."),
                Message(role="user", content=caller.marker),
            ),
            model="claude-haiku-5-5",
            max_tokens=7,
            temperature=0,
        )
        await (await caller.provider().stream(request)).aclose()
        (call,) = await caller.calls()
        assert call.body == {
            "model": "claude-haiku-5-5",
            "max_tokens": 7,
            "system": "Be brief.\n\nBe kind.",
            "messages": [
                {"role": "user", "content": "One"},
                {"role": "assistant", "content": "1"},
                {"role": "user", "content": caller.marker},
            ],
            "temperature": 0,
            "stream": True,
        }

    @pytest.mark.parametrize(
        ("answer", "text", "finish_reason"),
        [
            ({"content": [{"type": "text", "text": "Hi"}]}, "Hi", "other"),
            ({"content": [], "stop_reason": "end_turn"}, "", "stop"),
            ({"content": [], "stop_reason": "stop_sequence"}, "", "stop"),
            ({"content": [], "stop_reason": "max_tokens"}, "", "length"),
            ({"content": [], "stop_reason": "model_context_window_exceeded"}, "", "length"),
            ({"content": [], "stop_reason": "refusal"}, "", "content_filter"),
            ({"content": [], "stop_reason": "pause_turn"}, "", "other"),
            (
                {
                    "content": [
                        {"type": "thinking", "thinking": "Hm", "signature": "x"},
                        {"type": "text", "text": "Hi "},
                        {"type": "text", "text": "there", "citations": None},
                    ],
                    "stop_reason": "end_turn",
                },
                "Hi there",
                "stop",
            ),
            (
                {
                    "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}],
                    "stop_reason": "tool_use",
                },
                "",
                "tool_calls",
            ),
        ],
    )
    async def test_text_of_every_shape(
        self, caller: Caller, answer: dict[str, object], text: str, finish_reason: str
    ) -> None:
        request = caller.request("standin-verbatim", json.dumps(answer))
        completion = await caller.provider().complete(request)
        assert (completion.text, completion.finish_reason) == (text, finish_reason)
        assert (completion.id, completion.model) == ("", "standin-verbatim")
        assert completion.usage == Usage()

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            ({"input_tokens": 3, "output_tokens": 4}, Usage(input_tokens=3, output_tokens=4)),
            (
                {
                    "input_tokens": 3,
                    "cache_creation_input_tokens": 20,
                    "cache_read_input_tokens": 100,
                },
                Usage(input_tokens=123, cached_tokens=100),
            ),
            ({"input_tokens": 3, "cache_read_input_tokens": None}, Usage(input_tokens=3)),
            (
                {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 5}},
                Usage(output_tokens=9, reasoning_tokens=5),
            ),
            ({"output_tokens": 9, "output_tokens_details": None}, Usage(output_tokens=9)),
            ({"input_tokens": "3", "output_tokens": 4.0}, Usage(output_tokens=4)),
            (None, Usage()),
        ],
    )
    async def test_usage_of_every_shape(
        self, caller: Caller, usage: object, expected: Usage
    ) -> None:
        answer = json.dumps({"content": [], "usage": usage})
        completion = await caller.provider().complete(caller.request("standin-verbatim", answer))
        assert completion.usage == expected

    @pytest.mark.parametrize(
        "answer",
        [
            {"content": None},
            {"content": "Hi"},
            {"content": [{"text": "Hi"}]},
            {"content": [{"type": "text", "text": 7}]},
            {"content": [], "stop_reason": 7},
        ],
    )
    async def test_an_answer_without_content_is_malformed(
        self, caller: Caller, answer: dict[str, object]
    ) -> None:
        request = caller.request("standin-verbatim", json.dumps(answer))
        with pytest.raises(MalformedAnswerError):
            await caller.provider().complete(request)

    async def test_a_stream_of_every_shape(self, caller: Caller) -> None:
        usage = {"input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 1}
        thinking = {"type": "thinking_delta", "thinking": "Hm"}
        stream = ": a comment\n\n" + events(
            {"type": "message_start", "message": {"id": "msg_1", "model": "m-1", "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
            {"type": "ping"},
            {"type": "content_block_delta", "index": 0, "delta": thinking},
            {"type": "a_later_invention", "delta": "of no known shape"},
            said("H"),
            said(""),
            said("i"),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {}},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {
                    "output_tokens": 9,
                    "output_tokens_details": {"thinking_tokens": 4},
                },
            },
            {"type": "message_stop"},
        )
        request = caller.request("standin-verbatim", stream)
        text, finish = await text_and_finish(await caller.provider().stream(request))
        assert (text, finish.finish_reason) == ("Hi", "stop")
        assert (finish.id, finish.model) == ("msg_1", "m-1")
        assert finish.usage == Usage(
            input_tokens=7, output_tokens=9, cached_tokens=5, reasoning_tokens=4
        )

    async def test_content_that_is_blocked_in_mid_stream_is_told_by_its_message(
        self, caller: Caller
    ) -> None:
        blocked = {"type": "api_error", "message": "Output blocked by content filtering policy"}
        request = caller.request(
            "standin-verbatim", events(said("Hi"), {"type": "error", "error": blocked})
        )
        stream = await caller.provider().stream(request)
        assert await anext(stream) == Delta(text="Hi")
        with pytest.raises(ContentBlockedError):
            await anext(stream)

    async def test_an_error_before_the_first_token_of_a_stream_is_retried(
        self, caller: Caller
    ) -> None:
        error = {"type": "overloaded_error", "message": "Overloaded"}
        stream = events({"type": "message_start", "message": {}}, {"type": "error", "error": error})
        with pytest.raises(OverloadedError) as caught:
            await caller.provider().stream(caller.request("standin-verbatim", stream))
        assert caught.value.attempts == 3

    async def test_an_unknown_error_in_a_stream_is_the_servers(self, caller: Caller) -> None:
        error = events(said("Hi"), {"type": "error", "error": {"type": "surprise"}})
        stream = await caller.provider().stream(caller.request("standin-verbatim", error))
        assert await anext(stream) == Delta(text="Hi")
        with pytest.raises(ServerError):
            await anext(stream)


def test_settings_have_anthropics_address_by_default() -> None:
    env = {"ANTHROPIC_API_KEY": "sk-1", "ANTHROPIC_MODEL": "claude-haiku-5-5"}
    assert AnthropicSettings.load(env).base_url == "https://api.anthropic.com/v1"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY is not set"):
        AnthropicSettings.load({"ANTHROPIC_MODEL": "claude-haiku-5-5"})
