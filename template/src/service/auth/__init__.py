"""Who is calling: what every identity service comes down to for the rest of the Worker."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import httpx

from service.auth.jwt import Claims
from service.context import Slot
from service.web import Problem, Route


@dataclass(frozen=True)
class Principal:
    """A caller whose token was verified; `subject`, never empty, is nobody else's."""

    subject: str
    claims: Claims
    scopes: frozenset[str] = frozenset()


class Identity(Protocol):
    """Verifies tokens; one serves all requests of the isolate."""

    async def authenticate(self, headers: httpx.Headers, /) -> Principal:
        """Who sent the request with these headers. Raises Unauthorized."""


IDENTITY = Slot[Identity]()

TOKEN_CHECKS = Slot[Callable[[Principal], Awaitable[None]]]()
"""Further checks of a verified token, before its request counts. They raise Unauthorized."""

ROUTE_CHECKS = Slot[Callable[[Principal, Route], None]]()
"""Whether a caller may use a route. They raise InsufficientScope."""


class Unauthorized(Problem):
    """The request has no valid credentials: a 401, with the challenge of RFC 6750, section 3.

    `error` is RFC 6750's code, None where there were no credentials.
    """

    def __init__(self, description: str, error: str | None = None) -> None:
        told = {"error": error, "error_description": description} if error else {}
        headers = {"www-authenticate": challenge(**told)}
        super().__init__(401, f"Not authorized: {description}.", headers=headers)
        self.description = description
        self.error = error


def challenge(**parameters: str) -> str:
    """The value of a WWW-Authenticate header (RFC 6750, section 3)."""
    return "Bearer " + ", ".join(
        f'{name}="{value}"' for name, value in {"realm": "api", **parameters}.items()
    )
