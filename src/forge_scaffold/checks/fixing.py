"""`--fix`: the edits that findings bring, applied file by file."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile

from forge_scaffold.checks.finding import Edit, Finding
from forge_scaffold.documents import Text, Unreadable, read_jsonc, read_toml
from forge_scaffold.errors import UserError
from forge_scaffold.project import Project

_BOM = b"\xef\xbb\xbf"


def apply(findings: Sequence[Finding], project: Project) -> int:
    """Make every edit that goes together with those before it; how many there were.

    Raises:
        UserError: a file cannot be written. Each file is changed as a whole or not at all.
    """
    edits: dict[PurePosixPath, list[Edit]] = defaultdict(list)
    for edit in dict.fromkeys(finding.edit for finding in findings):
        if edit and not any(_overlap(edit, other) for other in edits[edit.path]):
            edits[edit.path].append(edit)
    return sum(_rewrite(project.root / path, changes) for path, changes in edits.items())


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start == other.start or (one.start < other.end and other.start < one.end)


def _rewrite(file: Path, edits: Sequence[Edit]) -> int:
    """Make the edits of a file that go together; how many there were."""
    try:
        content = file.read_bytes() if file.exists() else b""
        mark = _BOM if content.startswith(_BOM) else b""
        text = content[len(mark) :].decode()
        chosen = _together(text, edits)
        if not chosen:
            return 0
        text = _edited(text, chosen)
        with NamedTemporaryFile(dir=file.parent, prefix=".forge-", delete=False) as scratch:
            scratch.write(mark + text.encode())
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
        Path(scratch.name).chmod(mode)
        os.replace(scratch.name, file.resolve())  # noqa: PTH105 - the target of a link, not the link
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from error
    return len(chosen)


def _edited(text: str, edits: Sequence[Edit]) -> str:
    ends = "\r\n" if "\r\n" in text else "\n"
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text.replace("\n", ends) + text[edit.end :]
    return text


def _together(text: str, edits: Sequence[Edit]) -> Sequence[Edit]:
    """The edits after which a configuration can be read: two may give it the same key.

    What is renamed comes before what is added, which may then be there.
    """
    if _reads(_edited(text, edits), edits[0].path):
        return edits
    chosen: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: edit.start == edit.end):
        if _reads(_edited(text, [*chosen, edit]), edit.path):
            chosen.append(edit)
    return chosen


def _reads(text: str, path: PurePosixPath) -> bool:
    """Whether a text is what its file's name says, with each key once."""
    try:
        if path.suffix == ".toml":
            read_toml(Text(path, text))
        elif path.suffix in {".json", ".jsonc"}:
            read_jsonc(Text(path, text), unique=True)
    except Unreadable:
        return False
    return True
