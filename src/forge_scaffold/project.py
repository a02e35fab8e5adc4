"""A Worker project on disk, read once. Nothing of it is imported or run.

Made by us or not: whatever is missing is empty, whatever cannot be read is listed as broken.
"""

import ast
import gc
import json
import os
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any, NamedTuple, Self, TypeVar

from forge_scaffold.documents import (
    Document,
    Place,
    Text,
    Unreadable,
    read_jsonc,
    read_toml,
)
from forge_scaffold.wrangler import Wrangler

MANIFEST = PurePosixPath("pyproject.toml")
LOCK = PurePosixPath("requirements/worker.txt")

# As pywrangler looks for it.
WRANGLER_FILES = tuple(map(PurePosixPath, ("wrangler.toml", "wrangler.jsonc", "wrangler.json")))

# Folders that tools fill.
SKIPPED = frozenset(
    {
        ".cache", ".eggs", ".git", ".hg", ".hypothesis", ".mypy_cache", ".nox", ".pytest_cache",
        ".ruff_cache", ".svn", ".tox", ".venv", ".venv-workers", ".wrangler", "__pycache__",
        "node_modules", "python_modules", "site-packages", "venv",
    }
)  # fmt: skip

# What lies beside a Worker whose modules are its whole repository, and is not part of it.
BESIDE = frozenset(
    {"benchmarks", "dev", "docs", "examples", "migrations", "scripts", "test", "tests", "tools"}
)

# Where other people's modules are kept among one's own.
VENDORED = frozenset({"_vendor", "lib", "libs", "third_party", "vendor", "vendored"})

MAX_FILES = 20_000
MAX_BYTES = 2_000_000
KEPT = 100_000

_Read = TypeVar("_Read")


class Module(NamedTuple):
    """A Python file of the Worker.

    Attributes:
        text: the file.
        tree: what it says.
    """

    text: Text
    tree: ast.Module

    @property
    def path(self) -> PurePosixPath:
        """Relative to the project."""
        return self.text.path


@dataclass(frozen=True)
class Project:
    """What the rules look at.

    Attributes:
        root: the project's folder.
        files: every file, relative to the root, sorted; what tools make and symbolic links that
            lead out of the project are left out.
        broken: files that cannot be read, each with where and why.
    """

    root: Path
    files: tuple[PurePosixPath, ...]
    broken: list[Unreadable] = field(default_factory=list)

    @classmethod
    def read(cls, root: Path) -> Self:
        """The project in `root`.

        Raises:
            OSError: the folder cannot be read.
        """
        return cls(root, tuple(sorted(_files(root))))

    @cached_property
    def manifest(self) -> Document | None:
        """pyproject.toml."""
        return self._document(MANIFEST, read_toml)

    @cached_property
    def wrangler(self) -> Wrangler | None:
        """The wrangler configuration, from the file that pywrangler reads."""
        for path in WRANGLER_FILES:
            if path in self._file_set:
                reader = read_toml if path.suffix == ".toml" else read_jsonc
                document = self._document(path, reader)
                return Wrangler(document) if document else None
        return None

    @property
    def is_worker(self) -> bool:
        """Whether this folder is a project at all."""
        return any(path in self._file_set for path in (MANIFEST, *WRANGLER_FILES))

    @property
    def workers_below(self) -> list[PurePosixPath]:
        """Folders inside this one that have a wrangler configuration."""
        return [path.parent for path in self.files if path.name in map(str, WRANGLER_FILES)]

    @cached_property
    def lock(self) -> Text | None:
        """requirements/worker.txt, what is uploaded with the Worker."""
        return self.text(LOCK)

    @cached_property
    def uv_lock(self) -> Document | None:
        """uv.lock."""
        return self._document(PurePosixPath("uv.lock"), read_toml)

    @cached_property
    def pylock(self) -> Document | None:
        """pylock.toml, which pywrangler writes: what it resolved for the Worker's Python."""
        return self._document(PurePosixPath("pylock.toml"), read_toml)

    @property
    def pyproject(self) -> Mapping[str, Any]:
        """pyproject.toml as data; empty without one."""
        return self.manifest.data if self.manifest else {}

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The table [tool.forge] of pyproject.toml."""
        return table(table(self.pyproject, "tool"), "forge")

    @cached_property
    def dependencies(self) -> tuple[str, ...]:
        """The declared runtime requirements, as they are written."""
        return strings(table(self.pyproject, "project").get("dependencies"))

    @cached_property
    def package(self) -> Mapping[str, Any]:
        """package.json; empty without one."""
        text = self.text(PurePosixPath("package.json"))
        try:
            content = json.loads(text.content) if text else {}
        except json.JSONDecodeError as error:
            place = Place(PurePosixPath("package.json"), error.lineno, error.colno)
            self.broken.append(Unreadable(place, f"not JSON: {error.msg}"))
            return {}
        except (RecursionError, ValueError) as error:
            place = Place(PurePosixPath("package.json"))
            self.broken.append(Unreadable(place, f"not JSON that can be read: {error}"))
            return {}
        return content if isinstance(content, dict) else {}

    @cached_property
    def scripts(self) -> tuple[str, ...]:
        """The names of package.json's scripts."""
        return tuple(table(self.package, "scripts"))

    @cached_property
    def base(self) -> PurePosixPath:
        """The folder whose modules are uploaded: that of the Worker's main module."""
        if self.wrangler and (main := self.wrangler.main):
            base = self.wrangler.data.get("base_dir")
            folder = PurePosixPath(base) if isinstance(base, str) else PurePosixPath(main).parent
            if not folder.is_absolute() and ".." not in folder.parts:
                return folder
        return PurePosixPath("src")

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """Every Python module of the Worker itself, parsed; tests and tools left out."""
        with _parsing():
            return tuple(filter(None, map(self._module, filter(self._uploaded, self.files))))

    def _uploaded(self, path: PurePosixPath) -> bool:
        if path.suffix != ".py" or not path.is_relative_to(self.base):
            return False
        inside = path.relative_to(self.base).parts
        if self.base == PurePosixPath() and path.name == "setup.py":
            return False
        return BESIDE.isdisjoint(inside[:-1]) and not _is_test(path.name)

    @cached_property
    def own_modules(self) -> frozenset[str]:
        """The importable names that the project itself brings."""
        own = [path for path in self.files if path.suffix == ".py"]
        roots = {self.base, PurePosixPath(), PurePosixPath("src")}
        roots |= {folder for path in own for folder in path.parents if folder.name in VENDORED}
        inside = (
            path.relative_to(root).parts[0]
            for path in own
            for root in (root for root in roots if path.is_relative_to(root))
        )
        return frozenset(name.removesuffix(".py") for name in inside)

    @cached_property
    def _file_set(self) -> frozenset[PurePosixPath]:
        return frozenset(self.files)

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return PurePosixPath(path) in self._file_set

    def bytes_of(self, path: PurePosixPath) -> bytes:
        """A file's content.

        Raises:
            Unreadable: it may not be read, or is too large to be written by hand.
        """
        file = self.root / path
        try:
            about = file.stat()
            if not S_ISREG(about.st_mode):  # reading a named pipe never ends
                raise Unreadable(Place(path), "not a regular file")
            if about.st_size > MAX_BYTES:
                raise Unreadable(Place(path), f"larger than {MAX_BYTES:,} bytes: not looked into")
            return file.read_bytes()
        except OSError as error:
            raise Unreadable(Place(path), f"cannot be read: {error.strerror}") from error

    def text(self, path: PurePosixPath) -> Text | None:
        """A text file; None when there is none, or it is broken (and listed as such)."""
        if path not in self._file_set:
            return None
        return self._read(lambda: Text.decoded(path, self.bytes_of(path)))

    def line(self, path: PurePosixPath, number: int) -> str:
        """A line of a file as it stands there, for showing; empty when there is none."""
        lines = self._lines.get(path)
        if lines is None:
            lines = self._lines[path] = self.shown(path).split("\n")
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""

    def shown(self, path: PurePosixPath) -> str:
        """A file as it can be shown, whatever it is; empty when it cannot be read."""
        if path in self._texts:
            return self._texts[path]
        try:
            content = self.bytes_of(path)
            marked = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))  # as PowerShell writes files
            text = content.decode("utf-16" if marked else "utf-8-sig", errors="replace")
        except Unreadable:
            text = ""
        # Several rules look into every file; few files are large, and few rules need those.
        if len(text) < KEPT:
            self._texts[path] = text
        return text

    @cached_property
    def _texts(self) -> dict[PurePosixPath, str]:
        return {}

    @cached_property
    def _lines(self) -> dict[PurePosixPath, list[str]]:
        return {}

    def _document(self, path: PurePosixPath, reader: Callable[[Text], Document]) -> Document | None:
        text = self.text(path)
        return self._read(lambda: reader(text)) if text else None

    def _module(self, path: PurePosixPath) -> Module | None:
        module = self._read(lambda: _parsed(path, self.bytes_of(path)))
        if module:
            self._texts[path] = module.text.content
        return module

    def _read(self, reading: Callable[[], _Read]) -> _Read | None:
        try:
            return reading()
        except Unreadable as broken:
            self.broken.append(broken)
            return None


