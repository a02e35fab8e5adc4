"""A direct dependency, and what collects those of several files."""

import re
from dataclasses import dataclass

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from forge_scaffold.declarations.files import Source
from forge_scaffold.declarations.uv import ARCHIVES
from forge_scaffold.errors import UserError
from forge_scaffold.packages.pyodide import ENVIRONMENT
from forge_scaffold.printable import excerpt, masked

URL_PROBLEM = "a URL, a repository or a file is no release that an index has"
LOCAL_PROBLEM = "a folder of your own, which no index has"


@dataclass(frozen=True)
class Dependency:
    """One direct dependency.

    Attributes:
        name: as PEP 503 normalises it.
        declared: as the project says it, without its marker and without the credentials in a URL.
        place: `file:line`.
        group: "" for what runs; "extra NAME" or "group NAME" otherwise.
        locked: the version that the project's lock holds; empty without one.
        problem: why no index can be asked for it; empty when one can.
    """

    name: str
    declared: str
    place: str
    group: str = ""
    locked: str = ""
    problem: str = ""

    @property
    def requirement(self) -> str:
        """What to ask an index for. A pin is yesterday's answer: it counts as the least version."""
        requirement = Requirement(self.declared)
        parts = [
            f">={part.version}"
            if part.operator == "==" and not part.version.endswith(".*")
            else str(part)
            for part in requirement.specifier
        ]
        requirement.specifier = SpecifierSet(",".join(parts))
        return str(requirement)

    @property
    def local(self) -> bool:
        """Whether it is a folder of the project's own."""
        return self.problem == LOCAL_PROBLEM

    @property
    def extras(self) -> frozenset[str]:
        """The extras that are asked for."""
        return frozenset(Requirement(self.declared).extras)

    @property
    def specifier(self) -> str:
        """The versions that are declared, as PEP 440 writes them."""
        return str(Requirement(self.declared).specifier)

    @property
    def held(self) -> str:
        """The version that the project is held to, by its lock or by a pin; empty for none."""
        if self.locked or self.problem:
            return self.locked
        pins = [
            part.version.removesuffix(".*")
            for part in Requirement(self.declared).specifier
            if part.operator in {"==", "==="}
        ]
        return pins[0] if pins else ""


class Collector:
    """Collects dependencies from one file and those that it includes.

    Attributes:
        found: the dependencies, in the order of the files.
        notes: what is to know about the reading.
    """

    def __init__(self) -> None:
        self.found: list[Dependency] = []
        self.notes: list[str] = []

    def add(self, source: Source, requirement: str, group: str = "") -> None:
        """One requirement as PEP 508 writes it; what is none is an error of the file."""
        place = f"{source.name}:{source.line(requirement)}"
        try:
            parsed = Requirement(requirement)
        except (InvalidRequirement, RecursionError) as error:
            raise UserError(
                f"{place}: not a requirement (PEP 508): {excerpt(requirement)!r}"
            ) from error
        self.parsed(parsed, place, group)

    def parsed(self, parsed: Requirement, place: str, group: str) -> None:
        """One requirement, unless its marker says that it is not for Workers."""
        name = canonicalize_name(parsed.name)
        if not applies(parsed):
            self.notes.append(f"{place}: {name} is not installed on Workers ({parsed.marker})")
            return
        parsed.marker = None
        problem = problem_at(parsed.url) if parsed.url else ""
        self.found.append(Dependency(name, masked(str(parsed)), place, group, problem=problem))


def problem_at(address: str) -> str:
    """Why no index can be asked for what lies at an address."""
    elsewhere = re.match(r"(?!file:)(?:[\w+]+://|[\w.-]+@)", address)
    return URL_PROBLEM if elsewhere or address.endswith(ARCHIVES) else LOCAL_PROBLEM


def applies(requirement: Requirement) -> bool:
    """Whether a requirement's marker holds on Workers; one that cannot be judged does."""
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate(dict(ENVIRONMENT))
    except (UndefinedEnvironmentName, ValueError, TypeError, RecursionError):
        return True


def holds_on_workers(marker: str) -> bool:
    """The same of a marker by itself; an empty one holds."""
    try:
        return not marker or applies(Requirement(f"any; {marker}"))
    except (InvalidRequirement, RecursionError):
        return True
