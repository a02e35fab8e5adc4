"""`scripts/release.py` cuts a release: all of it, or nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from time import monotonic, sleep

import pytest

from scripts.release import BUNDLE, Releases, add_release
from tests.support import GIT_ENVIRONMENT, REPOSITORY, commit, git, repository, tree, write

DAY = date(2026, 11, 27)

SMALL = {
    "pyproject.toml": """\
[build-system]
requires = ["hatchling>=1.27,<2"]
build-backend = "hatchling.build"

[project]
name = "small"
version = "0.0.0"
requires-python = ">=3.11"
readme = "CHANGELOG.md"

[tool.hatch.build.targets.wheel]
only-include = ["releases"]
""",
    "CHANGELOG.md": """\
# Changelog

## Unreleased

### Added

- Template: a file.
""",
    ".gitignore": "dist/\n.pytest_cache/\n__pycache__/\n",
    "copier.yml": "_subdirectory: template\nname: {type: str, default: x}\n",
    "template/file": "first\n",
    "tests/releases/test_updates.py": "def test_updates():\n    assert True\n",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with the parts that a release changes."""
    folder = tmp_path / "small"
    write(folder, SMALL)
    return repository(folder)


def release(
    folder: Path, *arguments: str, path: Sequence[Path] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "release.py", *arguments],
        cwd=folder,
        env={**GIT_ENVIRONMENT, "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]])},
        check=False,
        capture_output=True,
        text=True,
    )


def state(folder: Path) -> tuple[object, ...]:
    """All that a release changes."""
    files = {name: content for name, content in tree(folder).items() if "_cache" not in name}
    return files, git(folder, "rev-parse", "HEAD"), git(folder, "tag"), git(folder, "status", "-s")


def next_template(folder: Path, entry: str) -> None:
    """Change the template and the changelog."""
    write(folder, {"template/file": f"{entry}\n"})
    changelog = folder / "CHANGELOG.md"
    text = changelog.read_text()
    changelog.write_text(text.replace("## Unreleased\n", f"## Unreleased\n\n- {entry}\n", 1))
    commit(folder)


def test_a_release_is_a_version_a_changelog_a_bundle_a_commit_a_tag_and_two_files(
    small: Path,
) -> None:
    done = release(small, "0.1.0")
    assert done.returncode == 0, done.stderr
    short = git(small, "rev-parse", "--short", "HEAD")
    assert done.stdout == (
        f"Released v0.1.0: commit {short}\n"
        "  dist/small-0.1.0-py3-none-any.whl\n"
        "  dist/small-0.1.0.tar.gz\n"
        "Next: git push --atomic origin HEAD v0.1.0\n"
    )
    assert sorted(path.name for path in (small / "dist").iterdir()) == [
        "small-0.1.0-py3-none-any.whl",
        "small-0.1.0.tar.gz",
    ]
    assert 'version = "0.1.0"' in (small / "pyproject.toml").read_text()
    changelog = (small / "CHANGELOG.md").read_text()
    day = git(small, "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d")
    assert f"## Unreleased\n\n## 0.1.0 - {day}\n\n### Added\n\n- Template: a file.\n" in changelog
    assert git(small, "log", "-1", "--format=%s") == "release: v0.1.0"
    assert git(small, "cat-file", "-t", "v0.1.0") == "tag"
    assert git(small, "rev-parse", "v0.1.0^{commit}") == git(small, "rev-parse", "HEAD")
    assert git(small, "status", "--porcelain") == ""
    assert git(small, "diff", "--name-only", "HEAD~").splitlines() == [
        "CHANGELOG.md",
        "pyproject.toml",
        "releases/template.bundle",
    ]


def test_the_bundle_holds_every_release_as_git_reads_it(tmp_path: Path, small: Path) -> None:
    release(small, "0.1.0")
    next_template(small, "Template: more of it.")
    release(small, "0.2.0")
    bundle = small / BUNDLE
    listed = git(tmp_path, "ls-remote", "--tags", str(bundle)).splitlines()
    assert sorted(line.partition("\t")[2] for line in listed) == [
        "refs/tags/v0.1.0",
        "refs/tags/v0.2.0",
    ]
    git(tmp_path, "clone", "--quiet", str(bundle), "clone")
    clone = tmp_path / "clone"
    assert git(clone, "log", "--format=%s").splitlines() == ["v0.2.0", "v0.1.0"]
    assert git(clone, "describe", "--tags") == "v0.2.0"
    assert git(clone, "status", "--porcelain") == ""
    assert tree(clone) == {
        "copier.yml": (small / "copier.yml").read_bytes(),
        "template/file": b"Template: more of it.\n",
    }
    for tag in ("v0.1.0", "v0.2.0"):
        for path in ("copier.yml", "template"):
            assert git(clone, "rev-parse", f"{tag}:{path}") == git(
                small, "rev-parse", f"{tag}:{path}"
            )


