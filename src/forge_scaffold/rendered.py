"""What a template may not put into a project, whatever the project is for.

A template is somebody else's work. What it renders is looked at before it is moved to where git,
a shell or an editor would act on it.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from forge_scaffold.printable import printable
from forge_scaffold.project import MAX_FILES, SKIPPED

MAX_TOTAL = 256_000_000
SHOWN = 10

# Characters that HFS+ ignores in names.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


def problems(folder: Path) -> list[str]:
    """What is wrong with a folder that a template was rendered into, a line each."""
    found: list[str] = []
    total = 0
    for count, (path, status) in enumerate(_entries(folder), start=1):
        if wrong := _problem(folder, path, status):
            found.append(f"{printable(path.as_posix())}: {wrong}")
        total += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if count > MAX_FILES:
            return [*found, f"more than {MAX_FILES:,} files"]
        if total > MAX_TOTAL:
            return [*found, f"more than {MAX_TOTAL:,} bytes"]
        if len(found) == SHOWN:
            break
    return found


def remove_empty_folders(folder: Path) -> None:
    """Remove the folders below `folder` in which a choice left nothing; git keeps none either."""
    for path, _, _ in os.walk(folder, topdown=False):
        if path != str(folder):
            with suppress(OSError):  # it is not empty
                Path(path).rmdir()


def _entries(folder: Path) -> Iterator[tuple[PurePosixPath, os.stat_result]]:
    """Everything below a folder, by relative path, except what is in folders reserved for tools."""
    pending = [PurePosixPath()]
    while pending:
        inside = pending.pop()
        for entry in sorted((folder / inside).iterdir()):
            path, status = inside / entry.name, entry.lstat()
            yield path, status
            if stat.S_ISDIR(status.st_mode) and not _reserved(entry.name):
                pending.append(path)


def _problem(folder: Path, path: PurePosixPath, status: os.stat_result) -> str:
    """What is wrong with one entry; empty when nothing is."""
    kind = status.st_mode
    if not path.name.isprintable():
        return "a name with control characters"
    if _is_git(path.name):
        return "git's own; a template must not write it"
    if stat.S_ISDIR(kind) and _reserved(path.name):
        return "tools fill this folder, and checks skip it"
    if stat.S_ISLNK(kind):
        return _link_problem(folder, path)
    if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
        return "not a regular file"
    setuid = stat.S_ISREG(kind) and kind & (stat.S_ISUID | stat.S_ISGID)
    return "runs as its owner (setuid or setgid)" if setuid else ""


def _link_problem(folder: Path, path: PurePosixPath) -> str:
    """What is wrong with a symbolic link: it must lead to something inside, by any reading."""
    target = (folder / path).readlink()
    written = os.path.normpath(path.parent / target)
    real = Path(os.path.realpath(folder / path))
    inside = written.split("/")[0] != ".." and real.is_relative_to(os.path.realpath(folder))
    if target.is_absolute() or not inside:
        return f"a link that leads out of the project, to {printable(str(target))}"
    if any(_is_git(part) for part in target.parts):
        return f"a link into git's own files, to {printable(str(target))}"
    return ""


def _reserved(name: str) -> bool:
    return name.casefold() in SKIPPED or _is_git(name)


def _is_git(name: str) -> bool:
    """Whether any file system takes a name for .git, as git itself protects it."""
    plain = _IGNORED.sub("", name).partition(":")[0].rstrip(". ").casefold()
    return plain in {".git", "git~1"}
