"""Where a template comes from, and what Copier will remember of it.

A template is always rendered from a checkout on this machine. What the project remembers
(`_src_path`) is what its team can use: the address of the repository when that commit can be
fetched from there, the folder otherwise.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

from packaging.version import InvalidVersion, Version

from forge_scaffold.errors import UserError
from forge_scaffold.git import environment, git
from forge_scaffold.questions import Questionnaire

URL = re.compile(r"(?:(?:git\+)?(?:https?|ssh|git|file)://|[\w.-]+@[\w.-]+:)\S+")


@dataclass(frozen=True)
class Source:
    """A template on this machine, and how a project made from it will find it again.

    Attributes:
        root: the folder with copier.yml.
        address: what the project remembers: a git URL that Copier understands, or the folder.
        ref: the commit to render; "HEAD" for the folder with its changes; None outside git.
        caveat: what is to know about `copier update`; empty when it works for everybody.
    """

    root: Path
    address: str
    ref: str | None
    caveat: str = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables under which git reads the remembered address from this machine."""
        if not URL.fullmatch(self.address):
            return {}
        count = int(environment().get("GIT_CONFIG_COUNT") or 0)
        return {
            "GIT_CONFIG_COUNT": str(count + 1),
            f"GIT_CONFIG_KEY_{count}": f"url.{self.root}.insteadOf",
            f"GIT_CONFIG_VALUE_{count}": clone_url(self.address),
        }


@contextmanager
def opened(template: str | None, ref: str | None) -> Iterator[Source]:
    """The template to use, until the block ends.

    Args:
        template: a folder or git URL; None for the template that came with this program.
        ref: a tag, branch or commit; None for a folder as it stands, or a URL's latest release.

    Raises:
        UserError: there is no such template or ref.
    """
    with TemporaryDirectory(prefix="forge-") as scratch:
        if template and URL.fullmatch(template):
            yield _cloned(template.removeprefix("git+"), ref, Path(scratch))
        elif ref:
            yield _at_ref(_folder(template), ref, Path(scratch))
        else:
            yield _as_it_stands(_folder(template))


def _folder(template: str | None) -> Path:
    root = Path(template).expanduser().resolve() if template else own_checkout()
    if not (root / "copier.yml").is_file():
        place = f"--template {template}" if template else str(root)
        raise UserError(f"{place}: no copier.yml there; name a folder or git URL with --template")
    return root


def own_checkout() -> Path:
    """The checkout that this program runs from."""
    return Path(__file__).resolve().parents[2]


def _as_it_stands(root: Path) -> Source:
    if not _is_repository(root):
        return Source(root, str(root), None, f"{root} is not a git repository: update needs one")
    template = Questionnaire.load(root / "copier.yml").subdirectory
    if git(root, "status", "--porcelain", "--", "copier.yml", template):
        return Source(
            root,
            str(root),
            "HEAD",
            f"made from uncommitted changes in {root}: update will not find them again",
        )
    return _remembered(root, git(root, "rev-parse", "HEAD"))


def _at_ref(root: Path, ref: str, scratch: Path) -> Source:
    if not _is_repository(root):
        raise UserError(f"--ref {ref}: {root} is not a git repository")
    commit = _commit(root, ref)
    git(scratch, "clone", "--quiet", "--no-checkout", "--", str(root), "template")
    clone = scratch / "template"
    git(clone, "checkout", "--quiet", "--detach", commit)
    return replace(_remembered(root, commit), root=clone)


def _cloned(url: str, ref: str | None, scratch: Path) -> Source:
    git(scratch, "clone", "--quiet", "--no-checkout", "--", url, "template")
    clone = scratch / "template"
    commit = _commit(clone, ref or _latest_release(clone) or "HEAD")
    git(clone, "checkout", "--quiet", "--detach", commit)
    if not (clone / "copier.yml").is_file():
        raise UserError(f"--template {url}: no copier.yml there")
    return Source(clone, copier_address(url), commit)


def _remembered(root: Path, commit: str) -> Source:
    """A commit of a checkout, with its origin as the address when it can be fetched from there."""
    try:
        origin = git(root, "config", "--get", "remote.origin.url")
        published = git(root, "branch", "--remotes", "--list", "origin/*", "--contains", commit)
    except UserError:
        origin = published = ""
    if published and URL.fullmatch(origin):
        return Source(root, copier_address(origin), commit)
    return Source(root, str(root), commit, f"only {root} has this version: update works only here")


def copier_address(url: str) -> str:
    """A git URL as Copier recognises it and as a project may remember it: without credentials."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    recognised = url.startswith(("git@", "git://", "git+")) or url.endswith(".git")
    return url if recognised else f"git+{url}"


def clone_url(address: str) -> str:
    """The URL that Copier hands to git for an address."""
    return address.removeprefix("git+")


def _latest_release(root: Path) -> str | None:
    """The newest tag that is a released version (PEP 440), as Copier would choose it."""
    versions: dict[Version, str] = {}
    for tag in git(root, "tag", "--list").splitlines():
        try:
            version = Version(tag)
        except InvalidVersion:
            continue
        if not version.is_prerelease:
            versions[version] = tag
    return versions[max(versions)] if versions else None


def _commit(root: Path, ref: str) -> str:
    for candidate in (ref, f"origin/{ref}"):
        try:
            return git(root, "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}")
        except UserError:
            continue
    raise UserError(f"--ref {ref}: no such tag, branch or commit in the template")


def _is_repository(root: Path) -> bool:
    """Whether `root` is the top of a git work tree."""
    return (root / ".git").exists()
