"""The HTTP client that everything in this service calls out with."""

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from service.about import NAME, VERSION

TIMEOUT = httpx.Timeout(30.0)
"""Seconds to the first byte of an answer, and between any two of its chunks."""


def client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """A client that all requests of the Worker may share.

    It keeps nothing between calls: no cookies, and on the Worker's fetch transport no connections.
    """
    return httpx.AsyncClient(
        transport=transport,
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        headers={"user-agent": f"{NAME}/{VERSION}"},
    )
