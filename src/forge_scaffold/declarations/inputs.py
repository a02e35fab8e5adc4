"""What a project depends on, from whatever file says so. Hostile files get an error, no traceback.

Read are pyproject.toml (PEP 621 and PEP 735, and Poetry's, Flit's, PDM's, uv's and setuptools' own
tables), Pipfile, setup.cfg, setup.py, requirements files, uv.lock, poetry.lock, pylock.toml, and
Conda's environment.yml.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from forge_scaffold.declarations import (
    conda,
    locks,
    pipfile,
    pyproject,
    requirements,
    setup_cfg,
    setup_py,
)
from forge_scaffold.declarations.dependency import Collector, Dependency
from forge_scaffold.declarations.files import Source
from forge_scaffold.declarations.locks import LOCKS, locked_versions
from forge_scaffold.errors import UserError

Reader: TypeAlias = Callable[[Collector, Source], None]

READERS: Mapping[str, Reader] = {
    "pyproject.toml": pyproject.read,
    "Pipfile": pipfile.read,
    "setup.cfg": setup_cfg.read,
    "setup.py": setup_py.read,
    "environment.yml": conda.read,
    "environment.yaml": conda.read,
    "uv.lock": locks.uv_lock,
    "poetry.lock": locks.poetry_lock,
}


@dataclass(frozen=True)
class Inputs:
    """Everything that is audited.

    Attributes:
        root: the project's folder.
        source: the file that was read, relative to it.
        dependencies: the direct ones, each name once.
        left_out: group -> how many dependencies it has that were not asked for.
        notes: what is to know about the reading.
    """

    root: Path
    source: str
    dependencies: tuple[Dependency, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read(path: Path, extras: frozenset[str], groups: frozenset[str]) -> Inputs:
    """The dependencies that a file or a folder declares.

    Args:
        path: a file of a kind that is known by its name, or a folder with one.
        extras: the optional extras that are meant too; "all" for all.
        groups: the dependency groups that are meant too; "all" for all.

    Raises:
        UserError: there is no such file, it cannot be read, or it is not what its name says.
    """
    file = _file(path)
    reader = collected(file)
    root = path if path.is_dir() else file.parent
    locked = {} if file.name in LOCKS else locked_versions(root)
    chosen: dict[str, Dependency] = {}
    left_out: dict[str, int] = {}
    for found in reader.found:
        kind, _, name = found.group.partition(" ")
        wanted = {"": {""}, "extra": extras, "group": groups}[kind]
        if name in wanted or (kind and "all" in wanted):
            chosen.setdefault(
                found.name, replace(found, locked=found.locked or locked.get(found.name, ""))
            )
        else:
            left_out[found.group] = left_out.get(found.group, 0) + 1
    known = {found.group for found in reader.found}
    missing = [
        f"{file.name}: it has no {kind} {name!r}; it has: {_listed(known, kind)}"
        for kind, names in (("extra", extras), ("group", groups))
        for name in sorted(names - {"all"})
        if f"{kind} {name}" not in known
    ]
    if missing:
        raise UserError(*missing)
    source = file.relative_to(root).as_posix()
    return Inputs(root, source, tuple(chosen.values()), left_out, tuple(reader.notes))


def _listed(known: set[str], kind: str) -> str:
    names = sorted(group.partition(" ")[2] for group in known if group.startswith(f"{kind} "))
    return ", ".join(names) or "none"


def _file(path: Path) -> Path:
    """The file to read: the path itself, or what a folder declares its dependencies in."""
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"{path}: neither a file nor a folder")
    candidates = [
        path / "pyproject.toml",
        path / "Pipfile",
        path / "setup.cfg",
        path / "setup.py",
        path / "requirements.in",
        path / "requirements.txt",
        path / "requirements" / "base.txt",
        path / "requirements" / "production.txt",
        path / "requirements" / "prod.txt",
        path / "uv.lock",
        path / "poetry.lock",
        path / "pylock.toml",
        path / "environment.yml",
        path / "environment.yaml",
    ]
    there = [candidate for candidate in candidates if candidate.is_file()]
    for candidate in there:
        if candidate.suffix not in {".toml", ".cfg", ".py"} or _declares(candidate):
            return candidate
    if there:
        return there[0]
    raise UserError(
        f"{path}: nothing says what it depends on; looked for pyproject.toml, Pipfile, setup.cfg, "
        "setup.py, requirements.txt, uv.lock, poetry.lock, pylock.toml and environment.yml"
    )


def _declares(file: Path) -> bool:
    """Whether a file that may be about other things says what runs; tools have groups there."""
    return any(not found.group for found in collected(file).found)


def collected(file: Path) -> Collector:
    """What a file declares, and the files that it includes.

    Raises:
        UserError: it is of no known kind, or not what its name says.
    """
    into = Collector()
    _reader(file)(into, Source.read(file))
    return into


def _reader(file: Path) -> Reader:
    if reader := READERS.get(file.name):
        return reader
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", file.name):
        return locks.pylock
    if file.suffix in {".txt", ".in", ".pip"}:
        return requirements.read
    raise UserError(
        f"{file}: not a file of a known kind: pyproject.toml, Pipfile, setup.cfg, setup.py, "
        "uv.lock, poetry.lock, pylock.toml, environment.yml, or requirements in a .txt or .in file"
    )
