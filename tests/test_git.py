"""git runs unattended, in the folder named, and its messages hold no credentials."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.errors import UserError
from forge_scaffold.git import LOCATION, git
from forge_scaffold.printable import masked
from tests.support import repository, write


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    write(tmp_path / "checkout", {"a.txt": "a\n"})
    return repository(tmp_path / "checkout")


def test_variables_of_another_repository_are_left_out(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in LOCATION:
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert git(checkout, "rev-parse", "--show-toplevel") == str(checkout)
    assert git(checkout, "status", "--porcelain") == ""


def test_output_is_returned_as_it_is(checkout: Path) -> None:
    (checkout / "a.txt").write_text("b\n")
    assert git(checkout, "status", "--porcelain") == " M a.txt"


@pytest.mark.parametrize(
    ("count", "message"),
    [
        ("x", "GIT_CONFIG_COUNT=x: not a number"),
        ("-1", "GIT_CONFIG_COUNT=-1: not a number"),
        ("99999999999", "not a number"),
        ("2", "GIT_CONFIG_COUNT=2: there is no GIT_CONFIG_KEY_0"),
    ],
)
def test_a_broken_configuration_count_is_named(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, count: str, message: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", count)
    with pytest.raises(UserError, match=message):
        git(checkout, "status")


def test_configuration_that_the_user_passes_on_stays(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "forge.test")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "kept")
    assert git(checkout, "config", "forge.test") == "kept"


def test_messages_are_not_translated_and_hold_no_credentials(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    url = "http://me:hunter2@example.org/x.git"
    with pytest.raises(UserError) as raised:
        git(checkout, "-c", f"alias.say=!echo fatal: no {url} >&2; false", "say")
    assert str(raised.value) == "git say: no http://***@example.org/x.git"
    with pytest.raises(UserError, match="git rev-parse: Needed a single revision"):
        git(checkout, "rev-parse", "--verify", "nothing-of-that-name")


def test_a_failure_that_ssh_explains_is_told_in_its_words(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    with pytest.raises(UserError, match=r"git ls-remote: Permission denied \(publickey\)\.; Could"):
        git(checkout, "ls-remote", "git@example.org:team/forge.git")


def test_without_git_one_sentence_says_so(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="git: not found on PATH; install git"):
        git(checkout, "status")


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone: No such file or directory"):
        git(tmp_path / "gone", "status")


@given(
    st.sampled_from(["https", "http", "ssh", "ftp"]),
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/?#")),
)
def test_no_password_of_a_url_is_shown(scheme: str, password: str) -> None:
    shown = masked(f"cannot read '{scheme}://me:{password}@example.org/x.git': no")
    assert shown == f"cannot read '{scheme}://***@example.org/x.git': no"


def test_an_ssh_user_is_no_secret() -> None:
    assert masked("ssh://git@example.org/x") == "ssh://git@example.org/x"
    assert masked("https://token@example.org/x") == "https://***@example.org/x"
