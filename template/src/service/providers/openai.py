"""OpenAI: chat completions, https://platform.openai.com/docs/api-reference/chat."""

from service.providers.base import (
    AccountError,
    ContentBlockedError,
    LocationError,
    UnavailableModelError,
)
from service.providers.completions import ChatCompletions
from service.providers.errors import ErrorTable
from service.providers.upstream import ApiSettings, prefixed
from service.settings import ServiceUrl


class OpenAISettings(ApiSettings):
    """Where OpenAI is, as whom it is called, and for which models."""

    model_config = prefixed("OPENAI")

    base_url: ServiceUrl = "https://api.openai.com/v1"


class OpenAI(ChatCompletions):
    """Chat completions of OpenAI, or of whoever speaks its language."""

    name = "openai"
    settings = OpenAISettings
    gateway_path = "openai"
    max_tokens = "max_completion_tokens"  # newer models refuse it by its older name
    request_id_header = "x-request-id"
    # https://developers.openai.com/api/docs/guides/error-codes
    errors = ErrorTable(
        names={
            "insufficient_quota": AccountError,
            "credit_balance_exhausted": AccountError,
            "organization_spend_limit_exceeded": AccountError,
            "organization_usage_limit_exceeded": AccountError,
            "project_spend_limit_exceeded": AccountError,
            "billing_hard_limit_reached": AccountError,
            "billing_not_active": AccountError,
            "account_deactivated": AccountError,
            "unsupported_country_region_territory": LocationError,
            "model_not_found": UnavailableModelError,
            # Its own for prompts against its usage policies, and Azure's.
            "content_filter": ContentBlockedError,
            "content_policy_violation": ContentBlockedError,
            "invalid_prompt": ContentBlockedError,
            "misalignment_policy_violation": ContentBlockedError,
        },
        statuses={
            "invalid_request_error": 400,
            "invalid_api_key": 401,
            "insufficient_quota": 429,
            "rate_limit_exceeded": 429,
            "server_overloaded": 503,
        },
    )


PROVIDER = OpenAI
