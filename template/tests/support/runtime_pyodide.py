"""The runtime inside Pyodide: fetch, Web Crypto and wrangler's local bindings, all real."""

import httpx
import workers

from service.platform import FetchTransport, verify_signature

__all__ = ["bindings", "transport", "verify_signature"]


def transport() -> httpx.AsyncBaseTransport:
    return FetchTransport()


def bindings() -> dict[str, object]:
    found = {name: getattr(workers.env, name, None) for name in ("DB", "ANALYTICS")}
    return {name: binding for name, binding in found.items() if binding is not None}
