"""The Worker: what Cloudflare calls. Everything else is in `service`."""

from workers import Request, Response, WorkerEntrypoint

from service import platform
from service.app import App

_app: App | None = None


def app(env: object) -> App:
    """The service, built on the isolate's first request: a deploy's snapshot holds no settings."""
    global _app
    if _app is None:
        _app = App(platform.runtime(env))
    return _app


class Default(WorkerEntrypoint):
    """Answers HTTP requests."""

    async def fetch(self, request: Request) -> Response:
        return await platform.answer(request, app(self.env).handle)
