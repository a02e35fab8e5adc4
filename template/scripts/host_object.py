"""Runs inside Pyodide: makes a Durable Object. Its value is what makes one."""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any


def create(class_name: str, ctx: object) -> Callable[[str, Any], Awaitable[object]]:
    """The object; what comes back calls its methods by name, as workerd does for a stub."""
    workers = importlib.import_module("workers")
    instance = getattr(importlib.import_module("entry"), class_name)(ctx, workers.env)

    async def call(method: str, args: Any) -> object:
        given = map(workers.python_from_rpc, args)
        return workers.python_to_rpc(await getattr(instance, method)(*given))

    return call


create
