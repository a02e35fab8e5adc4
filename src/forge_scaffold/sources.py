"""Where templates come from: the released bundle, a git URL, a folder.

A template is rendered from a plain folder. What a project records of it (`_src_path` and `_commit`)
is an address and a release that teammates, CI and Renovate can use.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from shutil import copy2
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from forge_scaffold.addresses import public_address
from forge_scaffold.errors import UserError
from forge_scaffold.git import git
from forge_scaffold.printable import masked
from forge_scaffold.questions import Questionnaire

URL = re.compile(r"(?:(?:git\+)?(?:https?|ssh|git|file)://|[\w.-]+@[\w.-]+:(?!/))\S+")
_SHORTHANDS = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
_SCP_LIKE = re.compile(r"(?P<user>[\w.-]+@)(?P<host>[\w.-]+):(?P<path>\S+)")
# A tag, branch or commit as git names them: nothing that git could take for an option or a range.
_REF = re.compile(r"(?!-)(?!.*\.\.)[\w./+@-]{1,250}")

_DESCRIBED = re.compile(r".+-\d+-g[0-9a-f]{7,}")

UNKNOWN_ADDRESS = "https://forge-workers.invalid/template.git"
"""Recorded when a Forge was built without an address: a reserved name (RFC 2606), the same on every
machine. Forge serves it from its bundle; Copier and Renovate need `forge relink ADDRESS` first."""

LS_REMOTE_TIMEOUT = 20
"""Seconds to wait for the list of a repository's tags."""


@dataclass(frozen=True)
class Source:
    """A version of a template, as a plain folder.

    Attributes:
        root: the folder with copier.yml.
        address: recorded as `_src_path`.
        version: recorded as `_commit`: a release's tag, or `TAG-COUNT-gHASH` between releases;
            None outside git.
        caveat: what limits updates of a project made from it; empty when nothing does.
    """

    root: Path
    address: str
    version: str | None
    caveat: str = ""

    @cached_property
    def questionnaire(self) -> Questionnaire:
        """The questions of this version."""
        return Questionnaire.load(self.root / "copier.yml")


@contextmanager
def opened(template: str | None, ref: str | None) -> Iterator[Source]:
    """A template to render, until the block ends.

    Args:
        template: a folder or git URL; None for the template that Forge brings.
        ref: a tag, branch or commit. None is the newest release, or a folder as it stands when it
            has no release; "HEAD" is a folder as it stands, uncommitted changes included.

    Raises:
        UserError: there is no such template or ref.
    """
    with TemporaryDirectory(prefix="forge-") as scratch:
        if template and (url := _url(template)):
            yield _at(url, ref, Path(scratch))
        elif template:
            yield _from_folder(_folder(template), ref, Path(scratch))
        elif checkout := _checkout_for(ref):
            found = _from_folder(checkout, ref, Path(scratch))
            yield replace(found, address=own_address())
        else:
            with repository(own_address(), offline=True) as own:
                if ref is None or ref in own.releases.values() or own.address == UNKNOWN_ADDRESS:
                    yield own.at(ref or own.newest)
                else:
                    yield _at(own.address, ref, Path(scratch))


