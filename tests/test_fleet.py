"""The projects of a fleet: which are found, and what is wrong with a path."""

import os
from pathlib import Path

import pytest

from forge_scaffold.fleet import MAX_DEPTH, discover
from forge_scaffold.recorded import FILE


def project(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).touch()
    return folder


def found(*paths: Path) -> list[str]:
    members, failures = discover(paths)
    assert not failures
    return [member.name for member in members]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_project_is_found_at_the_path_and_below_it() -> None:
    for name in ("one", "services/a", "services/team/b"):
        project(Path(name))
    assert found(Path("one"), Path("services")) == ["one", "services/a", "services/team/b"]
    assert found(Path()) == ["one", "services/a", "services/team/b"]


def test_a_project_is_not_searched() -> None:
    project(Path("one"))
    project(Path("one/tests/sample"))
    assert found(Path()) == ["one"]
    assert found(Path("one/tests")) == ["one/tests/sample"]


@pytest.mark.parametrize("name", [".venv", ".git", "node_modules", "python_modules", "venv"])
def test_what_others_fill_is_not_searched(name: str) -> None:
    project(Path("one"))
    project(Path(name, "sample"))
    assert found(Path()) == ["one"]


def test_a_project_too_deep_is_not_found() -> None:
    folders = [str(number) for number in range(MAX_DEPTH)]
    project(Path(*folders))
    project(Path("too", *folders))
    assert found(Path()) == ["/".join(folders)]


def test_each_project_is_found_once(tmp_path: Path) -> None:
    project(Path("services/a"))
    Path("link").symlink_to("services")
    paths = (Path("link/a"), Path(), Path("services/a"), tmp_path, Path("link"))
    assert found(*paths) == ["link/a"]


def test_links_below_a_path_are_not_followed() -> None:
    project(Path("elsewhere/a"))
    Path("services").mkdir()
    Path("services/loop").symlink_to("..")
    project(Path("services/b"))
    assert found(Path("services")) == ["services/b"]


def test_a_path_without_a_project_does_not_stop_the_others() -> None:
    project(Path("one"))
    Path("empty").mkdir()
    Path("file").touch()
    paths = ["empty", "one", "missing", "file", "\0", "missing"]
    members, failures = discover(map(Path, paths))
    assert [member.name for member in members] == ["one"]
    assert {member.name: failure.reason for member, failure in failures} == {
        "empty": "no project in there: no .copier-answers.yml up to 8 folders down",
        "missing": os.strerror(2),
        "file": os.strerror(20),
        "\0": "embedded null byte",
    }
