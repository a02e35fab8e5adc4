"""What git has of a project, read from its files: no program is started, no hook can run."""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

MAX_INDEX = 64_000_000


@cache
def tracked(root: Path) -> frozenset[str] | None:
    """The paths below `root` in git's index, relative to it; None where there is none to read."""
    found = _repository(root.resolve())
    if found is None:
        return None
    home, folder = found
    index = folder / "index"
    try:
        if not index.exists():
            return frozenset()
        if index.stat().st_size > MAX_INDEX:
            return None
        paths = list(_entries(index.read_bytes()))
    except (OSError, ValueError, struct.error, IndexError):
        return None
    prefix = root.resolve().relative_to(home).as_posix()
    inside = "" if prefix == "." else f"{prefix}/"
    return frozenset(path[len(inside) :] for path in paths if path.startswith(inside))


def _repository(root: Path) -> tuple[Path, Path] | None:
    """The work tree around a folder, and the folder with its index."""
    for folder in (root, *root.parents):
        place = folder / ".git"
        if place.is_dir():
            return folder, place
        if place.is_file():
            pointer = re.match(r"gitdir:\s*(.+)", place.read_text(errors="replace"))
            return (folder, folder / pointer[1].strip()) if pointer else None
    return None


def _entries(data: bytes) -> Iterator[str]:
    """The paths of an index file, versions 2 to 4 (git's index-format)."""
    signature, version, count = struct.unpack(">4sLL", data[:12])
    if signature != b"DIRC" or version not in {2, 3, 4}:
        raise ValueError(version)
    offset, path = 12, b""
    for _ in range(count):
        start = offset
        flags = struct.unpack(">H", data[offset + 60 : offset + 62])[0]
        offset += 64 if flags & 0x4000 else 62
        if version == 4:
            kept, offset = _varint(data, offset)
            end = data.index(b"\0", offset)
            path = path[: len(path) - kept] + data[offset:end]
            offset = end + 1
        else:
            end = data.index(b"\0", offset)
            path = data[offset:end]
            # Entries are padded to a multiple of eight bytes, with at least one zero.
            offset = start + (end - start) // 8 * 8 + 8
        yield path.decode(errors="replace")


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """A number in git's variable width, and where it ends."""
    byte = data[offset]
    value = byte & 0x7F
    while byte & 0x80:
        offset += 1
        byte = data[offset]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, offset + 1


def ignore_lines(root: Path) -> str:
    """What the .gitignore files from the repository's root down to `root` say, in that order."""
    found = _repository(root.resolve())
    home = found[0] if found else root.resolve()
    folders = [root.resolve(), *root.resolve().parents]
    files = (folder / ".gitignore" for folder in reversed(folders) if folder.is_relative_to(home))
    texts = []
    for file in files:
        with suppress(OSError):
            texts.append(file.read_bytes()[:100_000].decode(errors="replace"))
    return "\n".join(texts)


def ignored(path: str, patterns: str) -> bool:
    """Whether the lines of a .gitignore leave a path out, as far as files of secrets need it.

    The last line that matches decides; patterns without a slash match in any folder.
    """
    name, found = path.rpartition("/")[2], False
    for line in patterns.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        anchored = "/" in pattern.rstrip("/")
        target = path if anchored else name
        if fnmatch(target, pattern.strip("/").removeprefix("**/")):
            found = not keeps
    return found
