"""Bring a project to another version of its template, or to other answers.

The template's files as they were, as they will be, and the project as it is committed become three
commits of a scratch repository, which git merges: renames are followed, and what both sides changed
is a conflict. The result is checked before a file of the project is touched, and an update can be
taken back as long as it is not committed.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from forge_scaffold import checks, references
from forge_scaffold.checks.rules.template import ChangedByUpdate
from forge_scaffold.errors import UserError
from forge_scaffold.git import ISOLATED, git
from forge_scaffold.migration import migrated
from forge_scaffold.organisation import Organisation
from forge_scaffold.policy import Policy
from forge_scaffold.project import Project
from forge_scaffold.recorded import FILE, Recorded
from forge_scaffold.render import matcher, render, render_recorded
from forge_scaffold.sources import Repository, Source, parsed_version
from forge_scaffold.status import is_newer
from forge_scaffold.worktree import WorkTree

# For the merge, which nobody signs.
_ANONYMOUS: Mapping[str, str] = {
    **ISOLATED,
    "GIT_AUTHOR_NAME": "forge",
    "GIT_AUTHOR_EMAIL": "forge@localhost",
    "GIT_COMMITTER_NAME": "forge",
    "GIT_COMMITTER_EMAIL": "forge@localhost",
}
# The mode of a submodule in a tree.
SUBMODULE = "160000"

_MERGE = ("-c", "merge.conflictStyle=merge", "-c", "merge.directoryRenames=false")


@dataclass(frozen=True)
class AnswerChange:
    """An answer that differs after the update; None stands for an answer that is not recorded."""

    question: str
    before: object
    after: object


@dataclass(frozen=True)
class Change:
    """A file that the update writes or removes.

    Attributes:
        path: relative to the project.
        kind: "added", "changed" or "removed".
    """

    path: str
    kind: str


@dataclass(frozen=True)
class Conflict:
    """A file that both the project and the template changed.

    Attributes:
        path: relative to the project.
        reason: what both did.
        stages: git's index entries: mode, object and stage of each side.
    """

    path: str
    reason: str
    stages: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Update:
    """An update as it would be: merged and checked, nothing of the project touched.

    Attributes:
        project: the project's folder.
        before: what it records now.
        version: the template's version afterwards.
        answers: what differs in its answers.
        changes: files to write or remove, by path.
        conflicts: files with both sides in them, by path.
        left_alone: files that the template changes and the project has deleted.
        findings: what the checks report that they did not report before.
        lost_names: where code that is not just the template's uses what the update removed.
        merged: the folder with the result.
    """

    project: Path
    before: Recorded
    version: str
    answers: Sequence[AnswerChange]
    changes: Sequence[Change]
    conflicts: Sequence[Conflict]
    left_alone: Sequence[str]
    findings: Sequence[checks.Finding]
    lost_names: Sequence[references.LostName]
    merged: Path
    _trees: tuple[str, str]

    @property
    def is_clean(self) -> bool:
        """Whether it needs nobody's attention."""
        return not (self.conflicts or self.lost_names or checks.failed(self.findings))

    def patch(self, *, colour: bool) -> str:
        """The changes as `git diff` prints them, paths relative to the project."""
        how = "--color=always" if colour else "--color=never"
        options = ("diff-tree", "-r", "--patch", "--find-renames", "--full-index", "--binary", how)
        return git(self.merged, *options, *self._trees, variables=_ANONYMOUS)

    def apply(self) -> None:
        """Write the result into the project's work tree; all of it or nothing.

        Raises:
            UserError: the project has changed since, or a file is in the way or cannot be written.
        """
        work_tree = WorkTree.of(self.project)
        if work_tree.tree != self._trees[0]:
            raise UserError(f"{self.project}: was committed to meanwhile; run it again")
        contents = {
            change.path: self.merged / change.path if change.kind != "removed" else None
            for change in self.changes
        }
        with work_tree.transaction(contents):
            for conflict in self.conflicts:
                work_tree.mark_conflict(conflict.path, self.merged, conflict.stages)


