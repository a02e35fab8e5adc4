"""Where a request came from: all that tells one caller from another where nobody signs in."""

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network, ip_address

import httpx

from service.context import CALLER, Caller, Context
from service.limits import rate_limit
from service.web import Request, Route

CUSTOMER_PREFIX = 64
"""Bits of an IPv6 address that name a customer; the rest are theirs to choose (RFC 6177)."""


def network(headers: httpx.Headers) -> str:
    """The IPv4 address, or the IPv6 network, that Cloudflare says the request came from.

    Cloudflare sets CF-Connecting-IP itself, whatever a client sent; where it is missing or no
    address, all are one caller.
    """
    try:
        address = ip_address(headers.get("cf-connecting-ip", ""))
    except ValueError:
        return "unknown"
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), CUSTOMER_PREFIX), strict=False))


def caller(context: Context) -> Caller:
    async def identify(request: Request, route: Route) -> Request:
        """Callers are anonymous. Raises Problem when an address exceeds its limit."""
        await context.get(rate_limit).admit(request, route.path, network(request.headers))
        return replace(request, caller="anonymous")

    return identify


feature = (CALLER.by(caller),)
