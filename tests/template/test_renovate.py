"""What Renovate needs of a project, stated here; tests/runtime/test_renovate.py asks Renovate.

Renovate's copier manager runs `git ls-remote --tags` on `_src_path` and compares the tags with
`_commit` as PEP 440 versions.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support import git, repository, whole_template
from tests.template import variants
from tests.template.combinations import Combination, every_pair
from tests.template.test_check import make_from

ADDRESS = r"https://[\w.-]+(:\d+)?/[\w./-]+\.git|git@[\w.-]+:[\w./-]+"


@pytest.mark.parametrize(
    "origin", ["https://example.org/team/forge.git", "git@example.org:team/forge.git"]
)
def test_the_answers_file_names_an_address_and_a_release(tmp_path: Path, origin: str) -> None:
    template = repository(whole_template(tmp_path / "template"), "v1.2.0")
    git(template, "remote", "add", "origin", origin)
    git(template, "update-ref", "refs/remotes/origin/main", "HEAD")
    project = make_from(template, tmp_path / "my-service")
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert re.fullmatch(ADDRESS, answers["_src_path"])
    assert str(Version(answers["_commit"])) == "1.2.0"


def text(path: str, combination: Combination) -> str:
    return next(file for file in variants.files() if file.path == path).text(combination)


def rules(manager: str) -> list[str]:
    """The names that a manager leaves to the template."""
    lines = text("renovate.json5", {}).splitlines()
    plain = "\n".join(line for line in lines if not line.strip().startswith("//"))
    document: Any = json.loads(re.sub(r",(\s*[\]}])", r"\1", plain))
    names: list[str] = []
    for rule in document["packageRules"]:
        if manager in rule["matchManagers"]:
            assert rule["enabled"] is False
            names += rule.get("matchDepNames", [])
    return names


def pinned(manager: str, combination: Combination) -> Iterator[str]:
    """The names of what the template's files pin."""
    if manager == "npm":
        package = json.loads(text("package.json", combination))
        yield from package["devDependencies"]
        yield from package["optionalDependencies"]
    elif manager == "pep621":
        document = tomllib.loads(text("pyproject.toml", combination))
        groups = [document["project"]["dependencies"], *document["dependency-groups"].values()]
        for line in (line for group in groups for line in group if isinstance(line, str)):
            yield Requirement(line).name
    else:
        for name in ("ci", "update"):
            workflow = text(f".github/workflows/{name}.yml", combination)
            yield from re.findall(r"uses: ([\w/-]+)@", workflow)


@pytest.mark.parametrize("manager", ["npm", "pep621", "github-actions"])
def test_the_template_alone_updates_what_its_files_pin(manager: str) -> None:
    names = rules(manager)
    pins = {name for combination in every_pair() for name in pinned(manager, combination)}
    for pin in pins:
        assert any(fnmatchcase(pin, name) for name in names), f"name {pin} in renovate.json5"
    unused = {name for name in names if not any(fnmatchcase(pin, name) for pin in pins)}
    assert unused <= {"node", "ubuntu"}, "renovate.json5 names what no file pins"
