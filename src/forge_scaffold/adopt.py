"""Bring an existing Worker under the template: compare the two, write what was asked for.

Nothing of the project is imported or run, and no file that is there is changed.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shutil import copyfile
from tempfile import TemporaryDirectory

from forge_scaffold.config import Answers
from forge_scaffold.errors import UserError
from forge_scaffold.git import ISOLATED, git
from forge_scaffold.project import MAX_BYTES, WRANGLER_FILES, Project
from forge_scaffold.recorded import FILE
from forge_scaffold.render import matcher, render
from forge_scaffold.sources import Source
from forge_scaffold.worktree import WorkTree


@dataclass(frozen=True)
class Comparison:
    """A project beside what the template makes of its answers.

    Files that belong to the user once they are written are compared only when they are missing.

    Attributes:
        root: the project's folder.
        rendered: the folder with the template's files.
        same: files that are the same in both.
        different: files that both have, with different content.
        missing: files of the template that the project lacks.
        blocked: files of the template that cannot be compared or added, each with the reason.
        patch: what would make `different` the template's, as `git apply` reads it.
    """

    root: Path
    rendered: Path
    same: Sequence[PurePosixPath]
    different: Sequence[PurePosixPath]
    missing: Sequence[PurePosixPath]
    blocked: Mapping[PurePosixPath, str]
    patch: str

    def chosen(self, wanted: Sequence[str]) -> list[PurePosixPath]:
        """The missing files that are, or are below, one of the wanted paths.

        Raises:
            UserError: a path names none of them.
        """
        paths = [PurePosixPath(os.path.normpath(each)) for each in wanted]
        unknown = [
            f"--add {text}: the template has no file there that the project lacks"
            for text, path in zip(wanted, paths, strict=True)
            if not any(map(path.__eq__, _with_parents(self.missing)))
        ]
        if unknown:
            raise UserError(*unknown)
        return [each for each in self.missing if not {each, *each.parents}.isdisjoint(paths)]


def _with_parents(paths: Sequence[PurePosixPath]) -> set[PurePosixPath]:
    return {place for path in paths for place in (path, *path.parents)}


def problems(project: Project) -> list[str]:
    """Why the project cannot be adopted: it is no Python Worker, or has a template already."""
    found: list[str] = []
    if os.path.lexists(project.root / FILE):
        found.append(f"{project.root / FILE}: the project has a template already; see forge status")
    wrangler = project.wrangler
    if wrangler is None:
        broken = [str(each) for each in project.broken if each.place.path in WRANGLER_FILES]
        below = ", ".join(map(str, project.workers_below[:5]))
        hint = f"name one of its Workers: {below}" if below else "see forge audit"
        found += broken or [f"{project.root}: no wrangler.toml, wrangler.jsonc or .json; {hint}"]
    elif wrangler.main is None:
        place = wrangler.place("main")
        found.append(f"{place.path}:{place.line}: main names no .py file: not a Python Worker")
    return found


@contextmanager
def compared(project: Project, source: Source, answers: Answers) -> Iterator[Comparison]:
    """The project beside a fresh render of the template, which is there until the block ends.

    Raises:
        RejectedError: the template cannot be rendered.
    """
    with TemporaryDirectory(prefix="forge-") as scratch:
        rendered = Path(scratch, "rendered")
        render(source, answers.as_dict(), rendered)
        yield _comparison(project, rendered, matcher(source), Path(scratch, "patch"))


def _comparison(
    project: Project, rendered: Path, is_users: Callable[[str], bool], scratch: Path
) -> Comparison:
    same: list[PurePosixPath] = []
    different: list[PurePosixPath] = []
    missing: list[PurePosixPath] = []
    blocked: dict[PurePosixPath, str] = {}
    for file in sorted(rendered.rglob("*")):
        path = PurePosixPath(file.relative_to(rendered).as_posix())
        if not file.is_file() or str(path) == FILE:
            continue
        try:
            content = _present(project.root, path)
        except OSError as error:
            blocked[path] = error.strerror or str(error)
            continue
        if content is not None and is_users(str(path)):
            continue
        if content is not None:
            (same if content == file.read_bytes() else different).append(path)
        elif reason := _rival(project, path):
            blocked[path] = reason
        else:
            missing.append(path)
    patch = _patch(project.root, rendered, different, scratch) if different else ""
    return Comparison(project.root, rendered, same, different, missing, blocked, patch)


def _rival(project: Project, path: PurePosixPath) -> str | None:
    """What a missing file would compete with: pywrangler and wrangler each read one of the two."""
    configured = project.wrangler.document.text.path if project.wrangler else None
    if path in WRANGLER_FILES and configured:
        return f"{configured} configures this Worker, and only one of the two would be read"
    return None


def _present(root: Path, path: PurePosixPath) -> bytes | None:
    """A file's content; None when it is not there.

    Raises:
        OSError: something else is in its place, or it cannot be read.
    """
    place = root
    for part in path.parts:
        place /= part
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            return None
        name = place.relative_to(root)
        if stat.S_ISLNK(mode):
            raise OSError(0, f"{name} is a symbolic link")
        if place != root / path and not stat.S_ISDIR(mode):
            raise OSError(0, f"{name} is not a folder")
    if not stat.S_ISREG(mode):
        raise OSError(0, f"{path} is not a file")
    if place.stat().st_size > MAX_BYTES:
        raise OSError(0, f"larger than {MAX_BYTES:,} bytes")
    return place.read_bytes()


def _patch(root: Path, rendered: Path, paths: Sequence[PurePosixPath], scratch: Path) -> str:
    """What makes the project's files the template's, computed away from the project's git."""
    for folder in (root, rendered):
        for path in paths:
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            copyfile(folder / path, scratch / path)
        if folder is root:
            git(scratch, "init", "--quiet", "--template=", variables=ISOLATED)
            git(scratch, "add", "--all", "--force", variables=ISOLATED)
    return git(scratch, "diff", "--no-ext-diff", variables=ISOLATED)


def write(comparison: Comparison, added: Sequence[PurePosixPath]) -> None:
    """Write the answers file and the template's files named, all of them or none.

    Raises:
        UserError: the project is not committed, or a file appeared or cannot be written.
    """
    contents = {path: comparison.rendered / path for path in (*map(str, added), FILE)}
    with WorkTree.of(comparison.root).transaction(contents):
        pass
