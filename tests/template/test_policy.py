"""A template change that brings in a package makes `forge new` fail and leave nothing."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from forge_scaffold.cli.commands import app
from tests.support import whole_template


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    return whole_template(tmp_path / "changed")


def put(template: Path, name: str, old: str, new: str) -> None:
    """Change a file of the template."""
    path = template / "template" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def complaint(template: Path, target: Path) -> str:
    """What `forge new` says when it fails; it leaves nothing."""
    arguments = ["new", str(target), "--defaults", "--template", str(template)]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 1
    assert not target.parent.exists()
    assert run.stdout == ""
    return run.stderr


def test_as_a_declared_dependency(tmp_path: Path, changed: Path) -> None:
    put(changed, "pyproject.toml.jinja", "dependencies = [", 'dependencies = [\n  "requests>=2",')
    said = complaint(changed, tmp_path / "not" / "made")
    assert "pyproject.toml:" in said
    assert "requests: not on the allow-list; remove it, or allow it in [tool.forge.allow]" in said


def test_as_an_import(tmp_path: Path, changed: Path) -> None:
    put(changed, "src/service/log.py", "import json", "import json\nimport requests")
    said = complaint(changed, tmp_path / "not" / "made")
    assert "src/service/log.py:" in said
    assert "requests: imported but not on the allow-list; remove the import" in said


def test_as_a_line_of_the_lock_alone(tmp_path: Path, changed: Path) -> None:
    pin = f"requests==2.32.5 --hash=sha256:{'0' * 64}\n"
    put(changed, "requirements/worker.txt.jinja", "httpx==", f"{pin}httpx==")
    said = complaint(changed, tmp_path / "not" / "made")
    assert "requirements/worker.txt:" in said
    assert "requests: locked for the Worker, but neither allowed nor brought" in said
