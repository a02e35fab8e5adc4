"""The providers' documented errors: which are the caller's fault, and which are the service's."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.providers.base import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    ChatRequest,
    ContentBlockedError,
    LocationError,
    Message,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    ServerError,
    UnavailableModelError,
)
from service.providers.chosen import chosen
from service.providers.errors import redacted
from service.retry import Retry
from tests.conftest import Env
from tests.support.choices import PROVIDERS


def openai(kind: str, code: str | None = None, message: str = "No.") -> Any:
    return {"error": {"type": kind, "code": code, "message": message, "param": None}}


def anthropic(kind: str, message: str = "No.", code: str | None = None) -> Any:
    details = {"error_code": code} if code else None
    return {"type": "error", "error": {"type": kind, "message": message, "details": details}}


def google(code: int, status: str, message: str = "No.", reason: str | None = None) -> Any:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    error = {"code": code, "status": status, "message": message}
    return {"error": error | ({"details": details} if reason else {})}


def mistral(kind: str, code: str | None = None, message: str = "No.") -> Any:
    return {"object": "error", "type": kind, "code": code, "message": message, "param": None}


Case = tuple[int, Any, type[ProviderError]]

CASES: dict[str, list[Case]] = {
    "openai": [
        (400, openai("invalid_request_error"), BadRequestError),
        (400, openai("invalid_request_error", "context_length_exceeded"), BadRequestError),
        (400, openai("invalid_request_error", "invalid_prompt"), ContentBlockedError),
        (400, openai("invalid_request_error", "billing_hard_limit_reached"), AccountError),
        (400, openai("invalid_request_error", "model_not_found"), UnavailableModelError),
        (401, openai("invalid_request_error", "invalid_api_key"), AuthenticationError),
        (403, openai("invalid_request_error", "model_not_found"), UnavailableModelError),
        (403, openai("request_forbidden", "unsupported_country_region_territory"), LocationError),
        (403, openai("permission_error"), PermissionDeniedError),
        (404, openai("invalid_request_error", "model_not_found"), UnavailableModelError),
        (429, openai("requests", "rate_limit_exceeded"), RateLimitedError),
        (429, openai("insufficient_quota", "insufficient_quota"), AccountError),
        (429, openai("insufficient_quota", "credit_balance_exhausted"), AccountError),
        (429, openai("insufficient_quota", "organization_spend_limit_exceeded"), AccountError),
        (429, openai("insufficient_quota", "organization_usage_limit_exceeded"), AccountError),
        (429, openai("insufficient_quota", "project_spend_limit_exceeded"), AccountError),
        (429, openai("billing_not_active", "billing_not_active"), AccountError),
        (500, openai("server_error"), ServerError),
        (503, openai("service_unavailable_error", "slow_down"), OverloadedError),
    ],
    "anthropic": [
        (400, anthropic("invalid_request_error"), BadRequestError),
        (
            400,
            anthropic(
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API. Please go to Plans &"
                " Billing to upgrade or purchase credits.",
            ),
            AccountError,
        ),
        (
            400,
            anthropic("invalid_request_error", "You have reached your specified API usage limits."),
            AccountError,
        ),
        (
            400,
            anthropic(
                "invalid_request_error",
                "You have reached your specified workspace API usage limits.",
            ),
            AccountError,
        ),
        (
            400,
            anthropic("invalid_request_error", "This organization has been disabled."),
            AccountError,
        ),
        (
            400,
            anthropic("invalid_request_error", "Output blocked by content filtering policy"),
            ContentBlockedError,
        ),
        (401, anthropic("authentication_error"), AuthenticationError),
        (402, anthropic("billing_error"), AccountError),
        (403, anthropic("permission_error"), PermissionDeniedError),
        (403, anthropic("forbidden", "Request not allowed"), LocationError),
        (404, anthropic("not_found_error", "model: claude-2"), UnavailableModelError),
        (409, anthropic("conflict_error"), OverloadedError),
        (413, anthropic("request_too_large"), BadRequestError),
        (429, anthropic("rate_limit_error"), RateLimitedError),
        (429, anthropic("rate_limit_error", code="enforced_spend_limit_reached"), AccountError),
        (504, anthropic("timeout_error"), ProviderTimeoutError),
        (529, anthropic("overloaded_error"), OverloadedError),
    ],
    "cohere": [
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
    ],
    "google": [
        (400, google(400, "INVALID_ARGUMENT"), BadRequestError),
        (400, google(400, "INVALID_ARGUMENT", reason="API_KEY_INVALID"), AuthenticationError),
        (
            400,
            google(
                400,
                "FAILED_PRECONDITION",
                "User location is not supported for the API use.",
            ),
            LocationError,
        ),
        (
            400,
            google(
                400,
                "FAILED_PRECONDITION",
                "Gemini API free tier is not available in your country. Please enable billing.",
            ),
            AccountError,
        ),
        (402, google(402, "RESOURCE_EXHAUSTED"), AccountError),
        (403, google(403, "PERMISSION_DENIED"), PermissionDeniedError),
        (403, google(403, "PERMISSION_DENIED", reason="BILLING_DISABLED"), AccountError),
        (403, google(403, "PERMISSION_DENIED", reason="CONSUMER_SUSPENDED"), AccountError),
        (404, google(404, "NOT_FOUND", "models/gemini-1 is not found"), UnavailableModelError),
        (429, google(429, "RESOURCE_EXHAUSTED"), RateLimitedError),
        (500, google(500, "INTERNAL"), ServerError),
        (503, google(503, "UNAVAILABLE"), OverloadedError),
        (504, google(504, "DEADLINE_EXCEEDED"), ProviderTimeoutError),
    ],
    "mistral": [
        (400, mistral("invalid_request_error"), BadRequestError),
        (400, mistral("invalid_model", "1500", "Invalid model: old"), UnavailableModelError),
        (401, {"message": "Unauthorized", "request_id": "1"}, AuthenticationError),
        (402, mistral("payment_required"), AccountError),
        (
            403,
            {"message": "Inactive subscription or usage limit reached"},
            AccountError,
        ),
        (403, mistral("forbidden"), PermissionDeniedError),
        (404, mistral("invalid_request_error", "unknown_model"), UnavailableModelError),
        (422, {"detail": [{"loc": ["body", "temperature"], "msg": "too high"}]}, BadRequestError),
        (429, mistral("rate_limited", "1300"), RateLimitedError),
        (503, mistral("unreachable_backend", "1100"), OverloadedError),
    ],
}
"""Status and body as the APIs' documentation and their users report them, and what they are."""

