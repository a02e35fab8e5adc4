"""Which httpx a Worker gets: PyPI's, which opens sockets, or the fork of Pyodide's index."""

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from forge_scaffold.checks.rule import Subject
from forge_scaffold.declarations.worker import PIN
from forge_scaffold.packages.pyodide import known_to_pyodide
from forge_scaffold.project import LOCK, Project, tables

PYLOCK = PurePosixPath("pylock.toml")

_PYPI = frozenset({"files.pythonhosted.org", "pypi.org", "pypi.python.org"})


class Whose(StrEnum):
    """Who made it."""

    PYPI = "PyPI's"
    PYODIDE = "Pyodide's"
    OPEN = "either's"


class Origin(NamedTuple):
    """Where it comes from, and what says so."""

    whose: Whose
    because: str


def httpx_of(subject: Subject) -> Origin:
    """What says so first: the locks, what is vendored, what is declared."""
    version = known_to_pyodide()["packages"]["httpx"]["version"]
    told = chain(_locked(subject, version), _vendored(subject.project), _declared(subject, version))
    open_ = (
        f"https works with the httpx {version} of Pyodide's index and not with PyPI's, and nothing "
        "here says which it gets"
    )
    return next(told, Origin(Whose.OPEN, open_))


def _locked(subject: Subject, version: str) -> Iterator[Origin]:
    for each in subject.locked:
        if each.name != "httpx":
            continue
        if each.place.path == LOCK:
            yield Origin(Whose.PYPI, f"{LOCK} locks PyPI's")
        elif each.place.path == PYLOCK and each.version and each.version != version:
            said = f"{PYLOCK} locks {each.version}, and Pyodide's is {version}"
            yield Origin(Whose.PYPI, said)
        elif each.place.path == PYLOCK and (hosts := set(_hosts(each.data))):
            whose = Whose.PYPI if hosts <= _PYPI else Whose.PYODIDE
            yield Origin(whose, f"{PYLOCK} locks {whose}")


def _vendored(project: Project) -> Iterator[Origin]:
    """What lies in python_modules: the fork's transports know Pyodide."""
    folder = project.root / "python_modules" / "httpx" / "_transports"
    with suppress(OSError):
        if files := [file for file in sorted(folder.glob("*.py")) if file.is_file()]:
            fork = any(b"pyodide" in file.read_bytes() for file in files)
            whose = Whose.PYODIDE if fork else Whose.PYPI
            yield Origin(whose, f"python_modules has {whose}")


def _declared(subject: Subject, version: str) -> Iterator[Origin]:
    for each in subject.declared:
        wanted = each.requirement
        if wanted and wanted.name == "httpx" and not wanted.versions.has(version):
            yield Origin(Whose.PYPI, f"{each.text} leaves Pyodide's {version} out")
    for pin in _pins(subject.project):
        if pin != version:
            yield Origin(Whose.PYPI, f"requirements.txt has {pin}, and Pyodide's is {version}")


def _hosts(package: Mapping[str, Any]) -> Iterator[str]:
    """Where a lock takes a package from: its index, or its files."""
    addresses = [
        package.get("index"),
        *(wheel.get("url") for wheel in tables(package.get("wheels"))),
    ]
    for address in addresses:
        if isinstance(address, str) and (host := _host(address)):
            yield host


def _host(address: str) -> str | None:
    from urllib.parse import urlsplit  # as slow as it is rare

    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _pins(project: Project) -> Iterator[str]:
    text = project.text(PurePosixPath("requirements.txt"))
    for _, line in text.logical_lines() if text else ():
        if (pin := PIN.fullmatch(line)) and pin["name"].lower() == "httpx":
            yield pin["version"]


def has_transport(node: ast.Call) -> bool:
    """Whether a client is given what it reaches others by, or may be."""
    return not {keyword.arg for keyword in node.keywords}.isdisjoint({"transport", "mounts", None})
