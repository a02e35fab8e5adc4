"""Google's own formats: those of the Gemini API."""

import json
from typing import Any

import pytest

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
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    ServerError,
    UnavailableModelError,
    Usage,
)
from service.providers.google import Google, GoogleSettings
from service.retry_after import MAX_RETRY_AFTER
from service.settings import SettingsError
from tests.providers.contract import Caller, Case, Kind, ProviderContract, text_and_finish


def events(*data: dict[str, object]) -> str:
    """A stream of these."""
    return "".join(f"data: {json.dumps(one)}\r\n\r\n" for one in data)


def said(*texts: str, **candidate: object) -> dict[str, object]:
    """An answer, or an event of one, with these parts."""
    content = {"role": "model", "parts": [{"text": text} for text in texts]}
    return {"candidates": [{"content": content, **candidate}]}


def error(code: int, status: str, message: str = "No.", reason: str | None = None) -> Any:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    error = {"code": code, "status": status, "message": message}
    return {"error": error | ({"details": details} if reason else {})}


ERRORS: list[Case] = [
    (400, error(400, "INVALID_ARGUMENT"), BadRequestError),
    (400, error(400, "INVALID_ARGUMENT", reason="API_KEY_INVALID"), AuthenticationError),
    (
        400,
        error(
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
        ),
        LocationError,
    ),
    (
        400,
        error(
            400,
            "FAILED_PRECONDITION",
            "Gemini API free tier is not available in your country. Please enable billing.",
        ),
        AccountError,
    ),
    (402, error(402, "RESOURCE_EXHAUSTED"), AccountError),
    (403, error(403, "PERMISSION_DENIED"), PermissionDeniedError),
    (403, error(403, "PERMISSION_DENIED", reason="BILLING_DISABLED"), AccountError),
    (403, error(403, "PERMISSION_DENIED", reason="CONSUMER_SUSPENDED"), AccountError),
    (404, error(404, "NOT_FOUND", "models/gemini-1 is not found"), UnavailableModelError),
    (429, error(429, "RESOURCE_EXHAUSTED"), RateLimitedError),
    (500, error(500, "INTERNAL"), ServerError),
    (503, error(503, "UNAVAILABLE"), OverloadedError),
    (504, error(504, "DEADLINE_EXCEEDED"), ProviderTimeoutError),
]
"""Status and body as the API's documentation and its users report them, and what they are."""


