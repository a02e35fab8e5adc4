"""Mistral: chat completions, https://docs.mistral.ai/api/endpoint/chat."""

from typing import ClassVar

from pydantic import BaseModel

from service.providers.base import AccountError, PermissionDeniedError, UnavailableModelError
from service.providers.completions import ChatCompletions
from service.providers.errors import ErrorReport, ErrorTable
from service.providers.upstream import ApiSettings, prefixed
from service.settings import ServiceUrl


class MistralSettings(ApiSettings):
    """Where Mistral is, as whom it is called, and for which models."""

    model_config = prefixed("MISTRAL")

    base_url: ServiceUrl = "https://api.mistral.ai/v1"


class PermissionOrContentError(PermissionDeniedError):
    """403: Mistral's guardrails answer it as well, and nothing tells the two apart.

    What may be blocked content is not carried to another provider.
    """

    is_passed_on = False


class _Error(BaseModel):
    type: str | None = None
    code: str | int | None = None
    raw_status_code: int | None = None
    param: str | None = None
    message: object = None
    detail: object = None


class Mistral(ChatCompletions):
    """Chat completions of Mistral's models."""

    name = "mistral"
    settings = MistralSettings
    gateway_path = "mistral/v1"
    telemetry_name = "mistral_ai"
    request_id_header = "mistral-correlation-id"
    stream_options: ClassVar = {"stream": True}
    finish_reasons: ClassVar = {
        "stop": "stop",
        "length": "length",
        "model_length": "length",
        "tool_calls": "tool_calls",
    }
    max_temperature = 1.5
    # https://docs.mistral.ai/resources/error-glossary
    errors = ErrorTable(
        names={
            "invalid_model": UnavailableModelError,
            "unknown_model": UnavailableModelError,
            "1500": UnavailableModelError,
            "403": PermissionOrContentError,
        },
        phrases={
            "invalid model": UnavailableModelError,
            "inactive subscription": AccountError,
            "usage limit reached": AccountError,
        },
        statuses={
            "error": 500,
            "invalid_request_error": 400,
            "rate_limited": 429,
            "service_tier_capacity_exceeded": 429,
        },
        retried=frozenset({408, 429}),
    )

    def error(self, content: bytes) -> ErrorReport:
        """An object of its own, or `detail` alone where the request did not get far."""
        error = _Error.model_validate_json(content)
        return ErrorReport(
            type=error.type,
            code=error.raw_status_code or error.code,
            message=_words(error.message) or _words(error.detail),
            param=error.param or _place(error.detail),
        )


def _place(detail: object) -> str | None:
    """The field that a list of what is wrong begins with."""
    match detail:
        case [{"loc": [*_, str(name)]}, *_]:
            return name
    return None


def _words(message: object) -> str | None:
    """The text in a message: a text, a list of what is wrong, or an object around either."""
    match message:
        case str():
            return message
        case list():
            return "; ".join(filter(None, map(_words, message)))
        case {"msg": inner} | {"detail": inner}:
            return _words(inner)
    return None


PROVIDER = Mistral