class Repository:
    """The repository of a template: its releases, and each as a folder.

    Releases that Forge brings are read from its bundle, all others from the address.
    """

    def __init__(self, address: str, scratch: Path, *, offline: bool) -> None:
        """Read what is there without a network, and the address's list of tags unless `offline`.

        Args:
            address: as projects record it, or a folder.
            scratch: an empty folder, kept as long as this object is used.
            offline: never ask the address.
        """
        self.address = address
        self.unreachable = ""
        """Why the address did not answer; empty when it did or was not asked."""
        self._scratch = scratch
        self._clone = scratch / "repository"
        self._sources: dict[str, Source] = {}
        # A folder is there without a network.
        self._offline = offline = offline and not Path(address).is_absolute()
        if is_own(address):
            bundle = releases_folder() / "template.bundle"
            git(
                scratch,
                "clone",
                "--quiet",
                "--template=",
                "--no-checkout",
                "--",
                str(bundle),
                "repository",
            )
        else:
            git(scratch, "init", "--quiet", "--template=", "repository")
        tags = set(git(self._clone, "tag", "--list").splitlines())
        if not offline and address != UNKNOWN_ADDRESS:
            tags |= self._tags_at_address()
        self.releases: Mapping[Version, str] = _released(tags)
        """The tag of each release, by its version; in ascending order."""

    def _tags_at_address(self) -> set[str]:
        query = ("ls-remote", "--tags", "--refs", "--", clone_url(self.address))
        try:
            answer = git(self._scratch, *query, timeout=LS_REMOTE_TIMEOUT)
        except UserError as error:
            self.unreachable = str(error)
            return set()
        return {line.rpartition("refs/tags/")[2] for line in answer.splitlines()}

    @property
    def newest(self) -> str:
        """The tag of the newest release.

        Raises:
            UserError: there is none.
        """
        if not self.releases:
            reason = f" ({self.unreachable})" if self.unreachable else ""
            raise UserError(f"{self.address}: no release found{reason}")
        return self.releases[max(self.releases)]

    def at(self, ref: str) -> Source:
        """The template at a tag, branch or commit; always the same object.

        Raises:
            UserError: neither the bundle nor the address has it.
        """
        if ref not in self._sources:
            self._sources[ref] = self._source(ref)
        return self._sources[ref]

    def _source(self, ref: str) -> Source:
        commit = self._commit(ref)
        root = self._scratch / commit
        if not root.exists():
            _check_out(self._clone, commit, root)
        is_recorded = ref in self.releases.values() or _DESCRIBED.fullmatch(ref)
        version = ref if is_recorded else described(self._clone, commit)
        caveat = _caveat_of(version) or without_address(self.address)
        return Source(root, self.address, version, caveat)

    def _commit(self, ref: str) -> str:
        if not _REF.fullmatch(ref):
            raise UserError(f"{ref!r}: not a version, tag, branch or commit")
        with suppress(UserError):
            return _resolved(self._clone, ref)
        if self._offline or self.unreachable or self.address == UNKNOWN_ADDRESS:
            known = ", ".join(self.releases.values()) or "none"
            raise UserError(f"{ref}: no such release here; known without the network: {known}")
        with suppress(UserError):  # a release needs no history
            self._fetch("--depth=1", "--no-tags", f"refs/tags/{ref}:refs/tags/{ref}")
            return _resolved(self._clone, ref)
        self._fetch("--no-tags", "+refs/heads/*:refs/remotes/origin/*")
        try:
            return _resolved(self._clone, ref)
        except UserError:
            known = ", ".join(self.releases.values()) or "none"
            raise UserError(f"{ref}: {self.address} has no such version; it has {known}") from None

    def _fetch(self, *what: str) -> None:
        *options, refspec = what
        url = clone_url(self.address)
        git(self._clone, "fetch", "--quiet", "--no-write-fetch-head", *options, "--", url, refspec)


@contextmanager
def own_template() -> Iterator[Path]:
    """The newest release that Forge brings, until the block ends: the folder with copier.yml."""
    with opened(None, None) as source:
        yield source.root


@contextmanager
def current_template() -> Iterator[Source]:
    """The template that goes with this Forge, released or not, until the block ends.

    That of the checkout it runs from, uncommitted changes included, or what the package carries.
    """
    carried = Path(__file__).resolve().parent / "template"
    if carried.is_dir():
        yield Source(carried, own_address(), None)
    else:
        with opened(None, "HEAD") as source:
            yield source