def target_of(to: str | None, recorded: Recorded, repository: Repository) -> str:
    """The version that an update reaches: the newest release unless `to` names another.

    Raises:
        UserError: `to` is older than what the project has.
    """
    target = to or repository.newest
    if target == recorded.version or is_newer(target, recorded.version):
        return target
    if to and not parsed_version(to):
        raise UserError(f"--to {to}: not a version, such as {repository.newest}")
    if to:
        raise UserError(f"--to {to}: older than {recorded.version}, which the project has")
    return recorded.version


@contextmanager
def prepared(
    project: Path, repository: Repository, version: str, settings: Sequence[str] = ()
) -> Iterator[Update]:
    """An update of a project, ready to be shown or applied until the block ends.

    Args:
        project: the project's folder.
        repository: of its template.
        version: the template's version to reach; the recorded one to change answers only.
        settings: answers to change: KEY=VALUE, KEY+=VALUE, KEY-=VALUE.

    Raises:
        UserError: the project is not committed, the version does not exist, or an answer is not
            valid there.
    """
    before = Recorded.read(project)
    work_tree = WorkTree.of(project)
    old, new = repository.at(before.version), repository.at(version)
    answers = migrated(before.answers, new.questionnaire, settings, new.version or version)
    with TemporaryDirectory(prefix="forge-") as scratch:
        yield _Merge(Path(scratch), work_tree, old, new).update(before, answers)


