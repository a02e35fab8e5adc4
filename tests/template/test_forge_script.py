"""A project's scripts/forge.py runs the Forge of its template, whatever its answers file says."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support import write
from tests.template.variants import TEMPLATE

SCRIPT = TEMPLATE / "scripts" / "forge.py"
NAMESPACE: Mapping[str, Any] = runpy.run_path(str(SCRIPT))
requirement: Callable[[str], str] = NAMESPACE["requirement"]
AnswersError: type[Exception] = NAMESPACE["AnswersError"]

UNKNOWN = "_src_path: https://forge-workers.invalid/template.git\n_commit: v1.0.0\n"


def answers(address: object, commit: object) -> str:
    """An answers file as Copier writes it."""
    return f"# A comment\n{yaml.safe_dump({'_commit': commit, '_src_path': address, 'auth': 'x'})}"


@pytest.mark.parametrize(
    ("address", "commit", "expected"),
    [
        ("https://example.org/team/forge.git", "v1.2.0",
         "git+https://example.org/team/forge.git@v1.2.0"),
        ("https://example.org:8443/a/b/forge.git", "1.2", "git+https://example.org:8443/a/b/forge.git@1.2"),
        ("git@example.org:team/forge.git", "v0.1.0rc1",
         "git+ssh://git@example.org/team/forge.git@v0.1.0rc1"),
        ("git@example.org:/srv/forge.git", "v1.0.0", "git+ssh://git@example.org/srv/forge.git@v1.0.0"),
        ("ssh://git@example.org:22/team/forge", "v1.0.0.post1.dev2",
         "git+ssh://git@example.org:22/team/forge@v1.0.0.post1.dev2"),
    ],
)  # fmt: skip
def test_an_address_and_a_release_say_what_to_install(
    address: str, commit: str, expected: str
) -> None:
    assert requirement(answers(address, commit)) == expected
    quoted = f"_src_path: '{address}'\r\n_commit: \"{commit}\"\r\n"
    assert requirement(quoted) == expected


@pytest.mark.parametrize(
    "address",
    [
        "/home/me/forge",
        "../forge",
        "gh:team/forge",
        "file:///srv/forge.git",
        "http://example.org/forge.git",
        "https://example.org/forge",
        "git+https://example.org/forge.git",
        "https://me:token@example.org/forge.git",
        "https://-oProxyCommand=x/forge.git",
        "ssh://-oProxyCommand=x/forge.git",
        "-oProxyCommand=x@example.org:forge.git",
        "git@-example.org:forge.git",
        "https://example.org/forge.git@main#egg=x.git",
        "https://example.org/forge.git --with evil.git",
        "!!python/object:os.system",
        "",
        "https://example.org/forge.git\nevil: true",
        "https://" + "a" * 100_000,
        ["https://example.org/forge.git"],
    ],
    ids=lambda address: str(address)[:40],
)
def test_any_other_address_is_refused(address: object) -> None:
    with pytest.raises(AnswersError, match="_src_path") as caught:
        requirement(answers(address, "v1.0.0"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "commit",
    ["main", "1234567", "a1b2c3d", "v1.0.0-3-gabc1234", "v1", "", "--help", "v1.0.0 x"],
)
def test_any_other_version_is_refused(commit: str) -> None:
    with pytest.raises(AnswersError, match="_commit"):
        requirement(f"_src_path: https://example.org/forge.git\n_commit: {commit}\n")


@given(st.text(), st.text(st.characters(codec="utf-8")))
def test_nothing_gets_past_the_patterns(address: str, commit: str) -> None:
    for text in (answers(address, commit), f"_src_path: {address}\n_commit: {commit}\n", address):
        try:
            found = requirement(text)
        except AnswersError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most of what is drawn is refused
        else:
            assert re.fullmatch(r"git\+(https|ssh)://[\w@][\w.@:/~+-]*@v?[\w.]+", found, re.ASCII)


def run(
    project: Path, *arguments: str, text: str | None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the script in a project with an answers file, a `uv` that prints, and no CI around."""
    write(project, {"scripts/forge.py": SCRIPT.read_text("utf-8")})
    if text is not None:
        write(project, {".copier-answers.yml": text})
    write(project, {"uv": '#!/bin/sh\npwd\nprintf "%s\\n" "$@"\nexit 7\n'})
    (project / "uv").chmod(0o755)
    env = {"PATH": os.environ["PATH"], "UV": str(project / "uv"), **variables}
    return subprocess.run(
        [sys.executable, project / "scripts" / "forge.py", *arguments],
        cwd=project.parent, env=env, check=False, capture_output=True, text=True,
    )  # fmt: skip


KNOWN = answers("git@example.org:team/forge.git", "v1.2.0")


def test_it_becomes_uv_in_the_projects_folder(tmp_path: Path) -> None:
    done = run(tmp_path / "p", "check", "--format", "github", text=KNOWN)
    assert done.returncode == 7
    assert done.stdout.split() == [
        str(tmp_path / "p"), "tool", "run", "--from",
        "git+ssh://git@example.org/team/forge.git@v1.2.0", "forge", "check", "--format", "github",
    ]  # fmt: skip


def test_another_program_can_take_its_place(tmp_path: Path) -> None:
    done = run(tmp_path / "p", "check", text=UNKNOWN, FORGE=shutil.which("echo") or "echo")
    assert (done.returncode, done.stdout) == (0, "check\n")


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "stdout"),
    [
        (["check"], {"GITHUB_ACTIONS": "true"}, 0, "::notice title=forge check was skipped::"),
        (["check"], {"PRE_COMMIT": "1"}, 0, "forge check was skipped: "),
        (["check"], {}, 2, ""),
        (["update"], {"GITHUB_ACTIONS": "true"}, 2, ""),
    ],
)
def test_without_an_address_only_checks_that_run_by_themselves_pass(
    tmp_path: Path, arguments: list[str], variables: Mapping[str, str], code: int, stdout: str
) -> None:
    done = run(tmp_path / "p", *arguments, text=UNKNOWN, **variables)
    assert done.returncode == code
    assert done.stdout.startswith(stdout)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "forge relink ADDRESS" in line


@pytest.mark.parametrize(
    "text", [None, "", "_commit: v1.0.0\n", f"{KNOWN}{KNOWN}", "_src_path: /here\n_commit: v1.0\n"]
)
def test_a_mistake_is_one_line_and_never_passes(tmp_path: Path, text: str | None) -> None:
    done = run(tmp_path / "p", "check", text=text, GITHUB_ACTIONS="true")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: .copier-answers.yml: ")


def test_without_uv_it_says_so(tmp_path: Path) -> None:
    done = run(tmp_path / "p", "check", text=KNOWN, UV="/nowhere/uv")
    assert (done.returncode, done.stderr) == (
        2, "error: /nowhere/uv: No such file or directory; install uv, or set FORGE\n",
    )  # fmt: skip
