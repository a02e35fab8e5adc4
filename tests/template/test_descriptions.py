"""A description may be any text: it breaks no file and runs nothing."""

import json
import tomllib
from pathlib import Path
from shutil import copy
from typing import Any

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


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, make: Make) -> Path:
    """A project with the default's description."""
    return make(tmp_path_factory.mktemp("plain") / "my-service", {})


def read_manifests(project: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its pyproject.toml and its package.json."""
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    return pyproject, json.loads((project / "package.json").read_text(encoding="utf-8"))


def assert_carries(project: Path, description: str, plain: Path) -> None:
    """Every manifest parses, and differs from the plain project's by what was answered."""
    pyproject, package = read_manifests(plain)
    pyproject["project"]["description"] = package["description"] = description
    assert read_manifests(project) == (pyproject, package)
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert answers["description"] == description


@settings(max_examples=60)
@given(description=TEXT)
def test_every_manifest_carries_any_description(
    manifests: Path, plain: Path, tmp_path_factory: pytest.TempPathFactory, description: str
) -> None:
    project = tmp_path_factory.mktemp("described") / "my-service"
    copier.run_copy(
        str(manifests), project, {"description": description}, defaults=True, quiet=True
    )
    assert_carries(project, description, plain)


@pytest.mark.parametrize("description", NASTY)
def test_a_whole_project_carries_a_nasty_description(
    tmp_path: Path, make: Make, plain: Path, description: str
) -> None:
    project = make(tmp_path / "my-service", {"description": description})
    assert_carries(project, description, plain)
