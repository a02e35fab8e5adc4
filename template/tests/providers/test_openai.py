"""OpenAI's own formats."""

import json
from typing import Any

import pytest

from service.providers.base import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    ContentBlockedError,
    LocationError,
    MalformedAnswerError,
    Message,
    OverloadedError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    UnavailableModelError,
    Usage,
)
from service.providers.openai import OpenAI, OpenAISettings
from service.settings import SettingsError
from tests.providers.contract import Caller, Case, Kind, ProviderContract, text_and_finish


def error(kind: str, code: str | None = None, message: str = "No.") -> Any:
    return {"error": {"type": kind, "code": code, "message": message, "param": None}}


ERRORS: list[Case] = [
    (400, error("invalid_request_error"), BadRequestError),
    (400, error("invalid_request_error", "context_length_exceeded"), BadRequestError),
    (400, error("invalid_request_error", "invalid_prompt"), ContentBlockedError),
    (400, error("invalid_request_error", "billing_hard_limit_reached"), AccountError),
    (400, error("invalid_request_error", "model_not_found"), UnavailableModelError),
    (401, error("invalid_request_error", "invalid_api_key"), AuthenticationError),
    (403, error("invalid_request_error", "model_not_found"), UnavailableModelError),
    (403, error("request_forbidden", "unsupported_country_region_territory"), LocationError),
    (403, error("permission_error"), PermissionDeniedError),
    (404, error("invalid_request_error", "model_not_found"), UnavailableModelError),
    (429, error("requests", "rate_limit_exceeded"), RateLimitedError),
    (429, error("insufficient_quota", "insufficient_quota"), AccountError),
    (429, error("insufficient_quota", "credit_balance_exhausted"), AccountError),
    (429, error("insufficient_quota", "organization_spend_limit_exceeded"), AccountError),
    (429, error("insufficient_quota", "organization_usage_limit_exceeded"), AccountError),
    (429, error("insufficient_quota", "project_spend_limit_exceeded"), AccountError),
    (429, error("billing_not_active", "billing_not_active"), AccountError),
    (500, error("server_error"), ServerError),
    (503, error("service_unavailable_error", "slow_down"), OverloadedError),
]
"""Status and body as the API's documentation and its users report them, and what they are."""


