"""Cut a release: version, changelog, template bundle, commit, tag, wheel and sdist, in one command.

    ./uvw run --group dev python scripts/release.py 0.2.0 [--dry-run]
    ./uvw run --group dev python scripts/release.py --retag

Refuses what would harm the projects made from the template, and tests the release against every
earlier one (tests/releases). A failure or Ctrl-C leaves the repository as it was.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

from packaging.version import InvalidVersion, Version

from forge_scaffold.signals import held_signals

BUNDLE = Path("releases", "template.bundle")
CHANGELOG = Path("CHANGELOG.md")
MANIFEST = Path("pyproject.toml")
TEMPLATE = ("copier.yml", "template")

UNRELEASED = re.compile(r"^## Unreleased\n(?P<entries>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^- \S", re.MULTILINE)
TEMPLATE_ENTRY = re.compile(r"^- Template: \S", re.MULTILINE)
VERSION = re.compile(r'^version = "(.+)"$', re.MULTILINE)
RELEASE_SUBJECT = re.compile(r"release: v(\d+\.\d+\.\d+)")

# The bundle is the same whoever writes it.
NOBODY: Mapping[str, str] = {
    "GIT_AUTHOR_NAME": "Forge",
    "GIT_AUTHOR_EMAIL": "forge@forge-workers.invalid",
    "GIT_COMMITTER_NAME": "Forge",
    "GIT_COMMITTER_EMAIL": "forge@forge-workers.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class ReleaseError(Exception):
    """The release cannot be cut; the message says why and what to do."""


@dataclass(frozen=True)
class Release:
    """A release to cut."""

    root: Path
    version: Version
    day: date

    @property
    def tag(self) -> str:
        """The tag of the release, here and in the bundle."""
        return f"v{self.version}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Cut the release that the command line names."""
    parser = argparse.ArgumentParser(description="Cut a release in one command.")
    parser.add_argument("version", nargs="?", help="the version to release, such as 0.2.0")
    parser.add_argument(
        "--dry-run", action="store_true", help="do everything, tests included, then undo it"
    )
    parser.add_argument(
        "--retag", action="store_true", help="create missing tags on the release commits"
    )
    args = parser.parse_args(arguments)
    if bool(args.version) == args.retag:
        parser.error("name either a version or --retag")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    try:
        root = Path(git(Path(), "rev-parse", "--show-toplevel"))
        if args.retag:
            retag(root)
        else:
            cut(Release(root, final_version(args.version), today()), dry_run=args.dry_run)
    except ReleaseError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("stopped; nothing was changed", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def today() -> date:
    """The day of the release, the same everywhere."""
    return datetime.now(UTC).date()


def cut(release: Release, *, dry_run: bool) -> None:
    """Cut a release, or rehearse it.

    Raises:
        ReleaseError: the repository is not ready, or a step failed. Nothing was changed.
    """
    check(release)
    root = release.root
    with restored(root, (MANIFEST, CHANGELOG, BUNDLE)) as keep, TemporaryDirectory() as built:
        changelog = root / CHANGELOG
        manifest = root / MANIFEST
        changelog.write_text(dated(changelog.read_text(encoding="utf-8"), release), "utf-8")
        manifest.write_text(numbered(manifest.read_text(encoding="utf-8"), release), "utf-8")
        add_release(root / BUNDLE, root, "HEAD", release.tag, release.day)
        say("Testing updates from every earlier release ...")
        run(root, [sys.executable, "-m", "pytest", "-q", "tests/releases"], "tests/releases failed")
        say("Building the wheel and the sdist ...")
        build = [sys.executable, "-m", "hatchling", "build", "--directory", built]
        run(root, build, "the build failed")
        if dry_run:
            print(f"{release.tag} can be released. Nothing was changed.")
            return
        distributions = sorted(Path(built).iterdir())
        copies = [Path("dist", path.name) for path in distributions]
        with restored(root, copies) as keep_copies, held_signals():
            (root / "dist").mkdir(exist_ok=True)
            for path, copy in zip(distributions, copies, strict=True):
                shutil.copy(path, root / copy)
            commit_and_tag(release)
            keep_copies()
            keep()
    print(f"Released {release.tag}: commit {git(root, 'rev-parse', '--short', 'HEAD')}")
    for copy in copies:
        print(f"  {copy}")
    print(f"Next: git push --atomic origin HEAD {release.tag}")


def final_version(text: str) -> Version:
    """A version as a release may have it.

    Raises:
        ReleaseError: it is not of the form X.Y.Z.
    """
    try:
        version = Version(text)
    except InvalidVersion:
        version = None
    if version is None or str(version) != text or not re.fullmatch(r"\d+\.\d+\.\d+", text):
        raise ReleaseError(f"{text}: use X.Y.Z, a final version without a prefix, such as 0.2.0")
    return version


def check(release: Release) -> None:
    """Refuse what must not be released.

    Raises:
        ReleaseError: for every reason at once.
    """
    root, tag = release.root, release.tag
    problems = []
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        problems.append("this clone is shallow: git fetch --unshallow --tags")
    if changed := git(root, "status", "--porcelain"):
        problems.append(f"there are uncommitted changes; commit or stash them:\n{changed}")
    commits = release_commits(root)
    if release.version in commits:
        problems.append(
            f"{tag} is released, in commit {commits[release.version][:10]}; "
            "--retag creates its tag where it is missing"
        )
    elif git(root, "tag", "--list", tag):
        problems.append(
            f"the tag {tag} exists, and its commit is not a release; delete it: git tag -d {tag}"
        )
    newest = max([*commits, *versions(git(root, "tag", "--list").splitlines())], default=None)
    if newest and release.version < newest:
        problems.append(f"{release.version} is not newer than {newest}, the newest release")
    problems += changelog_problems(release)
    if problems:
        raise ReleaseError("\n".join(problems))


def changelog_problems(release: Release) -> Iterator[str]:
    """What the changelog lacks: any entry, or one for a change of the template."""
    root = release.root
    section = UNRELEASED.search((root / CHANGELOG).read_text(encoding="utf-8"))
    if not section or not ENTRY.search(section["entries"]):
        yield f"{CHANGELOG}: nothing under ## Unreleased; say what the release changes"
    elif template_changed(release) and not TEMPLATE_ENTRY.search(section["entries"]):
        yield (
            f"{CHANGELOG}: the template changed since the last release, and no entry under "
            "## Unreleased begins with `- Template: `; say what an update brings"
        )


def template_changed(release: Release) -> bool:
    """Whether the template differs from the newest release in the bundle before this one."""
    with Releases.of(release.root / BUNDLE, release.root) as releases:
        previous = releases.before(release.tag)
        return not previous or releases.tree(previous) != releases.template_tree("HEAD")


def dated(changelog: str, release: Release) -> str:
    """The changelog with what is unreleased under the release's own heading."""
    heading = f"## Unreleased\n\n## {release.version} - {release.day:%Y-%m-%d}\n"
    return changelog.replace("## Unreleased\n", heading, 1)


def numbered(manifest: str, release: Release) -> str:
    """The manifest with the release's version.

    Raises:
        ReleaseError: it has no version, or several.
    """
    text, count = VERSION.subn(f'version = "{release.version}"', manifest)
    if count != 1:
        raise ReleaseError(f'{MANIFEST}: {count} lines of the form version = "...", not one')
    return text


def commit_and_tag(release: Release) -> None:
    """Commit the release's files and tag the commit; neither without the other."""
    root = release.root
    before = git(root, "rev-parse", "HEAD")
    git(root, "add", "--", str(MANIFEST), str(CHANGELOG), str(BUNDLE))
    try:
        git(root, "commit", "--quiet", f"--message=release: {release.tag}")
        create_tag(root, release.tag, "HEAD")
    except ReleaseError:
        git(root, "reset", "--quiet", "--soft", before)
        git(root, "reset", "--quiet")
        raise


def create_tag(root: Path, tag: str, commit: str) -> None:
    """Tag a release commit. Whoever does it later creates the same tag."""
    name, email, moment = git(root, "show", "-s", "--format=%cn%n%ce%n%cI", commit).splitlines()
    tagger = {
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        "GIT_COMMITTER_DATE": moment,
    }
    git(root, "tag", "--annotate", "--no-sign", f"--message={tag}", tag, commit, variables=tagger)


def retag(root: Path) -> None:
    """Create the tags that release commits lack.

    Raises:
        ReleaseError: a tag is elsewhere, or the bundle has another template for a release.
    """
    commits = release_commits(root)
    if not commits:
        raise ReleaseError("no commit in this history is a release (release: vX.Y.Z)")
    existing = git(root, "tag", "--list").splitlines()
    with Releases.of(root / BUNDLE, root) as releases:
        for version, commit in sorted(commits.items()):
            tag, short = f"v{version}", commit[:10]
            if tag not in releases.tags():
                raise ReleaseError(f"{BUNDLE} has no {tag}")
            if releases.tree(tag) != releases.template_tree(commit):
                raise ReleaseError(f"{BUNDLE} has another template for {tag} than {short}")
            if tag not in existing:
                create_tag(root, tag, commit)
                print(f"Tagged {short} as {tag}")
            elif (tagged := git(root, "rev-parse", f"{tag}^{{commit}}")) != commit:
                raise ReleaseError(
                    f"{tag} is at {tagged[:10]}, but the release is {short}; "
                    f"delete the tag first: git tag -d {tag}"
                )


def release_commits(root: Path) -> dict[Version, str]:
    """The commits of this history that are releases."""
    found: dict[Version, str] = {}
    for line in git(root, "log", "--format=%H %s", "--grep=^release: v").splitlines():
        commit, _, subject = line.partition(" ")
        if match := RELEASE_SUBJECT.fullmatch(subject):
            found.setdefault(Version(match[1]), commit)
    return found


def versions(tags: Iterable[str]) -> dict[Version, str]:
    """The tags that are versions of a release."""
    return {Version(tag): tag for tag in tags if re.fullmatch(r"v\d+\.\d+\.\d+", tag)}


def add_release(bundle: Path, repository: Path, commit: str, tag: str, day: date) -> None:
    """Add a release to the bundle: a commit whose tree is copier.yml and template/.

    Its parent is the release before it. The same inputs give the same commits.

    Args:
        bundle: the file; it is created, or replaced in one step.
        repository: where the template is.
        commit: the commit of `repository` to take it from.
        tag: the release's tag, vX.Y.Z.
        day: the release's date.
    """
    with Releases.of(bundle, repository) as releases:
        releases.add(tag, releases.template_tree(commit), day)
        bundle.parent.mkdir(parents=True, exist_ok=True)
        releases.write(bundle)


@dataclass(frozen=True)
class Releases:
    """The releases in the bundle, unpacked.

    Attributes:
        folder: a scratch repository.
        repository: where the template comes from; its objects are read where they are.
    """

    folder: Path
    repository: Path

    @classmethod
    @contextmanager
    def of(cls, bundle: Path, repository: Path) -> Iterator["Releases"]:
        """Unpack a bundle until the block ends; without one there are no releases."""
        with TemporaryDirectory(prefix="forge-release-") as folder:
            releases = cls(Path(folder), repository)
            releases.git("init", "--quiet", "--bare", "--initial-branch=main")
            if bundle.exists():
                releases.git("fetch", "--quiet", str(bundle.resolve()), "+refs/*:refs/*")
            yield releases

    def git(self, *arguments: str, given: str = "", moment: str = "") -> str:
        """Run git in the scratch repository, without anybody's configuration."""
        objects = self.repository / git(self.repository, "rev-parse", "--git-path", "objects")
        variables = {
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects.resolve()),
            "GIT_AUTHOR_DATE": moment,
            "GIT_COMMITTER_DATE": moment,
            **NOBODY,
        }
        return git(self.folder, *arguments, given=given, variables=variables)

    def tags(self) -> list[str]:
        """The tags of all releases, oldest first."""
        found = versions(self.git("tag", "--list").splitlines())
        return [found[version] for version in sorted(found)]

    def before(self, tag: str) -> str | None:
        """The tag of the release before this one."""
        earlier = [each for each in self.tags() if Version(each) < Version(tag)]
        return earlier[-1] if earlier else None

    def tree(self, tag: str) -> str:
        """The id of a release's tree."""
        return self.git("rev-parse", f"{tag}^{{tree}}")

    def template_tree(self, commit: str) -> str:
        """The id of the tree that a commit of the repository would be released with.

        Raises:
            ReleaseError: the commit has no template.
        """
        listed = git(self.repository, "ls-tree", commit, "--", *TEMPLATE)
        if len(listed.splitlines()) != len(TEMPLATE):
            raise ReleaseError(f"{commit} does not have {' and '.join(TEMPLATE)}")
        return self.git("mktree", given=f"{listed}\n")

    def add(self, tag: str, tree: str, day: date) -> None:
        """Add a release after those before it."""
        previous = self.before(tag)
        parent = ("-p", previous) if previous else ()
        midnight = f"{day:%Y-%m-%d}T00:00:00Z"
        commit = self.git("commit-tree", *parent, "-m", tag, tree, moment=midnight)
        self.git("update-ref", "refs/heads/main", commit)
        self.git("update-ref", f"refs/tags/{tag}", commit)

    def write(self, bundle: Path) -> None:
        """Write a bundle that git can clone; git replaces the file in one step."""
        create = ("-c", "pack.threads=1", "bundle", "create", "--quiet", str(bundle.resolve()))
        self.git(*create, "HEAD", "main", "--tags")


