"""OpenAI: chat completions, https://platform.openai.com/docs/api-reference/chat."""

from typing import ClassVar

from pydantic import Field

from service.providers.completions import ChatCompletions
from service.providers.upstream import ApiKey
from service.settings import ServiceUrl, Settings


class OpenAISettings(Settings):
    """Where OpenAI is, and as whom it is called."""

    api_key: ApiKey = Field(alias="OPENAI_API_KEY", min_length=1)
    base_url: ServiceUrl = Field(alias="OPENAI_BASE_URL", default="https://api.openai.com/v1")
    model: str = Field(alias="OPENAI_MODEL", min_length=1)


class OpenAI(ChatCompletions):
    """Chat completions of OpenAI, or of whoever speaks its language."""

    name = "openai"
    max_tokens = "max_completion_tokens"  # newer models refuse it by its older name
    request_id_header = "x-request-id"
    stream_options: ClassVar = {"stream": True, "stream_options": {"include_usage": True}}
    finish_reasons: ClassVar = {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "function_call": "tool_calls",
        "content_filter": "content_filter",
    }
    error_statuses: ClassVar = {
        "invalid_request_error": 400,
        "invalid_api_key": 401,
        "insufficient_quota": 429,
        "rate_limit_exceeded": 429,
        "server_overloaded": 503,
    }
    # OpenAI's own for prompts against its usage policies, and Azure's.
    block_errors = frozenset(
        {
            "content_filter",
            "content_policy_violation",
            "invalid_prompt",
            "misalignment_policy_violation",
        }
    )
