"""The user's cache folder: what the index answered, and what was built from it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from forge_scaffold.errors import UserError

FRESH = 24 * 60 * 60  # how long an answer of the index counts, in s


def cache_folder(of: str) -> Path:
    """Where answers of the index are kept: below the user's cache folder.

    Raises:
        UserError: it cannot be made.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    if not base:
        base = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    folder = Path(base).expanduser() / "forge-workers" / of
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror}; name a folder for the cache in XDG_CACHE_HOME"
        ) from error
    return folder


def write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as scratch:
        half = Path(scratch, "half")
        half.write_text(text, encoding="utf-8")
        half.replace(path)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `target` when the block ends: all of it or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
        dir=target.parent, prefix=".new-", ignore_cleanup_errors=True
    ) as scratch:
        folder = Path(scratch, "folder")
        folder.mkdir()
        yield folder
        with contextlib.suppress(OSError):  # another forge was faster
            folder.rename(target)
