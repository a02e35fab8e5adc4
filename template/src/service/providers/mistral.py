"""Mistral: chat completions, https://docs.mistral.ai/api/endpoint/chat."""

from typing import ClassVar

from pydantic import BaseModel, Field

from service.providers.completions import ChatCompletions
from service.providers.upstream import ApiKey, ErrorReport
from service.settings import ServiceUrl, Settings


class MistralSettings(Settings):
    """Where Mistral is, and as whom it is called."""

    api_key: ApiKey = Field(alias="MISTRAL_API_KEY", min_length=1)
    base_url: ServiceUrl = Field(alias="MISTRAL_BASE_URL", default="https://api.mistral.ai/v1")
    model: str = Field(alias="MISTRAL_MODEL", min_length=1)


class _Error(BaseModel):
    type: str | None = None
    code: str | int | None = None
    raw_status_code: int | None = None
    message: object = None
    detail: object = None


class Mistral(ChatCompletions):
    """Chat completions of Mistral's models."""

    name = "mistral"
    max_tokens = "max_tokens"
    request_id_header = "mistral-correlation-id"
    finish_reasons: ClassVar = {
        "stop": "stop",
        "length": "length",
        "model_length": "length",
        "tool_calls": "tool_calls",
    }
    error_statuses: ClassVar = {
        "error": 500,
        "invalid_request_error": 400,
        "rate_limited": 429,
        "service_tier_capacity_exceeded": 429,
    }
    passing_statuses = frozenset({408, 429})

    def error(self, content: bytes) -> ErrorReport:
        """An object of its own, or `detail` alone where the request did not get far."""
        error = _Error.model_validate_json(content)
        return ErrorReport(
            type=error.type,
            code=error.raw_status_code or error.code,
            message=_words(error.message) or _words(error.detail),
        )


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
