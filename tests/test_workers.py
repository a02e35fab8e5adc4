"""Tasks in worker processes: what fails, what is stopped, what stays behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import gettempdir

import pytest

from forge_scaffold.workers import Lost, run
from tests.support import REPOSITORY, opened_by_its_reader, write


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker processes know this module."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


def results(work: object, tasks: list[object], processes: int = 2) -> dict[object, object]:
    found: dict[object, object] = {}
    run(work, tasks, processes, found.__setitem__)  # type: ignore[arg-type]
    return found


def squared(task: int) -> Iterator[tuple[int, int]]:
    yield task * task, os.getpid()


def test_every_task_has_its_result_from_a_few_processes() -> None:
    found = results(squared, [1, 2, 3, 4, 5])
    assert {task: result[0] for task, result in found.items()} == {  # type: ignore[index]
        1: 1, 2: 4, 3: 9, 4: 16, 5: 25,
    }  # fmt: skip
    processes = {result[1] for result in found.values()}  # type: ignore[index]
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_no_task_starts_no_process() -> None:
    assert results(squared, []) == {}


def ending(task: str) -> Iterator[str]:
    if task == "exits":
        os._exit(7)
    if task == "is killed":
        os.kill(os.getpid(), 9)
    yield task


def test_a_process_that_ends_costs_one_task() -> None:
    tasks: list[object] = ["a", "exits", "b", "is killed", "c"]
    assert results(ending, tasks) == {
        "a": "a", "exits": Lost(7), "b": "b", "is killed": Lost(-9), "c": "c",
    }  # fmt: skip


def noisy(task: str) -> Iterator[str]:
    print("printed")
    subprocess.run(["echo", "printed as well"], check=True)
    yield task + sys.stdin.read()


def test_results_are_apart_from_what_is_printed_and_tasks_from_what_is_read() -> None:
    assert results(noisy, ["a", "b"]) == {"a": "a", "b": "b"}


def test_modules_in_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("pickle", "selectors", "forge_scaffold", "tests")
    write(tmp_path, {f"{name}.py": "raise SystemExit('a stranger runs')\n" for name in names})
    monkeypatch.chdir(tmp_path)
    assert results(ending, ["a"]) == {"a": "a"}


def scratching(task: Path) -> Iterator[str]:
    (Path(gettempdir()) / "left-behind").write_text("")
    if task.name == "endless":
        task.read_bytes()
    yield str(os.getpid())


def test_a_stop_leaves_no_process_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless, temporary = tmp_path / "endless", tmp_path / "tmp"
    os.mkfifo(endless)
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    def interrupt(task: Path, _result: object) -> None:
        if task == endless:  # which may be ready by now
            return
        with opened_by_its_reader(endless):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scratching, [endless, tmp_path / "other"], 2, interrupt)
    assert not list(temporary.iterdir())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def holding(alive: Path, task: Path) -> Iterator[str]:
    with alive.open("w") as stream:
        stream.write("begun")
        stream.flush()
        task.read_bytes()
        yield "done"


def test_processes_end_after_a_parent_that_was_killed(tmp_path: Path) -> None:
    alive, endless = tmp_path / "alive", tmp_path / "endless"
    os.mkfifo(alive)
    os.mkfifo(endless)
    program = f"""
from functools import partial
from pathlib import Path
from forge_scaffold.workers import run
from tests.test_workers import holding
run(partial(holding, Path({str(alive)!r})), [Path({str(endless)!r})], 1, print)
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    with alive.open() as stream:
        with opened_by_its_reader(endless):
            parent.kill()
            parent.wait(timeout=60)
        assert stream.read() == "begun"  # and then its end: nobody writes any more


def test_work_may_be_a_partial(tmp_path: Path) -> None:
    (tmp_path / "task").touch()
    assert results(partial(holding, tmp_path / "alive"), [tmp_path / "task"]) == {
        tmp_path / "task": "done"
    }