@contextmanager
def restored(root: Path, paths: Iterable[Path]) -> Iterator[Callable[[], None]]:
    """Restore files when the block ends, however it ends; unless it calls what it is given."""
    before = {
        root / path: (root / path).read_bytes() if (root / path).exists() else None
        for path in paths
    }
    try:
        yield before.clear
    finally:
        with held_signals():
            for path, content in before.items():
                if content is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_bytes(content)


def say(text: str) -> None:
    """Tell what is going on."""
    print(text, file=sys.stderr, flush=True)


def run(root: Path, command: Sequence[str], failure: str) -> None:
    """Run a step; its output goes to stderr.

    Raises:
        ReleaseError: it failed.
    """
    if subprocess.run(command, cwd=root, check=False, stdout=sys.stderr.fileno()).returncode:
        raise ReleaseError(f"{failure}; nothing was changed")


def git(
    folder: Path, *arguments: str, given: str = "", variables: Mapping[str, str] | None = None
) -> str:
    """What git prints.

    Raises:
        ReleaseError: it failed; with its own words.
    """
    process = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **(variables or {})},
        input=given,
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    if process.returncode:
        words = process.stderr.strip() or process.stdout.strip()
        raise ReleaseError(f"git {arguments[0]} failed: {words}")
    return process.stdout.rstrip("\n")


if __name__ == "__main__":
    main()
