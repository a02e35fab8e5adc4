"""uv's lock and its sources, as they are written: for checks and for the audit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from forge_scaffold.packages.versions import canonical
from forge_scaffold.project import strings, table, tables

ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz")
"""The names of files that hold a package."""

# How a lock says that a package is one of the workspace's own.
_OWN = frozenset({"editable", "virtual"})


class Need(NamedTuple):
    """A package that another one needs: with which extras, and on what condition (PEP 508)."""

    name: str
    extras: tuple[str, ...]
    marker: str


@dataclass(frozen=True)
class UvLock:
    """A uv.lock.

    Attributes:
        entries: each package by its name: its index in the file, and what the file says of it.
        members: the folders of the packages that are the workspace's own.
    """

    entries: Mapping[str, tuple[int, Mapping[str, Any]]]
    members: Mapping[str, str]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "UvLock":
        """The lock that a document is."""
        entries: dict[str, tuple[int, Mapping[str, Any]]] = {}
        members: dict[str, str] = {}
        for index, package in enumerate(tables(data.get("package"))):
            name, source = package.get("name"), table(package, "source")
            if isinstance(name, str):
                entries[name] = (index, package)
                for key in source.keys() & _OWN:
                    members[name] = str(source[key])
        return cls(entries, members)

    def package(self, name: str) -> Mapping[str, Any]:
        """What the lock says of a package; nothing when it has none of the name."""
        return self.entries[name][1] if name in self.entries else {}


def needs(package: Mapping[str, Any], extra: str = "") -> Iterator[Need]:
    """What a locked package needs itself, or for one of its extras."""
    listed = table(package, "optional-dependencies") if extra else package
    yield from _needs(listed.get(extra or "dependencies"))


def needs_by_group(package: Mapping[str, Any]) -> Iterator[tuple[str, Need]]:
    """What a locked package needs, with "" for what runs, "extra NAME" or "group NAME"."""
    yield from (("", need) for need in needs(package))
    for kind, key in (("extra", "optional-dependencies"), ("group", "dev-dependencies")):
        for name, listed in table(package, key).items():
            yield from ((f"{kind} {name}", need) for need in _needs(listed))


def _needs(listed: object) -> Iterator[Need]:
    for item in tables(listed):
        name, marker = item.get("name"), item.get("marker")
        if isinstance(name, str):
            extras = strings(item.get("extra"))
            yield Need(name, extras, marker if isinstance(marker, str) else "")


class Source(NamedTuple):
    """Where uv takes a package from in place of an index.

    Attributes:
        kind: "git", "url", "file", "folder".
        marker: on what condition (PEP 508); empty for always.
    """

    kind: str
    marker: str


def sources(pyproject: Mapping[str, Any]) -> Iterator[tuple[str, str, tuple[Source | None, ...]]]:
    """The packages under [tool.uv.sources]: as they are written, normalised, and from where.

    None among the sources is an index.
    """
    listed = table(table(table(pyproject, "tool"), "uv"), "sources")
    for name, choices in listed.items():
        found = tuple(map(_source, choices if isinstance(choices, list) else [choices]))
        yield name, canonical(name), found


def _source(choice: object) -> Source | None:
    options = choice if isinstance(choice, dict) else {}
    kind = next((kind for kind in ("git", "url") if kind in options), "")
    if not kind and ("path" in options or options.get("workspace") is True):
        kind = "file" if str(options.get("path", "")).endswith(ARCHIVES) else "folder"
    return Source(kind, str(options.get("marker", ""))) if kind else None
