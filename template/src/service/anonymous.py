"""Callers without authentication: all are anonymous, and their addresses share the rate limit."""

from dataclasses import replace

from service.context import CALLER, Caller, Context
from service.limits import rate_limit
from service.web import Request, Route


def caller(context: Context) -> Caller:
    async def identify(request: Request, route: Route) -> Request:
        """Callers are anonymous. Raises Problem when an address exceeds its limit."""
        await context.get(rate_limit).admit_address(request, route.path)
        return replace(request, caller="anonymous")

    return identify


feature = (CALLER.by(caller),)
