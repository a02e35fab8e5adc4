"""A description may be any text: it breaks no file and runs nothing."""

import json
import tomllib
from pathlib import Path
from shutil import copy

import copier
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.template.conftest import Make

TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\n\t\"'`\\{}%#$<>&:-[]|\u2028\u2029\ufeff\u202e"),
    max_size=500,
)

NASTY = [
    "",
    " ",
    "\n\n",
    '"""',
    "'''",
    "\\",
    "\\n",
    "{{ service_name }}",
    "{% raw %}{% endraw %}{# comment #}",
    "{{ ''.__class__.__mro__ }}",
    "${{ secrets.TOKEN }} $(id) `id`",
    '"\ndependencies = ["requests"]\n[tool.x]\ny = "',
    '", "scripts": {"postinstall": "id"}, "x": "',
    "- yaml: [\n  *anchor",
    "no",
    "0x10",
    "🦀 ÿ \U0010fffd \u2028 \u202e",
    "# heading\n<script>alert(1)</script>",
    "tab\tand\nnewline",
    "x" * 500,
]


@pytest.fixture(scope="session")
def manifests(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template of only those files that mention the description."""
    folder = tmp_path_factory.mktemp("manifests")
    copy(template / "copier.yml", folder)
    for path in (template / "template").rglob("*.jinja"):
        text = path.read_text(encoding="utf-8")
        if "description" in text or "_copier_answers" in text:
            target = folder / path.relative_to(template)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy(path, target)
    return folder


def assert_carries(project: Path, description: str) -> None:
    """Every manifest parses, and says what was answered."""
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["project"]["description"] == description
    assert set(pyproject["tool"]["forge"]["allow"]) == {
        "httpx", "pydantic", "sqlalchemy", "typing-extensions",
    }  # fmt: skip
    package = json.loads((project / "package.json").read_text(encoding="utf-8"))
    assert package["description"] == description
    assert "id" not in package["scripts"].values()
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert answers["description"] == description


@settings(max_examples=60)
@given(description=TEXT)
def test_every_manifest_carries_any_description(
    manifests: Path, tmp_path_factory: pytest.TempPathFactory, description: str
) -> None:
    project = tmp_path_factory.mktemp("described") / "my-service"
    copier.run_copy(
        str(manifests), project, {"description": description}, defaults=True, quiet=True
    )
    assert_carries(project, description)


@pytest.mark.parametrize("description", NASTY)
def test_a_whole_project_carries_a_nasty_description(
    tmp_path: Path, make: Make, description: str
) -> None:
    assert_carries(make(tmp_path / "my-service", {"description": description}), description)
