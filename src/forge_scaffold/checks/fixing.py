"""`--fix`: the edits that findings bring, applied file by file."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile

from forge_scaffold.checks.finding import Edit, Finding
from forge_scaffold.errors import UserError
from forge_scaffold.project import Project

_BOM = b"\xef\xbb\xbf"


def apply(findings: Sequence[Finding], project: Project) -> int:
    """Make every edit that does not overlap an earlier one; how many there were.

    Raises:
        UserError: a file cannot be written. Each file is changed as a whole or not at all.
    """
    edits: dict[PurePosixPath, list[Edit]] = defaultdict(list)
    for edit in dict.fromkeys(finding.edit for finding in findings):
        if edit and not any(_overlap(edit, other) for other in edits[edit.path]):
            edits[edit.path].append(edit)
    for path, changes in edits.items():
        _rewrite(project.root / path, changes)
    return sum(map(len, edits.values()))


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start == other.start or (one.start < other.end and other.start < one.end)


def _rewrite(file: Path, edits: Sequence[Edit]) -> None:
    try:
        content = file.read_bytes() if file.exists() else b""
        mark = _BOM if content.startswith(_BOM) else b""
        text = content[len(mark) :].decode()
        ends = "\r\n" if "\r\n" in text else "\n"
        for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
            text = text[: edit.start] + edit.text.replace("\n", ends) + text[edit.end :]
        with NamedTemporaryFile(dir=file.parent, prefix=".forge-", delete=False) as scratch:
            scratch.write(mark + text.encode())
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
        Path(scratch.name).chmod(mode)
        os.replace(scratch.name, file.resolve())  # noqa: PTH105 - the target of a link, not the link
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from error
