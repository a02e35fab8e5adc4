"""Mistral's own formats."""

import json
from typing import Any

import pytest

from service.providers.base import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    Delta,
    MalformedAnswerError,
    Message,
    OverloadedError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    UnavailableModelError,
    Usage,
)
from service.providers.mistral import Mistral, MistralSettings, PermissionOrContentError
from service.settings import SettingsError
from tests.providers.contract import Caller, Case, Kind, ProviderContract, text_and_finish


def error(kind: str, code: str | None = None, message: str = "No.") -> Any:
    return {"object": "error", "type": kind, "code": code, "message": message, "param": None}


ERRORS: list[Case] = [
    (400, error("invalid_request_error"), BadRequestError),
    (400, error("invalid_model", "1500", "Invalid model: old"), UnavailableModelError),
    (401, {"message": "Unauthorized", "request_id": "1"}, AuthenticationError),
    (402, error("payment_required"), AccountError),
    (
        403,
        {"message": "Inactive subscription or usage limit reached"},
        AccountError,
    ),
    (403, error("forbidden"), PermissionDeniedError),
    (404, error("invalid_request_error", "unknown_model"), UnavailableModelError),
    (422, {"detail": [{"loc": ["body", "temperature"], "msg": "too high"}]}, BadRequestError),
    (429, error("rate_limited", "1300"), RateLimitedError),
    (503, error("unreachable_backend", "1100"), OverloadedError),
]
"""Status and body as the API's documentation and its users report them, and what they are."""


class TestMistral(ProviderContract):
    """The contract, and what is Mistral's alone."""

    kind = Kind(
        Mistral,
        gateway_path="mistral/v1",
        telemetry_name="mistral_ai",
        errors=ERRORS,
        refused=[{"stream_options": {}}],
        retries_conflicts=False,
        tells_refusals=False,
        tells_blocks=False,
        permission_error=PermissionOrContentError,
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
            model="mistral-small-latest",
            max_tokens=7,
            temperature=0,
        )
        await (await caller.provider().stream(request)).aclose()
        (call,) = await caller.calls()
        assert call.body == {
            "model": "mistral-small-latest",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": caller.marker},
            ],
            "max_tokens": 7,
            "temperature": 0,
            "stream": True,
        }

    @pytest.mark.parametrize(
        ("choice", "text", "finish_reason"),
        [
            ({"message": {"content": "Hi"}, "finish_reason": "stop"}, "Hi", "stop"),
            ({"message": {"content": "Hi"}}, "Hi", "other"),
            ({"message": {"content": "Hi"}, "finish_reason": "later"}, "Hi", "other"),
            ({"message": {"content": "H"}, "finish_reason": "length"}, "H", "length"),
            ({"message": {"content": "H"}, "finish_reason": "model_length"}, "H", "length"),
            ({"message": {"content": None}, "finish_reason": "stop"}, "", "stop"),
            (
                {
                    "message": {
                        "content": [
                            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                            {"type": "text", "text": "Hi "},
                            {"type": "reference", "reference_ids": [1]},
                            {"type": "text", "text": "there"},
                        ]
                    },
                    "finish_reason": "stop",
                },
                "Hi there",
                "stop",
            ),
            (
                {
                    "message": {"content": "", "tool_calls": [{"id": "t1"}]},
                    "finish_reason": "tool_calls",
                },
                "",
                "tool_calls",
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

    @pytest.mark.parametrize("answer", [{"choices": []}, {"choices": None}, {"choices": [{}]}])
    async def test_an_answer_without_a_choice_is_malformed(
        self, caller: Caller, answer: dict[str, object]
    ) -> None:
        request = caller.request("standin-verbatim", json.dumps(answer))
        with pytest.raises(MalformedAnswerError):
            await caller.provider().complete(request)

    async def test_an_answer_that_failed_on_the_way_is_an_error_and_asked_for_again(
        self, caller: Caller
    ) -> None:
        choice = {"message": {"content": "Half an ans"}, "finish_reason": "error"}
        answer = json.dumps({"choices": [choice]})
        with pytest.raises(ServerError) as caught:
            await caller.provider().complete(caller.request("standin-verbatim", answer))
        assert caught.value.attempts == 3

    async def test_a_stream_of_every_shape(self, caller: Caller) -> None:
        thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]
        chunks: list[dict[str, object]] = [
            {"id": "c1", "model": "m-1", "choices": [{"delta": {"role": "assistant"}}]},
            {"choices": [{"index": 0, "delta": {"content": thought}}]},
            {"choices": [{"index": 0, "delta": {"content": "H"}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": "i"}]}}]},
            {
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16},
            },
        ]
        stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        request = caller.request("standin-verbatim", stream)
        text, finish = await text_and_finish(await caller.provider().stream(request))
        assert (text, finish.finish_reason) == ("Hi", "stop")
        assert (finish.id, finish.model) == ("c1", "m-1")
        assert finish.usage == Usage(input_tokens=7, output_tokens=9)

    async def test_a_stream_that_ends_for_an_error_is_no_success(self, caller: Caller) -> None:
        chunk = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "error"}]}
        stream = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        parts = await caller.provider().stream(caller.request("standin-verbatim", stream))
        assert await anext(parts) == Delta(text="Hi")
        with pytest.raises(ServerError):
            await anext(parts)

    @pytest.mark.parametrize(
        "error",
        [
            {"object": "error", "type": "rate_limited", "code": "1300"},
            {"object": "error", "type": "service_tier_capacity_exceeded", "code": 3505},
            {"object": "error", "type": "later", "code": "1", "raw_status_code": 429},
        ],
    )
    async def test_an_error_before_the_first_token_of_a_stream_is_retried(
        self, caller: Caller, error: dict[str, object]
    ) -> None:
        stream = f"data: {json.dumps(error | {'message': 'Rate limit exceeded'})}\n\n"
        with pytest.raises(RateLimitedError) as caught:
            await caller.provider().stream(caller.request("standin-verbatim", stream))
        assert (caught.value.attempts, caught.value.detail) == (3, "Rate limit exceeded")

    async def test_what_is_wrong_with_a_request_is_in_the_detail(self, caller: Caller) -> None:
        with pytest.raises(BadRequestError) as caught:
            await caller.provider().complete(caller.request("standin-422"))
        assert caught.value.detail == "The stand-in was asked for a 422."

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"message": "Unauthorized", "request_id": "r1"}, "Unauthorized"),
            ({"detail": "Unauthorized"}, "Unauthorized"),
            ({"object": "error", "message": "No such model", "type": "invalid"}, "No such model"),
            (
                {"detail": [{"loc": ["body", "n"], "msg": "Too many"}, {"msg": "Too few"}]},
                "Too many; Too few",
            ),
            (
                {"object": "error", "message": {"detail": [{"msg": "Extra inputs"}]}},
                "Extra inputs",
            ),
            ({"message": 7}, None),
            ({}, None),
        ],
    )
    def test_errors_come_in_many_shapes(
        self, caller: Caller, body: dict[str, object], message: str | None
    ) -> None:
        assert caller.provider().error(json.dumps(body).encode()).message == message


def test_settings_have_mistrals_address_by_default() -> None:
    env = {"MISTRAL_API_KEY": "key-1", "MISTRAL_MODEL": "mistral-small-latest"}
    assert MistralSettings.load(env).base_url == "https://api.mistral.ai/v1"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(SettingsError, match="MISTRAL_API_KEY is not set"):
        MistralSettings.load({"MISTRAL_MODEL": "mistral-small-latest"})
