"""How often one caller may ask: counted by Workers' rate limiting binding.

Each of Cloudflare's locations counts for itself, and roughly: this keeps one caller from taking
the service away from the others. It keeps no accounts.
"""

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Protocol

from pydantic import Field

from service.address import network
from service.context import Context
from service.log import log, where
from service.settings import Settings, binding
from service.telemetry.events import telemetry
from service.web import Problem, Request

TIMEOUT_SECONDS = 1.0

Throttled = Callable[[Request, str, str | None], None]
"""Told of a request that was refused: the route as declared, and the caller if there is one."""


class RateLimitSettings(Settings):
    """The period that wrangler.toml gives the binding, in seconds: a Worker cannot ask for it."""

    period: int = Field(alias="RATE_LIMIT_PERIOD", ge=1)


class RateLimitBinding(Protocol):
    """What the service uses of the binding."""

    async def limit(self, options: Mapping[str, str], /) -> Mapping[str, object]:
        """Count one for options["key"]; "success" of the answer says whether it may go on."""


class RateLimit:
    """Lets a caller's requests pass until they are too many; `timeout` is in seconds."""

    def __init__(
        self,
        settings: RateLimitSettings,
        binding: RateLimitBinding,
        throttled: Throttled,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._period = settings.period
        self._binding = binding
        self._throttled = throttled
        self._timeout = timeout

    async def admit(self, request: Request, route: str, caller: str) -> None:
        """Count the request for `caller`, a verified subject. Raises Problem: 429."""
        await self._count(request, route, f"caller {caller}", caller)

    async def admit_address(self, request: Request, route: str) -> None:
        """Count the request for the address that it came from. Raises Problem: 429."""
        await self._count(request, route, f"address {network(request.headers)}", None)

    async def _count(self, request: Request, route: str, name: str, caller: str | None) -> None:
        # Names may be of any length, and must not appear where they are counted.
        key = sha256(name.encode(errors="surrogatepass")).hexdigest()
        if await self._has_room(key):
            return
        self._throttled(request, route, caller)
        raise Problem(
            429,
            f"Too many requests. Wait up to {self._period} seconds.",
            headers={"retry-after": str(self._period)},
        )

    async def _has_room(self, key: str) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                return bool((await self._binding.limit({"key": key}))["success"])
        except Exception as error:  # noqa: BLE001 - JavaScript's errors have no class in common
            # It is there for the others' sake, who would get no answer at all.
            log("error", "rate_limit_failed", error=type(error).__name__, where=where(error))
            return True


def rate_limit(context: Context) -> RateLimit:
    settings = context.settings(RateLimitSettings)
    limiter = binding(context.env, "RATE_LIMITER")
    return RateLimit(settings, limiter, context.get(telemetry).throttled)
