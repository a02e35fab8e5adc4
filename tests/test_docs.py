"""The documentation is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forge_scaffold.cli.commands import app
from tests.support import REPOSITORY, whole_template

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def test_the_reference_pages_are_what_the_source_says() -> None:
    check = subprocess.run(
        [sys.executable, REPOSITORY / "docs" / "generate.py", "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stderr


def test_the_readme_shows_what_its_first_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = whole_template(tmp_path / "template")
    monkeypatch.chdir(tmp_path)
    arguments = ["new", "my-service", "--defaults", "--template", str(template)]
    printed = CliRunner().invoke(app, arguments).stdout
    note = r"  Note: .* is not a git repository: update needs one\.\n"
    shown = re.sub(note, "", printed)
    assert f"$ ./uvw run forge new my-service --defaults\n{shown}```" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []
