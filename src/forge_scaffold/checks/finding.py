"""What a check finds."""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import NamedTuple

from forge_scaffold.documents import Place


class Severity(StrEnum):
    """How bad a finding is. Notes are printed, but do not make a check fail."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Edit(NamedTuple):
    """A change of a file.

    Attributes:
        path: the file, relative to the project; made when it is missing.
        start: the offset of the first character to replace.
        end: the offset after the last.
        text: what stands there instead.
    """

    path: PurePosixPath
    start: int
    end: int
    text: str


class Finding(NamedTuple):
    """Something that a rule has to say about a place.

    Attributes:
        rule: its id.
        place: file, line and column.
        message: what is wrong and what to do, with the values found; never a secret.
        severity: the rule's, or a milder one.
        edit: what `--fix` does about it; None when that takes a person.
    """

    rule: str
    place: Place
    message: str
    severity: Severity
    edit: Edit | None = None
