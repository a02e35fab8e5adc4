"""Package names, versions, ranges and requirements (PEP 503, 440 and 508).

What nearly everybody writes, `name>=1.2,<2`, is read here; for the rest `packaging` is imported,
which takes longer than a whole check. Where both can read something, they agree.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

Release: TypeAlias = tuple[int, ...]

_SIMPLE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")
_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*([0-9]{1,9}(?:\.[0-9]{1,9})*)\s*")
_OPERATORS: Mapping[str, Callable[[Release, Release], bool]] = {
    ">=": ge, "<=": le, "==": eq, "!=": ne, ">": gt, "<": lt,
}  # fmt: skip
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_BOUND = r"(?:>=|<=|==|!=|>|<)[ \t]*\d{1,9}(?:\.\d{1,9})*"
_REQUIREMENT = re.compile(
    rf"[ \t]*({_NAME})[ \t]*(?:\[[ \t]*{_NAME}(?:[ \t]*,[ \t]*{_NAME})*[ \t]*\])?[ \t]*"
    rf"({_BOUND}(?:[ \t]*,[ \t]*{_BOUND})*)?[ \t]*",
    re.ASCII,
)


def canonical(name: str) -> str:
    """A package's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _release(text: str) -> Release:
    return tuple(map(int, text.split(".")))


def _stripped(release: Release) -> Release:
    """Without the zeros at the end, which do not count: 1.0 is 1."""
    end = len(release)
    while end and not release[end - 1]:
        end -= 1
    return release[:end]


@dataclass(frozen=True)
class Versions:
    """A range of versions.

    Attributes:
        text: as it is written; empty for any version.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> "Versions":
        """A range.

        Raises:
            ValueError: it is none.
        """
        versions = cls(text.strip())
        if versions.clauses is None:
            _ = versions.specifiers
        return versions

    def __str__(self) -> str:
        return self.text or "any version"

    @cached_property
    def clauses(self) -> tuple[tuple[str, Release], ...] | None:
        """The clauses, when all are simple."""
        if not self.text:
            return ()
        matches = [_CLAUSE.fullmatch(clause) for clause in self.text.split(",")]
        if not all(matches):
            return None
        return tuple((match[1], _release(match[2])) for match in matches if match)

    @cached_property
    def specifiers(self) -> "SpecifierSet":
        """The same as `packaging` has it."""
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.text)

    def has(self, version: str) -> bool:
        """Whether a version is in the range, pre-releases included; no, when it is no version."""
        if self.clauses is not None and _SIMPLE.fullmatch(version):
            return self.holds(_release(version))
        from packaging.version import InvalidVersion, Version

        try:
            return self.specifiers.contains(Version(version), prereleases=True)
        except InvalidVersion:
            return False

    def holds(self, release: Release) -> bool:
        """Whether a release is in the range, when all clauses are simple."""
        found = _stripped(release)
        clauses = self.clauses or ()
        return all(_OPERATORS[operator](found, _stripped(bound)) for operator, bound in clauses)

    def beyond(self, narrow: "Versions") -> str | None:
        """A version of this range that a narrower one does not have; None when there is none.

        Membership changes only at the versions that a clause names or implies (`~=2.1` ends at 3),
        so those, the points right after them and the two ends tell all.
        """
        if self.clauses is None or narrow.clauses is None:
            return _beyond(self.specifiers, narrow.specifiers)
        named = {bound for _, bound in chain(self.clauses, narrow.clauses)}
        for release in sorted(_points(named), key=_stripped):
            if self.holds(release) and not narrow.holds(release):
                return ".".join(map(str, release))
        return None


def _points(named: set[Release]) -> Iterator[Release]:
    """The releases at which membership can change, and one after each."""
    yield from ((0,), (9999,))
    for release in named:
        implied = {(*release[:place], release[place] + 1) for place in range(len(release))}
        for each in {release, *implied}:
            yield each
            yield (*each, 0, 0, 1)


def _beyond(wide: "SpecifierSet", narrow: "SpecifierSet") -> str | None:
    from packaging.version import InvalidVersion, Version

    try:
        named = {Version(spec.version.removesuffix(".*")) for spec in (*wide, *narrow)}
    except InvalidVersion:  # `===` takes any text
        return None
    points = {
        Version(".".join(map(str, release))) for release in _points({v.release for v in named})
    }
    for version in sorted(points | named):
        if wide.contains(version) and not narrow.contains(version):
            return str(version)
    return None


class Requirement(NamedTuple):
    """A requirement.

    Attributes:
        name: the package, normalised.
        versions: which of them.
        url: where it is taken from; None for a released version.
        conditional: whether it has a marker: it is not needed everywhere.
    """

    name: str
    versions: Versions
    url: str | None = None
    conditional: bool = False

    @classmethod
    def parse(cls, text: str) -> "Requirement":
        """A requirement (PEP 508).

        Raises:
            ValueError: it is none.
        """
        if simple := _REQUIREMENT.fullmatch(text):
            return cls(canonical(simple[1]), Versions((simple[2] or "").strip()))
        from packaging.requirements import Requirement as Full

        full = Full(text)
        versions = Versions(str(full.specifier))
        return cls(canonical(full.name), versions, full.url, full.marker is not None)


class Releases(NamedTuple):
    """The releases of a package, newest first.

    Attributes:
        anywhere: those that the index has, for any platform or as source.
        in_worker: those with a wheel that a Worker can install, Pyodide's own builds among them.
    """

    anywhere: tuple[str, ...]
    in_worker: tuple[str, ...]

    def newest(self, versions: Versions) -> tuple[str | None, str | None]:
        """Of a range the newest that there is, and the newest that runs in a Worker."""
        fitting = (
            next((each for each in some if versions.has(each)), None)
            for some in (self.anywhere, self.in_worker)
        )
        return next(fitting), next(fitting)
