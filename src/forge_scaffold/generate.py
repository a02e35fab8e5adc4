"""Make a project: render in a staging folder, check, move into place. All of it or nothing."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from shutil import rmtree

from forge_scaffold import checks
from forge_scaffold.config import Answers
from forge_scaffold.errors import RejectedError, UserError
from forge_scaffold.policy import Policy
from forge_scaffold.project import Project
from forge_scaffold.render import render
from forge_scaffold.sources import Source

SHOWN_FILES = 10


def target_problems(target: Path) -> list[str]:
    """Why no project can be made at `target`: it holds something already, or is no folder."""
    if not os.path.lexists(target):
        blocking = next(parent for parent in target.absolute().parents if parent.exists())
        return [] if blocking.is_dir() else [f"{target}: {blocking} is a file, not a folder"]
    if not target.is_dir():
        return [f"{target}: there is a file of that name already"]
    try:
        present = sorted(
            f"{path.name}/" if path.is_dir() else path.name for path in target.iterdir()
        )
    except OSError as error:
        return [f"{target}: {error.strerror}"]
    if not present:
        return []
    more = f" and {len(present) - SHOWN_FILES} more" if len(present) > SHOWN_FILES else ""
    shown = ", ".join(present[:SHOWN_FILES])
    return [f"{target}: not empty: it has {shown}{more}; name a new or an empty folder"]


def create(source: Source, answers: Answers, target: Path) -> Project:
    """Render the template with these answers into `target`.

    Args:
        source: the template.
        answers: valid for its questions.
        target: missing or an empty folder; missing parents are made.

    Raises:
        UserError: `target` is taken, cannot be written, or the template cannot be rendered.
        RejectedError: the checks object to the result. As with every other failure, Ctrl-C
            included, nothing is left behind.
    """
    if problems := target_problems(target):
        raise UserError(*problems)
    with _staging_for(target) as staging:
        render(source, answers.as_dict(), staging)
        project = Project.read(staging)
        _checked(project)
    return replace(project, root=target.resolve())


def _checked(project: Project) -> None:
    """Hold what was rendered against every rule of `forge check`.

    Raises:
        RejectedError: there are findings.
    """
    if not project.is_worker:
        raise RejectedError("the template makes no pyproject.toml; it is no Worker project")
    options = checks.Options.of(project, checks.RULES)
    found = checks.findings(checks.Subject(project, Policy.of(project)), options)
    if checks.failed(found):
        listed = "\n".join(
            f"  {finding.place.path}:{finding.place.line}: {finding.rule} {finding.message}"
            for finding in found
        )
        raise RejectedError(
            "the template makes a project that forge check objects to; nothing was written\n"
            f"{listed}"
        )


@contextmanager
def _staging_for(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` when the block succeeds, and is gone when it does not."""
    target = target.resolve()
    # An empty folder is kept, not replaced: a shell may stand in it, a volume may be mounted on it.
    home = target if target.exists() else target.parent
    staging = home / f".forge-{token_hex(4)}"
    made: list[Path] = []
    moved = False
    try:
        _make_parents(target, made)
        staging.mkdir()
        yield staging
        with _signals_held():
            _move(staging, target)
            moved = True
    except BaseException as error:
        if not moved:
            with _signals_held():
                _remove(staging, made)
        if isinstance(error, OSError):
            raise UserError(f"{error.filename}: {error.strerror}") from error
        raise


def _make_parents(target: Path, made: list[Path]) -> None:
    """Make the missing parents of `target`, noting each in `made`."""
    for folder in reversed([parent for parent in target.parents if not parent.exists()]):
        folder.mkdir()
        made.append(folder)


def _remove(staging: Path, made: list[Path]) -> None:
    """Leave no trace; a folder that somebody else has put something into stays."""
    rmtree(staging, ignore_errors=True)
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()


def _move(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    moved: list[Path] = []
    try:
        for path in list(staging.iterdir()):
            path.rename(target / path.name)
            moved.append(target / path.name)
    except OSError:
        for path in moved:
            path.rename(staging / path.name)
        raise
    staging.rmdir()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let no Ctrl-C or SIGTERM in between the steps of the block."""
    held = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
