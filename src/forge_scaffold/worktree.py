"""A project in its git work tree: what is committed, and changes that can be taken back."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import copy2, copystat, rmtree
from typing import Self

from forge_scaffold.errors import UserError
from forge_scaffold.git import git, git_bytes
from forge_scaffold.git import work_tree as git_work_tree
from forge_scaffold.signals import held_signals

SHOWN_FILES = 10


@dataclass(frozen=True)
class WorkTree:
    """The git work tree around a project.

    Attributes:
        project: the project's folder.
        prefix: the folder's path in the work tree, with a slash at its end; empty at the top.
        head: the commit that is checked out.
        tree: git's tree of the project's folder there.
    """

    project: Path
    prefix: str
    head: str
    tree: str

    @classmethod
    def of(cls, project: Path) -> Self:
        """The work tree of a project.

        Raises:
            UserError: there is none, git refuses it, or nothing is committed.
        """
        try:
            git(project, "rev-parse", "--show-toplevel")
            prefix = git(project, "rev-parse", "--show-prefix")
        except UserError as error:
            if git_work_tree(project):  # of another user, or broken
                raise UserError(f"{project}: {error}") from error
            raise UserError(
                f"{project}: not in a git work tree, from which an update could be taken back; "
                "git init && git add --all && git commit -m Start"
            ) from error
        try:
            head = git(project, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
            tree = git(project, "rev-parse", "--verify", "--quiet", f"HEAD:{prefix}")
        except UserError as error:
            raise UserError(
                f"{project}: not committed; git add --all && git commit -m Start"
            ) from error
        return cls(project, prefix, head, tree)

    @classmethod
    def around(cls, project: Path) -> Self | None:
        """The work tree of a project; None when there is none, or nothing is committed."""
        with suppress(UserError):
            return cls.of(project)
        return None

    @property
    def conflicts(self) -> list[str]:
        """Files of the project that git has marked as conflicts."""
        listed = git(self.project, "diff", "--name-only", "--diff-filter=U", "--relative", "-z")
        return [path for path in listed.split("\0") if path]

    @property
    def objects(self) -> Path:
        """The repository's folder of objects."""
        return self._git_path("objects")

    def _git_path(self, name: str) -> Path:
        return (self.project / git(self.project, "rev-parse", "--git-path", name)).resolve()

    @property
    def uncommitted(self) -> list[str]:
        """Files of the project that differ from the commit, untracked ones included."""
        listed = git(
            self.project, "status", "--porcelain", "-z", "--no-renames",
            "--untracked-files=all", "--", ".",
        )  # fmt: skip
        paths = [entry[3:] for entry in listed.split("\0") if entry]
        return [path.removeprefix(self.prefix) for path in paths]

    def require_clean(self) -> None:
        """Refuse a project with uncommitted changes.

        Raises:
            UserError: it has some; an update that waits to be committed is named as such. Or the
                next commit would conclude a merge, and take the update into it.
        """
        if self._git_path("MERGE_HEAD").exists():
            raise UserError(
                f"{self.project}: a merge is in progress; git commit, or git merge --abort"
            )
        names = self.uncommitted
        if names and (waiting := self.waiting()):
            state = "waits to be committed" if waiting.complete else "was interrupted"
            fix = "commit it, or take it back with" if waiting.complete else "take it back with"
            raise UserError(f"{self.project}: an update {state}; {fix}  forge update --abort")
        if names:
            more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
            shown = ", ".join(names[:SHOWN_FILES])
            raise UserError(
                f"{self.project}: uncommitted changes in {shown}{more}; commit or stash them first"
            )

    @contextmanager
    def transaction(self, contents: Mapping[str, Path | None]) -> Iterator[None]:
        """Write files, then run the block; on any failure put everything back.

        No signal comes in between, and no other process of Forge that writes to the repository.

        Args:
            contents: by path in the project, the file to copy; None to remove what is there.

        Raises:
            UserError: the project has uncommitted changes, or a file is in the way or cannot be
                written; nothing was changed.
        """
        with self._exclusive():
            self.require_clean()
            with held_signals(), self._written(contents):
                yield

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Let one process at a time write: a repository may hold several projects, but one index.

        Waiting can be interrupted.
        """
        self._journal.parent.mkdir(exist_ok=True)
        folder = os.open(self._journal.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    @contextmanager
    def _written(self, contents: Mapping[str, Path | None]) -> Iterator[None]:
        journal = _Journal(self.head, list(contents))
        self._refuse_collisions(contents)
        self._begin(journal)
        try:
            for path, source in contents.items():
                put_file(source, self.project / path, self.project)
            yield
            self._note(_Journal(self.head, list(contents), complete=True))
        except BaseException as error:
            self._undo(journal)
            if isinstance(error, OSError):
                place = error.filename or self.project
                raise UserError(f"{place}: {error.strerror}; nothing was changed") from error
            raise

    def _refuse_collisions(self, contents: Mapping[str, Path | None]) -> None:
        committed = self._committed()
        problems = [
            f"{path}: there already, and not in git; move it away first"
            for path, source in contents.items()
            if source and path not in committed and os.path.lexists(self.project / path)
        ]
        problems += [
            f"{path}: {parent} is a symbolic link; nothing is written through it"
            for path in contents
            for parent in Path(path).parents
            if (self.project / parent).is_symlink()
        ]
        if problems:
            raise UserError(*problems)

    def _committed(self) -> set[str]:
        listed = git(self.project, "ls-tree", "--full-tree", "-r", "-z", "--name-only", self.tree)
        return set(listed.split("\0"))

    def mark_conflict(
        self, path: str, repository: Path, stages: Sequence[tuple[str, str, str]]
    ) -> None:
        """Mark a file as a conflict in git's index, for `git status` and merge tools.

        Args:
            path: relative to the project.
            repository: where the objects of the stages are.
            stages: mode, object and stage of each side.
        """
        lines = [f"0 {'0' * len(self.head)}\t{self.prefix}{path}"]
        for mode, name, stage in stages:
            content = git_bytes(repository, "cat-file", "blob", name)
            options = ("-w", "--no-filters", "--stdin")
            stored = git(self.project, "hash-object", *options, stdin=content)
            lines.append(f"{mode} {stored} {stage}\t{self.prefix}{path}")
        entries = "".join(f"{line}\0" for line in lines).encode(errors="surrogateescape")
        git(self.project, "update-index", "-z", "--index-info", stdin=entries)

    def waiting(self) -> "_Journal | None":
        """The changes that were made since the last commit by `transaction`, if any."""
        try:
            noted = json.loads((self._journal / "journal.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        journal = _Journal(**noted)
        return journal if journal.head == self.head and self.uncommitted else None

    def take_back(self) -> int:
        """Undo what the last `transaction` did, while it is not committed.

        Returns:
            How many files were put back.

        Raises:
            UserError: there is nothing to take back.
        """
        with self._exclusive(), held_signals():
            journal = self.waiting()
            if journal is None:
                raise UserError(
                    f"{self.project}: no update to take back; it is committed, or there was none"
                )
            self._undo(journal)
        return len(journal.paths)

    def _begin(self, journal: "_Journal") -> None:
        """Keep what is about to change: git would not give every byte of it back."""
        rmtree(self._journal, ignore_errors=True)  # of an update that was committed since
        self._journal.mkdir()
        for path in journal.paths:
            if os.path.lexists(self.project / path):
                kept = self._journal / "before" / path
                kept.parent.mkdir(parents=True, exist_ok=True)
                copy2(self.project / path, kept, follow_symlinks=False)
        self._note(journal)

    def _note(self, journal: "_Journal") -> None:
        replace_file(self._journal / "journal.json", json.dumps(asdict(journal), indent=2).encode())

    def _undo(self, journal: "_Journal") -> None:
        for path in journal.paths:
            _scratch(self.project / path).unlink(missing_ok=True)
            kept = self._journal / "before" / path
            put_file(kept if os.path.lexists(kept) else None, self.project / path, self.project)
            if kept.is_file():
                copystat(kept, self.project / path, follow_symlinks=False)
        names = "".join(f"{path}\0" for path in journal.paths).encode(errors="surrogateescape")
        options = ("--pathspec-from-file=-", "--pathspec-file-nul")
        git(self.project, "--literal-pathspecs", "reset", "--quiet", *options, stdin=names)
        rmtree(self._journal)

    @property
    def _journal(self) -> Path:
        """A folder for each project: a repository may hold several."""
        name = hashlib.sha256(self.prefix.encode(errors="surrogateescape")).hexdigest()[:16]
        return self._git_path("forge") / name


@dataclass(frozen=True)
class _Journal:
    """What is written to disk before a transaction begins, so that it can be undone after a crash.

    Attributes:
        head: the commit that was checked out.
        paths: the files that are written or removed.
        complete: whether all was done.
    """

    head: str
    paths: list[str]
    complete: bool = False


def put_file(source: Path | None, target: Path, top: Path) -> None:
    """Copy a file to its place in one step; without a source, remove what is there."""
    if source is None:
        target.unlink(missing_ok=True)
        _remove_empty_parents(target, top)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.unlink(missing_ok=True)
        target.symlink_to(source.readlink())
    else:
        replace_file(target, source.read_bytes(), executable=os.access(source, os.X_OK))


def replace_file(file: Path, content: bytes, *, executable: bool = False) -> None:
    """Write a file in one step; a file that is there keeps its other permissions."""
    scratch = _scratch(file)
    try:
        scratch.write_bytes(content)
        mode = file.stat().st_mode if file.is_file() else scratch.stat().st_mode
        readable = mode & 0o444
        scratch.chmod(mode | readable >> 2 if executable else mode & ~0o111)
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)


def _scratch(file: Path) -> Path:
    return file.with_name(f".{file.name[:200]}.forge")


def _remove_empty_parents(path: Path, top: Path) -> None:
    for parent in path.parents:
        if parent == top:
            return
        with suppress(OSError):
            parent.rmdir()
            continue
        return