def test_the_same_template_gives_the_same_bundle(tmp_path: Path, small: Path) -> None:
    bundles = [tmp_path / name / "template.bundle" for name in ("one", "two")]
    for bundle in bundles:
        add_release(bundle, small, "HEAD", "v0.1.0", DAY)
        add_release(bundle, small, "HEAD", "v0.2.0", DAY)
    one, two = (git(tmp_path, "ls-remote", str(bundle)) for bundle in bundles)
    assert one == two
    assert bundles[0].read_bytes() == bundles[1].read_bytes()


def test_a_version_that_was_never_released_is_replaced_in_the_bundle(
    tmp_path: Path, small: Path
) -> None:
    write(small, {"template/file": "a trial\n"})
    commit(small)
    add_release(small / BUNDLE, small, "HEAD", "v0.1.0", DAY)
    write(small, {"template/file": "the release\n"})
    commit(small)
    assert release(small, "0.1.0").returncode == 0
    git(tmp_path, "clone", "--quiet", str(small / BUNDLE), "clone")
    assert git(tmp_path / "clone", "show", "v0.1.0:template/file") == "the release"
    assert git(tmp_path / "clone", "rev-list", "--all", "--count") == "1"


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("v0.3.0", "v0.3.0: use X.Y.Z"),
        ("0.3", "0.3: use X.Y.Z"),
        ("0.3.0rc1", "0.3.0rc1: use X.Y.Z"),
        ("0.3.0.dev1", "0.3.0.dev1: use X.Y.Z"),
        ("0.03.0", "0.03.0: use X.Y.Z"),
        ("latest", "latest: use X.Y.Z"),
        ("0.1.9", "0.1.9 is not newer than 0.2.0, the newest release"),
        ("0.2.0", "v0.2.0 is released, in commit"),
    ],
)
def test_a_version_that_is_no_next_release_is_refused(
    small: Path, version: str, message: str
) -> None:
    assert release(small, "0.2.0").returncode == 0
    next_template(small, "Template: more of it.")
    before = state(small)
    refused = release(small, version)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert state(small) == before


def test_every_reason_against_a_release_is_named_at_once(small: Path) -> None:
    assert release(small, "0.2.0").returncode == 0
    write(small, {"new": "not committed\n"})
    git(small, "tag", "v0.3.0")
    refused = release(small, "0.3.0")
    assert refused.returncode == 1
    assert "uncommitted changes; commit or stash them:\n?? new\n" in refused.stderr
    assert "the tag v0.3.0 exists" in refused.stderr
    assert "CHANGELOG.md: nothing under ## Unreleased" in refused.stderr


def test_a_shallow_clone_is_refused(tmp_path: Path, small: Path) -> None:
    next_template(small, "Template: more of it.")
    git(tmp_path, "clone", "--quiet", "--depth=1", small.as_uri(), "shallow")
    refused = release(tmp_path / "shallow", "0.1.0")
    assert refused.returncode == 1
    assert "this clone is shallow" in refused.stderr


def test_a_change_of_the_template_needs_an_entry_of_its_own(small: Path) -> None:
    assert release(small, "0.1.0").returncode == 0
    next_template(small, "The command line: a flag.")
    refused = release(small, "0.2.0")
    assert refused.returncode == 1
    assert "no entry under ## Unreleased begins with `- Template: `" in refused.stderr
    next_template(small, "Template: a file.")
    assert release(small, "0.2.0").returncode == 0


def test_a_release_without_a_change_of_the_template_needs_none(small: Path) -> None:
    assert release(small, "0.1.0").returncode == 0
    text = (small / "CHANGELOG.md").read_text()
    write(small, {"CHANGELOG.md": text.replace("## Unreleased", "## Unreleased\n\n- A flag.", 1)})
    commit(small)
    assert release(small, "0.2.0").returncode == 0


