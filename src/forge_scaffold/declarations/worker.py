"""What a Worker project declares and locks, each with its place: for checks, which start fast."""

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from forge_scaffold.declarations import manifest, uv
from forge_scaffold.documents import Document, Place, Text
from forge_scaffold.packages.pyodide import markers
from forge_scaffold.packages.versions import Requirement, canonical
from forge_scaffold.project import Project, tables

# A line of a requirements file that pins one version.
PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*(?P<version>[^\s;]+)\s*(?:;[^#]*?)?"
    r"(?P<hashes>(?:\s*--hash=\S+)*)"
)


class Declared(NamedTuple):
    """A declared requirement of the project itself.

    Attributes:
        text: as it is written.
        requirement: what it means; None for what is no requirement.
        place: where.
        runtime: whether pywrangler uploads it; it does not look at extras.
    """

    text: str
    requirement: Requirement | None
    place: Place
    runtime: bool

    @property
    def name(self) -> str:
        """The package, normalised; the whole text when it is no requirement."""
        return self.requirement.name if self.requirement else self.text


class Locked(NamedTuple):
    """A package that a lock gives to the Worker.

    Attributes:
        name: normalised.
        version: as the lock has it; None when it has none.
        place: where.
        data: the lock's entry; empty for a requirements file.
        via: the declared package that brings it; None when it is one, or the lock does not tell.
        markers: conditions (PEP 508) that all have to hold where it is needed.
    """

    name: str
    version: str | None
    place: Place
    data: Mapping[str, Any]
    via: str | None = None
    markers: tuple[str, ...] = ()

    def needed(self, python: str) -> bool:
        """Whether it is for Workers of a Python, such as "3.14", and not for other systems only."""
        if not self.markers:
            return True
        # Takes longer to import than a whole check does: nobody asks about most packages.
        from packaging.markers import Marker

        worker = dict(markers(f"{python}.0"))
        try:
            return all(Marker(marker).evaluate(worker) for marker in self.markers)
        except (KeyError, ValueError):  # no marker at all, or one of what no Worker has
            return True


def declared(project: Project) -> Iterator[Declared]:
    """Every requirement of pyproject.toml, optional ones included, groups left out."""
    yield from (
        _placed(entry, project.manifest)
        for entry in manifest.standard(project.pyproject)
        if project.manifest and not entry.group.startswith("group ")
    )


def grouped(project: Project) -> Iterator[Declared]:
    """Every requirement of the groups of pyproject.toml."""
    yield from (
        _placed(entry, project.manifest)
        for entry in manifest.standard(project.pyproject)
        if project.manifest and entry.group.startswith("group ")
    )


def _placed(entry: manifest.Entry, document: Document) -> Declared:
    line = document.place(*entry.address).line
    place = document.text.place_of(entry.text, line)
    return Declared(entry.text, _parsed(entry.text), place, runtime=not entry.group)


def _parsed(text: str) -> Requirement | None:
    try:
        return Requirement.parse(text)
    except ValueError:
        return None


def locked(project: Project) -> Iterator[Locked]:
    """Every package that requirements/worker.txt, uv.lock or pylock.toml gives to the Worker."""
    if project.lock:
        for line, text in project.lock.logical_lines():
            if pin := PIN.fullmatch(text):
                place = _name_place(project.lock, line, pin["name"])
                yield Locked(canonical(pin["name"]), pin["version"], place, {})
    if project.uv_lock:
        yield from _uv_locked(project.uv_lock)
    if project.pylock:
        for index, package in enumerate(tables(project.pylock.data.get("packages"))):
            place = project.pylock.place("packages", index, "name")
            yield from _entry(package, place)


def _name_place(lock: Text, line: int, name: str) -> Place:
    place = lock.place_of(name, line)
    return place if place.line == line else Place(lock.path, line)


def _entry(package: Mapping[str, Any], place: Place) -> Iterator[Locked]:
    name, version = package.get("name"), package.get("version")
    if isinstance(name, str):
        known = version if isinstance(version, str) else None
        marker = package.get("marker")
        markers = (marker,) if isinstance(marker, str) else ()
        yield Locked(canonical(name), known, place, package, markers=markers)


class _Need(NamedTuple):
    """A package that another one needs in a lock: with which extras, through what, and when."""

    name: str
    extras: tuple[str, ...]
    via: str | None
    markers: tuple[str, ...]


def _uv_locked(document: Document) -> Iterator[Locked]:
    """The packages that uv.lock gives to the project itself, development groups left out."""
    lock = uv.UvLock.of(document.data)
    own = [name for name, folder in lock.members.items() if folder == "."] or list(lock.members)
    # What is needed everywhere first: a package has markers only when all ways to it have.
    pending, conditional = deque(_Need(name, (), None, ()) for name in own), deque[_Need]()
    reached: dict[str, _Need] = {}
    seen: set[tuple[str, str]] = set()
    while pending or conditional:
        need = (pending or conditional).popleft()
        for extra in ("", *need.extras) if need.name in lock.entries else ():
            reached.setdefault(need.name, need)
            if (need.name, extra) not in seen:
                seen.add((need.name, extra))
                for each in uv.needs(lock.package(need.name), extra):
                    new = _through(need, each, own)
                    (conditional if new.markers else pending).append(new)
    for name in sorted(reached.keys() - set(own)):
        index, package = lock.entries[name]
        for found in _entry(package, document.place("package", index, "name")):
            yield found._replace(via=reached[name].via, markers=reached[name].markers)


def _through(need: _Need, inner: uv.Need, own: Collection[str]) -> _Need:
    """A need of a package that is needed itself."""
    via = None if need.name in own else need.via or need.name
    return _Need(inner.name, inner.extras, via, (*need.markers, *filter(None, [inner.marker])))
