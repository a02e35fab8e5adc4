"""Any endpoint with OpenAI's chat completions: Groq, OpenRouter, vLLM, Workers AI and others.

It is sent only what all of them take, and may report errors in any of their shapes.
"""

from pydantic import BaseModel, Field

from service.providers.base import AccountError, ContentBlockedError, UnavailableModelError
from service.providers.completions import ChatCompletions
from service.providers.errors import ErrorReport, ErrorTable
from service.providers.upstream import ApiSettings, prefixed


class OpenAICompatibleSettings(ApiSettings):
    """Where the endpoint is, as whom it is called, and for which models."""

    model_config = prefixed("OPENAI_COMPATIBLE")

    # No address says what an AI Gateway has in its place.
    gateway_path: str = Field(
        alias="OPENAI_COMPATIBLE_GATEWAY_PATH",
        default="",
        pattern="^[a-z0-9-]+(/[A-Za-z0-9._-]*[A-Za-z0-9])*$",
    )


class _Reason(BaseModel):
    code: int | str | None = None
    message: str | None = None


class _Error(BaseModel):
    """An object, or a text, named error; Cloudflare's list; or an object of no name."""

    error: ErrorReport | str | None = None
    errors: list[_Reason] = []
    type: str | None = None
    code: int | str | None = None
    message: str | None = None
    detail: str | None = None

    @property
    def report(self) -> ErrorReport:
        if isinstance(self.error, ErrorReport):
            return self.error
        if self.errors:
            messages = [each.message for each in self.errors if each.message]
            return ErrorReport(code=self.errors[0].code, message="; ".join(messages))
        said = self.error or self.message or self.detail
        return ErrorReport(type=self.type, code=self.code, message=said)


class OpenAICompatible(ChatCompletions):
    """Chat completions of whoever speaks OpenAI's language."""

    name = "openai-compatible"
    settings = OpenAICompatibleSettings
    request_id_header = "x-request-id"
    # What several of them report. OpenRouter's codes are statuses.
    errors = ErrorTable(
        names={
            "insufficient_quota": AccountError,
            "billing_not_active": AccountError,
            "model_not_found": UnavailableModelError,
            "model_decommissioned": UnavailableModelError,
            "content_filter": ContentBlockedError,
            "content_policy_violation": ContentBlockedError,
        },
        phrases={"input was flagged": ContentBlockedError},
        statuses={
            "error": 500,
            "invalid_request_error": 400,
            "invalid_api_key": 401,
            "insufficient_quota": 429,
            "rate_limit_exceeded": 429,
        },
    )

    _settings: OpenAICompatibleSettings

    @property
    def gateway_path(self) -> str:
        """What the settings say; calls go past a gateway where they say nothing."""
        return self._settings.gateway_path

    def error(self, content: bytes) -> ErrorReport:
        """In whichever shape it comes."""
        return _Error.model_validate_json(content).report


PROVIDER = OpenAICompatible
