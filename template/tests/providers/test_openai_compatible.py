"""What endpoints with OpenAI's format share, and what each does in its own way."""

import json

import httpx
import pytest

from service.providers.base import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    ContentBlockedError,
    Message,
    OverloadedError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    UnavailableModelError,
    Usage,
)
from service.providers.chosen import chosen
from service.providers.openai_compatible import OpenAICompatible, OpenAICompatibleSettings
from service.settings import SettingsError
from tests.conftest import Env
from tests.providers.contract import Caller, Case, Kind, ProviderContract, text_and_finish
from tests.support.standins import BASE_PATHS, CALLS, StandinsView

SETTINGS = {
    "OPENAI_COMPATIBLE_API_KEY": "key-1",
    "OPENAI_COMPATIBLE_BASE_URL": "https://api.groq.com/openai/v1",
    "OPENAI_COMPATIBLE_MODEL": "openai/gpt-oss-120b",
}


def error(code: object, message: str = "No.", kind: str | None = None) -> object:
    return {"error": {"code": code, "message": message, "type": kind}}


ERRORS: list[Case] = [
    # Groq
    (400, error("model_decommissioned", kind="invalid_request_error"), UnavailableModelError),
    (401, error("invalid_api_key", kind="invalid_request_error"), AuthenticationError),
    (404, error("model_not_found", kind="invalid_request_error"), UnavailableModelError),
    (413, error("rate_limit_exceeded", kind="tokens"), BadRequestError),
    (429, error("rate_limit_exceeded", kind="tokens"), RateLimitedError),
    # OpenRouter
    (402, error(402, "Insufficient credits"), AccountError),
    (403, error(403, "Your input was flagged"), ContentBlockedError),
    (403, error(403, "The key is disabled"), PermissionDeniedError),
    (502, error(502, "Your chosen model is down"), ServerError),
    # vLLM, before and since it has an object named error
    (
        404,
        {"object": "error", "message": "No model x.", "type": "NotFoundError", "code": 404},
        UnavailableModelError,
    ),
    (400, error(400, "Too long", "BadRequestError"), BadRequestError),
    # Workers AI, as all of Cloudflare's APIs
    (400, {"success": False, "errors": [{"code": 5004, "message": "Bad input"}]}, BadRequestError),
    (401, {"success": False, "errors": [{"code": 10000, "message": "No"}]}, AuthenticationError),
    # Text Generation Inference, and what runs on FastAPI
    (429, {"error": "Model is overloaded", "error_type": "overloaded"}, RateLimitedError),
    (401, {"detail": "Invalid token"}, AuthenticationError),
    (503, error("overloaded"), OverloadedError),
]
"""Status and body as the endpoints' documentation and users report them, and what they are."""


class TestOpenAICompatible(ProviderContract):
    """The contract, and what is such endpoints' alone."""

    kind = Kind(
        OpenAICompatible,
        gateway_path="",
        errors=ERRORS,
        refused=[{"max_completion_tokens": 9}, {"model": 4}],
        tells_refusals=False,
    )

    async def test_sends_all_that_was_set_and_nothing_else(self, caller: Caller) -> None:
        request = ChatRequest(
            messages=(Message(role="user", content=caller.marker),), max_tokens=7, temperature=0
        )
        await caller.provider().complete(request)
        await (await caller.provider().stream(request)).aclose()
        whole, streamed = await caller.calls()
        assert whole.headers["authorization"] == "Bearer standin-key"
        assert whole.body == {
            "model": "standin-echo",
            "messages": [{"role": "user", "content": caller.marker}],
            "max_tokens": 7,
            "temperature": 0,
        }
        assert streamed.body == {
            **whole.body,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    async def test_reasoning_beside_the_answer_is_not_the_answer(self, caller: Caller) -> None:
        message = {"content": "Hi", "reasoning": "Hm", "reasoning_content": "Hm"}
        answer = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
        completion = await caller.provider().complete(caller.request("standin-verbatim", answer))
        assert (completion.text, completion.finish_reason) == ("Hi", "stop")

    async def test_usage_may_come_with_the_last_choice(self, caller: Caller) -> None:
        choice = {"delta": {"content": "Hi"}, "finish_reason": "stop"}
        chunk = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
        stream = f": OPENROUTER PROCESSING\n\ndata: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        request = caller.request("standin-verbatim", stream)
        text, finish = await text_and_finish(await caller.provider().stream(request))
        assert (text, finish.usage) == ("Hi", Usage(input_tokens=3, output_tokens=1))

    async def test_an_error_in_a_stream_has_the_status_that_its_code_is(
        self, caller: Caller
    ) -> None:
        stream = f"data: {json.dumps(error(429, 'Slow down'))}\n\n"
        with pytest.raises(RateLimitedError) as caught:
            await caller.provider().stream(caller.request("standin-verbatim", stream))
        assert (caught.value.attempts, caught.value.detail) == (3, "Slow down")

    @pytest.mark.parametrize("path", ["/v1", "/openai/v1", "/api/v1", "/client/v4/ai/v1"])
    async def test_the_address_may_have_any_path(
        self, caller: Caller, standins: StandinsView, path: str
    ) -> None:
        url = f"{standins.url}/openai_compatible{path}"
        completion = await caller.provider(base_url=url).complete(caller.request())
        assert completion.finish_reason == "stop"
        (call,) = await caller.calls()
        assert call.path == f"/openai_compatible{path}/chat/completions"


async def test_without_a_gateway_path_calls_go_past_every_gateway(
    env: Env, http: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    provider = chosen({**env, "OPENAI_COMPATIBLE_GATEWAY_PATH": ""}, http)["openai-compatible"]()
    question = Message(role="user", content=marker)
    completion = await provider.complete(ChatRequest(messages=(question,)))
    assert completion.passage.log_id is None
    (call,) = await standins.journal(marker)
    assert call["path"] == BASE_PATHS["openai-compatible"] + CALLS["openai-compatible"]


@pytest.mark.parametrize("path", ["groq", "workers-ai/v1", "custom-acme/api/v1", ""])
def test_a_gateway_path_is_what_the_settings_say(path: str) -> None:
    env = {**SETTINGS, "OPENAI_COMPATIBLE_GATEWAY_PATH": path}
    assert OpenAICompatibleSettings.load(env).gateway_path == path


@pytest.mark.parametrize("path", ["/groq", "groq/", "../groq", "groq?x", "groq//v1", "a b"])
def test_a_gateway_path_that_is_none_is_named(path: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_COMPATIBLE_GATEWAY_PATH is malformed"):
        OpenAICompatibleSettings.load({**SETTINGS, "OPENAI_COMPATIBLE_GATEWAY_PATH": path})


@pytest.mark.parametrize("name", SETTINGS)
def test_address_key_and_model_have_to_be_set(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        OpenAICompatibleSettings.load({**SETTINGS, name: ""})
