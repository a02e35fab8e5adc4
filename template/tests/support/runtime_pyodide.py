"""The runtime inside workerd: fetch, Web Crypto and bindings, all real."""

import httpx
import js
import workers
from pyodide.ffi import to_js

from service.platform import FetchTransport, chunks, verify_hmac, verify_signature

__all__ = ["bindings", "chunks", "native", "transport", "verify_hmac", "verify_signature"]

BINDINGS = (
    "ANALYTICS",
    "DB",
    "FILES",
    "JOBS",
    "QUOTA",
    "RATE_LIMITER",
    "REVOKED",
)


def transport() -> httpx.AsyncBaseTransport:
    return FetchTransport()


def native(content: bytes) -> object:
    """A body as bindings take it."""
    return js.Response.new(to_js(content)).body if content else b""


def bindings() -> dict[str, object]:
    found = {name: getattr(workers.env, name, None) for name in BINDINGS}
    return {name: binding for name, binding in found.items() if binding is not None}
