"""Which scopes a route asks of a token: RFC 6749, section 3.3, and RFC 6750, section 3.1."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import BeforeValidator

from service.auth import Principal, challenge
from service.settings import SettingsError
from service.web import Problem

_RULE = re.compile(r"([A-Z]+ /[^=;\s]*)\s*=\s*([!#-:<-\[\]-~]+(?: +[!#-:<-\[\]-~]+)*)")


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
    if not granted(principal) >= set(needed):
        raise InsufficientScope(needed)


def granted(principal: Principal) -> frozenset[str]:
    """The scopes of a token: RFC 9068's `scope`, or `scp`, where some issuers have them."""
    others = principal.claims.model_extra or {}
    claims = [others.get(name) for name in ("scope", "scp")]
    texts = [text for claim in claims for text in (claim if isinstance(claim, list) else [claim])]
    return frozenset(scope for text in texts if isinstance(text, str) for scope in text.split(" "))
