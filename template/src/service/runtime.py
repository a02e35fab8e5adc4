"""What the platform gives the service; tests on CPython bring the same from elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx

from service.settings import Environment

VerifySignature = Callable[[str, Mapping[str, object], bytes, bytes], Awaitable[bool]]
"""Algorithm (a JWA name), public key (a JWK), signature, signed bytes -> whether they fit.

Raises ValueError for a key that cannot be used with the algorithm.
"""


@dataclass(frozen=True)
class Runtime:
    """The Worker's environment, its way to the network, and its cryptography."""

    env: Environment
    transport: httpx.AsyncBaseTransport
    verify_signature: VerifySignature
