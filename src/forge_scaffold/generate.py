"""Make a project: render in a staging folder, check, move into place. All of it or nothing."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from forge_scaffold import checks, git, staging
from forge_scaffold.checks.rules.template import ANSWERS, root_only
from forge_scaffold.config import Answers
from forge_scaffold.errors import RejectedError, UserError
from forge_scaffold.organisation import Organisation
from forge_scaffold.policy import Policy
from forge_scaffold.project import Project
from forge_scaffold.render import render
from forge_scaffold.sources import Source

SHOWN_FILES = 10


@dataclass(frozen=True)
class Created:
    """A project just made.

    Attributes:
        project: as it is on disk.
        repository: what git has of it; empty when this run made no repository.
        notes: what is to know or to do, a sentence each.
    """

    project: Project
    repository: str
    notes: tuple[str, ...]


def target_problems(target: Path, written: Collection[str] = ()) -> list[str]:
    """Why no project can be made at `target`, as far as that is known before it is rendered.

    Args:
        target: missing, or a folder that may have content.
        written: names that the template writes at the top of any project.
    """
    shown = staging.shortened(target)
    try:
        wrong = _target_problem(target, written)
    except OSError as error:
        wrong = error.strerror or str(error)
    return [f"{shown}: {wrong}"] if wrong else []


def _target_problem(target: Path, written: Collection[str]) -> str:
    if target.is_symlink() and not target.exists():
        return "there is a link of that name already, and it leads nowhere"
    real = Path(os.path.realpath(target))
    existing = next(path for path in (real, *real.parents) if _exists(path))
    if not existing.is_dir():
        above = f"{staging.shortened(existing)} is a file, not a folder"
        return above if existing != real else "there is a file of that name already"
    if any(part.casefold() == ".git" for part in real.parts) or _is_bare(existing):
        return "this is inside git's own files; name another folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"{staging.shortened(existing)} cannot be written; name another folder"
    return _content_problem(real, written) if existing == real else ""


def _content_problem(folder: Path, written: Collection[str]) -> str:
    if folder in {Path("/"), Path("~").expanduser()}:
        return "a project needs a folder of its own; name a new one"
    present = sorted(path.name for path in folder.iterdir())
    if str(ANSWERS) in present:
        return "there is a project already: it has .copier-answers.yml; name a new folder"
    return _taken([name for name in present if name in written])


def _taken(names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
    shown = ", ".join(names[:SHOWN_FILES])
    return (
        f"{shown}{more}: the template writes that too; move it away, or name a new or an "
        "empty folder"
    )


def _exists(path: Path) -> bool:
    """Whether there is something, links not followed.

    Raises:
        OSError: that cannot be known; a name that is too long cannot be made, either.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_bare(folder: Path) -> bool:
    """Whether a folder is a git repository without a work tree, or inside one."""
    return any(
        (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()
        for path in (folder, *folder.parents)
    )


def always_written(source: Source) -> set[str]:
    """Names of files that the template writes at a project's top, whatever the answers."""
    questions = (source.root / "copier.yml").read_text(encoding="utf-8", errors="replace")
    files = (source.root / source.questionnaire.subdirectory).glob("*")
    names = {path.name.removesuffix(".jinja") for path in files if path.is_file()}
    # Those that copier.yml mentions may be left out.
    return {name for name in names if "{" not in name and name not in questions}


def create(source: Source, answers: Answers, target: Path, *, repository: bool = False) -> Created:
    """Render the template with these answers into `target`.

    Args:
        source: the template.
        answers: valid for its questions.
        target: missing, or a folder in which nothing is where the template writes; missing parents
            are made.
        repository: whether to make it a git repository with one commit, where there is none.

    Raises:
        UserError: `target` is taken, cannot be written, or the template cannot be rendered.
        RejectedError: the template does what no template may, or the checks object to the result.
            As with every other failure, Ctrl-C included, nothing is left behind.
    """
    if problems := target_problems(target):
        raise UserError(*problems)
    top = git.surrounding(target)
    notes = [*_swept(target), *_kept(target)]
    made = ""
    with staging.staged(target) as folder:
        project = _rendered(source, answers, folder, target)
        if top:
            notes += _below(top, target, project)
        elif repository:
            made, missing = git.start(folder, f"Create {target.resolve().name} with Forge")
            notes += [missing] if missing else []
    return Created(replace(project, root=target.resolve()), made, tuple(notes))


@contextmanager
def preview(source: Source, answers: Answers, target: Path) -> Iterator[Created]:
    """What `create` would make, in a temporary folder until the block ends.

    Raises:
        UserError: as `create`.
        RejectedError: as `create`.
    """
    if problems := target_problems(target):
        raise UserError(*problems)
    with TemporaryDirectory(prefix="forge-") as scratch:
        project = _rendered(source, answers, Path(scratch, "project"), target)
        top = git.surrounding(target)
        notes = [*_kept(target), *(_below(top, target, project) if top else ())]
        yield Created(project, "", tuple(notes))


def _rendered(source: Source, answers: Answers, folder: Path, target: Path) -> Project:
    """The project in `folder`, for `target`: rendered, and refused unless all is well."""
    render(source, answers.as_dict(), folder)
    if target.is_dir() and (taken := _taken(staging.collisions(folder, target))):
        raise UserError(f"{staging.shortened(target)}: {taken}")
    project = Project.read(folder)
    _checked(project, target)
    return project


def _swept(target: Path) -> Iterator[str]:
    """Sweep away what interrupted runs left where this one will work, and name it."""
    existing = next(
        path for path in (target.absolute(), *target.absolute().parents) if path.is_dir()
    )
    for path in staging.sweep(existing):
        yield f"removed {staging.shortened(path)}, left by an interrupted run"


def _kept(target: Path) -> Iterator[str]:
    """Name what stays in a folder that is not empty."""
    present = target.iterdir() if target.is_dir() else ()
    names = sorted(path.name for path in present if path.name != ".git")
    if names:
        more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
        yield f"{target} was not empty; kept {', '.join(names[:SHOWN_FILES])}{more}"


def _below(top: Path, target: Path, project: Project) -> Iterator[str]:
    """Name the files that count only at a repository's top, for a project that is not there."""
    folder = target.resolve().relative_to(top).as_posix()
    if folder == ".":
        return
    parts = (root_only(path) for path in project.files)
    if names := sorted({name for inside, name in parts if name and not inside}):
        yield (
            f"{folder} is a folder of the repository {top}, and {', '.join(names)} "
            f"{'counts' if len(names) == 1 else 'count'} only at its top: move the workflows to "
            f"{top / '.github'}, with `defaults: run: working-directory: {folder}`, and what else "
            "is needed to the files there"
        )


def _checked(project: Project, target: Path) -> None:
    """Check what was rendered with every rule of `forge check`, under the policy at its target.

    Raises:
        RejectedError: there are findings.
    """
    if not project.is_worker:
        raise RejectedError("the template makes no pyproject.toml; it is no Worker project")
    options = checks.Options.of(project, checks.RULES)
    found = checks.findings(
        checks.Subject(project, Policy.of(project, Organisation.of(target))), options
    )
    if checks.failed(found):
        listed = "\n".join(
            f"  {finding.place.path}:{finding.place.line}: {finding.rule} {finding.message}"
            for finding in found
        )
        raise RejectedError(
            f"the template makes a project that fails forge check; nothing was written\n{listed}"
        )
