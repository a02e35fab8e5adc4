"""Revoked tokens in Upstash Redis, over its REST API: what is revoked there is revoked at once.

https://upstash.com/docs/redis/features/restapi
"""

from collections.abc import Sequence

import httpx
from pydantic import BaseModel, ConfigDict, Field

from service.auth.revocation import STORE
from service.context import Context
from service.settings import HeaderSecret, ServiceUrl, Settings

MAX_ANSWER_BYTES = 4096


class UpstashSettings(Settings):
    """The database; a read-only token will do."""

    url: ServiceUrl = Field(alias="UPSTASH_REDIS_REST_URL")
    token: HeaderSecret = Field(alias="UPSTASH_REDIS_REST_TOKEN", min_length=1)


class Upstash:
    """The ids are the keys; their values say nothing."""

    def __init__(self, settings: UpstashSettings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http

    async def holds(self, keys: Sequence[str]) -> bool:
        """See `Store`. Raises httpx.HTTPError, or ValueError for what is no answer of Redis."""
        headers = {"authorization": f"Bearer {self._settings.token.get_secret_value()}"}
        request = self._http.build_request(
            "POST", self._settings.url, headers=headers, json=["EXISTS", *keys]
        )
        response = await self._http.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise ValueError("the answer is too large")
        finally:
            await response.aclose()
        return _Count.model_validate_json(body).result > 0


def upstash(context: Context) -> Upstash:
    return Upstash(context.settings(UpstashSettings), context.http)


feature = (STORE.by(upstash),)


class _Count(BaseModel):
    """How many of the keys are there."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    result: int = Field(ge=0)