@contextmanager
def repository(address: str, *, offline: bool) -> Iterator[Repository]:
    """The repository at an address, until the block ends.

    Raises:
        UserError: the address is none that Forge reads.
    """
    if not (URL.fullmatch(address) or (Path(address).is_absolute() and Path(address).is_dir())):
        raise UserError(f"{address!r}: not a git address; use https://....git or git@host:path")
    with TemporaryDirectory(prefix="forge-") as scratch:
        yield Repository(address, Path(scratch), offline=offline)


def releases_folder() -> Path:
    """The folder with the released versions: in the package, or in the checkout it runs from."""
    package = Path(__file__).resolve().parent
    packaged = package / "releases"
    return packaged if packaged.is_dir() else package.parents[1] / "releases"


def own_address() -> str:
    """The address of the template that Forge brings.

    That of the checkout it runs from, else the one that it was built with, else the repository that
    it was installed from.
    """
    if checkout := _own_checkout():
        return _origin(checkout) or UNKNOWN_ADDRESS
    with suppress(OSError):
        built_with = (releases_folder() / "address").read_text(encoding="utf-8").strip()
        return public_address(built_with) or UNKNOWN_ADDRESS
    return _installed_from() or UNKNOWN_ADDRESS


def _installed_from() -> str | None:
    """The git repository that pip or uv installed Forge from, as they record it (PEP 610)."""
    from importlib.metadata import PackageNotFoundError, distribution

    with suppress(PackageNotFoundError, ValueError):
        record = json.loads(distribution("forge-workers").read_text("direct_url.json") or "{}")
        return public_address(record["url"]) if "vcs_info" in record else None
    return None


def is_own(address: str) -> bool:
    """Whether the bundle holds the releases of this address."""
    own = own_address()
    return address == UNKNOWN_ADDRESS or (own != UNKNOWN_ADDRESS and _place(address) == _place(own))


def _place(address: str) -> tuple[str, str]:
    """Host and path of an address, the same for each way to write it."""
    if scp := _SCP_LIKE.fullmatch(address):
        host, path = scp["host"], scp["path"]
    else:
        parts = urlsplit(clone_url(address))
        host, path = parts.hostname or "", parts.path
    return host.lower(), path.strip("/").removesuffix(".git")


def clone_url(address: str) -> str:
    """The URL that git reads for an address."""
    return address.removeprefix("git+")


def _url(template: str) -> str | None:
    for shorthand, host in _SHORTHANDS.items():
        if template.startswith(shorthand):
            return f"{host}{template.removeprefix(shorthand)}"
    return template if URL.fullmatch(template) else None


def _at(url: str, ref: str | None, scratch: Path) -> Source:
    """A URL's newest release, or its default branch when it has none, or at `ref`."""
    git(scratch, "clone", "--quiet", "--no-checkout", "--", clone_url(url), "repository")
    found = _at_commit(scratch / "repository", ref, scratch)
    if not (found.root / "copier.yml").is_file():
        raise UserError(f"--template {masked(url)}: no copier.yml there")
    # Of a file: URL only Copier's own spelling is known to be a repository.
    return replace(found, address=public_address(url) or f"git+{clone_url(url)}")


def _from_folder(folder: Path, ref: str | None, scratch: Path) -> Source:
    if not (folder / ".git").exists():
        if ref:
            raise UserError(f"--ref {ref}: {folder} is not a git repository")
        return Source(
            folder, str(folder), None, f"{folder} is not a git repository: update needs one"
        )
    address = _origin(folder) or str(folder)
    if ref == "HEAD" or (ref is None and not _released(git(folder, "tag").splitlines())):
        return _as_it_stands(folder, address, scratch)
    git(scratch, "clone", "--quiet", "--no-checkout", "--", str(folder), "repository")
    found = _at_commit(scratch / "repository", ref, scratch)
    if address == str(folder):
        found = replace(found, caveat=f"only {folder} has this template: update works only here")
    return replace(found, address=address)