class _Merge:
    """The scratch repository in which an update is merged."""

    def __init__(self, scratch: Path, work_tree: WorkTree, old: Source, new: Source) -> None:
        self._scratch = scratch
        self._work_tree = work_tree
        self._old = old
        self._new = new
        self.folder = scratch / "merged"

    def update(self, before: Recorded, answers: Mapping[str, object]) -> Update:
        """Merge, check, and describe what came out."""
        self._initialise()
        render_recorded(self._old, before, self._scratch / "old")
        render(self._new, answers, self._scratch / "new")
        base, theirs = (self._tree_of(self._scratch / name) for name in ("old", "new"))
        ours = self._work_tree.tree
        base, theirs = self._users_own(base, ours, theirs)
        self._check_out(ours, base)
        found_before = self._findings()
        names_before = references.names(self.folder)
        version = self._new.version or before.version
        conflicts, left_alone = self._merged(theirs, version)
        result = self._changed(self._tree_of(self.folder), self._submodules(ours), [])
        merged, new = self._entries(result), self._entries(theirs)
        known = Counter((one.rule, one.place.path, one.message) for one in found_before)
        return Update(
            project=self._work_tree.project,
            before=before,
            version=version,
            answers=_answer_changes(before.answers, answers),
            changes=self._changes(ours, result),
            conflicts=conflicts,
            left_alone=left_alone,
            findings=[
                one for one in self._findings() if not known[one.rule, one.place.path, one.message]
            ],
            lost_names=[
                one
                for one in references.lost(names_before, self.folder)
                if merged[str(one.place.path)] != new.get(str(one.place.path))
            ],
            merged=self.folder,
            _trees=(ours, result),
        )

    def _git(self, *arguments: str, stdin: bytes = b"") -> str:
        return git(self.folder, *arguments, variables=_ANONYMOUS, stdin=stdin)

    def _initialise(self) -> None:
        options = ("--quiet", "--template=", "--initial-branch=project")
        git(self._scratch, "init", *options, "merged", variables=_ANONYMOUS)
        alternates = self.folder / ".git" / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_bytes(os.fsencode(self._work_tree.objects) + b"\n")

    def _tree_of(self, folder: Path) -> str:
        self._git("read-tree", "--empty")
        self._git(f"--work-tree={folder}", "add", "--all", "--force", ".")
        return self._git("write-tree")

    def _submodules(self, tree: str) -> dict[str, tuple[str, str]]:
        """The commits of other repositories in a tree: in a folder of files there are none."""
        entries = self._entries(tree).items()
        return {path: entry for path, entry in entries if entry[0] == SUBMODULE}

    def _users_own(self, base: str, ours: str, theirs: str) -> tuple[str, str]:
        """The template's trees without a say in files that belong to the user.

        As Copier does it: one that is there stays as it is, one that is missing is made anew.
        """
        is_users = matcher(self._new)
        have = {path: entry for path, entry in self._entries(ours).items() if is_users(path)}
        kept = [path for path in self._entries(base) if is_users(path) and path not in have]
        return self._changed(base, {}, kept), self._changed(theirs, have, [])

    def _entries(self, tree: str) -> dict[str, tuple[str, str]]:
        """The files of a tree: mode and object by path."""
        listed = self._git("ls-tree", "-r", "-z", tree).split("\0")
        entries = (line.partition("\t") for line in listed if line)
        return {path: (about.split()[0], about.split()[2]) for about, _, path in entries}

    def _changed(
        self, tree: str, put: Mapping[str, tuple[str, str]], removed: Sequence[str]
    ) -> str:
        if not put and not removed:
            return tree
        self._git("read-tree", tree)
        lines = [f"{mode} {name}\t{path}" for path, (mode, name) in put.items()]
        lines += [f"0 {'0' * len(tree)}\t{path}" for path in removed]
        entries = "".join(f"{line}\0" for line in lines).encode(errors="surrogateescape")
        self._git("update-index", "-z", "--index-info", stdin=entries)
        return self._git("write-tree")

    def _check_out(self, ours: str, base: str) -> None:
        root = self._git("commit-tree", "-m", "The template as it was", base)
        head = self._git("commit-tree", "-m", "The project", "-p", root, ours)
        self._git("reset", "--quiet", "--hard", head)

    def _merged(self, theirs: str, version: str) -> tuple[list[Conflict], list[str]]:
        """Merge the new template into the project: the conflicts, and the files left alone."""
        root = self._git("rev-parse", "HEAD^")
        branch = f"template/{version}"
        tip = self._git("commit-tree", "-m", "The template as it will be", "-p", root, theirs)
        self._git("update-ref", f"refs/heads/{branch}", tip)
        try:
            self._git(*_MERGE, "merge", "--quiet", "--no-commit", "--no-ff", branch)
        except UserError:
            if not (self.folder / ".git" / "MERGE_HEAD").exists():
                raise
            # There are conflicts; they are read below.
        stages = self._unmerged()
        left_alone = sorted(path for path, sides in stages.items() if "2" not in sides)
        for path in left_alone:
            with suppress(FileNotFoundError):
                (self.folder / path).unlink()
        if FILE in self._entries(theirs):
            self._git("checkout", "--quiet", tip, "--", FILE)
            stages.pop(FILE, None)
        conflicts = [
            Conflict(
                path, _reason(sides), [(mode, name, stage) for stage, (mode, name) in sides.items()]
            )
            for path, sides in sorted(stages.items())
            if "2" in sides
        ]
        return conflicts, left_alone

    def _findings(self) -> list[checks.Finding]:
        """What the checks report in the scratch folder, under the policy at the project."""
        project = Project.read(self.folder)
        if not project.is_worker:
            return []
        policy = Policy.of(project, Organisation.of(self._work_tree.project))
        # An answer that changes here was given, or nothing would have come this far.
        options = checks.Options.of(project, checks.RULES, ignore=[ChangedByUpdate.id])
        return checks.findings(checks.Subject(project, policy), options)

    def _unmerged(self) -> dict[str, dict[str, tuple[str, str]]]:
        """The index entries of conflicts: path -> stage -> mode and object."""
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for line in filter(None, self._git("ls-files", "--unmerged", "-z").split("\0")):
            about, _, path = line.partition("\t")
            mode, name, stage = about.split()
            found.setdefault(path, {})[stage] = (mode, name)
        return found

    def _changes(self, ours: str, result: str) -> list[Change]:
        raw = self._git("diff-tree", "-r", "-z", "--raw", "--no-renames", ours, result).split("\0")
        kinds = {"A": "added", "D": "removed"}
        return [
            Change(path, kinds.get(about.split()[4], "changed"))
            for about, path in zip(raw[::2], raw[1::2], strict=False)
        ]


def _reason(sides: Mapping[str, object]) -> str:
    if "3" not in sides:
        return "removed by the template, changed here: kept"
    return "changed by the template and here" if "1" in sides else "added by the template and here"


def _answer_changes(
    before: Mapping[str, object], after: Mapping[str, object]
) -> list[AnswerChange]:
    names = [*after, *(name for name in before if name not in after)]
    return [
        AnswerChange(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]
