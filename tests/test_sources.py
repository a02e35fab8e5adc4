"""Where a template comes from, and which address and version a project records of it."""

from pathlib import Path

import pytest

from forge_scaffold import sources
from forge_scaffold.errors import UserError
from forge_scaffold.sources import UNKNOWN_ADDRESS, is_own, opened, own_address, repository
from tests.support import bundle, commit, git, small_template, write
from tests.support import repository as git_repository


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return git_repository(small_template(tmp_path / "checkout"), "v1.0.0")


def release(checkout: Path, tag: str) -> None:
    (checkout / "template" / "README.md").write_text(f"# {tag}\n")
    commit(checkout, tag)


def readme(source: sources.Source) -> str:
    return (source.root / "template" / "README.md").read_text()


@pytest.fixture
def installed(tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The releases folder of a Forge that was built with two releases and no address."""
    release(checkout, "v1.1.0")
    folder = tmp_path / "installed" / "releases"
    bundle(checkout, folder)
    monkeypatch.setattr(sources, "releases_folder", lambda: folder)
    monkeypatch.setattr(sources, "_own_checkout", lambda: None)
    return folder


@pytest.mark.usefixtures("installed")
class TestTheTemplateThatForgeBrings:
    def test_is_the_newest_release(self) -> None:
        with opened(None, None) as source:
            assert (source.version, readme(source)) == ("v1.1.0", "# v1.1.0\n")

    def test_can_be_an_earlier_release(self) -> None:
        with opened(None, "v1.0.0") as source:
            assert (source.version, readme(source)) == ("v1.0.0", "# A Worker\n")

    def test_has_a_reserved_address_when_none_is_known(self) -> None:
        with opened(None, None) as source:
            assert source.address == UNKNOWN_ADDRESS == "https://forge-workers.invalid/template.git"
            assert source.caveat.endswith(
                "copier update and Renovate need it: forge relink ADDRESS"
            )

    def test_has_the_address_that_forge_was_built_with(self, installed: Path) -> None:
        (installed / "address").write_text("git@example.org:team/forge.git\n")
        with opened(None, None) as source:
            assert source.address == "git@example.org:team/forge.git"
            assert source.caveat == ""

    @pytest.mark.parametrize(
        ("record", "address"),
        [
            (
                '{"url": "https://me:secret@example.org/forge", "vcs_info": {"vcs": "git"}}',
                "https://example.org/forge.git",
            ),
            ('{"url": "file:///home/me/forge", "vcs_info": {"vcs": "git"}}', UNKNOWN_ADDRESS),
            ('{"url": "https://example.org/forge.whl", "archive_info": {}}', UNKNOWN_ADDRESS),
            ("{", UNKNOWN_ADDRESS),
        ],
    )
    def test_has_the_address_of_the_repository_that_it_was_installed_from(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: str, address: str
    ) -> None:
        packages = {
            "forge_workers-9.dist-info/METADATA": "Name: forge-workers\nVersion: 9\n",
            "forge_workers-9.dist-info/direct_url.json": record,
        }
        write(tmp_path / "packages", packages)
        monkeypatch.syspath_prepend(tmp_path / "packages")
        assert own_address() == address

    @pytest.mark.parametrize(
        "written",
        ["https://example.org/team/forge.git", "https://EXAMPLE.org/team/forge",
         "git@example.org:team/forge", "ssh://git@example.org/team/forge.git"],
    )  # fmt: skip
    def test_serves_its_address_however_it_is_written(self, installed: Path, written: str) -> None:
        (installed / "address").write_text("git@example.org:team/forge.git")
        assert is_own(written)
        with repository(written, offline=True) as found:
            assert list(found.releases.values()) == ["v1.0.0", "v1.1.0"]
            assert found.at("v1.0.0").address == written

    def test_does_not_serve_another_address(self, installed: Path) -> None:
        (installed / "address").write_text("git@example.org:team/forge.git")
        assert not is_own("git@example.org:team/fork.git")
        with repository("git@example.org:team/fork.git", offline=True) as found:
            assert not found.releases

    def test_a_release_that_it_lacks_is_named_with_those_it_has(self) -> None:
        with (
            pytest.raises(UserError, match=r"v9: no such release here; .*: v1.0.0, v1.1.0"),
            repository(UNKNOWN_ADDRESS, offline=False) as found,
        ):
            found.at("v9")


class TestAnAddress:
    def test_has_releases_that_the_bundle_lacks(
        self, installed: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release(checkout, "v1.2.0")
        address = "https://example.org/team/forge.git"
        (installed / "address").write_text(address)
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{checkout}.insteadOf")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", address)
        with repository(address, offline=False) as found:
            assert found.newest == "v1.2.0"
            assert readme(found.at("v1.2.0")) == "# v1.2.0\n"
            assert readme(found.at("v1.1.0")) == "# v1.1.0\n"
        with repository(address, offline=True) as found:
            assert found.newest == "v1.1.0"

    def test_that_does_not_answer_leaves_the_bundle(self, installed: Path) -> None:
        (installed / "address").write_text("https://127.0.0.1:1/team/forge.git")
        with repository("https://127.0.0.1:1/team/forge.git", offline=False) as found:
            assert "127.0.0.1" in found.unreachable
            assert found.newest == "v1.1.0"

    def test_can_be_a_folder_that_has_more_than_releases(self, checkout: Path) -> None:
        release(checkout, "v2.0.0")
        (checkout / "template" / "README.md").write_text("later\n")
        commit(checkout)
        with repository(str(checkout), offline=False) as found:
            version = sources.described(checkout, git(checkout, "rev-parse", "main"))
            assert readme(found.at(version)) == "later\n"
            assert found.at(version).version == version

    @pytest.mark.parametrize(
        "address",
        ["ext::sh -c 'touch pwned'", "--upload-pack=touch pwned", "-oProxyCommand=x", "", "a b",
         "../forge", "file.git", "https://example.org/\n"],
    )  # fmt: skip
    def test_that_git_could_mistake_is_refused(self, address: str) -> None:
        with (
            pytest.raises(UserError, match="not a git address"),
            repository(address, offline=False),
        ):
            pass

    @pytest.mark.parametrize("ref", ["--all", "a..b", "", "v1 v2", "x" * 300, "v1\n"])
    def test_a_version_that_git_could_mistake_is_refused(self, checkout: Path, ref: str) -> None:
        with (
            pytest.raises(UserError, match="not a version"),
            repository(str(checkout), offline=False) as found,
        ):
            found.at(ref)


class TestAFolder:
    def test_outside_git_is_rendered_as_it_is(self, tmp_path: Path) -> None:
        folder = small_template(tmp_path / "plain")
        with opened(str(folder), None) as source:
            assert (source.root, source.address, source.version) == (folder, str(folder), None)
            assert "not a git repository" in source.caveat

    def test_gives_its_newest_release_not_its_work_tree(self, checkout: Path) -> None:
        (checkout / "template" / "README.md").write_text("uncommitted\n")
        with opened(str(checkout), None) as source:
            assert (source.version, readme(source)) == ("v1.0.0", "# A Worker\n")

    def test_gives_its_work_tree_as_head(self, checkout: Path) -> None:
        (checkout / "template" / "README.md").write_text("uncommitted\n")
        (checkout / "template" / "new.md").write_text("untracked\n")
        with opened(str(checkout), "HEAD") as source:
            assert readme(source) == "uncommitted\n"
            assert (source.root / "template" / "new.md").exists()
            assert "uncommitted changes" in source.caveat

    def test_ahead_of_its_release_is_never_recorded_as_a_bare_hash(self, checkout: Path) -> None:
        (checkout / "template" / "README.md").write_text("later\n")
        commit(checkout)
        short = git(checkout, "rev-parse", "--short=12", "HEAD")
        with opened(str(checkout), "HEAD") as source:
            assert source.version == f"v1.0.0-1-g{short}"
            assert "not a release" in source.caveat

    def test_without_any_release_is_recorded_as_after_version_zero(self, tmp_path: Path) -> None:
        checkout = git_repository(small_template(tmp_path / "checkout"))
        short = git(checkout, "rev-parse", "--short=12", "HEAD")
        with opened(str(checkout), None) as source:
            assert source.version == f"v0.0.0-1-g{short}"

    @pytest.mark.parametrize(
        ("origin", "address"),
        [
            ("https://github.com/team/forge", "https://github.com/team/forge.git"),
            ("https://me:secret@example.org/forge.git", "https://example.org/forge.git"),
            ("git@example.org:team/forge", "git@example.org:team/forge"),
        ],
    )
    def test_is_recorded_by_its_public_origin(
        self, checkout: Path, origin: str, address: str
    ) -> None:
        git(checkout, "remote", "add", "origin", origin)
        for ref in (None, "HEAD", "v1.0.0"):
            with opened(str(checkout), ref) as source:
                assert source.address == address

    @pytest.mark.parametrize("origin", [None, "/srv/forge.git", "file:///srv/forge.git"])
    def test_without_a_public_origin_says_that_updates_work_only_here(
        self, checkout: Path, origin: str | None
    ) -> None:
        if origin:
            git(checkout, "remote", "add", "origin", origin)
        with opened(str(checkout), None) as source:
            assert source.address == str(checkout)
            assert "works only here" in source.caveat

    def test_is_read_at_a_ref_as_it_was_then(self, checkout: Path) -> None:
        release(checkout, "v2.0.0")
        with opened(str(checkout), "v1.0.0") as source:
            assert (source.version, readme(source)) == ("v1.0.0", "# A Worker\n")


class TestAUrl:
    @pytest.mark.parametrize(
        ("tags", "chosen"),
        [
            (["v1.10.0", "v1.9.0"], "v1.10.0"),
            (["v2.0.0rc1"], "v1.0.0"),
            (["nightly"], "v1.0.0"),
        ],
    )
    def test_gives_its_newest_release(self, checkout: Path, tags: list[str], chosen: str) -> None:
        for tag in tags:
            release(checkout, tag)
        with opened(checkout.as_uri(), None) as source:
            assert source.version == chosen
            assert source.address == f"git+{checkout.as_uri()}"

    def test_gives_a_branch_when_told(self, checkout: Path) -> None:
        git(checkout, "checkout", "--quiet", "-b", "next")
        (checkout / "template" / "README.md").write_text("next")
        commit(checkout)
        git(checkout, "checkout", "--quiet", "main")
        with opened(checkout.as_uri(), "next") as source:
            assert readme(source) == "next"

    def test_of_a_well_known_host_can_be_abbreviated(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{checkout}.insteadOf")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/team/forge")
        with opened("gh:team/forge", None) as source:
            assert source.address == "https://github.com/team/forge.git"

    def test_leaves_nothing_behind(self, checkout: Path) -> None:
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
def test_a_template_that_is_not_there_is_named(
    tmp_path: Path, checkout: Path, template: str, ref: str | None, message: str
) -> None:
    plain = small_template(tmp_path / "plain")
    with (
        pytest.raises(UserError, match=message),
        opened(template.format(plain=plain, checkout=checkout), ref),
    ):
        pass


def test_a_checkout_of_forge_has_the_address_of_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_origin", lambda _: "https://example.org/team/forge.git")
    assert own_address() == "https://example.org/team/forge.git"
    monkeypatch.setattr(sources, "_origin", lambda _: None)
    assert own_address() == UNKNOWN_ADDRESS
