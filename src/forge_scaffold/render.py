"""Render a template's folder with Copier, and record where it came from.

Copier gets a plain folder: it clones nothing and asks git nothing about each file, which takes it a
fifth of its time. So the recorded address and version are written here.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from forge_scaffold import rendered
from forge_scaffold.errors import RejectedError, UserError
from forge_scaffold.project import uncollected
from forge_scaffold.recorded import Recorded
from forge_scaffold.sources import Source

_RECORDED = re.compile(r"^_src_path:.*\n(?:[ \t]+.*\n)*", re.MULTILINE)


def render(source: Source, answers: Mapping[str, object], folder: Path) -> None:
    """Write a project made of these answers into a folder.

    Args:
        source: the template.
        answers: by question; a question without one takes its default.
        folder: missing or empty.

    Raises:
        RejectedError: the template cannot be rendered, or does what no template may.
    """
    import copier
    from copier.errors import CopierError, CopierWarning
    from jinja2 import TemplateError

    # Jinja makes and keeps so many objects that looking for garbage takes a tenth of the time.
    with warnings.catch_warnings(), _without_git(), uncollected():
        warnings.simplefilter("ignore", CopierWarning)
        try:
            copier.run_copy(
                str(source.root),
                folder,
                data=dict(answers),
                settings=copier.Settings(),
                defaults=True,
                overwrite=True,
                quiet=True,
            )
        except (CopierError, TemplateError, ValueError) as error:
            raise RejectedError(f"the template cannot be rendered: {error}") from error
    rendered.remove_empty_folders(folder)
    if wrong := rendered.problems(folder):
        listed = "".join(f"\n  {problem}" for problem in wrong)
        raise RejectedError(f"the template is refused; nothing was written{listed}")
    _reject_recorded_folder(source, folder)
    _record(source, folder / source.questionnaire.answers_file)


def render_recorded(source: Source, recorded: Recorded, folder: Path) -> None:
    """Write what the template made of a project's recorded answers into a folder.

    Raises:
        UserError: it makes nothing of them; somebody has edited the answers file.
    """
    try:
        render(source, recorded.answers, folder)
    except RejectedError as error:
        raise UserError(f"{recorded.file}: {recorded.version}: {error}") from error


def matcher(source: Source) -> Callable[[str], bool]:
    """Whether a path is of a file that belongs to the user once it is written (`_skip_if_exists`).

    Patterns are those of .gitignore, as in Copier.
    """
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(source.questionnaire.user_files).match_file


def _reject_recorded_folder(source: Source, folder: Path) -> None:
    """Refuse a file that depends on where its template was: it would differ at every update."""
    root = str(source.root).encode()
    files = (path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.name != source.questionnaire.answers_file and root in path.read_bytes():
            raise RejectedError(
                f"{path.relative_to(folder)}: depends on _src_path, which differs between "
                "machines; read it from the answers file when it is needed"
            )


def _record(source: Source, answers_file: Path) -> None:
    """Replace the folder that Copier rendered by the address and the version."""
    if answers_file.is_file():
        known = {"_commit": source.version, "_src_path": source.address}
        lines: str = yaml.safe_dump(
            {name: value for name, value in known.items() if value is not None}, width=2**20
        )
        text = answers_file.read_text(encoding="utf-8")
        answers_file.write_text(_RECORDED.sub(lambda _: lines, text, count=1), encoding="utf-8")


@contextmanager
def _without_git() -> Iterator[None]:
    """Hide git from Copier, which else starts it once for each file it writes."""
    from plumbum import local

    with local.env(PATH=os.devnull):
        yield
