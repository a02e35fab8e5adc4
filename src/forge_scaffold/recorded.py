"""What a project records of its template: `.copier-answers.yml`.

The file may come from a stranger's repository, so it is read strictly: plain YAML of a bounded
size, with an address and a version that git cannot mistake for anything else.
"""

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import yaml

from forge_scaffold import config_files
from forge_scaffold.config_files import Entry
from forge_scaffold.documents import Text, Unreadable
from forge_scaffold.errors import UserError
from forge_scaffold.printable import masked
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
            # What O_NOFOLLOW refuses is reported as a loop.
            linked = error.errno == errno.ELOOP
            reason = "a symbolic link, which is not followed" if linked else error.strerror
            raise UserError(f"{file}: {reason}") from error
        address, version = data.get("_src_path", Entry(None, 1)), data.get("_commit", Entry("", 1))
        if not any_address and not (isinstance(address.value, str) and _is_address(address.value)):
            raise UserError(
                f"{file}:{address.line}: _src_path: {_shown(address.value)} is not an address of a "
                "template; use https://....git or git@host:path (forge relink ADDRESS)"
            )
        if not isinstance(version.value, str) or not _is_version(version.value):
            raise UserError(
                f"{file}:{version.line}: _commit: {_shown(version.value)} is not a version of a "
                "template, such as v1.2.0"
            )
        answers = {name: entry.value for name, entry in data.items() if not name.startswith("_")}
        return cls(file, str(address.value), version.value, answers)

    @property
    def shown_address(self) -> str:
        """The address for a terminal, a log or a report: without credentials."""
        return masked(self.address)

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
        """The file's bytes with another address, everything else as it is.

        Raises:
            UserError: no line of the file is the address's.
        """
        text = self.file.read_bytes().decode("utf-8")
        line = yaml.safe_dump({"_src_path": address}, width=2**20)
        relinked, count = _ADDRESS_LINE.subn(lambda _: line, text, count=1)
        if not count:
            raise UserError(f"{self.file}: no line begins with _src_path: ; add {line.strip()!r}")
        return relinked.encode("utf-8")


def _load(file: Path) -> dict[str, Entry]:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"{file}: larger than {MAX_BYTES // 1024} KiB; Copier did not write this")
    try:
        text = Text.decoded(PurePosixPath(file), content)
        return config_files.yaml_answers(text, as_copier=True)
    except Unreadable as error:
        raise UserError(f"{file}:{error.place.line}: {error.reason}") from error


def _is_address(text: str) -> bool:
    return text.isprintable() and (URL.fullmatch(text) is not None or Path(text).is_absolute())


def _is_version(text: str) -> bool:
    return len(text) <= MAX_VERSION and (
        not text or re.fullmatch(r"(?!-)(?!.*\.\.)[\w./+-]+", text) is not None
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VERSION else f"{text[:MAX_VERSION]}..."
