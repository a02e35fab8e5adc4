"""Where a template comes from and what a project remembers of it."""

from pathlib import Path

import pytest

from forge_scaffold.errors import UserError
from forge_scaffold.sources import copier_address, opened, own_checkout
from tests.support import REPOSITORY, commit, git, repository, small_template


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return repository(small_template(tmp_path / "checkout"), "v1.0.0")


def published(checkout: Path, origin: str) -> Path:
    """Give the checkout an origin that has its commits, as after a push."""
    git(checkout, "remote", "add", "origin", origin)
    git(checkout, "update-ref", "refs/remotes/origin/main", "HEAD")
    return checkout


def test_a_folder_outside_git_is_rendered_as_it_is(tmp_path: Path) -> None:
    folder = small_template(tmp_path / "plain")
    with opened(str(folder), None) as source:
        assert (source.root, source.address, source.ref) == (folder, str(folder), None)
        assert "not a git repository" in source.caveat


def test_a_commit_that_only_this_machine_has_is_remembered_by_folder(checkout: Path) -> None:
    with opened(str(checkout), None) as source:
        assert source.address == str(checkout)
        assert source.ref == git(checkout, "rev-parse", "HEAD")
        assert "update works only here" in source.caveat


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://github.com/team/forge", "git+https://github.com/team/forge"),
        ("https://example.org/forge.git", "https://example.org/forge.git"),
        ("https://me:secret@example.org/forge.git", "https://example.org/forge.git"),
        ("https://token@example.org/forge", "git+https://example.org/forge"),
        ("git@example.org:team/forge.git", "git@example.org:team/forge.git"),
        ("git@example.org:team/forge", "git@example.org:team/forge"),
        ("ssh://git@example.org/forge", "git+ssh://git@example.org/forge"),
    ],
)
def test_a_shared_commit_is_remembered_by_its_origin_without_credentials(
    checkout: Path, origin: str, address: str
) -> None:
    with opened(str(published(checkout, origin)), None) as source:
        assert source.address == address
        assert source.caveat == ""
    assert copier_address(origin) == address


def test_an_origin_without_the_commit_is_not_remembered(checkout: Path) -> None:
    published(checkout, "https://example.org/forge.git")
    (checkout / "new.md").write_text("not pushed\n")
    commit(checkout)
    with opened(str(checkout), None) as source:
        assert source.address == str(checkout)


def test_uncommitted_changes_are_rendered_and_told(checkout: Path) -> None:
    published(checkout, "https://example.org/forge.git")
    (checkout / "template" / "new.md").write_text("not committed\n")
    with opened(str(checkout), None) as source:
        assert source.ref == "HEAD"
        assert "uncommitted changes" in source.caveat


def test_changes_outside_the_template_do_not_count(checkout: Path) -> None:
    (checkout / "my-service").mkdir()
    (checkout / "my-service" / "file").write_text("made by forge new\n")
    with opened(str(checkout), None) as source:
        assert source.ref == git(checkout, "rev-parse", "HEAD")


def test_a_ref_is_read_as_it_was_then(checkout: Path) -> None:
    then = (checkout / "copier.yml").read_text()
    (checkout / "copier.yml").write_text("_subdirectory: template\nother: question\n")
    commit(checkout, "v2.0.0")
    with opened(str(checkout), "v1.0.0") as source:
        assert (source.root / "copier.yml").read_text() == then
        assert source.address == str(checkout)
        assert source.ref == git(checkout, "rev-parse", "v1.0.0")


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [
        (["v1.0.0", "v1.10.0", "v1.9.0"], "v1.10.0"),
        (["v1.0.0", "v2.0.0rc1"], "v1.0.0"),
        (["v1.0.0", "nightly"], "v1.0.0"),
    ],
)
def test_a_url_gives_its_latest_release(checkout: Path, tags: list[str], chosen: str) -> None:
    for tag in tags[1:]:
        (checkout / "template" / "README.md").write_text(tag)
        commit(checkout, tag)
    with opened(checkout.as_uri(), None) as source:
        assert source.ref == git(checkout, "rev-parse", chosen)
        assert source.address == f"git+{checkout.as_uri()}"
        assert source.caveat == ""


def test_a_url_gives_a_branch_when_told(checkout: Path) -> None:
    git(checkout, "checkout", "--quiet", "-b", "next")
    (checkout / "template" / "README.md").write_text("next")
    commit(checkout)
    git(checkout, "checkout", "--quiet", "main")
    with opened(checkout.as_uri(), "next") as source:
        assert (source.root / "template" / "README.md").read_text() == "next"


def test_nothing_of_a_clone_stays(checkout: Path) -> None:
    with opened(checkout.as_uri(), None) as source:
        assert source.root.exists()
    assert not source.root.exists()


@pytest.mark.parametrize(
    ("template", "ref", "message"),
    [
        ("/nowhere", None, "--template /nowhere: no copier.yml there"),
        ("{plain}", "v1", "--ref v1: .* is not a git repository"),
        ("{checkout}", "v9", "--ref v9: no such tag, branch or commit"),
        ("{checkout}", "--help", "--ref --help: no such tag, branch or commit"),
        ("file://{checkout}", "v9", "--ref v9: no such tag, branch or commit"),
        ("file:///nowhere", None, "git clone: "),
        ("https://127.0.0.1:1/x.git", None, "git clone: "),
    ],
)
def test_a_template_that_is_not_there_is_told(
    tmp_path: Path, checkout: Path, template: str, ref: str | None, message: str
) -> None:
    plain = small_template(tmp_path / "plain")
    with (
        pytest.raises(UserError, match=message),
        opened(template.format(plain=plain, checkout=checkout), ref),
    ):
        pass


def test_the_programs_own_template_is_this_checkout() -> None:
    assert own_checkout() == REPOSITORY
