"""How features are put together: each says what it contributes, and is built on first use.

A feature is a module with a `feature`, a tuple of contributions:

    feature = (ROUTES.by(routes), TASKS.by(tasks))

`by` takes a function of the context. It runs on a request, never at import time, so settings that
it reads are those of the deployment.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from service.http import client
from service.runtime import Runtime
from service.settings import Settings
from service.web import Request, Route

T = TypeVar("T")
S = TypeVar("S", bound=Settings)

Build = Callable[["Context"], T]
"""Builds a part of the service from the context."""


class Slot(Generic[T]):
    """Something that features contribute, such as routes or the database."""

    def by(self, build: Build[T]) -> "Contribution":
        """A contribution to this slot, built by `build`."""
        return Contribution(self, build)


@dataclass(frozen=True)
class Contribution:
    """What a feature contributes to one slot."""

    slot: Slot[Any]
    build: Build[Any]


Feature = tuple[Contribution, ...]


class Context:
    """The environment, the HTTP client, the runtime, and whatever features build from them.

    A part is built once and then shared by all requests of the isolate. It must not keep anything
    that is awaited, such as a lock, a task or a connection: the runtime cancels a request that
    waits for another request's I/O.
    """

    def __init__(self, runtime: Runtime, features: Sequence[Feature]) -> None:
        self.runtime = runtime
        self.env = runtime.env
        self.http = client(runtime.transport)
        self._features = features
        self._parts: dict[object, Any] = {}

    def get(self, build: Build[T]) -> T:
        """The part that `build` builds. Raises what it raises, such as SettingsError."""
        if build not in self._parts:
            self._parts[build] = build(self)
        part: T = self._parts[build]
        return part

    def settings(self, model: type[S]) -> S:
        """Settings, read from the environment. Raises SettingsError."""
        if model not in self._parts:
            self._parts[model] = model.load(self.env)
        settings: S = self._parts[model]
        return settings

    def every(self, slot: Slot[T]) -> list[T]:
        """All contributions to a slot, those of `service.custom` first."""
        return [self.get(build) for build in self._builds(slot)]

    def find(self, slot: Slot[T]) -> T | None:
        """The first contribution to a slot, or None."""
        return next((self.get(build) for build in self._builds(slot)), None)

    def require(self, slot: Slot[T]) -> T:
        """The first contribution to a slot that every service has."""
        return self.get(self._builds(slot)[0])

    def routes(self) -> list[Route]:
        """The routes of all features."""
        return [route for routes in self.every(ROUTES) for route in routes]

    def _builds(self, slot: Slot[T]) -> list[Build[T]]:
        return [each.build for feature in self._features for each in feature if each.slot is slot]


ROUTES = Slot[Sequence[Route]]()
"""Routes. Of two with the same method and path, the first one answers."""

Caller = Callable[[Request, Route], Awaitable[Request]]

CALLER = Slot[Caller]()
"""Returns the request with its caller and their claims, or raises a Problem: 401, 403 or 429."""

Task = Callable[[], Awaitable[Mapping[str, object]]]
"""Does something, and returns fields for its log line."""

TASKS = Slot[Mapping[str, Task]]()
"""Scheduled tasks by name. The crons of wrangler.toml run all of them."""

Consumer = Callable[[Any], Awaitable[None]]
"""Handles a batch of a queue's messages."""

CONSUMERS = Slot[Mapping[str, Consumer]]()
"""Queue consumers by name: "jobs" handles every queue whose name is, or ends in, `-jobs`."""
