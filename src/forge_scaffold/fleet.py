"""Many projects at once: find them, and bring each up to date in a process of its own."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from forge_scaffold import workers
from forge_scaffold.errors import ForgeError, UserError
from forge_scaffold.printable import masked
from forge_scaffold.recorded import FILE, Recorded
from forge_scaffold.signals import held_signals
from forge_scaffold.sources import Repository, repository
from forge_scaffold.status import Status, status
from forge_scaffold.update import Update, prepared, target_of
from forge_scaffold.worktree import WorkTree

MAX_DEPTH = 8
"""How many folders below a path a project may be."""

# Beside hidden folders: what package managers fill.
_SKIPPED = frozenset({"__pycache__", "node_modules", "python_modules", "venv"})


@dataclass(frozen=True)
class Member:
    """A project of a fleet.

    Attributes:
        name: its path as people know it, below the path that they gave.
        folder: its real path.
    """

    name: str
    folder: Path


@dataclass(frozen=True)
class Failure:
    """Why there is no result for a member.

    Attributes:
        reason: one line or more.
        is_refusal: whether its owner can do something about it.
    """

    reason: str
    is_refusal: bool = True


@dataclass(frozen=True)
class UpToDate:
    """Stands for an update with nothing to do."""

    recorded: Recorded


Result = Status | Update | UpToDate | Failure
Report = Callable[[Member, Result], None]


def discover(paths: Iterable[Path]) -> tuple[list[Member], list[tuple[Member, Failure]]]:
    """The projects at and below some paths, each once, and what is wrong with a path.

    A project is not searched for others, and no symbolic link is followed below a path.
    """
    members: dict[Path, Member] = {}
    failures: dict[Path, tuple[Member, Failure]] = {}

    def failed(path: Path, reason: str) -> None:
        failures.setdefault(path, (Member(str(path), path.absolute()), Failure(reason)))

    for path in paths:
        try:
            os.scandir(path).close()
        except (OSError, ValueError) as error:
            failed(path, getattr(error, "strerror", None) or str(error))
            continue
        unreadable: list[OSError] = []
        found = list(_projects(path, unreadable.append))
        for folder in found:
            members.setdefault(folder.resolve(), Member(str(folder), folder.resolve()))
        for problem in unreadable:
            failed(Path(problem.filename), str(problem.strerror))
        if not found and not unreadable:
            failed(path, f"no project in there: no {FILE} up to {MAX_DEPTH} folders down")
    return list(members.values()), list(failures.values())


def _projects(top: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    for name, folders, files in os.walk(top, onerror=unreadable):
        folder = Path(name)
        if FILE in files:
            yield folder
            folders.clear()
        elif len(folder.relative_to(top).parts) == MAX_DEPTH:
            folders.clear()
        else:
            folders[:] = sorted(
                each for each in folders if each not in _SKIPPED and not each.startswith(".")
            )


@dataclass
class _Templates:
    """The repositories of the members' templates: each is asked once, each version read once.

    Worker processes only read what is here.
    """

    stack: ExitStack
    offline: bool
    repositories: dict[str, Repository] = field(default_factory=dict)
    _missing: dict[tuple[str, str], UserError] = field(default_factory=dict)

    def repository(self, recorded: Recorded) -> Repository:
        recorded.require_version()
        address = recorded.address
        if address not in self.repositories:
            opened = self.stack.enter_context(repository(address, offline=self.offline))
            self.repositories[address] = opened
        return self.repositories[address]

    def check_out(self, template: Repository, version: str) -> None:
        key = template.address, version
        if problem := self._missing.get(key):
            raise problem
        try:
            template.at(version)
        except UserError as error:
            self._missing[key] = error
            raise

    @property
    def unreachable(self) -> dict[str, str]:
        """Why an address did not answer, by address."""
        return {
            address: each.unreachable
            for address, each in self.repositories.items()
            if each.unreachable
        }


@dataclass(frozen=True)
class _Task:
    member: Member
    recorded: Recorded
    target: str


def statuses(
    members: Sequence[Member], report: Report, *, compare: bool, offline: bool, jobs: int
) -> Mapping[str, str]:
    """How each member stands to its template.

    Args:
        members: of the fleet.
        report: called with each member and its status, as they come.
        compare: compare files with the template's.
        offline: ask no address.
        jobs: how many processes to use at most.

    Returns:
        Why an address did not answer, by address.
    """
    with ExitStack() as stack:
        templates = _Templates(stack, offline)

        def task(member: Member) -> _Task:
            recorded = Recorded.read(member.folder)
            template = templates.repository(recorded)
            if compare:
                templates.check_out(template, recorded.version)
            return _Task(member, recorded, recorded.version)

        tasks = _tasks(members, task, report)
        _run(partial(_status, templates.repositories, compare=compare), tasks, jobs, report)
        return templates.unreachable


@dataclass(frozen=True)
class Plan:
    """What is to be done to each member.

    Attributes:
        to: the version to reach; None for the newest.
        settings: answers to change. An item that `KEY-=ITEM` removes may be missing.
        dry_run: write nothing.
    """

    to: str | None
    settings: Sequence[str]
    dry_run: bool


def updates(
    members: Sequence[Member], report: Report, plan: Plan, *, offline: bool, jobs: int
) -> Mapping[str, str]:
    """Bring each member to a version of its template.

    Args:
        members: of the fleet.
        report: called with each member and its update, as they come.
        plan: what is to be done.
        offline: ask no address.
        jobs: how many processes to use at most.

    Returns:
        Why an address did not answer, by address.
    """
    with ExitStack() as stack:
        templates = _Templates(stack, offline)

        def task(member: Member) -> _Task:
            recorded = Recorded.read(member.folder)
            template = templates.repository(recorded)
            target = target_of(plan.to, recorded, template)
            for version in (recorded.version, target):
                templates.check_out(template, version)
            return _Task(member, recorded, target)

        tasks = _tasks(members, task, report)
        _run(partial(_update, templates.repositories, plan), tasks, jobs, report)
        return templates.unreachable


def _tasks(
    members: Sequence[Member], task: Callable[[Member], _Task], report: Report
) -> list[_Task]:
    tasks = []
    for member in members:
        try:
            tasks.append(task(member))
        except UserError as error:
            report(member, _failure(error))
    return tasks


def _run(
    work: Callable[[_Task], Iterator[Result]],
    tasks: Sequence[_Task],
    jobs: int,
    report: Report,
) -> None:
    def ready(task: _Task, result: Result | workers.Lost) -> None:
        if isinstance(result, workers.Lost):
            reason = f"its process ended with exit code {result.exit_code}"
            result = Failure(reason, is_refusal=False)
        report(task.member, result)

    workers.run(work, tasks, jobs, ready)


def _status(
    repositories: Mapping[str, Repository], task: _Task, *, compare: bool
) -> Iterator[Status | Failure]:
    try:
        template = repositories[task.recorded.address]
        yield status(task.member.folder, template, compare=compare)
    except (ForgeError, OSError) as error:
        yield _failure(error)


def _update(
    repositories: Mapping[str, Repository], plan: Plan, task: _Task
) -> Iterator[Update | UpToDate | Failure]:
    recorded, folder = task.recorded, task.member.folder
    settings = list(_applicable(plan.settings, recorded))
    try:
        if not plan.dry_run:
            WorkTree.of(folder).require_clean()
        if task.target == recorded.version and not settings:
            yield UpToDate(recorded)
            return
        template = repositories[recorded.address]
        # A signal that comes while files are written waits until the parent knows of them.
        with prepared(folder, template, task.target, settings) as update, held_signals():
            if not plan.dry_run:
                update.apply()
            yield update
    except (ForgeError, OSError) as error:
        yield _failure(error)


def _failure(error: ForgeError | OSError) -> Failure:
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return Failure(f"{place}{error.strerror or error}", is_refusal=False)
    return Failure(masked(str(error)), is_refusal=isinstance(error, UserError))


def _applicable(settings: Iterable[str], recorded: Recorded) -> Iterator[str]:
    """The settings without items to remove that a project does not have.

    One list of settings is for all projects: `providers-=mistral` is for those with Mistral.
    """
    for setting in settings:
        key, _, value = setting.partition("=")
        chosen = recorded.answers.get(key[:-1])
        if not key.endswith("-") or not isinstance(chosen, list):
            yield setting
            continue
        items = [item for item in map(str.strip, value.split(",")) if item in map(str, chosen)]
        if items:
            yield f"{key}={','.join(items)}"
