"""What the platform gives the service; tests on CPython bring the same from elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx

from service.settings import Environment

VerifySignature = Callable[[str, Mapping[str, object], bytes, bytes], Awaitable[bool]]
"""Algorithm (a JWA name), public key (a JWK), signature, signed bytes -> whether they fit.

Raises ValueError for a key that cannot be used with the algorithm.
"""

VerifyHmac = Callable[[bytes, bytes, bytes], Awaitable[bool]]
"""Secret, signature, signed bytes -> whether the signature is their HMAC-SHA256, in constant time.

Raises ValueError for an empty secret, with which anyone can sign.
"""

EndSpan = Callable[[Mapping[str, str | int | float | bool], str | None], None]
"""Ends a span with its attributes and what failed, None where nothing did."""

StartSpan = Callable[[str], EndSpan]
"""Starts a span of the platform's tracing, by its name."""


def no_span(_name: str) -> EndSpan:
    """What starts spans where there is no tracing: nothing."""
    return lambda _attributes, _failure: None


@dataclass(frozen=True)
class Runtime:
    """The Worker's environment, its way to the network, its cryptography and its tracing."""

    env: Environment
    transport: httpx.AsyncBaseTransport
    verify_signature: VerifySignature
    verify_hmac: VerifyHmac
    start_span: StartSpan = no_span
