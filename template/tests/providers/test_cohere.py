"""Cohere's own formats."""

import json

import pytest

from service.providers.base import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    ContentBlockedError,
    Delta,
    MalformedAnswerError,
    Message,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    ServerError,
    UnavailableModelError,
    Usage,
)
from service.providers.cohere import Cohere, CohereSettings
from service.settings import SettingsError
from tests.providers.contract import Caller, Case, Kind, ProviderContract, text_and_finish


def events(*data: dict[str, object]) -> str:
    """A stream of these, each named after its type."""
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in data)


def said(text: str) -> dict[str, object]:
    """A piece of text."""
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}


def end(**delta: object) -> dict[str, object]:
    """The end of the message."""
    return {"type": "message-end", "delta": delta}


ERRORS: list[Case] = [
    (400, {"message": "invalid request: message must be at least 1 token"}, BadRequestError),
    (401, {"message": "invalid api token"}, AuthenticationError),
    (402, {"message": "Please add or update your payment method"}, AccountError),
    (404, {"message": "model 'command' was removed"}, UnavailableModelError),
    (422, {"message": "invalid type"}, BadRequestError),
    (
        429,
        {
            "message": "You are using a Trial key, which is limited to 1000 API calls / month."
            " You can continue to use the Trial key for free."
        },
        AccountError,
    ),
    (
        429,
        {"message": "You are using a Trial key, which is limited to 40 API calls / minute."},
        RateLimitedError,
    ),
    (498, {"message": "a word on the deny list"}, ContentBlockedError),
    (499, {"message": "request cancelled"}, ProviderError),
    (500, {"message": "internal server error"}, ServerError),
]
"""Status and body as the API's documentation and its users report them, and what they are."""


