"""Runs inside Pyodide: one isolate of the Worker. Its value is what answers a request."""

import importlib
import sys
from pathlib import Path
from urllib.parse import urlsplit

PLATFORM = {"workers", "_cloudflare_compat_flags", "_pyodide_entrypoint_helper"}
OWN = {path.stem for path in Path("src").iterdir()}

SCHEDULED = "/cdn-cgi/handler/scheduled"
"""Where `wrangler dev` has the clock strike, too."""

for name in list(sys.modules):
    if name.partition(".")[0] in OWN | PLATFORM:
        del sys.modules[name]

entry = importlib.import_module("entry")
workers = importlib.import_module("workers")


async def fetch(js_request: object, env: object, ctx: object) -> object:
    """Answers as workerd does: one entrypoint object a request."""
    request, worker = workers.Request(js_request), entry.Default(ctx, env)
    if urlsplit(request.url).path == SCHEDULED and hasattr(worker, "scheduled"):
        await worker.scheduled(None, env, ctx)
        return workers.Response("ok").js_object
    response = await worker.fetch(request)
    return getattr(response, "js_object", response)


fetch
