"""Cloudflare AI Gateway, in front of every provider: https://developers.cloudflare.com/ai-gateway.

The providers' formats pass through it as they are; it adds headers, and errors of its own.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, ValidationError

from service.providers.base import (
    AuthenticationError,
    ContentBlockedError,
    GatewayError,
    Passage,
    ProviderError,
)
from service.providers.errors import error_class
from service.providers.upstream import OwnError
from service.settings import HeaderSecret, ServiceUrl, Settings

BASE_URL = "https://gateway.ai.cloudflare.com/v1"
MONTH = 30 * 24 * 60 * 60

NO_ANSWER = 2005
"""The code of its error, a 400, for a provider that did not answer: what others call a 502."""

BLOCKS = frozenset({2016, 2017, 2029, 2030})
"""The codes of its errors for a prompt or an answer that guardrails or DLP policies block."""


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('needs to be a JSON object, such as {"team": "search"}') from None


Metadata = Annotated[dict[str, str | bool | int | float], BeforeValidator(_parsed)]


class GatewaySettings(Settings):
    """Which gateway, and what each call is to tell it."""

    account_id: str = Field(alias="AI_GATEWAY_ACCOUNT_ID", pattern="^[0-9a-f]{32}$")
    gateway_id: str = Field(alias="AI_GATEWAY_ID", pattern="^[a-z0-9_-]{1,64}$")
    # Only for a gateway that asks for one.
    token: HeaderSecret = Field(alias="AI_GATEWAY_TOKEN", default=SecretStr(""))
    cache_ttl: int | None = Field(alias="AI_GATEWAY_CACHE_TTL", default=None, ge=60, le=MONTH)
    metadata: Metadata | None = Field(alias="AI_GATEWAY_METADATA", default=None, max_length=5)
    base_url: ServiceUrl = Field(alias="AI_GATEWAY_BASE_URL", default=BASE_URL)


class GatewayTokenError(AuthenticationError):
    """401 of the gateway's own: it asks for a token, and has not got the right one."""

    meaning = "is behind an AI Gateway that refused AI_GATEWAY_TOKEN"


class _Reason(BaseModel):
    code: int
    message: str = ""


class _Error(BaseModel):
    success: Literal[False]
    reasons: list[_Reason] = Field(alias="error", min_length=1)


class AIGateway:
    """The way through the gateway: `Gateway` of `upstream`."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings

    @property
    def headers(self) -> Mapping[str, str]:
        """The token, how long an answer may be cached, and what the gateway's log is to say."""
        settings, headers = self._settings, {}
        if token := settings.token.get_secret_value():
            headers["cf-aig-authorization"] = f"Bearer {token}"
        if settings.cache_ttl is not None:
            headers["cf-aig-cache-ttl"] = str(settings.cache_ttl)
        if settings.metadata:
            headers["cf-aig-metadata"] = json.dumps(settings.metadata)
        return headers

    def base_url(self, path: str) -> str:
        """Where the gateway takes calls for the API with that `gateway_path`."""
        settings = self._settings
        return f"{settings.base_url}/{settings.account_id}/{settings.gateway_id}/{path}"

    def passage(self, headers: Mapping[str, str]) -> Passage:
        """Whether an answer came out of the cache, and its entry in the gateway's log."""
        return Passage(
            cache_status=headers.get("cf-aig-cache-status"), log_id=headers.get("cf-aig-log-id")
        )

    def own_error(self, content: bytes, status: int) -> OwnError | None:
        """The gateway's error, by the shape of Cloudflare's APIs; None for a provider's."""
        try:
            reasons = _Error.model_validate_json(content).reasons
        except ValidationError:
            return None
        message, code = "; ".join(reason.message for reason in reasons), reasons[0].code
        status = 502 if code == NO_ANSWER else status
        return OwnError(message, code, status, _kind(code, status))


def _kind(code: int, status: int) -> type[ProviderError]:
    if code in BLOCKS:
        return ContentBlockedError
    if status == 401:
        return GatewayTokenError
    # Its 4xx are about the gateway, its settings and the headers for it, never the request.
    is_own = 400 <= status < 500 and status not in {408, 429}
    return GatewayError if is_own else error_class(status)