def test_a_rehearsal_changes_nothing(small: Path) -> None:
    before = state(small)
    done = release(small, "0.1.0", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "v0.1.0 can be released. Nothing was changed.\n"
    assert state(small) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tests/releases/test_updates.py": "def test_updates():\n    assert False\n"},
            "error: tests/releases failed; nothing was changed",
        ),
        ({"pyproject.toml": SMALL["pyproject.toml"] + "[[\n"}, "error: "),
        (
            {"pyproject.toml": SMALL["pyproject.toml"].replace("CHANGELOG", "NOWHERE")},
            "error: the build failed; nothing was changed",
        ),
        ({"pyproject.toml": "[project]\nname = 'small'\n"}, "0 lines of the form version"),
    ],
)
def test_a_release_that_fails_changes_nothing(
    small: Path, changes: dict[str, str], message: str
) -> None:
    write(small, changes)
    commit(small)
    before = state(small)
    failed = release(small, "0.1.0")
    assert failed.returncode == 1
    assert message in failed.stderr
    assert "release.py" not in failed.stderr.partition("Traceback")[2]
    assert state(small) == before


@pytest.mark.parametrize("command", ["commit", "tag"])
def test_a_commit_or_tag_that_fails_changes_nothing(
    tmp_path: Path, small: Path, command: str
) -> None:
    # A git that fails at this command when it would write.
    stand_in = tmp_path / "bin" / "git"
    real = subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout
    write(
        stand_in.parent,
        {
            "git": f'#!/bin/sh\ncase "$1 $2" in "{command} --quiet"|"{command} --annotate")\n'
            f'echo "no {command} today" >&2; exit 1;; esac\nexec {real.strip()} "$@"\n'
        },
    )
    stand_in.chmod(0o755)
    before = state(small)
    failed = release(small, "0.1.0", path=[stand_in.parent])
    assert failed.returncode == 1
    assert f"error: git {command} failed: no {command} today" in failed.stderr
    assert state(small) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_release_changes_nothing(small: Path, number: signal.Signals) -> None:
    waiting = "import pathlib, time\ndef test_updates():\n"
    waiting += "    pathlib.Path('dist').mkdir()\n    time.sleep(600)\n"
    write(small, {"tests/releases/test_updates.py": waiting})
    commit(small)
    before = state(small)
    process = subprocess.Popen(
        [sys.executable, REPOSITORY / "scripts" / "release.py", "0.1.0"],
        cwd=small,
        env=GIT_ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    limit = monotonic() + 60
    while not (small / "dist").exists():
        assert monotonic() < limit
        sleep(0.05)
    assert "0.1.0" in (small / "pyproject.toml").read_text()
    os.killpg(process.pid, number)
    assert process.wait(timeout=60) == 128 + number
    (small / "dist").rmdir()
    assert state(small) == before


def test_a_tag_that_is_missing_is_created_again_as_it_was(small: Path) -> None:
    for version in ("0.1.0", "0.2.0"):
        assert release(small, version).returncode == 0
        next_template(small, "Template: more of it.")
    before = state(small)
    tag = git(small, "rev-parse", "v0.1.0")
    git(small, "tag", "--delete", "v0.1.0")
    done = release(small, "--retag")
    short = git(small, "rev-parse", "v0.1.0^{commit}")[:10]
    assert (done.returncode, done.stdout) == (0, f"Tagged {short} as v0.1.0\n")
    assert git(small, "rev-parse", "v0.1.0") == tag
    assert state(small) == before
    assert release(small, "--retag").stdout == ""


def test_a_tag_elsewhere_is_not_moved(small: Path) -> None:
    assert release(small, "0.1.0").returncode == 0
    next_template(small, "Template: more of it.")
    git(small, "tag", "--force", "v0.1.0")
    refused = release(small, "--retag")
    assert refused.returncode == 1
    assert "delete the tag first: git tag -d v0.1.0" in refused.stderr


def test_a_bundle_with_another_template_is_noticed(small: Path) -> None:
    assert release(small, "0.1.0").returncode == 0
    write(small, {"template/file": "another\n"})
    commit(small)
    add_release(small / BUNDLE, small, "HEAD", "v0.1.0", DAY)
    refused = release(small, "--retag")
    assert refused.returncode == 1
    assert "has another template for v0.1.0" in refused.stderr


def test_the_bundle_here_holds_templates_and_nothing_else() -> None:
    with Releases.of(REPOSITORY / BUNDLE, REPOSITORY) as releases:
        assert releases.tags()
        for tag in releases.tags():
            assert releases.git("ls-tree", "--name-only", tag) == "copier.yml\ntemplate"
            assert releases.git("show", "-s", "--format=%an %s", tag) == f"Forge {tag}"
