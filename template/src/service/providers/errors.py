"""What an API's error means: a ProviderError, by its type, code, message and status."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import unquote

import httpx
from pydantic import BaseModel, BeforeValidator

from service.providers.base import (
    AccountError,
    AuthenticationError,
    BadRequestError,
    LocationError,
    MalformedAnswerError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    ServerError,
    UnavailableModelError,
)
from service.retry_after import duration, retry_after

MAX_DETAIL_CHARS = 500
MAX_NAME_CHARS = 100


def _seconds(value: object) -> float | None:
    return duration(str(value).removesuffix("s"))


Seconds = Annotated[float | None, BeforeValidator(_seconds)]
"""A duration as APIs write it: 7, "7.5", "7.5s"; None for anything else."""


class ErrorReport(BaseModel):
    """An API's error object; `param` is the parameter that it names, in its own spelling."""

    type: str | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None
    retry_after: Seconds = None


class ErrorBody(BaseModel):
    """The body of an answer that is an error."""

    error: ErrorReport


class ReportedError(Exception):
    """The API reported an error in what began as an answer: in the middle of a stream, say."""

    def __init__(self, report: ErrorReport) -> None:
        super().__init__(report.type)
        self.report = report


Kinds = Mapping[str, type[ProviderError]]


@dataclass(frozen=True)
class ErrorTable:
    """The errors of one API, where their statuses do not say it all.

    Args:
        names: What a type, a code or a status means.
        phrases: What a message means that has these words, in lower case. Only for errors without a
            type or code of their own.
        statuses: The status that a type, a code or a finish reason stands for, for errors that
            are reported in an answer and therefore have none.
        retried: The 4xx that the API's own clients retry.
    """

    names: Kinds = field(default_factory=dict)
    phrases: Kinds = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    retried: Set[int] = frozenset({408, 409, 429})

    def status(self, report: ErrorReport) -> int:
        """The status of an error that was reported in an answer."""
        if isinstance(report.code, int) and 400 <= report.code < 600:
            return report.code
        names = (str(report.code), str(report.type))
        return next((self.statuses[name] for name in names if name in self.statuses), 500)

    def kind(self, report: ErrorReport, status: int) -> type[ProviderError]:
        """The error that a report with this status is."""
        message = (report.message or "").lower()
        for phrase, kind in self.phrases.items():
            if phrase in message:
                return kind
        for name in (str(report.code), str(report.type), str(status)):
            if name in self.names:
                return self.names[name]
        return error_class(status)


# 400, 413 and 422 depend on what the caller sent. For any other status the caller can do nothing.
_ERRORS: Kinds = {
    "400": BadRequestError,
    "401": AuthenticationError,
    "402": AccountError,
    "403": PermissionDeniedError,
    "404": UnavailableModelError,
    "408": ProviderTimeoutError,
    "409": OverloadedError,
    "410": UnavailableModelError,
    "413": BadRequestError,
    "422": BadRequestError,
    "429": RateLimitedError,
    "451": LocationError,
    "503": OverloadedError,
    "504": ProviderTimeoutError,
    "529": OverloadedError,
}


def error_class(status: int) -> type[ProviderError]:
    """The error that a status other than 200 stands for."""
    if status < 400:
        return MalformedAnswerError
    return _ERRORS.get(str(status), ProviderError if status < 500 else ServerError)


def is_retryable(status: int, headers: Mapping[str, str], retried: Set[int]) -> bool:
    """Whether the same call may go well later: after a `retried` status or any 5xx.

    `x-should-retry` can exclude any of these, and include a conflict.
    """
    should_retry = headers.get("x-should-retry")
    passes = status in retried or status >= 500
    is_conflict = status == httpx.codes.CONFLICT and should_retry == "true"
    return should_retry != "false" and (passes or is_conflict)


# A parameter as the APIs spell it, and as our callers do.
_PARAMETERS = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "maxoutputtokens": "max_tokens",
    "max_output_tokens": "max_tokens",
}
_FIELDS = _PARAMETERS | {"model": "model", "messages": "messages", "contents": "messages"}


def parameter(report: ErrorReport) -> str | None:
    """The field of our requests that an error is about: as it names it, else as its message does.

    Messages can quote prompts, so only the names of parameters are looked for in them.
    """
    named = _words(report.param)
    said = _words(report.message)
    fields = (_FIELDS.get(word) for word in named)
    return next(filter(None, (*fields, *(_PARAMETERS.get(word) for word in said))), None)


def _words(text: str | None) -> list[str]:
    return re.findall(r"\w+", (text or "").lower())


def provider_error(
    kind: type[ProviderError],
    report: ErrorReport,
    status: int,
    headers: Mapping[str, str],
    *,
    provider: str,
    key: str,
    retried: Set[int],
) -> ProviderError:
    """The error that an API reports; its texts are without the API key."""
    wait = retry_after(headers, datetime.now(UTC))
    return kind(
        provider=provider,
        status=status,
        retry_after=report.retry_after if wait is None else wait,
        retryable=not kind.is_lasting and is_retryable(status, headers, retried),
        type=_name(report.type, key),
        code=_name(report.code, key),
        parameter=parameter(report),
        detail=(report.message or "").replace(key, "***")[:MAX_DETAIL_CHARS],
    )


def _name(value: str | int | None, key: str) -> str | None:
    return None if value is None else str(value).replace(key, "***")[:MAX_NAME_CHARS]


_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
# Beyond ASCII not all scripts separate words, so each character counts as one.
_WORD = re.compile(r"[A-Za-z0-9_]+|[^\W_a-zA-Z0-9]")


def redacted(detail: str, *texts: str) -> str:
    """What a provider wrote without any word that is in one of the texts.

    A provider may quote a prompt: whole, cut, or escaped as in JSON or a URL. Common words go, too.
    """
    said = "\n".join(texts).casefold()
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), unquote(detail))
    plain = re.sub(r"\\.", " ", plain)
    return _WORD.sub(lambda match: "***" if match[0].casefold() in said else match[0], plain)