class TestCohere(ProviderContract):
    """The contract, and what is Cohere's alone."""

    kind = Kind(
        Cohere,
        gateway_path="cohere/v2",
        errors=ERRORS,
        refused=[{"max_completion_tokens": 9}],
        tells_refusals=False,
        stop="COMPLETE",
        ends_before_its_last_event=False,
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
            model="command-a-plus-05-2026",
            max_tokens=7,
            temperature=0,
        )
        await (await caller.provider().stream(request)).aclose()
        (call,) = await caller.calls()
        assert call.body == {
            "model": "command-a-plus-05-2026",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": caller.marker},
            ],
            "max_tokens": 7,
            "temperature": 0,
            "stream": True,
        }

    @pytest.mark.parametrize(
        ("message", "reason", "text", "finish_reason"),
        [
            ({"content": [{"type": "text", "text": "Hi"}]}, "COMPLETE", "Hi", "stop"),
            ({"content": [{"type": "text", "text": "Hi"}]}, "STOP_SEQUENCE", "Hi", "stop"),
            ({"content": [{"type": "text", "text": "H"}]}, "MAX_TOKENS", "H", "length"),
            ({"content": []}, "COMPLETE", "", "stop"),
            ({"content": None}, None, "", "other"),
            ({}, "LATER_INVENTION", "", "other"),
            (
                {
                    "content": [
                        {"type": "thinking", "thinking": "Hm"},
                        {"type": "text", "text": "Hi "},
                        {"type": "text", "text": "there"},
                    ]
                },
                "COMPLETE",
                "Hi there",
                "stop",
            ),
            (
                {"tool_plan": "I will look.", "tool_calls": [{"id": "t1", "type": "function"}]},
                "TOOL_CALL",
                "",
                "tool_calls",
            ),
        ],
    )
    async def test_text_of_every_shape(
        self,
        caller: Caller,
        message: dict[str, object],
        reason: str | None,
        text: str,
        finish_reason: str,
    ) -> None:
        answer = json.dumps({"message": message, "finish_reason": reason})
        completion = await caller.provider().complete(caller.request("standin-verbatim", answer))
        assert (completion.text, completion.finish_reason) == (text, finish_reason)
        assert (completion.id, completion.model) == ("", "standin-verbatim")
        assert completion.usage == Usage()

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            (
                {
                    "tokens": {"input_tokens": 71.0, "output_tokens": 4.0},
                    "billed_units": {"input_tokens": 3.0, "output_tokens": 4.0},
                },
                Usage(input_tokens=71, output_tokens=4),
            ),
            (
                {"tokens": None, "billed_units": {"input_tokens": 3.0, "output_tokens": 4.0}},
                Usage(input_tokens=3, output_tokens=4),
            ),
            ({"tokens": {"output_tokens": 4}}, Usage(output_tokens=4)),
            (
                {"tokens": {"input_tokens": 71.0}, "cached_tokens": 64.0},
                Usage(input_tokens=71, cached_tokens=64),
            ),
            ({"tokens": {"input_tokens": "3", "output_tokens": -1}}, Usage()),
            ({}, Usage()),
            (None, Usage()),
        ],
    )
    async def test_usage_of_every_shape(
        self, caller: Caller, usage: object, expected: Usage
    ) -> None:
        answer = json.dumps({"message": {}, "usage": usage})
        completion = await caller.provider().complete(caller.request("standin-verbatim", answer))
        assert completion.usage == expected

    @pytest.mark.parametrize(
        "answer",
        [
            {"message": None},
            {"message": {"content": "Hi"}},
            {"message": {"content": [{"type": "text", "text": 7}]}},
            {"message": {}, "finish_reason": 7},
        ],
    )
    async def test_an_answer_without_a_message_is_malformed(
        self, caller: Caller, answer: dict[str, object]
    ) -> None:
        request = caller.request("standin-verbatim", json.dumps(answer))
        with pytest.raises(MalformedAnswerError):
            await caller.provider().complete(request)

    @pytest.mark.parametrize(
        ("reason", "error"), [("ERROR", ServerError), ("TIMEOUT", ProviderTimeoutError)]
    )
    async def test_an_answer_that_failed_on_the_way_is_an_error_and_asked_for_again(
        self, caller: Caller, reason: str, error: type[ProviderError]
    ) -> None:
        message = {"content": [{"type": "text", "text": "Half an ans"}]}
        whole = json.dumps({"message": message, "finish_reason": reason})
        streamed = events({"type": "message-start", "id": "c1"}, end(finish_reason=reason))
        provider = caller.provider()
        for call, answer in ((provider.complete, whole), (provider.stream, streamed)):
            with pytest.raises(error) as caught:
                await call(caller.request("standin-verbatim", answer))
            assert caught.value.attempts == 3

    async def test_a_stream_of_every_shape(self, caller: Caller) -> None:
        thought = {"message": {"content": {"thinking": "Hm"}}}
        start = {"message": {"content": {"type": "text", "text": "H"}}}
        usage = {"tokens": {"input_tokens": 7.0, "output_tokens": 9.0}}
        stream = ": a comment\n\n" + events(
            {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will look."}}},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": None}}},
            {"type": "content-delta", "index": 0, "delta": thought},
            {"type": "content-delta", "index": 0, "delta": {"message": None}},
            {"type": "content-delta", "index": 0, "delta": None},
            {"type": "content-end", "index": 0},
            {"type": "content-start", "index": 1, "delta": start},
            {"type": "a-later-invention", "delta": "of no known shape"},
            said(""),
            said("i"),
            {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {}}}},
            end(finish_reason="COMPLETE", usage=usage),
        )
        request = caller.request("standin-verbatim", stream + "data: [DONE]\n\n")
        text, finish = await text_and_finish(await caller.provider().stream(request))
        assert (text, finish.finish_reason) == ("Hi", "stop")
        assert (finish.id, finish.model) == ("c1", "standin-verbatim")
        assert finish.usage == Usage(input_tokens=7, output_tokens=9)

    async def test_an_error_at_the_end_of_a_stream_is_none_of_the_answer(
        self, caller: Caller
    ) -> None:
        stream = events(said("Hi"), end(finish_reason="COMPLETE", error="out of memory"))
        parts = await caller.provider().stream(caller.request("standin-verbatim", stream))
        assert await anext(parts) == Delta(text="Hi")
        with pytest.raises(ServerError) as caught:
            await anext(parts)
        assert caught.value.detail == "out of memory"

    async def test_an_error_is_a_message_without_a_type(self, caller: Caller) -> None:
        with pytest.raises(BadRequestError) as caught:
            await caller.provider().complete(caller.request("standin-404"))
        assert caught.value.detail == "The stand-in was asked for a 404."


def test_settings_have_coheres_address_by_default() -> None:
    env = {"COHERE_API_KEY": "key-1", "COHERE_MODEL": "command-a-plus-05-2026"}
    assert CohereSettings.load(env).base_url == "https://api.cohere.com/v2"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(SettingsError, match="COHERE_API_KEY is not set"):
        CohereSettings.load({"COHERE_MODEL": "command-a-plus-05-2026"})
