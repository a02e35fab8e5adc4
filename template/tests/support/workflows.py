"""A double of a workflow, for CPython and for what the real one does not do on demand.

The real one runs in the Worker that is tested over HTTP.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class MemoryInstance:
    """One run: what it was started with, and how far it is said to be."""

    params: Mapping[str, Any]
    state: dict[str, Any] = field(default_factory=lambda: {"status": "queued"})

    async def status(self) -> Mapping[str, Any]:
        return self.state


class MemoryWorkflow:
    """The binding: keeps what is started, runs nothing."""

    def __init__(self) -> None:
        self.instances: dict[str, MemoryInstance] = {}
        self.is_down = False

    async def create(self, options: Mapping[str, Any], /) -> MemoryInstance:
        if self.is_down:
            raise ConnectionError("(workflow.unavailable)")
        self.instances[options["id"]] = MemoryInstance(options["params"])
        return self.instances[options["id"]]

    async def get(self, instance_id: str, /) -> MemoryInstance:
        if self.is_down:
            raise ConnectionError("(workflow.unavailable)")
        if instance_id not in self.instances:
            raise KeyError("(instance.not_found) Provided instance id does not exist")
        return self.instances[instance_id]


class MemorySteps:
    """A run's steps: each result is kept by its name, as the platform keeps it."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}

    async def __call__(
        self, name: str, work: Callable[[], Awaitable[str]], _config: Mapping[str, object], /
    ) -> str:
        if name not in self.results:
            self.results[name] = await work()
        return self.results[name]
