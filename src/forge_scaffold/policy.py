"""The dependency policy: what a Worker may depend on, and who says so.

The allow-list is data of the project (`[tool.forge]` in pyproject.toml), so that `copier update`
carries changes of it; a project without one gets the list in policy.toml beside this module. An
organisation adds and bans in a `forge.toml`, found upward from the project or in the user's
configuration folder, each time with a reason, which the messages repeat.
"""

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Self

from forge_scaffold.documents import Text, Unreadable, read_toml
from forge_scaffold.errors import UserError
from forge_scaffold.project import Project
from forge_scaffold.versions import Versions, canonical

ORGANISATION = "forge.toml"


class Allowed(NamedTuple):
    """A package that may be declared and imported.

    Attributes:
        versions: which of them.
        origin: who allows it, for a message; empty for the project itself.
        reason: why; empty when nobody had to say.
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


@dataclass(frozen=True)
class Policy:
    """What a Worker may depend on. All names are as PEP 503 normalises them.

    Attributes:
        direct: what may be declared and imported.
        transitive: what those bring: may be locked, not declared, not imported.
        platform: the Workers SDK: may be declared and locked; brings modules of its own.
        banned: what may not be there at all.
        own: whether the project says so itself, or nobody asked it.
    """

    direct: Mapping[str, Allowed]
    transitive: Collection[str]
    platform: Collection[str]
    banned: Mapping[str, Banned]
    own: bool

    @classmethod
    def of(cls, project: Project, organisation: bool = True) -> Self:  # noqa: FBT001, FBT002
        """The policy for a project.

        Args:
            project: it may have a list of its own.
            organisation: whether a `forge.toml` above it, or the user's own, counts.

        Raises:
            UserError: one of the lists is none.
        """
        own = "allow" in project.settings
        table = project.settings if own else _built_in()
        direct = dict(_allowed(table.get("allow"), "pyproject.toml: [tool.forge.allow]"))
        banned: dict[str, Banned] = {}
        for file in _organisation_files(project.root) if organisation else ():
            added, bans = _organisation(file)
            direct = {**added, **direct}
            banned = {**bans, **banned}
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


def _organisation_files(root: Path) -> Iterator[Path]:
    """The nearest forge.toml from the project upward, then the user's own."""
    home = root.resolve()
    for folder in (home, *home.parents):
        if (folder / ORGANISATION).is_file():
            yield folder / ORGANISATION
            break
    configuration = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    user = Path(configuration) / "forge" / ORGANISATION
    if user.is_file():
        yield user


def _organisation(file: Path) -> tuple[dict[str, Allowed], dict[str, Banned]]:
    """An organisation's additions and bans.

    Raises:
        UserError: the file is none of its kind.
    """
    try:
        text = Text.decoded(PurePosixPath(file.name), file.read_bytes())
        document = read_toml(text)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    except Unreadable as error:
        raise UserError(f"{file}:{error.place.line}: {error.reason}") from error
    if unknown := sorted(document.data.keys() - {"allow", "ban"}):
        raise UserError(f"{file}: {unknown[0]}: there are [allow] and [ban]")
    origin = str(file)
    allowed: dict[str, Allowed] = {
        canonical(name): Allowed(
            _versions(entry.get("versions", ""), f"{file}: [allow] {name}"), origin, reason
        )
        for name, entry, reason in _entries(document.data, "allow", {"versions"}, file)
    }
    banned: dict[str, Banned] = {
        canonical(name): Banned(origin, reason, str(entry.get("instead", "")))
        for name, entry, reason in _entries(document.data, "ban", {"instead"}, file)
    }
    return allowed, banned


def _entries(
    data: Mapping[str, Any], kind: str, keys: set[str], file: Path
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """The entries of [allow] or [ban]: name, table, reason."""
    entries = data.get(kind, {})
    if not isinstance(entries, dict):
        raise UserError(f"{file}: [{kind}]: not a table")
    for name, entry in entries.items():
        reason = entry.get("reason") if isinstance(entry, dict) else None
        if not isinstance(reason, str) or not reason.strip():
            raise UserError(f'{file}: [{kind}] {name}: say why: {{ reason = "..." }}')
        if unknown := sorted(entry.keys() - keys - {"reason"}):
            known = ", ".join(sorted({*keys, "reason"}))
            raise UserError(f"{file}: [{kind}] {name}: {unknown[0]}: there are {known}")
        yield name, entry, reason.strip()
