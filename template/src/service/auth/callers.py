"""Identifies callers: a verified token that is not revoked, within its limits. GET /v1/me."""

from collections.abc import Sequence
from dataclasses import replace

from service.auth import IDENTITY, ROUTE_CHECKS, TOKEN_CHECKS, Principal, Unauthorized
from service.context import CALLER, ROUTES, Caller, Context
from service.limits import rate_limit
from service.log import log
from service.web import Request, Response, Route, json_response


def caller(context: Context) -> Caller:
    async def identify(request: Request, route: Route) -> Request:
        """Raises Unauthorized, InsufficientScope, and Problem for a 429."""
        try:
            principal = await _verified(context, request)
        except Unauthorized as error:
            log("warning", "unauthorized", reason=error.description)
            raise
        await context.get(rate_limit).admit(request, route.path, principal.subject)
        for allow in context.every(ROUTE_CHECKS):
            allow(principal, route)
        claims = principal.claims.model_dump(mode="json", exclude_unset=True)
        return replace(request, caller=principal.subject, claims=claims)

    return identify


async def _verified(context: Context, request: Request) -> Principal:
    principal = await context.require(IDENTITY).authenticate(request.headers)
    # Before it counts: a stolen token that was revoked uses up nothing of its owner's share.
    for check in context.every(TOKEN_CHECKS):
        await check(principal)
    return principal


def routes(_context: Context) -> Sequence[Route]:
    return [Route("GET", "/v1/me", _me)]


feature = (CALLER.by(caller), ROUTES.by(routes))


async def _me(request: Request) -> Response:
    return json_response({"subject": request.caller})
