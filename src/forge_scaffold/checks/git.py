"""What git has of a project. Nothing that the project's git configuration names is run.

The index is read here. Objects may be packed, so git itself reads those, but in a repository of
ours: an empty one, which borrows the project's objects and has no configuration of its own.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatch
from functools import cache
from os import devnull
from pathlib import Path, PurePosixPath

from forge_scaffold.errors import UserError
from forge_scaffold.git import git

MAX_INDEX = 64_000_000
MAX_BLOB = 1_000_000
SECONDS = 10

# Repositories without anything in them, one for each kind of hash.
_EMPTY = Path(__file__).with_name("data") / "git"

# For git in a repository of ours with a project's objects: no configuration but the built-in.
_BARE: Mapping[str, str] = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_GLOBAL": devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_NO_REPLACE_OBJECTS": "1",
}


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
        if not index.is_file():
            return None
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


def last_commit(root: Path, path: PurePosixPath) -> str | None:
    """A file of a project as the last commit has it; None where that is not known."""
    root = root.resolve()
    found = _repository(root)
    if found is None:
        return None
    top, folder = found
    shared = folder / _first_line(folder / "commondir")  # other work trees have their own HEAD
    commit = _commit(folder, shared)
    if not commit:
        return None
    name = f"{commit}:{(root / path).relative_to(top).as_posix()}"
    borrowing = {
        **_BARE,
        "GIT_DIR": str(_EMPTY / ("sha256" if len(commit) == 64 else "sha1")),
        "GIT_OBJECT_DIRECTORY": str(shared / "objects"),
    }
    try:
        size = git(root, "cat-file", "-s", name, variables=borrowing, timeout=SECONDS)
        if int(size) > MAX_BLOB:
            return None
        return git(root, "cat-file", "blob", name, variables=borrowing, timeout=SECONDS)
    except (OSError, UserError, ValueError):
        return None


def _commit(folder: Path, shared: Path) -> str:
    """The hash of the commit that HEAD names; empty when there is none."""
    head = _first_line(folder / "HEAD")
    for _ in range(5):
        if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", head):
            return head
        name = head.removeprefix("ref: ")
        if not name.startswith("refs/") or ".." in name:
            return ""
        head = _first_line(shared / name) or _packed(shared / "packed-refs", name)
    return ""


def _packed(file: Path, name: str) -> str:
    """The hash of a reference in a file of packed references; empty when it is not there."""
    with suppress(OSError, ValueError):
        if file.is_file() and file.stat().st_size <= MAX_INDEX:
            found = re.search(rf"^([0-9a-f]+) {re.escape(name)}$", file.read_text(), re.MULTILINE)
            return found[1] if found else ""
    return ""


def _first_line(file: Path) -> str:
    """The first line of a small text file; empty when it cannot be read."""
    with suppress(OSError, ValueError):
        if file.is_file():
            with file.open(encoding="utf-8", errors="replace") as text:
                return text.readline(4096).strip()
    return ""


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
            if file.is_file():  # a named pipe would never end
                texts.append(file.read_bytes()[:100_000].decode(errors="replace"))
    return "\n".join(texts)


def is_left_out(root: Path, path: PurePosixPath) -> bool:
    """Whether a .gitignore, there or in a folder around it, leaves a file or folder out."""
    found, lines = _repository(root.resolve()), ignore_lines(root)
    above = PurePosixPath(root.resolve().relative_to(found[0]) if found else "")
    return any(ignored(str(each), lines) for each in (path, above / path))


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