class TestGoogle(ProviderContract):
    """The contract, and what is Google's alone."""

    kind = Kind(
        Google,
        gateway_path="google-ai-studio/v1beta",
        telemetry_name="gcp.gemini",
        errors=ERRORS,
        refused=[
            {"contents": [{"role": "assistant", "parts": [{"text": "Hi"}]}]},
            {"messages": [{"role": "user", "content": "Hi"}]},
        ],
        request_id=None,
        retries_conflicts=False,
        wrong_key_status=400,
        stop="STOP",
        ends_before_its_last_event=False,
    )

    async def test_sends_only_what_was_set(self, caller: Caller) -> None:
        await caller.provider().complete(caller.request())
        (call,) = await caller.calls()
        assert call.path == "/google/v1beta/models/standin-echo:generateContent"
        assert call.headers["x-goog-api-key"] == "standin-key"
        assert call.headers["content-type"] == "application/json"
        assert "authorization" not in call.headers
        assert call.body == {
            "contents": [{"role": "user", "parts": [{"text": f"Hello {caller.marker}"}]}]
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
            model="gemini-3.8-flash",
            max_tokens=7,
            temperature=0,
        )
        await (await caller.provider().stream(request)).aclose()
        (call,) = await caller.calls()
        assert call.path.endswith("/models/gemini-3.8-flash:streamGenerateContent?alt=sse")
        assert call.body == {
            "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "One"}]},
                {"role": "model", "parts": [{"text": "1"}]},
                {"role": "user", "parts": [{"text": caller.marker}]},
            ],
            "generationConfig": {"maxOutputTokens": 7, "temperature": 0},
        }

    @pytest.mark.parametrize(
        ("answer", "text", "finish_reason"),
        [
            (said("Hi", finishReason="STOP"), "Hi", "stop"),
            (said("Hi ", "there", finishReason="STOP"), "Hi there", "stop"),
            (said("Hi"), "Hi", "other"),
            (said("Hi", finishReason="LATER_INVENTION"), "Hi", "other"),
            (said("H", finishReason="MAX_TOKENS"), "H", "length"),
            (said("H", finishReason="CONTINUATION"), "H", "length"),
            (said("H", finishReason="RECITATION"), "H", "content_filter"),
            (said("H", finishReason="IMAGE_RECITATION"), "H", "content_filter"),
            ({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, "", "content_filter"),
            ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "", "length"),
            ({"candidates": [{"finishReason": "SAFETY", "index": 0}]}, "", "content_filter"),
            ({"candidates": [{"finishReason": "STOP", "content": {}}]}, "", "stop"),
            ({"candidates": [{"finishReason": "STOP", "content": {"parts": None}}]}, "", "stop"),
            ({"candidates": [{"finishReason": "OTHER", "content": None}]}, "", "other"),
            (
                {
                    "candidates": [
                        {
                            "content": {
                                "parts": [
                                    {"text": "Hm", "thought": True},
                                    {"text": "Hi "},
                                    {"inlineData": {"mimeType": "image/png", "data": ""}},
                                    {"text": "there", "thoughtSignature": "eA=="},
                                ]
                            },
                            "finishReason": "STOP",
                        }
                    ]
                },
                "Hi there",
                "stop",
            ),
            (
                {
                    "candidates": [
                        {
                            "content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]},
                            "finishReason": "STOP",
                        }
                    ]
                },
                "",
                "tool_calls",
            ),
            (
                {
                    "candidates": [
                        {"index": 1, "content": {"parts": [{"text": "of another"}]}},
                        {
                            "index": 0,
                            "content": {"parts": [{"text": "Hi"}]},
                            "finishReason": "STOP",
                        },
                    ]
                },
                "Hi",
                "stop",
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
            (
                {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
                Usage(input_tokens=3, output_tokens=4),
            ),
            (
                {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 50},
                Usage(input_tokens=3, output_tokens=54, reasoning_tokens=50),
            ),
            (
                {"promptTokenCount": 3, "toolUsePromptTokenCount": 20, "thoughtsTokenCount": 50},
                Usage(input_tokens=23, output_tokens=50, reasoning_tokens=50),
            ),
            (
                {"promptTokenCount": 70, "cachedContentTokenCount": 64},
                Usage(input_tokens=70, cached_tokens=64),
            ),
            ({"promptTokenCount": 3.0, "candidatesTokenCount": "4"}, Usage(input_tokens=3)),
            ({}, Usage()),
            (None, Usage()),
        ],
    )
    async def test_usage_of_every_shape(
        self, caller: Caller, usage: object, expected: Usage
    ) -> None:
        answer = json.dumps({**said("Hi"), "usageMetadata": usage})
        completion = await caller.provider().complete(caller.request("standin-verbatim", answer))
        assert completion.usage == expected

    @pytest.mark.parametrize(
        "answer",
        [
            {"candidates": []},
            {"candidates": None},
            {"candidates": [None]},
            {"candidates": [{"content": "Hi"}]},
            {"candidates": [{"content": {"parts": [{"text": 7}]}}]},
            {"promptFeedback": {}},
            {"usageMetadata": {"promptTokenCount": 3}},
        ],
    )
    async def test_an_answer_without_a_candidate_is_malformed(
        self, caller: Caller, answer: dict[str, object]
    ) -> None:
        request = caller.request("standin-verbatim", json.dumps(answer))
        with pytest.raises(MalformedAnswerError):
            await caller.provider().complete(request)

    async def test_a_stream_of_every_shape(self, caller: Caller) -> None:
        thought = {"content": {"parts": [{"text": "Hm", "thought": True}]}}
        stream = ": a comment\n\n" + events(
            {"candidates": [thought], "usageMetadata": {"promptTokenCount": 7}},
            {**said("H"), "responseId": "r1", "modelVersion": "m-1"},
            {"candidates": [{"index": 1, "content": {"parts": [{"text": "of another"}]}}]},
            {**said("i"), "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1}},
            {"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]},
            {
                "usageMetadata": {
                    "promptTokenCount": 7,
                    "candidatesTokenCount": 2,
                    "thoughtsTokenCount": 7,
                }
            },
        )
        request = caller.request("standin-verbatim", stream)
        text, finish = await text_and_finish(await caller.provider().stream(request))
        assert (text, finish.finish_reason) == ("Hi", "stop")
        assert (finish.id, finish.model) == ("r1", "m-1")
        assert finish.usage == Usage(input_tokens=7, output_tokens=9, reasoning_tokens=7)

    @pytest.mark.parametrize(
        ("stream", "text", "finish_reason"),
        [
            # Some models give every event a finish reason.
            (
                events(said("H", finishReason="STOP"), said("i", finishReason="STOP")),
                "Hi",
                "stop",
            ),
            (
                events(said("H", finishReason="STOP"), said("i", finishReason="MAX_TOKENS")),
                "Hi",
                "length",
            ),
            (
                events(
                    {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]},
                    {"candidates": [{"finishReason": "STOP"}]},
                ),
                "",
                "tool_calls",
            ),
        ],
    )
    async def test_the_end_of_a_stream_is_the_end_of_the_answer(
        self, caller: Caller, stream: str, text: str, finish_reason: str
    ) -> None:
        request = caller.request("standin-verbatim", stream)
        answer, finish = await text_and_finish(await caller.provider().stream(request))
        assert (answer, finish.finish_reason) == (text, finish_reason)

    @pytest.mark.parametrize("candidates", [{}, {"candidates": []}])
    async def test_a_prompt_without_a_candidate_was_blocked_for_a_reason(
        self, caller: Caller, candidates: dict[str, object]
    ) -> None:
        answer = {"promptFeedback": {"blockReason": "SAFETY"}, **candidates}
        whole, streamed = json.dumps(answer), events(answer)
        provider = caller.provider()
        for call, content in ((provider.complete, whole), (provider.stream, streamed)):
            with pytest.raises(ContentBlockedError) as caught:
                await call(caller.request("standin-verbatim", content))
            assert caught.value.detail == "SAFETY"

    async def test_a_call_of_a_tool_keeps_the_reason_that_the_api_gave(
        self, caller: Caller
    ) -> None:
        call = {"content": {"parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "STOP"}
        request = caller.request("standin-verbatim", json.dumps({"candidates": [call]}))
        completion = await caller.provider().complete(request)
        assert (completion.finish_reason, completion.raw_finish_reason) == ("tool_calls", "STOP")

    async def test_a_model_may_be_called_as_in_the_apis_own_list(self, caller: Caller) -> None:
        completion = await caller.provider().complete(caller.request("models/standin-echo"))
        assert completion.model == "standin-echo"
        (call,) = await caller.calls()
        assert call.path == "/google/v1beta/models/standin-echo:generateContent"

    async def test_a_stream_without_a_finish_reason_is_no_success(self, caller: Caller) -> None:
        stream = events(said("Hi"), {"usageMetadata": {"promptTokenCount": 7}})
        parts = await caller.provider().stream(caller.request("standin-verbatim", stream))
        with pytest.raises(MalformedAnswerError):
            await text_and_finish(parts)

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ({"code": 429, "status": "RESOURCE_EXHAUSTED"}, RateLimitedError),
            ({"code": 503, "status": "UNAVAILABLE"}, OverloadedError),
            ({"status": "INTERNAL"}, ServerError),
        ],
    )
    async def test_an_error_before_the_first_token_of_a_stream_is_retried(
        self, caller: Caller, error: dict[str, object], expected: type[ProviderError]
    ) -> None:
        stream = events({"error": error | {"message": "Later."}})
        with pytest.raises(expected) as caught:
            await caller.provider().stream(caller.request("standin-verbatim", stream))
        assert (caught.value.attempts, caught.value.detail) == (3, "Later.")

    async def test_an_error_in_a_stream_that_no_call_can_mend_is_not_retried(
        self, caller: Caller
    ) -> None:
        stream = events(said("Hi"), {"error": {"code": 400, "message": "No.", "status": "X"}})
        parts = await caller.provider().stream(caller.request("standin-verbatim", stream))
        assert await anext(parts) == Delta(text="Hi")
        with pytest.raises(BadRequestError) as caught:
            await anext(parts)
        assert caught.value.retryable is False

    async def test_a_wrong_key_is_known_by_its_reason(self, caller: Caller) -> None:
        with pytest.raises(AuthenticationError) as caught:
            await caller.provider(key="other-key").stream(caller.request())
        assert (caught.value.status, caught.value.attempts) == (400, 1)

    @pytest.mark.parametrize(
        ("delay", "seconds"),
        [
            ("34.074824224s", 34.074824224),
            ("7s", 7),
            ("-1s", 0),
            ("1000000s", MAX_RETRY_AFTER),
            ("soon", None),
            (None, None),
        ],
    )
    def test_how_long_to_wait_is_in_the_details(self, delay: object, seconds: float | None) -> None:
        details = [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]
        body = {"error": {"code": 429, "message": "Quota", "details": details}}
        for each in (body, [body]):
            report = self.provider.error(json.dumps(each).encode())
            assert (report.retry_after, report.message) == (seconds, "Quota")


def test_settings_have_the_gemini_apis_address_by_default() -> None:
    settings = GoogleSettings.load({"GOOGLE_API_KEY": "key-1", "GOOGLE_MODEL": "gemini-3.8-flash"})
    assert settings.base_url == "https://generativelanguage.googleapis.com/v1beta"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(SettingsError, match="GOOGLE_API_KEY is not set"):
        GoogleSettings.load({"GOOGLE_MODEL": "gemini-3.8-flash"})
