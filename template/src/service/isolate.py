"""The service of this isolate, for the classes that Cloudflare calls."""

from functools import cache

from service import platform
from service.app import App


@cache
def app() -> App:
    """The service, built on the isolate's first request: a deploy's snapshot holds no settings."""
    return App(platform.runtime())
