"""Which scopes a route asks of a token: RFC 6749, section 3.3, and RFC 6750, section 3.1."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from service.auth import ROUTE_CHECKS, Principal, challenge
from service.context import Context
from service.settings import Settings, SettingsError
from service.web import Problem, Route

_SCOPES = re.compile(r"[!#-:<-\[\]-~]+(?: +[!#-:<-\[\]-~]+)*")
_RULE = re.compile(rf"([A-Z]+ /[^=;\s]*)\s*=\s*({_SCOPES.pattern})")


class InsufficientScope(Problem):
    """The token is good, but does not allow this: a 403 that says what would."""

    def __init__(self, scopes: Collection[str]) -> None:
        description = "the token does not have the scope that this needs"
        told = challenge(
            error="insufficient_scope",
            error_description=description,
            scope=" ".join(sorted(scopes)),
        )
        super().__init__(403, f"Not allowed: {description}.", headers={"www-authenticate": told})


def _read(value: object) -> object:
    """`POST /v1/chat=chat:write; GET /v1/chats=chat:read chat:list`, a route's scopes each."""
    if not isinstance(value, str):
        return value
    rules = [_RULE.fullmatch(part.strip()) for part in value.rstrip("; ").split(";")]
    found = {rule[1]: frozenset(rule[2].split()) for rule in rules if rule}
    if len(found) < len(rules):
        raise ValueError(
            "needs each route once, such as POST /v1/chat=chat:write; GET /v1/chats=chat:read"
        )
    return found


RequiredScopes = Annotated[Mapping[str, frozenset[str]], BeforeValidator(_read)]
"""The scopes, all of which a token has to have, by route: its method and its path."""


def _read_scopes(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _SCOPES.fullmatch(value):
        raise ValueError("needs scopes, separated by spaces, such as chat:read chat:write")
    return value.split()


class ScopeSettings(Settings):
    """What routes ask of a token; `default` is asked by those without a rule of their own."""

    required: RequiredScopes = Field(alias="AUTH_REQUIRED_SCOPES", default={})
    default: Annotated[frozenset[str], BeforeValidator(_read_scopes)] = Field(
        alias="AUTH_DEFAULT_SCOPE", default=frozenset()
    )


def check_routes(required: Mapping[str, frozenset[str]], routes: Collection[str]) -> None:
    """Raise SettingsError for a rule that no route has: one that was misspelt would guard nothing.

    `routes` are those that have a caller.
    """
    if unknown := sorted(required.keys() - set(routes)):
        known = ", ".join(sorted(routes))
        raise SettingsError(
            [
                f"AUTH_REQUIRED_SCOPES names {route}, and the routes with callers are {known}"
                for route in unknown
            ]
        )


def check_scopes(principal: Principal, needed: Collection[str]) -> None:
    """Raise InsufficientScope unless the token has all of the scopes that are `needed`."""
    if not principal.scopes >= set(needed):
        raise InsufficientScope(needed)


def granted(claims: Mapping[str, object]) -> frozenset[str]:
    """The scopes in a token's claims: RFC 9068's `scope`, `roles` and so on.

    `scope`, or `scp`, holds several in one text; `permissions` and `roles` are lists of one each.
    """
    together = [text for name in ("scope", "scp") for text in texts(claims.get(name))]
    alone = [text for name in ("permissions", "roles") for text in texts(claims.get(name))]
    return frozenset([*alone, *(scope for text in together for scope in text.split(" "))]) - {""}


def texts(claim: object) -> list[str]:
    """The text or texts that a claim holds."""
    claims = claim if isinstance(claim, list) else [claim]
    return [text for text in claims if isinstance(text, str)]


def required_scopes(context: Context) -> Callable[[Principal, Route], None]:
    settings = context.settings(ScopeSettings)
    check_routes(settings.required, [route.name for route in context.routes() if not route.public])

    def check(principal: Principal, route: Route) -> None:
        check_scopes(principal, settings.required.get(route.name, settings.default))

    return check


feature = (ROUTE_CHECKS.by(required_scopes),)