def table(data: object, name: str) -> Mapping[str, Any]:
    """A table of a table; empty when either is something else."""
    inner = data.get(name) if isinstance(data, Mapping) else None
    return inner if isinstance(inner, dict) else {}


def tables(data: object) -> list[Mapping[str, Any]]:
    """The tables of an array; whatever else it has is left out."""
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def strings(data: object) -> tuple[str, ...]:
    """The strings of an array; whatever else it has is left out."""
    return tuple(item for item in data if isinstance(item, str)) if isinstance(data, list) else ()


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"


def _files(root: Path) -> Iterator[PurePosixPath]:
    """Every file of a project. Links that lead out of it are not followed, nor links to folders."""
    count = 0
    pending = [("", str(root))]
    home = os.path.realpath(root)
    while pending:
        prefix, folder = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            if not prefix:
                raise
            continue
        for entry in entries:
            if _is_folder(entry):
                if entry.name not in SKIPPED:
                    pending.append((f"{prefix}{entry.name}/", entry.path))
            elif _is_file(entry, home):
                count += 1
                if count > MAX_FILES:
                    return
                yield PurePosixPath(f"{prefix}{entry.name}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str], home: str) -> bool:
    """A regular file with a name that is text; a link only to one inside the project."""
    try:
        entry.name.encode()
        if not entry.is_symlink():
            return entry.is_file(follow_symlinks=False)
        real = os.path.realpath(entry.path)
        return real.startswith(home + os.sep) and Path(real).is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected: syntax trees are large, are all in use, and have no circles."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _parsing() -> Iterator[None]:
    """Many trees at once, without warnings about other people's code."""
    with uncollected(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _parsed(path: PurePosixPath, content: bytes) -> Module:
    try:
        tree = ast.parse(content, filename=str(path))
        text = Text.decoded(path, content)
    except SyntaxError as error:
        place = Place(path, max(error.lineno or 1, 1), max(error.offset or 1, 1))
        raise Unreadable(place, f"not Python: {error.msg}") from error
    except (ValueError, MemoryError, RecursionError, OverflowError) as error:
        raise Unreadable(Place(path), f"not Python that can be read: {error}") from error
    return Module(text, tree)
