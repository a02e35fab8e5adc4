"""Run many tasks in worker processes.

Not in threads: Copier changes what a whole process shares. Not by `multiprocessing`: its processes
outlive a parent that is killed, and look for modules in the current folder, which is a stranger's.
A process that runs `python -m forge_scaffold.workers` reads tasks and writes results until its
standard input ends, which it does with its parent at the latest.
"""

import os
import pickle
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from types import FrameType, TracebackType
from typing import IO, Any, Generic, NoReturn, Self, TypeVar, cast

from forge_scaffold.signals import held_signals

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Lost:
    """Stands for the result of a task whose process ended.

    Attributes:
        exit_code: the process's; negative for the signal that ended it.
    """

    exit_code: int


def run(
    work: Callable[[Task], Iterator[Result]],
    tasks: Sequence[Task],
    processes: int,
    report: Callable[[Task, Result | Lost], None],
) -> None:
    """Run every task; one that fails does not stop the others.

    When this is stopped by a signal, so is every process. Results that were ready by then are still
    reported, no process is left, and nothing in the folder for temporary files.

    Args:
        work: a module's function, or a `partial` of one, that yields a task's result. A signal that
            it holds back stays so until the result is delivered.
        tasks: in the order to start with them.
        processes: how many to use at most.
        report: called with each task and its result, in the order in which they are ready.
    """
    waiting = deque(tasks)
    with TemporaryDirectory(prefix="forge-") as scratch, _Pool(work, scratch, report) as pool:
        while waiting or pool.is_busy:
            while waiting and pool.count_busy < processes:
                pool.begin(waiting.popleft())
            pool.report_results()


class _Process:
    """A worker process, from its parent's side."""

    def __init__(self, work: object, scratch: str) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "forge_scaffold.workers"],
            env={**os.environ, "TMPDIR": scratch},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's, which decides
        )
        self._tasks = cast("IO[bytes]", self._popen.stdin)
        self._results = cast("IO[bytes]", self._popen.stdout)
        self.send(work)

    def send(self, message: object) -> None:
        with suppress(BrokenPipeError):  # a process that ended is noticed when it is read
            pickle.dump(message, self._tasks)
            self._tasks.flush()

    def receive(self) -> Any:  # noqa: ANN401 - what the work yields
        try:
            return pickle.load(self._results)  # noqa: S301 - our own process
        except (EOFError, pickle.UnpicklingError):
            return Lost(self._popen.wait())

    def fileno(self) -> int:
        return self._results.fileno()

    def terminate(self) -> None:
        self._popen.terminate()

    def end(self) -> None:
        """Wait until it has cleaned up."""
        with suppress(BrokenPipeError):
            self._tasks.close()
        self._popen.wait()
        self._results.close()


class _Pool(Generic[Task, Result]):
    def __init__(
        self,
        work: Callable[[Task], Iterator[Result]],
        scratch: str,
        report: Callable[[Task, Result | Lost], None],
    ) -> None:
        self._work = work
        self._scratch = scratch
        self._report = report
        self._idle: list[_Process] = []
        self._busy: dict[_Process, Task] = {}

    @property
    def is_busy(self) -> bool:
        return bool(self._busy)

    @property
    def count_busy(self) -> int:
        return len(self._busy)

    def begin(self, task: Task) -> None:
        """Give a task to a process."""
        process = self._idle.pop() if self._idle else _Process(self._work, self._scratch)
        self._busy[process] = task
        process.send(task)

    def report_results(self) -> None:
        """Wait for results."""
        with selectors.DefaultSelector() as selector:
            for process in self._busy:
                selector.register(process, selectors.EVENT_READ, process)
            ready: list[_Process] = [key.data for key, _ in selector.select()]
        for process in ready:
            result = process.receive()
            task = self._busy.pop(process)
            if isinstance(result, Lost):
                process.end()
            else:
                self._idle.append(process)
            self._report(task, result)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with held_signals():
            for process in self._busy:
                process.terminate()
            last = [(task, process.receive()) for process, task in self._busy.items()]
            for process in (*self._busy, *self._idle):
                process.end()
        for task, result in last:
            if not isinstance(result, Lost):
                self._report(task, result)


def _serve() -> None:
    """Be a worker process: read the work, then tasks, until there are no more."""
    signal.signal(signal.SIGTERM, _stop)
    tasks, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Nothing that runs here reads a task by accident, or prints among the results.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    with suppress(EOFError, BrokenPipeError):
        work = pickle.load(tasks)  # noqa: S301 - from our own parent
        while True:
            steps = work(pickle.load(tasks))  # noqa: S301
            pickle.dump(next(steps), results)
            results.flush()
            for _ in steps:  # what comes after the result: cleaning up
                pass


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    _serve()
