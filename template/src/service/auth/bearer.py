"""The Authorization header: RFC 6750, section 2.1."""

import httpx

from service.auth import Unauthorized


def bearer_tokens(headers: httpx.Headers) -> list[str]:
    """The bearer token, if there is one. Raises Unauthorized for several Authorization headers."""
    value = the_only(headers, "Authorization")
    scheme, _, token = (value or "").strip().partition(" ")
    return [token.strip(" ")] if scheme.lower() == "bearer" else []


def the_only(headers: httpx.Headers, name: str) -> str | None:
    """The value of a header that holds a token. Raises Unauthorized where there are several."""
    values = headers.get_list(name)
    # The Worker is given several headers as one, joined by commas, which no token has.
    if len(values) > 1 or any("," in value for value in values):
        raise Unauthorized(f"the request has several {name} headers", "invalid_token")
    return values[0] if values else None
