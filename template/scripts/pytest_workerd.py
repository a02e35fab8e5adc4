"""A plugin of pytest: the tests run inside workerd, and are reported here.

`npm test` starts pytest with it, beside the Workers that run pytest_worker.py. This process finds
the files, chooses among their tests and reports; the Workers import the files and run the tests.
So pytest's options mean what they always do.
"""

import base64
import json
import os
import re
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, local
from typing import Any, TypeAlias

import pytest

Message: TypeAlias = Mapping[str, Any]

# What these ask for happens in this process; all other options are the Workers' too.
OWN_OPTIONS = {
    *("basetemp", "collectonly", "confcutdir", "deselect", "failedfirst", "file_or_dir"),
    *("inifilename", "keyword", "lf", "markexpr", "newfirst", "noconftest"),
    *("plugins", "rootdir", "stepwise", "stepwise_skip", "xmlpath"),
}
EXAMPLES = Path(".hypothesis/examples")
LONGEST = 24 * 60 * 60
THERE = b"/session/metadata/project"


class WorkerGone(Exception):
    """The Worker hung or ended. The message says which; another one takes its place."""


class Worker:
    """A Worker that runs tests, one order at a time.

    Args:
        address: of the server in test.mjs, which keeps a Worker for each connection.
        silence: how many seconds a test may take.
        root: the project's folder, to be named in place of that in the Worker.
    """

    def __init__(self, address: str, silence: float, root: Path) -> None:
        host, port = address.split(":")
        self._address = host, int(port)
        self._silence = silence
        self._here = json.dumps(str(root))[1:-1].encode()
        self._socket: socket.socket | None = None
        self.isolate = object()
        """Stands for the modules and the tests that the Worker has in memory."""

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address)
        self._lines = self._socket.makefile("rwb")
        self.result("start", examples=saved_examples())
        self._socket.settimeout(self._silence)

    def order(self, order: str, **details: object) -> Iterator[Message]:
        """What the Worker tells while it carries out an order, at last its result.

        Raises:
            WorkerGone: it ended early, or said nothing for too long.
        """
        if self._socket is None:
            self._connect()
        self._lines.write(json.dumps({"order": order, **details}).encode() + b"\n")
        self._lines.flush()
        kind = ""
        while kind != "result":
            try:
                message = json.loads(self._lines.readline().replace(THERE, self._here))
            except TimeoutError:
                message = {"kind": "gone", "why": f"it said nothing for {self._silence:g} seconds"}
            if (kind := message["kind"]) == "gone":
                self.close()
                raise WorkerGone(message["why"])
            yield message

    def result(self, order: str, **details: object) -> Any:
        """The result of an order that tells nothing else."""
        *_, last = self.order(order, **details)
        return last["value"]

    def close(self) -> None:
        """Hang up: what the Worker is doing ends, and the next order is another Worker's."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        self._socket = None
        self.isolate = object()


class Pool:
    """The Workers, and the files that wait for one."""

    def __init__(self, config: pytest.Config) -> None:
        address, count = os.environ["WORKERD_TESTS"].split("#")
        silence = timeout(config.getini("workerd_timeout"))
        self.options = {
            name: value
            for name, value in vars(config.option).items()
            if name not in OWN_OPTIONS and is_plain(value)
        }
        if self.options["color"] == "auto":  # what a Worker prints to looks like a terminal
            self.options["color"] = "yes" if sys.stdout.isatty() else "no"
        self._local = local()
        self._lock = Lock()
        self._waiting: list[File] = []
        self._workers: list[Worker] = []

        def connect() -> None:
            self._local.worker = Worker(address, silence, config.rootpath)
            self._workers.append(self._local.worker)

        self._threads = ThreadPoolExecutor(int(count), "worker", initializer=connect)

    def collect(self, file: "File") -> Future[Message]:
        return self._threads.submit(lambda: file.gather(self._local.worker))

    def run(self, files: Iterable["File"]) -> None:
        """Have each file run; see `File.messages`."""
        self._waiting = list(files)
        for _ in self._waiting:
            self._threads.submit(self._run_next)

    def _run_next(self) -> None:
        worker = self._local.worker
        with self._lock:
            known = [file for file in self._waiting if file.isolate is worker.isolate]
            file = (known or self._waiting)[0]
            self._waiting.remove(file)
        file.run(worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class File(pytest.File):
    """A file of tests."""

    pool: Pool
    isolate: object = None
    chosen: Sequence[str] = ()

    def prepare(self, pool: Pool) -> "File":
        self.pool = pool
        self.messages: SimpleQueue[Message] = SimpleQueue()
        """What a Worker tells of the chosen tests, up to its result or its end."""
        self._collection = pool.collect(self)
        return self

    def gather(self, worker: Worker) -> Message:
        """Have the file imported."""
        result: Message = worker.result("collect", path=self.nodeid, options=self.pool.options)
        self.isolate = worker.isolate
        return result

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            collected = self._collection.result()
        except WorkerGone as error:
            raise self.CollectError(f"{self.nodeid} cannot be imported: {error}") from None
        if collected["failures"]:
            raise self.CollectError("\n".join(collected["failures"]))
        for reason in collected["skips"]:
            pytest.skip(reason, allow_module_level=True)
        declare(self.config, {mark for test in collected["tests"] for mark in test["marks"]})
        return nodes(self, collected["tests"])

    def run(self, worker: Worker) -> None:
        try:
            if self.isolate is not worker.isolate:
                self.gather(worker)
            for message in worker.order("run", path=self.nodeid, nodeids=self.chosen):
                self.messages.put(message)
        except WorkerGone as error:
            self.messages.put({"kind": "gone", "why": str(error)})
        except Exception as error:  # noqa: BLE001 - whoever waits for this file must hear of it
            self.messages.put({"kind": "gone", "why": f"{type(error).__name__}: {error}"})


class Group(pytest.Collector):
    """A class of tests."""

    tests: Sequence[Message]

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        return nodes(self, self.tests)


class Test(pytest.Item):
    """A test, for pytest to choose and to report."""

    location_in_file: tuple[str, int | None, str]

    def runtest(self) -> None:
        raise NotImplementedError("a Worker runs it")

    def reportinfo(self) -> tuple[Path, int | None, str]:
        _, line, name = self.location_in_file
        return self.path, line, name


def nodes(parent: pytest.Collector, tests: Sequence[Message]) -> list[Any]:
    """The tests below `parent`, those of a class in a group."""
    depth = sum(isinstance(node, Group) for node in parent.listchain())
    children: list[Any] = []
    for (name, is_group), members in groupby(
        tests, lambda test: (test["names"][depth], len(test["names"]) > depth + 1)
    ):
        if is_group:
            group = Group.from_parent(parent, name=name)
            group.tests = list(members)
            children.append(group)
            continue
        for member in members:
            test = Test.from_parent(parent, name=name)
            test.location_in_file = member["location"]
            test.own_markers += [getattr(pytest.mark, mark).mark for mark in member["marks"]]
            test.keywords.update(dict.fromkeys(member["marks"], True))
            children.append(test)
    return children


def declare(config: pytest.Config, marks: set[str]) -> None:
    """Let tests have marks that only a conftest.py declares: the Workers alone read those."""
    known = {re.split(r"[:(]", line)[0].strip() for line in config.getini("markers")}
    for mark in sorted(marks - known):
        config.addinivalue_line("markers", mark)


class Plugin:
    """What pytest calls."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._pool = Pool(config)

    def pytest_report_header(self) -> str:
        return f"runtime: {os.environ['WORKERD_VERSION']}"

    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Collector:
        file: File = File.from_parent(parent, path=module_path)
        return file.prepare(self._pool)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted(f"{session.testsfailed} errors during collection")
        if session.config.option.collectonly:
            return True
        files: dict[File, list[pytest.Item]] = {}
        for item in session.items:
            if file := item.getparent(File):
                files.setdefault(file, []).append(item)
        for file, items in files.items():
            file.chosen = [item.nodeid for item in items]
        self._pool.run(files)
        for file, items in files.items():
            self._report(session, file, items)
        return True

    def _report(self, session: pytest.Session, file: File, items: Sequence[pytest.Item]) -> None:
        waiting = {item.nodeid: item for item in items}
        running = None
        while (message := file.messages.get())["kind"] not in {"result", "gone"}:
            if message["kind"] == "started":
                running = waiting[message["nodeid"]]
            self._pass_on(message, waiting)
            stop_if_told(session)
        if message["kind"] == "result":
            save_examples(message["value"])
            return
        for item in waiting.values():
            self._config.hook.pytest_runtest_logreport(report=lost(item, running, message["why"]))
        stop_if_told(session)

    def _pass_on(self, message: Message, waiting: dict[str, pytest.Item]) -> None:
        hook = self._config.hook
        match message["kind"]:
            case "started":
                item = waiting[message["nodeid"]]
                hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            case "report":
                report = hook.pytest_report_from_serializable(
                    config=self._config, data=message["data"]
                )
                if isinstance(report.longrepr, list):  # JSON's for the tuple of a skipped test
                    report.longrepr = tuple(report.longrepr)
                hook.pytest_runtest_logreport(report=report)
            case "finished":
                item = waiting.pop(message["nodeid"])
                hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            case "log" if self._config.option.capture == "no":
                print(message["text"])

    def pytest_unconfigure(self) -> None:
        self._pool.close()


