"""A Worker project on disk, read once."""

import ast
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from packaging.utils import canonicalize_name

from forge_scaffold.errors import RejectedError

LOCK = PurePosixPath("requirements/worker.txt")


@dataclass(frozen=True)
class Text:
    """A text file of the project.

    Attributes:
        path: relative to the project.
        content: the whole of it.
    """

    path: PurePosixPath
    content: str

    def line_of(self, fragment: str) -> int:
        """The first line with `fragment`, counted from 1; 1 when it is nowhere."""
        return self.content.count("\n", 0, max(self.content.find(fragment), 0)) + 1

    def logical_lines(self) -> Iterator[tuple[int, str]]:
        """The lines of a requirements file, continuations joined, comments and blanks left out."""
        pending, start = "", 1
        for number, line in enumerate(self.content.splitlines(), start=1):
            if not pending:
                start = number
            pending += re.sub(r"(^|\s)#.*", "", line).strip()
            if pending.endswith("\\"):
                pending = pending[:-1]
            elif pending:
                yield start, pending
                pending = ""
        if pending:
            yield start, pending


@dataclass(frozen=True)
class Module:
    """A Python file under src/.

    Attributes:
        path: relative to the project.
        tree: what it says.
    """

    path: PurePosixPath
    tree: ast.Module


@dataclass(frozen=True)
class Project:
    """What the rules look at.

    Attributes:
        root: the project's folder.
        manifest: pyproject.toml as text.
        pyproject: pyproject.toml as data.
        package: package.json as data; empty without one.
        lock: requirements/worker.txt, what is uploaded with the Worker.
        uv_lock: uv.lock.
        modules: every Python file under src/.
        files: every file, relative to the root, sorted.
    """

    root: Path
    manifest: Text
    pyproject: Mapping[str, Any]
    package: Mapping[str, Any]
    lock: Text | None
    uv_lock: Text | None
    modules: tuple[Module, ...]
    files: tuple[PurePosixPath, ...]

    @classmethod
    def read(cls, root: Path) -> Self:
        """The project in `root`.

        Raises:
            RejectedError: there is no pyproject.toml, or a file that must be read cannot be parsed.
        """
        files = sorted(
            PurePosixPath(path.relative_to(root).as_posix())
            for path in root.rglob("*")
            if path.is_file()
        )
        manifest = _text(root, PurePosixPath("pyproject.toml"))
        if manifest is None:
            raise RejectedError("the template makes no pyproject.toml; it is no Worker project")
        try:
            pyproject = tomllib.loads(manifest.content)
        except tomllib.TOMLDecodeError as error:
            raise RejectedError(f"pyproject.toml: not TOML: {error}") from error
        return cls(
            root=root,
            manifest=manifest,
            pyproject=pyproject,
            package=_package(root),
            lock=_text(root, LOCK),
            uv_lock=_text(root, PurePosixPath("uv.lock")),
            modules=tuple(
                _module(root, path)
                for path in files
                if path.parts[0] == "src" and path.suffix in {".py", ".pyi"}
            ),
            files=tuple(files),
        )

    @property
    def own_modules(self) -> set[str]:
        """The importable names that the project itself brings: what lies directly in src/."""
        return {
            module.path.relative_to("src").parts[0].partition(".")[0] for module in self.modules
        }

    @property
    def scripts(self) -> Collection[str]:
        """The names of package.json's scripts."""
        scripts = self.package.get("scripts")
        return list(scripts) if isinstance(scripts, dict) else []

    @property
    def policy(self) -> Mapping[str, Any]:
        """The table [tool.forge] of pyproject.toml."""
        table = self.pyproject.get("tool", {}).get("forge", {})
        return table if isinstance(table, dict) else {}


def canonical(names: object) -> set[str]:
    """Package names as PEP 503 normalises them."""
    return (
        {canonicalize_name(str(name)) for name in names}
        if isinstance(names, list | dict)
        else set()
    )


def _text(root: Path, path: PurePosixPath) -> Text | None:
    file = root / path
    try:
        return Text(path, file.read_text(encoding="utf-8")) if file.is_file() else None
    except UnicodeDecodeError as error:
        raise RejectedError(f"{path}: not UTF-8 text") from error


def _package(root: Path) -> Mapping[str, Any]:
    text = _text(root, PurePosixPath("package.json"))
    try:
        content = json.loads(text.content) if text else {}
    except json.JSONDecodeError as error:
        raise RejectedError(f"package.json:{error.lineno}: not JSON: {error.msg}") from error
    return content if isinstance(content, dict) else {}


def _module(root: Path, path: PurePosixPath) -> Module:
    try:
        return Module(path, ast.parse((root / path).read_bytes(), filename=str(path)))
    except (SyntaxError, ValueError) as error:
        raise RejectedError(f"{path}: not Python: {error}") from error
