"""Copier alone: `copier copy` without --trust, `copier update` of what both ways made."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import commit, git, repository, tree, whole_template, write
from tests.template.conftest import Make

COPIER = [sys.executable, "-m", "copier"]
FORGE = [sys.executable, "-m", "forge_scaffold"]


def run(*command: str | Path, folder: Path) -> None:
    process = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The template as a repository of its own, with a first version."""
    return repository(whole_template(tmp_path / "released"), "v1.0.0")


def release_a_fix(released: Path) -> None:
    """A second version: one more ignored file, one line of a module changed."""
    ignored = released / "template" / ".gitignore.jinja"
    ignored.write_text(f"{ignored.read_text()}\n# Fixed in v2\nv2.log\n")
    entry = released / "template" / "src" / "entry.py.jinja"
    entry.write_text(f'"""Fixed in v2."""\n{entry.read_text()}')
    commit(released, "v2.0.0")


def test_copier_copy_needs_no_trust_and_makes_what_forge_makes(
    tmp_path: Path, released: Path, make: Make
) -> None:
    run(*COPIER, "copy", "--defaults", released, "my-service", folder=tmp_path)
    copied = tree(tmp_path / "my-service")
    made = tree(make(tmp_path / "forge" / "my-service", {}))
    copied.pop(".copier-answers.yml")
    made.pop(".copier-answers.yml")
    assert copied == made


@pytest.mark.parametrize(
    "answer",
    [
        "service_name=Bad",
        "auth=okta",
        "auth=none revocation=kv",
        "auth=none quota=true",
        "providers=[]",
        "providers=[acme]",
        "description=\a",
        f"description={'x' * 501}",
    ],
)
def test_copier_copy_refuses_what_forge_refuses(
    tmp_path: Path, template: Path, answer: str
) -> None:
    data = [word for part in answer.split(" ") for word in ("--data", part)]
    process = subprocess.run(
        [*COPIER, "copy", "--defaults", *data, template, "made"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert process.returncode != 0
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("way", ["copier copy", "forge new", "forge new from a URL"])
def test_an_update_brings_the_fix_and_keeps_the_users_edits(
    tmp_path: Path, released: Path, way: str
) -> None:
    project = tmp_path / "my-service"
    answers = ["auth=none", 'description=mine: "quoted"\n{{ text }}']
    told = [word for answer in answers for word in ("--set", answer)]
    data = [word for answer in answers for word in ("--data", answer)]
    if way == "copier copy":
        run(*COPIER, "copy", "--defaults", *data, released, project, folder=tmp_path)
    else:
        where = released if way == "forge new" else released.as_uri()
        command = [*FORGE, "new", project, "--no-git", "--defaults", *told, "--template", where]
        run(*command, folder=tmp_path)
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert stored["_commit"] == "v1.0.0"
    repository(project)
    write(project, {"src/service/mine.py": '"""Mine."""\n'})
    about = (project / "src" / "service" / "about.py").read_text()
    write(project, {"src/service/about.py": f"{about}\nEDITED = True\n"})
    commit(project)
    release_a_fix(released)

    run(*COPIER, "update", "--defaults", folder=project)

    assert (project / ".gitignore").read_text().endswith("# Fixed in v2\nv2.log\n")
    assert (project / "src" / "entry.py").read_text().startswith('"""Fixed in v2."""\n')
    assert (project / "src" / "service" / "about.py").read_text() == f"{about}\nEDITED = True\n"
    assert (project / "src" / "service" / "mine.py").is_file()
    assert not (project / "src" / "service" / "auth").exists()
    updated = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert updated == {**stored, "_commit": "v2.0.0"}
    assert "<<<<<<<" not in git(project, "diff")


def test_an_updated_project_is_a_fresh_one(tmp_path: Path, released: Path) -> None:
    command = [*FORGE, "new", "--no-git", "--defaults", "--template", str(released)]
    run(*command, tmp_path / "old", "--set", "service_name=same", folder=tmp_path)
    repository(tmp_path / "old")
    release_a_fix(released)
    run(*COPIER, "update", "--defaults", folder=tmp_path / "old")
    run(*command, tmp_path / "new", "--set", "service_name=same", folder=tmp_path)
    assert tree(tmp_path / "old") == tree(tmp_path / "new")


def test_an_update_can_change_an_answer(tmp_path: Path, released: Path) -> None:
    project = tmp_path / "my-service"
    run(*FORGE, "new", project, "--defaults", "--template", released, folder=tmp_path)
    command = [*COPIER, "update", "--defaults", "--vcs-ref", ":current:"]
    run(*command, "--data", "database=none", folder=project)
    assert not (project / "migrations").exists()
    assert not list((project / "src" / "service" / "database").glob("*.py"))
