"""Which attributes of JavaScript's own objects cannot be read while a snapshot is made."""

import json
from pathlib import Path

from forge_scaffold.checks.rules.import_time import GETTERS
from tests.runtime.workerd import Worker, Workerd

# A getter of a prototype asks for the object itself, and a snapshot's stand-ins are others. What an
# object has as its own, such as `process.stdout`, is read for them.
ENTRY = """\
import json

import js
from pyodide.ffi import jsnull
from workers import Response, WorkerEntrypoint


def getters(value):
    value = js.Object.getPrototypeOf(value)
    while value is not jsnull:
        for name in js.Object.getOwnPropertyNames(value):
            found = js.Object.getOwnPropertyDescriptor(value, name)
            if name != "__proto__" and getattr(found, "get", None) is not None:
                yield name
        value = js.Object.getPrototypeOf(value)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        names = set(js.Object.getOwnPropertyNames(js.globalThis))
        names |= set(js.Object.getOwnPropertyNames(js.Object.getPrototypeOf(js.globalThis)))
        objects = {name: getattr(js.globalThis, name) for name in names}
        found = {
            f"js.{name}.{getter}"
            for name, value in objects.items()
            if getattr(value, "typeof", "") == "object"
            for getter in getters(value)
        }
        return Response(json.dumps(sorted(found)))
"""


def test_the_rule_knows_every_getter(workerd: Workerd, tmp_path: Path) -> None:
    worker = Worker({"entry.py": ENTRY}, dedicated=False)
    with workerd.serve(tmp_path / "worker", {"getters": worker}) as running:
        assert running.port, (tmp_path / "worker" / "log").read_text()
        status, body = running.get("")
    assert (status, tuple(json.loads(body))) == (200, GETTERS)