def _as_it_stands(folder: Path, address: str, scratch: Path) -> Source:
    """The work tree of a repository: all that git does not ignore."""
    root = scratch / "work-tree"
    listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (folder / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            copy2(folder / name, root / name, follow_symlinks=False)
    version = described(folder, _resolved(folder, "HEAD"))
    template = Questionnaire.load(folder / "copier.yml").subdirectory
    if git(folder, "status", "--porcelain", "--", "copier.yml", template):
        caveat = f"made from uncommitted changes in {folder}: an update cannot find them again"
    else:
        caveat = _caveat_of(version)
    return Source(root, address, version, caveat)


def _at_commit(clone: Path, ref: str | None, scratch: Path) -> Source:
    releases = _released(git(clone, "tag", "--list").splitlines())
    if ref is None:
        ref = releases[max(releases)] if releases else "HEAD"
    commit = _resolved(clone, ref)
    root = scratch / "template"
    _check_out(clone, commit, root)
    version = ref if ref in releases.values() else described(clone, commit)
    return Source(root, "", version, _caveat_of(version))


def _check_out(clone: Path, commit: str, root: Path) -> None:
    root.mkdir()
    # The user's line endings are for the user's repositories.
    options = ("-c", "core.autocrlf=false", "-c", "core.eol=lf", f"--work-tree={root}")
    git(clone, *options, "checkout", "--quiet", "--force", commit, "--", ".")


def _resolved(repository: Path, ref: str) -> str:
    """The commit that a tag, branch or commit names.

    Raises:
        UserError: nothing has that name.
    """
    if _REF.fullmatch(ref):
        for candidate in (f"refs/tags/{ref}", ref, f"origin/{ref}"):
            with suppress(UserError):
                return git(
                    repository, "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}"
                )
    raise UserError(f"--ref {ref}: no such tag, branch or commit in the template")


def described(repository: Path, commit: str) -> str:
    """A commit as a project records it: its release, or `TAG-COUNT-gHASH` after the last one.

    git and Copier read that form; a bare hash may look like a version.
    """
    merged = _released(git(repository, "tag", "--merged", commit).splitlines())
    newest = merged[max(merged)] if merged else None
    span = f"refs/tags/{newest}..{commit}" if newest else commit
    count = git(repository, "rev-list", "--count", span)
    if newest and count == "0":
        return newest
    return f"{newest or 'v0.0.0'}-{count}-g{commit[:12]}"


def _caveat_of(version: str) -> str:
    if parsed_version(version):
        return ""
    return f"{version} is not a release: update waits for the next one"


def without_address(address: str) -> str:
    """What others than Forge need before they can update a project; empty when nothing."""
    if address != UNKNOWN_ADDRESS:
        return ""
    needed = "copier update and Renovate need it: forge relink ADDRESS"
    return f"the template's address is not known; {needed}"


def parsed_version(tag: str) -> Version | None:
    """The version that a tag names (PEP 440); None when it names none."""
    with suppress(InvalidVersion):
        return Version(tag)
    return None


def _released(tags: "set[str] | list[str]") -> dict[Version, str]:
    """Of the tags those that are released versions, in ascending order, as Copier chooses them."""
    found = {
        version: tag
        for tag in sorted(tags)
        if (version := parsed_version(tag)) and not version.is_prerelease
    }
    return dict(sorted(found.items()))


def _origin(checkout: Path) -> str | None:
    """The address that others can use for a checkout: where it was cloned from."""
    with suppress(UserError):
        return public_address(git(checkout, "config", "--get", "remote.origin.url"))
    return None


def _folder(template: str) -> Path:
    root = Path(template).expanduser().resolve()
    if not (root / "copier.yml").is_file():
        raise UserError(f"--template {template}: no copier.yml there; name a folder or a git URL")
    return root


def _own_checkout() -> Path | None:
    """The checkout that this program runs from; None when it is installed."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "copier.yml").is_file() and (root / ".git").exists() else None


def _checkout_for(ref: str | None) -> Path | None:
    """The checkout to read `ref` from, unless the bundle has it."""
    if ref is None or parsed_version(ref):
        return None
    return _own_checkout()