def stop_if_told(session: pytest.Session) -> None:
    """Raise as pytest's own loop does, for -x and its like."""
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def lost(item: pytest.Item, running: pytest.Item | None, why: str) -> pytest.TestReport:
    """The report of a test that did not come to its end; `running` is the one that was to blame."""
    if running and running is not item:
        why = f"did not run, because its Worker ended in {running.nodeid}"
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=why,
        when="call",
    )


def saved_examples() -> dict[str, str]:
    """The files in which Hypothesis keeps the examples that failed."""
    files = sorted(path for path in EXAMPLES.rglob("*") if path.is_file())
    return {str(path): base64.b64encode(path.read_bytes()).decode() for path in files}


def save_examples(changes: Mapping[str, str | None]) -> None:
    """Write the files that a Worker wrote, and remove what it removed."""
    for name, data in changes.items():
        path = Path(name)
        if not path.is_relative_to(EXAMPLES) or ".." in path.parts:
            continue
        if data is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(data))


def timeout(text: str) -> float:
    """The seconds that the option `workerd_timeout` gives. Raises pytest.UsageError."""
    with suppress(ValueError):
        if 0 < (seconds := float(text)) <= LONGEST:
            return seconds
    raise pytest.UsageError(
        f"workerd_timeout={text!r}: give the seconds that a test may take, at most {LONGEST}"
    )


def is_plain(value: object) -> bool:
    """Whether JSON brings the value back as it is."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("workerd_timeout", "seconds that a test may take in workerd", default="60")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.usepdb or config.option.trace:
        raise pytest.UsageError("workerd has no debugger for Python: use `npm run debug`")
    config.pluginmanager.register(Plugin(config), "workerd")