class TestOpenAI(ProviderContract):
    """The contract, and what is OpenAI's alone."""

    kind = Kind(
        OpenAI,
        gateway_path="openai",
        errors=ERRORS,
        refused=[{"max_tokens": 9}, {"model": 4}],
    )

    async def test_sends_only_what_was_set(self, caller: Caller) -> None:
        await caller.provider().complete(caller.request())
        (call,) = await caller.calls()
        assert call.headers["authorization"] == "Bearer standin-key"
        assert call.headers["content-type"] == "application/json"
        assert call.body == {
            "model": "standin-echo",
            "messages": [{"role": "user", "content": f"Hello {caller.marker}"}],
        }

    async def test_sends_all_that_was_set(self, caller: Caller) -> None:
        request = ChatRequest(
            messages=(
                Message(role="system", content="Be brief."),
                Message(role="user", content=caller.marker),
            ),
            model="gpt-6-luna",
            max_tokens=7,
            temperature=0,
        )
        await (await caller.provider().stream(request)).aclose()
        (call,) = await caller.calls()
        assert call.body == {
            "model": "gpt-6-luna",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": caller.marker},
            ],
            "max_completion_tokens": 7,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    @pytest.mark.parametrize(
        ("choice", "text", "finish_reason"),
        [
            ({"message": {"content": "Hi"}, "finish_reason": "stop"}, "Hi", "stop"),
            ({"message": {"content": "Hi"}}, "Hi", "other"),
            ({"message": {"content": "Hi"}, "finish_reason": "later"}, "Hi", "other"),
            ({"message": {"content": "H"}, "finish_reason": "length"}, "H", "length"),
            ({"message": {}, "finish_reason": "content_filter"}, "", "content_filter"),
            ({"message": {"refusal": "No"}, "finish_reason": "stop"}, "No", "content_filter"),
            (
                {
                    "message": {"content": None, "tool_calls": [{"id": "call_1"}]},
                    "finish_reason": "tool_calls",
                },
                "",
                "tool_calls",
            ),
            ({"message": {}, "finish_reason": "function_call"}, "", "tool_calls"),
            (
                {
                    "message": {
                        "content": [
                            {"type": "text", "text": "Hi "},
                            {"type": "image"},
                            None,
                            {"type": "text", "text": "there"},
                        ]
                    },
                    "finish_reason": "stop",
                },
                "Hi there",
                "stop",
            ),
        ],
    )
    async def test_text_of_every_shape(
        self, caller: Caller, choice: dict[str, object], text: str, finish_reason: str
    ) -> None:
        answer = json.dumps({"choices": [choice]})
        completion = await caller.provider().complete(caller.request("standin-verbatim", answer))
        assert (completion.text, completion.finish_reason) == (text, finish_reason)
        assert (completion.id, completion.model) == ("", "standin-verbatim")
        assert completion.usage == Usage()

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            (
                {"prompt_tokens": 3.0, "completion_tokens": 4.7},
                Usage(input_tokens=3, output_tokens=4),
            ),
            ({"prompt_tokens": 3}, Usage(input_tokens=3)),
            (
                {
                    "prompt_tokens": 70,
                    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
                    "completion_tokens": 9,
                    "completion_tokens_details": {"reasoning_tokens": 5},
                },
                Usage(input_tokens=70, output_tokens=9, cached_tokens=64, reasoning_tokens=5),
            ),
            (
                {"prompt_tokens_details": None, "completion_tokens_details": {}},
                Usage(),
            ),
            ({"prompt_tokens": "3", "completion_tokens": -1}, Usage()),
            ({"prompt_tokens": True, "completion_tokens": 1e300}, Usage()),
            ({"prompt_tokens": float("nan"), "completion_tokens": None}, Usage()),
            (None, Usage()),
        ],
    )
    async def test_usage_of_every_shape(
        self, caller: Caller, usage: object, expected: Usage
    ) -> None:
        answer = json.dumps({"choices": [{"message": {"content": "Hi"}}], "usage": usage})
        completion = await caller.provider().complete(caller.request("standin-verbatim", answer))
        assert completion.usage == expected

    @pytest.mark.parametrize(
        "answer",
        [
            {"choices": []},
            {"choices": None},
            {"choices": [{}]},
            {"choices": [{"message": None}]},
            {"choices": [{"message": {"content": 7}}]},
            {"choices": [{"message": {"content": {"text": "Hi"}}}]},
        ],
    )
    async def test_an_answer_without_a_choice_is_malformed(
        self, caller: Caller, answer: dict[str, object]
    ) -> None:
        request = caller.request("standin-verbatim", json.dumps(answer))
        with pytest.raises(MalformedAnswerError):
            await caller.provider().complete(request)

    async def test_a_stream_of_every_shape(self, caller: Caller) -> None:
        stream = (
            ": a comment\r\n\r\n"
            'data: {"id": "c1", "choices": [{"delta": {"role": "assistant"}}]}\r\n\r\n'
            'data: {"choices": [{"delta": null}]}\n\n'
            'data: {"choices": [{"delta": {"content": "H"}}]}\n\n'
            'data: {"choices": [{"index": 1, "delta": {"content": "of another choice"}}]}\n\n'
            'data: {"choices": [{"index": 0, "delta": {"content": [{"text": "i"}]}}]}\n\n'
            'data: {"choices": [{"delta": {"tool_calls": []}, "finish_reason": "tool_calls"}]}\n\n'
            'data: {"choices": [], "usage": {"prompt_tokens": 1}}\n\n'
            'data: {"choices": [], "usage": null}\n\n'
            "data: [DONE]\n\n"
        )
        request = caller.request("standin-verbatim", stream)
        text, finish = await text_and_finish(await caller.provider().stream(request))
        assert (text, finish.finish_reason, finish.id) == ("Hi", "tool_calls", "c1")
        assert finish.usage == Usage(input_tokens=1)

    async def test_an_error_before_the_first_token_of_a_stream_is_retried(
        self, caller: Caller
    ) -> None:
        error = {"error": {"code": "rate_limit_exceeded", "type": "requests", "message": None}}
        request = caller.request("standin-verbatim", f"data: {json.dumps(error)}\n\n")
        with pytest.raises(RateLimitedError) as caught:
            await caller.provider().stream(request)
        assert caught.value.attempts == 3


def test_settings_have_openais_address_by_default() -> None:
    settings = OpenAISettings.load({"OPENAI_API_KEY": "sk-1", "OPENAI_MODEL": "gpt-6-luna"})
    assert settings.base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize("key", ["", "two words", "zwölf", "line\nbreak", "\x00"])
def test_a_key_that_fits_no_header_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY") as caught:
        OpenAISettings.load({"OPENAI_API_KEY": key, "OPENAI_MODEL": "gpt-6-luna"})
    assert not key or key not in str(caught.value)
