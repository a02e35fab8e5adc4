"""The folders that `forge serve` and `forge test` keep in the user's cache, and their end."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

UNUSED = 30 * 24 * 60 * 60  # until a folder is removed, in s

_HOME = re.compile(r"[0-9a-f]{16}")  # a harness's folder, inside the one with its Node


def hold(folder: Path) -> bool:
    """Whether a folder is there; then it stays while this process runs, or what it becomes.

    An open directory with a shared lock does that: both survive exec, and end with the process.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    with suppress(OSError):  # a file system without locks; `prune` removes nothing there
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    if not _is_at(descriptor, folder):  # removed meanwhile
        os.close(descriptor)
        return False
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - positional only
    with suppress(OSError):  # a cache that others own
        os.utime(descriptor)
    return True


def prune(cache: Path) -> None:
    """Remove the folders of `cache` that nobody has held for `UNUSED` seconds, or holds now."""
    for folder in list(_folders(cache)):
        with suppress(OSError):  # another forge was faster, or it is not ours
            _remove_unused(folder, cache)


def _folders(cache: Path) -> Iterator[Path]:
    for folder in cache.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            yield from (home for home in folder.iterdir() if _HOME.fullmatch(home.name))


def _remove_unused(folder: Path, cache: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Looked at only now: whoever held it until a moment ago has said so there.
        if time.time() - os.fstat(descriptor).st_mtime < UNUSED:
            return
        # Renamed first: a folder is whole or not there.
        removed = Path(mkdtemp(dir=cache, prefix=".old-"))
        folder.rename(removed)
    finally:
        os.close(descriptor)
    shutil.rmtree(removed, ignore_errors=True)


def _is_at(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False
