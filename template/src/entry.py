"""The Worker: what Cloudflare calls. Everything else is in `service`."""

from functools import cache

from workers import Request, Response, WorkerEntrypoint

from service import platform
from service.app import App


@cache
def app() -> App:
    """The service, built on the isolate's first request: a deploy's snapshot holds no settings."""
    return App(platform.runtime())


class Default(WorkerEntrypoint):
    """Answers HTTP requests."""

    async def fetch(self, request: Request) -> Response:
        return await platform.answer(request, app().handle)
