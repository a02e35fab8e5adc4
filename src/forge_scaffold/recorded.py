"""What a project records of its template: `.copier-answers.yml`.

The file may come from a stranger's repository, so it is read strictly: plain YAML of a bounded
size, with an address and a version that git cannot mistake for anything else.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from forge_scaffold.errors import UserError
from forge_scaffold.sources import URL

FILE = ".copier-answers.yml"
MAX_BYTES = 256 * 1024
MAX_VERSION = 250

_ADDRESS_LINE = re.compile(r"^_src_path:.*\n(?:[ \t]+.*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Recorded:
    """The contents of a project's answers file.

    Attributes:
        file: where it is.
        address: the template's (`_src_path`).
        version: the template's release, or another state of it (`_commit`); empty when the template
            was in no git repository.
        answers: by question.
    """

    file: Path
    address: str
    version: str
    answers: Mapping[str, object]

    @classmethod
    def read(cls, project: Path, *, any_address: bool = False) -> Self:
        """The answers file of the project in a folder.

        Args:
            project: the folder.
            any_address: accept whatever stands for an address, which is about to be replaced.

        Raises:
            UserError: there is none, or it is not what Copier writes.
        """
        file = project / FILE
        try:
            data = _load(file)
        except FileNotFoundError as error:
            raise UserError(
                f"{project}: no {FILE}, so no template made this project; forge adopt adds one"
            ) from error
        except OSError as error:
            raise UserError(f"{file}: {error.strerror}") from error
        address, version = data.get("_src_path"), data.get("_commit", "")
        if not any_address and not (isinstance(address, str) and _is_address(address)):
            raise UserError(
                f"{file}: _src_path: {_shown(address)} is no address of a template; "
                "use https://....git or git@host:path (forge relink ADDRESS)"
            )
        if not isinstance(version, str) or not _is_version(version):
            raise UserError(f"{file}: _commit: {_shown(version)} is no version of a template")
        answers = {name: value for name, value in data.items() if not name.startswith("_")}
        return cls(file, str(address), version, answers)

    def require_version(self) -> None:
        """Refuse a project whose template has no versions.

        Raises:
            UserError: it is such a project.
        """
        if not self.version:
            raise UserError(
                f"{self.file}: no _commit: the template was in no git repository, so it has no "
                "versions"
            )

    def relinked(self, address: str) -> bytes:
        """The file's bytes with another address, everything else as it is."""
        text = self.file.read_bytes().decode("utf-8")
        line = yaml.safe_dump({"_src_path": address}, width=2**20)
        return _ADDRESS_LINE.sub(lambda _: line, text, count=1).encode("utf-8")


def _load(file: Path) -> dict[str, object]:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"{file}: larger than {MAX_BYTES // 1024} KiB; Copier did not write this")
    try:
        data = yaml.load(content.decode("utf-8-sig"), Loader=_PlainLoader)  # noqa: S506 - safe
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise UserError(f"{place}: cannot be read: {reason}") from error
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise UserError(f"{file}: not a file of answers by question")
    return data


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _is_address(text: str) -> bool:
    return text.isprintable() and (URL.fullmatch(text) is not None or Path(text).is_absolute())


def _is_version(text: str) -> bool:
    return len(text) <= MAX_VERSION and (
        not text or re.fullmatch(r"(?!-)(?!.*\.\.)[\w./+-]+", text) is not None
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VERSION else f"{text[:MAX_VERSION]}..."
