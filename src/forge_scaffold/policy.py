"""The dependency policy: what a Worker may depend on, and who says so.

The allow-list is data of the project (`[tool.forge]` in pyproject.toml), so that `copier update`
carries changes to it; a project without one gets the list in policy.toml beside this module. An
organisation adds and bans packages in its `forge.toml`, with reasons that the messages repeat.
"""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from forge_scaffold.errors import UserError
from forge_scaffold.organisation import Organisation
from forge_scaffold.packages.versions import Versions, canonical
from forge_scaffold.project import Project


class Allowed(NamedTuple):
    """A package that may be declared and imported.

    Attributes:
        versions: which of them.
        origin: who allows it, for a message; empty for the project itself.
        reason: why; empty for the project's own list.
    """

    versions: Versions
    origin: str = ""
    reason: str = ""

    @property
    def because(self) -> str:
        """Who and why, as the end of a message."""
        return f" ({self.origin}: {self.reason})" if self.reason else ""


class Banned(NamedTuple):
    """A package that may not be there, even where a project allows it.

    Attributes:
        origin: who bans it.
        reason: why.
        instead: what to use; empty when nothing is named.
    """

    origin: str
    reason: str
    instead: str

    def __str__(self) -> str:
        instead = f"; use {self.instead} instead" if self.instead else ""
        return f"banned by {self.origin}: {self.reason}{instead}"


class Policy(NamedTuple):
    """What a Worker may depend on. All names are as PEP 503 normalises them.

    Attributes:
        direct: what may be declared and imported.
        transitive: what those bring: may be locked, not declared, not imported.
        platform: the Workers SDK: may be declared and locked; brings modules of its own.
        banned: what may not be there at all.
        own: whether the project has an allow-list of its own.
    """

    direct: Mapping[str, Allowed]
    transitive: Collection[str]
    platform: Collection[str]
    banned: Mapping[str, Banned]
    own: bool

    @classmethod
    def of(cls, project: Project, organisation: Organisation | None = None) -> Self:
        """The policy for a project.

        Args:
            project: it may have a list of its own.
            organisation: its settings; None for those that apply to the project's folder.

        Raises:
            UserError: one of the lists cannot be read.
        """
        own = "allow" in project.settings
        table = project.settings if own else _built_in()
        direct = dict(_allowed(table.get("allow"), "pyproject.toml: [tool.forge.allow]"))
        settings = organisation or Organisation.of(project.root)
        direct = {**_added(settings), **direct}
        banned = {
            canonical(name): Banned(rule.origin, rule.reason, rule.detail)
            for name, rule in settings.ban.items()
        }
        transitive = _names(table.get("transitive"))
        return cls(direct, transitive, _names(table.get("platform")), banned, own)

    @property
    def names(self) -> str:
        """What is allowed, for a message."""
        return ", ".join(sorted(self.direct))


def _built_in() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _names(data: object) -> frozenset[str]:
    names = data if isinstance(data, list) else []
    return frozenset(canonical(name) for name in names if isinstance(name, str))


def _allowed(table: object, place: str) -> Iterator[tuple[str, Allowed]]:
    if not isinstance(table, dict):
        raise UserError(f"{place}: not a table of packages and their versions")
    for name, versions in table.items():
        yield canonical(name), Allowed(_versions(versions, f"{place}: {name}"))


def _versions(text: object, place: str) -> Versions:
    if not isinstance(text, str):
        raise UserError(f'{place}: not a version range; write it as  ">=1,<2"')
    try:
        return Versions.parse(text)
    except ValueError as error:
        raise UserError(f'{place}: {error}; write it as  ">=1,<2"') from error


def _added(settings: Organisation) -> dict[str, Allowed]:
    """What the organisation allows beyond the project's list."""
    return {
        canonical(name): Allowed(_versions(rule.detail, rule.place), rule.origin, rule.reason)
        for name, rule in settings.allow.items()
    }