CALLERS_FAULT = (BadRequestError, ContentBlockedError)


async def refusal(env: Env, provider: str, status: int, body: object) -> ProviderError:
    """The error of a call that is answered so."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=body))
    async with httpx.AsyncClient(transport=transport) as http:
        api = chosen(env, http, Retry(1))[provider]()
        question = Message(role="user", content="hello")
        with pytest.raises(ProviderError) as caught:
            await api.complete(ChatRequest(messages=(question,)))
    return caught.value


@pytest.mark.parametrize(
    ("provider", "status", "body", "expected"),
    [
        pytest.param(provider, *case, id=f"{provider}-{case[0]}-{case[2].kind}")
        for provider in PROVIDERS
        for case in CASES[provider]
    ],
)
async def test_errors_that_are_not_the_requests_fault_are_the_services_trouble(
    env: Env, provider: str, status: int, body: object, expected: type[ProviderError]
) -> None:
    error = await refusal(env, provider, status, body)
    assert isinstance(error, expected)
    assert error.status == status
    lasting = (AccountError, AuthenticationError, LocationError, UnavailableModelError)
    if isinstance(error, lasting):
        assert (error.is_passed_on, error.retryable) == (True, False)
    if isinstance(error, CALLERS_FAULT):
        assert (error.is_passed_on, error.retryable) == (False, False)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_error_in_place_of_an_answer_is_the_providers_error(
    env: Env, provider: str
) -> None:
    _, body, expected = CASES[provider][-1]
    error = await refusal(env, provider, 200, body)
    # Without a status, not every API tells what it was.
    assert isinstance(error, (expected, ServerError))
    assert error.is_passed_on


@given(
    st.text(min_size=1).filter(lambda text: any(map(str.isalnum, text))),
    st.sampled_from([str, json.dumps, repr, lambda text: f"input={text!r}"]),
)
def test_nothing_of_a_prompt_is_left_of_what_a_provider_quotes(text: str, quoted: Any) -> None:
    left = redacted(f"max_tokens: 9 > 8: {quoted(text)}", text, "input")
    words = [word for word in left.replace("***", " ").split() if any(map(str.isalnum, word))]
    assert all(word.strip(":>") in {"max_tokens", "9", "8", "input"} for word in words) or not any(
        word in text for word in words
    )


def test_the_rest_of_what_a_provider_says_stays() -> None:
    detail = 'max_tokens: 9 > 8 in "call\\u0065d \\nhunter2 by%20M\\u00fcller", sorry'
    told = redacted(detail, "My password is hunter2. I called Müller.")
    assert told.startswith("max_tokens: 9 > 8 in")
    assert told.endswith("sorry")
    assert not any(word in told for word in ("hunter2", "called", "ller"))
