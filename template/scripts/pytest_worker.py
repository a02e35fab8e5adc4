"""Runs inside workerd: collects and runs the project's tests as pytest_workerd.py orders.

An order is a request of its own, so that a test that never ends costs one file. What happens in the
meantime is told in lines of the log.
"""

import asyncio
import asyncio.runners
import base64
import contextvars
import importlib
import json
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import js
from pyodide.ffi import run_sync
from workers import DurableObject, Response, WorkerEntrypoint, WorkflowEntrypoint

T = TypeVar("T")

ROOT = Path("/session/metadata/project")
WRITABLE = Path("/tmp")  # noqa: S108 - in an isolate, nobody else can see it
ENTRY = "entry"
"""The module of the Worker's entrypoint; test.mjs sets it."""

PLACE = "/__pytest__"
MARK = "\x1e"
"""What begins a line of the log that is for pytest_workerd.py."""


class Runner:
    """Stands in for asyncio.Runner: JavaScript's loop cannot be started, stopped or replaced.

    `run` waits by JavaScript Promise Integration: it suspends the whole Python stack.
    """

    def __init__(
        self,
        *,
        debug: bool | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._loop = asyncio.get_event_loop()
        self._context = contextvars.copy_context()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def run(
        self, coro: Coroutine[object, object, T], *, context: contextvars.Context | None = None
    ) -> T:
        result: T = run_sync(self._loop.create_task(coro, context=context or self._context))
        return result

    def close(self) -> None:
        """The loop goes on."""


for module in (asyncio, asyncio.runners):
    vars(module)["Runner"] = Runner

import pytest  # noqa: E402 - pytest-asyncio takes the Runner that it finds
from _pytest.config import _prepareconfig, default_plugins  # noqa: E402

# So that they are part of the snapshot.
for plugin in default_plugins:
    importlib.import_module(f"_pytest.{plugin}")
for entry_point in entry_points(group="pytest11"):
    with suppress(ImportError):
        entry_point.load()
with suppress(ImportError):
    from hypothesis import strategies
    from hypothesis.configuration import set_hypothesis_home_dir

    set_hypothesis_home_dir(WRITABLE / ".hypothesis")
    strategies.text().validate()  # prepares its table of characters, which takes seconds


def tell(kind: str, **what: object) -> None:
    """Log a line for pytest_workerd.py, at once."""
    js.console.log(MARK + json.dumps({"kind": kind, **what}, default=repr))


class Tests:
    """pytest in one file of tests.

    Each file is a session of its own: nothing that one request made may be awaited in another, so
    fixtures can't be shared.
    """

    def __init__(self, path: str, options: Mapping[str, Any]) -> None:
        self._failures: list[str] = []
        self._skips: list[str] = []
        place = [f"--rootdir={ROOT}", f"--override-ini=cache_dir={WRITABLE}/cache"]
        # What pytest acts on before its options can be set from outside.
        place += [f"--override-ini={setting}" for setting in options.get("override_ini") or ()]
        place.append(f"--capture={options['capture']}")
        self._config = _prepareconfig(place, plugins=[self])
        self._config.pluginmanager.unregister(name="terminal")  # now that its options are known
        vars(self._config.option).update(options)
        self._config._do_configure()  # noqa: SLF001 - as pytest-xdist does
        self._session = pytest.Session.from_config(self._config)
        self._config.hook.pytest_sessionstart(session=self._session)
        self._session.perform_collect([path])

    def collected(self) -> Mapping[str, object]:
        """The tests in the file, and what went wrong there."""
        tests = [described(item) for item in self._session.items]
        return {"tests": tests, "failures": self._failures, "skips": self._skips}

    def run(self, nodeids: Sequence[str]) -> None:
        """Run some of the tests."""
        chosen = set(nodeids)
        items = [item for item in self._session.items if item.nodeid in chosen]
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._session.shouldfail or self._session.shouldstop:
                break
        self._config.hook.pytest_sessionfinish(session=self._session, exitstatus=0)
        self._config._ensure_unconfigure()  # noqa: SLF001

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failures.append(report.longreprtext)
        elif report.skipped and isinstance(report.longrepr, tuple):
            self._skips.append(report.longrepr[2].removeprefix("Skipped: "))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        tell("started", nodeid=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        tell("report", data=data)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        tell("finished", nodeid=nodeid)


def described(item: pytest.Item) -> Mapping[str, object]:
    """What pytest_workerd.py makes a test of its own from."""
    chain = item.listchain()
    names = [node.name for node in chain if isinstance(node, pytest.Class)]
    return {
        "nodeid": item.nodeid,
        "names": [*names, item.name],
        "location": item.location,
        "marks": sorted({mark.name for mark in item.iter_markers()}),
    }


tests: dict[str, Tests] = {}
coverage: Any = None


def start(
    env: Mapping[str, str],
    paths: Sequence[str],
    examples: Mapping[str, str],
    measured: str | None = None,
) -> None:
    """Prepare this isolate; with `measured`, a folder, measure the coverage of what is in it."""
    global coverage  # noqa: PLW0603 - an isolate has one
    os.environ |= env
    for name, data in examples.items():
        (WRITABLE / name).parent.mkdir(parents=True, exist_ok=True)
        (WRITABLE / name).write_bytes(base64.b64decode(data))
    os.chdir(ROOT)
    sys.path[:0] = paths
    sys.dont_write_bytecode = True
    if measured:
        coverage = importlib.import_module("coverage").Coverage(
            data_file=None, source=[str(ROOT / measured)], config_file=str(ROOT / "pyproject.toml")
        )
        coverage.start()


def collect(path: str, options: Mapping[str, Any]) -> Mapping[str, object]:
    tests[path] = Tests(path, options)
    return tests[path].collected()


def run(path: str, nodeids: Sequence[str]) -> Mapping[str, str | None]:
    """Run tests; which files of Hypothesis's that changed: what is in them now, if anything."""
    before = examples()
    tests.pop(path).run(nodeids)
    after = examples()
    changed = {name: data for name, data in after.items() if before.get(name) != data}
    return dict.fromkeys(before.keys() - after.keys()) | changed


def examples() -> dict[str, str]:
    """The files in which Hypothesis keeps the examples that failed."""
    files = [path for path in (WRITABLE / ".hypothesis/examples").rglob("*") if path.is_file()]
    encoded = ((path, base64.b64encode(path.read_bytes()).decode()) for path in files)
    return {str(path.relative_to(WRITABLE)): data for path, data in encoded}


def measurement() -> str:
    """What was measured, for coverage's `loads`."""
    coverage.stop()
    return base64.b64encode(coverage.get_data().dumps()).decode()


ORDERS: Mapping[str, Callable[..., object]] = {
    order.__name__: order for order in (start, collect, run, measurement)
}


class Default(WorkerEntrypoint):
    """Takes orders; all else goes to the project's own entrypoint."""

    async def fetch(self, request: Any) -> Any:
        if not request.url.endswith(PLACE):
            return await self._own().fetch(request)
        order = await request.json()
        return Response(json.dumps(ORDERS[order.pop("order")](**order)))

    async def queue(self, *args: Any) -> None:
        await self._own().queue(*args)

    async def scheduled(self, *args: Any) -> None:
        await self._own().scheduled(*args)

    def _own(self) -> Any:
        return importlib.import_module(ENTRY).Default(self.ctx, self.env)


def durable_object(name: str) -> type:
    """The project's Durable Object class of this name, which is imported when one is made."""
    return _deferred(name, DurableObject)


def workflow(name: str) -> type:
    """The project's Workflow class of this name, likewise."""
    return _deferred(name, WorkflowEntrypoint)


def _deferred(name: str, base: type) -> type:
    def new(_cls: type, *args: object) -> object:
        return getattr(importlib.import_module(ENTRY), name)(*args)

    return type(name, (base,), {"__new__": new})
