"""What the providers share: the request, the kinds of error, and how long to wait."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.providers.base import ChatRequest, RateLimitedError
from service.providers.errors import is_retryable
from service.retry_after import MAX_RETRY_AFTER, retry_after

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
QUESTION = '{"messages": [{"role": "user", "content": "Hi"}]'


def test_a_request_needs_messages_only() -> None:
    request = ChatRequest.model_validate_json(QUESTION + "}")
    assert request.messages[0].content == "Hi"
    assert (request.model, request.max_tokens, request.temperature) == (None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"messages": []}',
        '{"messages": [{"role": "tool", "content": "Hi"}]}',
        '{"messages": [{"role": "user", "content": ""}]}',
        '{"messages": [{"role": "user", "content": null}]}',
        '{"messages": [{"role": "user", "content": "Hi", "name": "x"}]}',
        '{"messages": [{"role": "user", "content": "a\\u0000b"}]}',
        QUESTION + ', "model": ""}',
        QUESTION + ', "model": "two words"}',
        QUESTION + ', "max_tokens": 0}',
        QUESTION + ', "max_tokens": "7"}',
        QUESTION + ', "max_tokens": 7.5}',
        QUESTION + ', "max_tokens": true}',
        QUESTION + f', "max_tokens": {10**400}}}',
        QUESTION + ', "temperature": 2.1}',
        QUESTION + ', "temperature": NaN}',
        QUESTION + ', "top_p": 1}',
    ],
)
def test_a_request_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        ChatRequest.model_validate_json(text)


def test_an_error_says_who_and_what_and_nothing_that_was_written() -> None:
    error = RateLimitedError(provider="openai", status=429, detail="your prompt was: hush")
    assert str(error) == "openai limits the rate of calls (status 429)"
    assert "hush" not in repr(error)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (400, {}, False),
        (408, {}, True),
        (409, {}, True),
        (425, {}, False),
        (409, {"x-should-retry": "false"}, False),
        (422, {"x-should-retry": "true"}, False),
        (401, {"x-should-retry": "true"}, False),
        (429, {}, True),
        (429, {"x-should-retry": "false"}, False),
        (500, {}, True),
        (503, {"x-should-retry": "false"}, False),
        (503, {"x-should-retry": "maybe"}, True),
        (529, {}, True),
    ],
)
def test_what_is_worth_another_call(status: int, headers: dict[str, str], expected: object) -> None:
    assert is_retryable(status, headers, {408, 409, 429}) is expected


def test_a_conflict_is_worth_another_call_where_the_provider_says_so() -> None:
    assert not is_retryable(409, {}, {408, 429})
    assert is_retryable(409, {"x-should-retry": "true"}, {408, 429})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "1000000"}, MAX_RETRY_AFTER),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 11:59:30 GMT"}, 0),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 -0000"}, 30),
        ({"retry-after": "Monday, 23-Nov-26 12:00:30 GMT"}, 30),
        ({"retry-after": "Mon Nov 23 12:00:30 2026"}, 30),
        ({"retry-after": "Sun, 01 Jan 99999 00:00:00 GMT"}, None),
        ({"retry-after": "Sun, 01 Jan 9999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 +99999999999999999999"}, None),
    ],
)
def test_how_long_a_provider_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.integers(0, int(MAX_RETRY_AFTER)))
def test_a_date_is_as_many_seconds_as_it_is_away(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after({"retry-after": date}, NOW) == seconds


NEARLY_DATES = st.lists(
    st.sampled_from(
        ["Mon,", "Monday,", "23", "Nov", "23-Nov-26", "2026", "12:00:30", "GMT", "+", "-"]
    )
    | st.integers().map(str)
).map(" ".join)


@given(st.text(st.characters(max_codepoint=255)) | NEARLY_DATES)
def test_no_retry_after_is_too_strange(text: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after({name: text}, NOW)
        assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER
