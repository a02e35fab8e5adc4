"""How a project stands to its template, without changing anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from forge_scaffold.project import Project
from forge_scaffold.recorded import FILE, Recorded
from forge_scaffold.render import matcher, render_recorded
from forge_scaffold.sources import Repository, parsed_version
from forge_scaffold.worktree import WorkTree


@dataclass(frozen=True)
class Status:
    """A project's template, answers and files.

    Attributes:
        recorded: what the project records.
        newest: the newest release that is known; None when there is none.
        unreachable: why the template's address did not answer; empty when it did or was not asked.
        conflicts: files that git has marked as conflicts.
        waiting: whether an update waits to be committed.
        uncommitted: files that differ from the commit; "." when nothing is committed.
        changed: files of the template that the project has changed; None when not compared.
        removed: files of the template that the project has removed; None when not compared.
    """

    recorded: Recorded
    newest: str | None
    unreachable: str
    conflicts: Sequence[str]
    waiting: bool
    uncommitted: Sequence[str]
    changed: Sequence[str] | None
    removed: Sequence[str] | None

    @property
    def answers(self) -> Mapping[str, object]:
        """The recorded answers."""
        return self.recorded.answers

    @property
    def is_outdated(self) -> bool:
        """Whether there is a release after the recorded version."""
        return is_newer(self.newest, self.recorded.version)


def is_newer(release: str | None, recorded: str) -> bool:
    """Whether a release comes after a recorded version, `TAG-COUNT-gHASH` being after its tag."""
    newest = parsed_version(release) if release else None
    tag, *rest = recorded.rsplit("-", 2)
    current = parsed_version(recorded) or (parsed_version(tag) if rest else None)
    return newest is not None and (current is None or newest > current)


def status(project: Path, repository: Repository, *, compare: bool = True) -> Status:
    """How a project stands to the template at its recorded address.

    Args:
        project: its folder.
        repository: of its template.
        compare: compare its files with the template's, which takes most of the time.

    Raises:
        UserError: its answers file cannot be read, or the recorded version is nowhere.
    """
    recorded = Recorded.read(project)
    changed, removed = _compared(project, recorded, repository) if compare else (None, None)
    work_tree = WorkTree.around(project)
    return Status(
        recorded=recorded,
        newest=repository.newest if repository.releases else None,
        unreachable=repository.unreachable,
        conflicts=work_tree.conflicts if work_tree else [],
        waiting=bool(work_tree and work_tree.waiting()),
        uncommitted=work_tree.uncommitted if work_tree else ["."],
        changed=changed,
        removed=removed,
    )


def _compared(
    project: Path, recorded: Recorded, repository: Repository
) -> tuple[list[str], list[str]]:
    """The template's files that the project has changed, and those it has removed."""
    source = repository.at(recorded.version)
    with TemporaryDirectory(prefix="forge-") as scratch:
        rendered = Path(scratch) / "rendered"
        render_recorded(source, recorded, rendered)
        is_users = matcher(source)
        paths = [
            path
            for path in sorted(map(str, Project.read(rendered).files))
            if path != FILE and not is_users(path)
        ]
        removed = [path for path in paths if not (project / path).is_file()]
        changed = [
            path
            for path in paths
            if path not in removed
            and (project / path).read_bytes() != (rendered / path).read_bytes()
        ]
    return changed, removed
