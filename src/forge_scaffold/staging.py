"""Build a folder beside its target, then move it there. Nothing of anybody else's is replaced.

What holds when a run starts may not hold when it ends: other programs work in the same folders. So
each step that makes something fails when the name is taken, whoever took it and whenever. A run
that fails removes what it made itself, recognised by inode and time of change, and nothing else.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from shutil import copyfileobj, rmtree
from typing import NamedTuple
from unicodedata import normalize

from forge_scaffold.errors import UserError
from forge_scaffold.signals import held_signals

# A run keeps this file locked while it works in the folder around it. However a process ends, its
# locks end with it.
LOCK = "lock"

ATTEMPTS = 10
LONGEST = 200

_LEFTOVER = re.compile(r"\.forge-[0-9a-f]{8}")


class _Made(NamedTuple):
    """Something this run made, recognisable later."""

    path: Path
    is_folder: bool
    identity: tuple[int, ...]

    @classmethod
    def at(cls, path: Path) -> "_Made":
        found = path.lstat()
        is_folder = stat.S_ISDIR(found.st_mode)
        changed = () if is_folder else (found.st_size, found.st_mtime_ns)
        return cls(path, is_folder, (found.st_dev, found.st_ino, *changed))

    def remove(self) -> None:
        """Remove it, unless it is something else by now, or has become somebody's folder."""
        with suppress(OSError):
            if _Made.at(self.path) == self:
                self.path.rmdir() if self.is_folder else self.path.unlink()


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder whose content is at `target` when the block succeeds, and gone when it does not.

    Args:
        target: missing, as its parents may be, or a folder. What it holds stays as it is.

    Raises:
        UserError: `target` cannot be written, or a name is taken.
    """
    target = Path(os.path.realpath(target))
    fresh = not os.path.lexists(target)
    made: list[_Made] = []
    scratch: Path | None = None
    try:
        # An existing folder is filled, not replaced: a shell may stand in it, a volume may be
        # mounted on it.
        with held_signals():
            scratch, lock = _scratch(target.parent if fresh else target, made)
        folder = scratch / "project" / target.name
        folder.mkdir(parents=True)
        yield folder
        with held_signals():
            _move(folder, target, fresh=fresh)
            made.clear()
    except OSError as error:
        raise _explained(error, target) from error
    finally:
        with held_signals():
            if scratch is not None:
                rmtree(scratch, ignore_errors=True)
                os.close(lock)
            _undo(made)


def sweep(folder: Path) -> list[Path]:
    """Remove what interrupted runs left in a folder; the paths removed.

    A run at work holds its lock, so its folder is not touched, nor is another user's.
    """
    try:
        found = [path for path in sorted(folder.iterdir()) if _LEFTOVER.fullmatch(path.name)]
    except OSError:
        return []
    return [path for path in found if _sweep(path)]


def _sweep(path: Path) -> bool:
    with suppress(OSError):
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        try:
            lock = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:  # stopped before there was a lock, so there is nothing else
            path.rmdir()
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rmtree(path, ignore_errors=True)
            return not os.path.lexists(path)
        finally:
            os.close(lock)
    return False


def collisions(source: Path, target: Path) -> list[str]:
    """Names below `target` that stand where the content of `source` would go, relative to it.

    Names that only a case-insensitive file system takes for one are collisions everywhere: git
    could not check out both on macOS and Windows.
    """
    present = {_folded(path.name): path.name for path in target.iterdir()}
    found = []
    for name in sorted(path.name for path in source.iterdir()):
        taken = present.get(_folded(name))
        if taken is None:
            continue
        if taken == name and name != ".git" and _is_folder(source / name, target / name):
            below = collisions(source / name, target / name)
            found += [f"{name}/{path}" for path in below]
        else:
            found.append(taken)
    return found


def shortened(path: Path) -> str:
    """A path for a message: the middle of a very long one is left out."""
    text = str(path)
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]} ... {text[-half:]}"


def _scratch(home: Path, made: list[_Made]) -> tuple[Path, int]:
    """A new folder in `home`, its parents noted in `made`, and the descriptor of its lock."""
    for attempt in range(ATTEMPTS):
        path = home / f".forge-{token_hex(4)}"
        try:
            _make_parents(path, made)
            path.mkdir(mode=0o700)
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError:
            # A run that failed removed a parent that it had made, or another swept this away.
            if attempt == ATTEMPTS - 1:
                raise
            continue
        except OSError:
            with suppress(OSError):
                path.rmdir()
            raise
        if _locked(path, lock):
            return path, lock
        os.close(lock)
    raise UserError(f"{shortened(home)}: other runs of forge get in the way; try again")


def _locked(path: Path, lock: int) -> bool:
    """Lock a new folder; False when another run has swept it away before that."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody can sweep here
        return True
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock), (path / LOCK).stat())
    return False


def _make_parents(path: Path, made: list[_Made]) -> None:
    missing = [parent for parent in path.parents if not os.path.lexists(parent)]
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:  # another run's, and so theirs to remove
            continue
        made.append(_Made.at(folder))


def _move(source: Path, target: Path, *, fresh: bool) -> None:
    """Move the content of `source` to `target`, all of it or nothing."""
    made: list[_Made] = []
    try:
        if fresh:
            target.mkdir()
            made.append(_Made.at(target))
            # Renaming replaces an empty folder, which this one is: ours. Where that fails,
            # somebody has been faster to fill it, or the file system cannot do it.
            with suppress(OSError):
                source.rename(target)
                return
        _fill(source, target, made)
    except BaseException as error:
        _undo(made)
        if isinstance(error, FileExistsError):
            taken = shortened(Path(os.fsdecode(error.filename2 or error.filename)))
            raise UserError(
                f"{taken}: appeared while the project was made; nothing was written"
            ) from error
        raise


def _fill(source: Path, target: Path, made: list[_Made]) -> None:
    for path in sorted(source.iterdir()):
        place = target / path.name
        if path.is_symlink():
            place.symlink_to(path.readlink())
            made.append(_Made.at(place))
        elif path.is_dir():
            # A repository is never merged into another.
            if path.name == ".git" or not _is_folder(place):
                place.mkdir()
                made.append(_Made.at(place))
            _fill(path, place, made)
        else:
            _put(path, place)
            made.append(_Made.at(place))


def _put(path: Path, place: Path) -> None:
    """Make a file appear under another name, which must be free."""
    try:
        os.link(path, place)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, or another one
        _copy(path, place)


def _copy(path: Path, place: Path) -> None:
    with path.open("rb") as content, place.open("xb") as copy:
        try:
            copyfileobj(content, copy)
            copy.flush()
            with suppress(PermissionError):  # a file system without modes
                os.fchmod(copy.fileno(), stat.S_IMODE(path.stat().st_mode))
        except BaseException:
            place.unlink()
            raise


def _undo(made: list[_Made]) -> None:
    while made:
        made.pop().remove()


def _is_folder(*paths: Path) -> bool:
    """Whether these are folders, and not links to some."""
    return all(path.is_dir() and not path.is_symlink() for path in paths)


def _folded(name: str) -> str:
    return normalize("NFC", name).casefold()


def _explained(error: OSError, target: Path) -> UserError:
    """The error in terms of the target: errors of writing have no name, others an inner one."""
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else target
    for scratch in (path for path in (named, *named.parents) if _LEFTOVER.fullmatch(path.name)):
        project = scratch / "project" / target.name
        inside = named.is_relative_to(project)
        named = target / named.relative_to(project) if inside else target
        break
    return UserError(f"{shortened(named)}: {error.strerror or error}")
