"""An update to the newest release makes what a fresh project would be, and loses nothing."""

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
import yaml

from scripts.release import add_release
from tests.releases.conftest import COPIERS, Project, Update
from tests.releases.series import ADDRESS, FORGE, NEWEST, OLDEST, PRESETS, RELEASED, Series, tags
from tests.support import commit, git, repository, small_template, tree, write

MARKERS = (b"<<<<<<< ", b">>>>>>> ")


def assert_no_conflict(project: Path) -> None:
    git(project, "add", "--all")
    assert git(project, "diff", "--name-only", "--diff-filter=U", "HEAD") == ""
    for name, content in tree(project).items():
        assert not name.endswith(".rej")
        assert not content.startswith(MARKERS), name
        assert not any(b"\n" + marker in content for marker in MARKERS), name


OLD_TAGS = tags()[:-1]

# Forge updates every preset from every release; each Copier meets every preset and every release.
UPDATES = [
    *product(["forge"], OLD_TAGS, PRESETS),
    *(
        (copier, OLD_TAGS[(number + shift) % len(OLD_TAGS)], preset)
        for shift, copier in enumerate(COPIERS)
        for number, preset in enumerate(PRESETS)
    ),
]


@pytest.mark.parametrize(("update", "tag", "preset"), UPDATES, indirect=["update"])
def test_an_update_to_the_newest_is_a_fresh_project(
    series: Series, project: Project, update: Update, tag: str, preset: str
) -> None:
    updated = project(tag, preset)
    update(updated)
    assert_no_conflict(updated)
    fresh = series.made(tags()[-1], series.updated_answers(preset, tag))
    assert tree(updated) == tree(fresh)


def test_releases_in_turn_come_to_the_same(series: Series, project: Project) -> None:
    updated = project(tags()[0], "everything 1")
    for tag in tags()[1:]:
        series.copier("update", "--defaults", "--vcs-ref", tag, folder=updated)
        assert_no_conflict(updated)
        commit(updated)
    fresh = series.made(tags()[-1], series.updated_answers("everything 1", tags()[0]))
    assert tree(updated) == tree(fresh)
    series.copier("check-update", folder=updated)


def test_copier_and_forge_agree_on_what_is_outdated(series: Series, project: Project) -> None:
    for tag in (tags()[0], tags()[-1]):
        made = project(tag, "defaults")
        checked = json.loads(
            series.run(*NEWEST, "check-update", "--output-format", "json", folder=made)
        )
        template = json.loads(series.run(*FORGE, "status", "--json", folder=made))["template"]
        assert template["outdated"] is checked["update_available"] is (tag != tags()[-1])
        assert template["version"] == f"v{checked['current_version']}"
        assert template["newest"] == f"v{checked['latest_version']}"


@pytest.mark.parametrize("program", [OLDEST, NEWEST], ids=["oldest", "newest"])
@pytest.mark.parametrize("where", ["_exclude", "excluded"])
def test_a_new_question_is_named_in_excluded_only(
    tmp_path: Path, where: str, program: Sequence[str]
) -> None:
    template = repository(small_template(tmp_path / "template"))
    series = Series(tmp_path)
    add_release(series.bundle, template, "HEAD", "v1.0.0", RELEASED)
    project = tmp_path / "my-service"
    series.copier("copy", "--defaults", ADDRESS, project, folder=tmp_path, program=program)
    repository(project)
    questions = yaml.safe_load((template / "copier.yml").read_text())
    paths = "{% if not audit_log %}/src/service/audit_log.py{% endif %}\n"
    if where == "_exclude":
        questions["_exclude"].append(paths)
    else:
        questions["excluded"]["default"] += paths
    questions = {"audit_log": {"type": "bool", "default": False}, **questions}
    new = {
        "copier.yml": yaml.safe_dump(questions, sort_keys=False),
        "template/src/service/audit_log.py": '"""The audit log."""\n',
    }
    write(template, new)
    commit(template)
    add_release(series.bundle, template, "HEAD", "v1.1.0", RELEASED)

    if where == "excluded":
        series.copier("update", "--defaults", folder=project, program=program)
        answers = (project / ".copier-answers.yml").read_text()
        assert "_commit: v1.1.0" in answers
        assert "audit_log: false" in answers
        assert not (project / "src/service/audit_log.py").exists()
    else:
        with pytest.raises(AssertionError, match="'audit_log' is undefined"):
            series.copier("update", "--defaults", folder=project, program=program)
        assert git(project, "status", "--porcelain") == ""
