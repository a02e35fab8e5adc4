"""Runs inside Pyodide: one isolate of the Worker. Its value is what answers a request."""

import importlib
import sys
from pathlib import Path

PLATFORM = {"workers", "_cloudflare_compat_flags", "_pyodide_entrypoint_helper"}
OWN = {path.stem for path in Path("src").iterdir()}

for name in list(sys.modules):
    if name.partition(".")[0] in OWN | PLATFORM:
        del sys.modules[name]

entry = importlib.import_module("entry")
workers = importlib.import_module("workers")


async def fetch(js_request: object, env: object, ctx: object) -> object:
    """Answers as workerd does: one entrypoint object a request."""
    response = await entry.Default(ctx, env).fetch(workers.Request(js_request))
    return getattr(response, "js_object", response)


fetch
