"""An organisation's settings, read from `forge.toml`.

Two files count: the nearest one from a project's folder upward, and the user's own in
`$XDG_CONFIG_HOME/forge/`. What the nearest file sets wins over the user's.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Self

from forge_scaffold.documents import Document, Text, Unreadable, read_toml
from forge_scaffold.errors import UserError
from forge_scaffold.suggestions import hint

FILE = "forge.toml"

MAX_BYTES = 2**20


class Setting(NamedTuple):
    """A value and where it is set.

    Attributes:
        value: as TOML has it.
        file: the forge.toml.
        line: of the key.
    """

    value: Any
    file: Path
    line: int

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


class PackageRule(NamedTuple):
    """An entry of [allow] or [ban].

    Attributes:
        reason: why the organisation allows or bans the package.
        detail: [allow]: the versions allowed, empty for all; [ban]: what to use instead, or empty.
        origin: the forge.toml.
        place: `file:line: [table] package`, for an error.
    """

    reason: str
    detail: str
    origin: str
    place: str


@dataclass(frozen=True)
class Organisation:
    """What the organisation has decided for its projects.

    Attributes:
        template: the address of its template.
        ref: the version of the template.
        defaults: its default answers, by question.
        presets: named sets of answers.
        allow: packages added to the allow-list.
        ban: packages that no project may use.
    """

    template: Setting | None = None
    ref: Setting | None = None
    defaults: Mapping[str, Setting] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    allow: Mapping[str, PackageRule] = field(default_factory=dict)
    ban: Mapping[str, PackageRule] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The settings that apply to a project in `folder`, which need not exist yet.

        Raises:
            UserError: a forge.toml cannot be read, or has keys or values that it may not have.
        """
        merged = cls()
        for file in _files(folder):
            merged = merged._over(cls._read(file))
        return merged

    def _over(self, other: Self) -> Self:
        """These settings, completed by another file's. A ref belongs to its template."""
        own = self.template or self.ref
        return type(self)(
            template=self.template if own else other.template,
            ref=self.ref if own else other.ref,
            defaults={**other.defaults, **self.defaults},
            presets={**other.presets, **self.presets},
            allow={**other.allow, **self.allow},
            ban={**other.ban, **self.ban},
        )

    @classmethod
    def _read(cls, file: Path) -> Self:
        reader = _Reader(file)
        reader.check_keys((), ["template", "ref", "defaults", "presets", "allow", "ban"])
        return cls(
            template=reader.text("template"),
            ref=reader.text("ref"),
            defaults=dict(reader.settings("defaults")),
            presets={
                name: dict(reader.settings("presets", name)) for name in reader.table("presets")
            },
            allow=dict(reader.package_rules("allow", "versions")),
            ban=dict(reader.package_rules("ban", "instead")),
        )

    def preset(self, name: str) -> Mapping[str, Setting]:
        """The answers of a preset.

        Raises:
            UserError: there is no such preset.
        """
        if name not in self.presets:
            known = hint(name, self.presets, "presets") if self.presets else f"no {FILE} has any"
            raise UserError(f"--preset {name}: no such preset; {known}")
        return self.presets[name]


def _files(folder: Path) -> Iterator[Path]:
    """The nearest forge.toml from the folder upward, then the user's own."""
    # Not pathlib's, which raise for names that are too long and folders that may not be read:
    # what is wrong with a folder is said where it is used.
    home = Path(os.path.realpath(folder))
    for parent in (home, *home.parents):
        if os.path.isfile(parent / FILE):  # noqa: PTH113
            yield parent / FILE
            break
    configuration = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    user = Path(configuration) / "forge" / FILE
    if os.path.isfile(user):  # noqa: PTH113
        yield user


class _Reader:
    """Reads one forge.toml strictly: every mistake is an error with its file and line."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.document = _document(file)

    def error(self, address: tuple[str, ...], reason: str) -> UserError:
        return UserError(f"{self.file}:{self.document.place(*address).line}: {reason}")

    def check_keys(self, address: tuple[str, ...], known: list[str]) -> None:
        """Refuse keys that do not exist."""
        for key in self.table(*address):
            if key not in known:
                name = ".".join([*address, key])
                raise self.error(
                    (*address, key), f"{name}: no such key; {hint(key, known, 'keys')}"
                )

    def table(self, *address: str) -> Mapping[str, Any]:
        """A table; empty if the file does not have it."""
        value: Any = self.document.data
        for step in address:
            value = value.get(step, {})
        if not isinstance(value, dict):
            raise self.error(
                address, f"{'.'.join(address)}: must be a table: [{'.'.join(address)}]"
            )
        return value

    def text(self, key: str) -> Setting | None:
        """A setting that is text."""
        value = self.document.data.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.error((key,), f'{key}: must be text, such as {key} = "..."')
        return self.setting(value, key)

    def setting(self, value: object, *address: str) -> Setting:
        return Setting(value, self.file, self.document.place(*address).line)

    def settings(self, *address: str) -> Iterator[tuple[str, Setting]]:
        """The values of a table, each with its place."""
        for key, value in self.table(*address).items():
            yield key, self.setting(value, *address, key)

    def package_rules(self, kind: str, detail: str) -> Iterator[tuple[str, PackageRule]]:
        """The entries of [allow] or [ban]: a reason each, and one more key."""
        for name in self.table(kind):
            address = (kind, name)
            label = f"[{kind}] {name}"
            entry = self.table(kind)[name]
            reason = entry.get("reason") if isinstance(entry, dict) else None
            if not isinstance(reason, str) or not reason.strip():
                raise self.error(address, f'{label}: say why: {{ reason = "..." }}')
            self.check_keys(address, ["reason", detail])
            more = entry.get(detail, "")
            if not isinstance(more, str):
                raise self.error((*address, detail), f"{label}: {detail} must be text")
            place = f"{self.file}:{self.document.place(*address).line}: {label}"
            yield name, PackageRule(reason.strip(), more, str(self.file), place)


def _document(file: Path) -> Document:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(f"{file}: larger than {MAX_BYTES // 2**20} MiB")
        return read_toml(Text.decoded(PurePosixPath(file.name), content))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    except Unreadable as error:
        raise UserError(f"{file}:{error.place.line}: {error.reason}") from error
