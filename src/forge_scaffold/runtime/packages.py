"""What a foreign Worker imports, installed from the package index for the Workers platform."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from packaging.requirements import Requirement

from forge_scaffold.audit.imports import scan
from forge_scaffold.declarations import inputs
from forge_scaffold.declarations.dependency import Dependency
from forge_scaffold.declarations.locks import locked_versions
from forge_scaffold.errors import UserError
from forge_scaffold.packages.cache import cache_folder, whole_folder
from forge_scaffold.packages.distributions import modules_of
from forge_scaffold.packages.process import environment
from forge_scaffold.packages.pyodide import ENVIRONMENT, known_to_pyodide
from forge_scaffold.packages.resolve import Index, Tree
from forge_scaffold.project import Project
from forge_scaffold.runtime.cache import hold
from forge_scaffold.runtime.harness import CACHE, Progress, completed

VENDORED = "python_modules"
SDK = "workers-runtime-sdk"
PYTHON = ENVIRONMENT["python_version"]

# Where a project lists what its tests need.
TEST_GROUPS = frozenset({"dev", "develop", "development", "test", "testing", "tests"})

PYODIDE_INDEX = "https://index.pyodide.org"
"""Has wheels of the packages that Pyodide builds; pywrangler installs from there, too."""

_UNREACHABLE = "which did not answer"
_COMPILED = re.compile(r"\.cpython-3(\d+)-.*\.so$")


@dataclass(frozen=True)
class Packages:
    """Folders of packages; the first one that has a module wins.

    Attributes:
        worker: what the Worker imports.
        tests: what only its tests import.
        notes: what the user needs to know, a sentence each.
    """

    worker: tuple[Path, ...]
    tests: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Installed:
    """A folder that pip has filled.

    Attributes:
        folder: the folder.
        names: the packages in it, as PEP 503 normalises them.
        notes: what the user needs to know, a sentence each.
    """

    folder: Path
    names: frozenset[str]
    notes: tuple[str, ...]


def packages(project: Project, home: Path, progress: Progress, *, tests: bool) -> Packages:
    """What a Worker imports: its python_modules/, or what it declares.

    Args:
        project: the Worker.
        home: the harness's folder.
        progress: shows what takes a moment.
        tests: whether its tests are to run, too.

    Raises:
        UserError: a file of the project cannot be read, or the packages cannot be installed.
    """
    vendored = project.root / VENDORED
    declared = _declared(project, TEST_GROUPS)
    notes = [
        f"{each.name} is left out: {each.problem}"
        for each in declared
        if each.problem and not each.group
    ]
    declared = [each for each in declared if not each.problem]
    own = [each for each in declared if not each.group]
    other = _other_python(vendored)
    sdk = next(pin.declared for pin in _pins(home / "requirements/worker.txt") if pin.name == SDK)
    folders: tuple[Path, ...]
    if any(vendored.glob("*")) and not other:
        names = frozenset(each.name for each in own)
        folders = (vendored,)
        if not (vendored / "workers").is_dir():
            folders += (_installed([sdk], progress).folder,)
    else:
        if other:
            notes.append(f"{VENDORED}/ is for Python {other}: it is not used, and stays as it is")
        platform = [] if any(each.name == SDK for each in own) else [sdk]
        needed = [*(each.declared for each in own), *platform]
        locked = locked_versions(project.root)
        if platform:
            locked.pop(SDK, None)
        found = _installed(needed, progress, locked)
        names, folders = found.names, (found.folder,)
        notes += found.notes
    if not tests:
        return Packages(folders, (), tuple(notes))
    lock = home / "requirements/test.txt"
    known = names | {pin.name for pin in _pins(lock)}
    imported = frozenset(one.name.partition(".")[0] for one in scan(project.root).imports)
    besides = [
        each.requirement
        for each in declared
        if each.group and each.name not in known and _may_matter(each.name, imported)
    ]
    test_folders = [_locked(lock, progress)]
    if besides:
        found = _installed(besides, progress, without=known)
        test_folders.insert(0, found.folder)
        notes += found.notes
    return Packages(folders, tuple(test_folders), tuple(notes))


def _declared(project: Project, groups: frozenset[str]) -> list[Dependency]:
    """What the project declares, with those of its extras and dependency groups of these names."""
    try:
        read = inputs.read(project.root, frozenset({"all"}), frozenset({"all"}))
    except UserError:
        if any(project.has(name) for name in ("pyproject.toml", "requirements.txt")):
            raise
        return []
    return [
        each
        for each in read.dependencies
        if not each.group or each.group.partition(" ")[2].casefold() in groups
    ]


def _installed(
    requirements: Sequence[str],
    progress: Progress,
    locked: Mapping[str, str] = MappingProxyType({}),
    without: frozenset[str] = frozenset(),
) -> Installed:
    """Requirements and all that they need, in a folder of the cache.

    The folder is kept for these requirements: what was resolved once stays, as with a lock.

    Args:
        requirements: what to install.
        progress: shows what takes a moment.
        locked: the versions to install, if all of them run in a Worker.
        without: names of packages that are there already.
    """
    constraints = "".join(f"{name}=={version}\n" for name, version in sorted(locked.items()))
    target = _folder("packages", [*requirements, constraints, *sorted(without)])
    if not hold(target):
        title = "Installing the packages for Workers, once ..."
        with progress(title), whole_folder(target) as folder:
            (folder / "constraints.txt").write_text(constraints, "utf-8")
            installed = _fill(folder, requirements, without)
            if any(_UNREACHABLE in note for note in installed["notes"]):
                installed["notes"].append(f"to ask it again, remove {target}")
            (folder / "installed.json").write_text(json.dumps(installed), "utf-8")
        hold(target)
    kept = json.loads((target / "installed.json").read_text("utf-8"))
    return Installed(target / "modules", frozenset(kept["names"]), tuple(kept["notes"]))


def _fill(
    folder: Path, requirements: Sequence[str], without: frozenset[str]
) -> dict[str, list[str]]:
    """Install into a folder; the `names` of what is there, and the `notes`."""
    modules = folder / "modules"
    modules.mkdir()
    said = []
    for builds in (True, False):
        tree, notes = _resolved(requirements, folder / "constraints.txt", builds=builds)
        chosen = [package for package in tree if package.name not in without]
        pins = [f"{package.name}=={package.version}" for package in chosen]
        built = [package.name for package in chosen if package.from_pyodide]
        source = [f"--extra-index-url={PYODIDE_INDEX}/{known_to_pyodide()['pyodide']}"]
        failure = _pip(modules, *(source if built else []), *pins) if pins else ""
        if not failure:
            break
        if not built:
            raise UserError(f"packages could not be installed:\n{failure}")
        said = [f"{', '.join(built)}: from {PYODIDE_INDEX}, {_UNREACHABLE}"]
    return {"names": [package.name for package in chosen], "notes": [*said, *notes]}


def _locked(lock: Path, progress: Progress) -> Path:
    """A folder with the packages of a lock of ours."""
    target = _folder("test", [lock.read_text("utf-8")])
    if not hold(target):
        with progress("Installing pytest for Workers, once ..."), whole_folder(target) as folder:
            failure = _pip(folder, "--require-hashes", "--requirement", str(lock))
            if failure:
                raise UserError(f"pytest could not be installed:\n{failure}")
        hold(target)
    return target


def _resolved(
    requirements: Sequence[str], constraints: Path, *, builds: bool
) -> tuple[Tree, list[str]]:
    """What to install, and what is to say about it.

    Args:
        requirements: what is needed.
        constraints: the versions in the project's lock.
        builds: whether Pyodide's own builds count.

    Raises:
        UserError: the index did not answer, or the packages contradict each other.
    """
    cache = cache_folder("audit")
    with Index(cache, pyodide_builds=builds, constraints=constraints) as index:
        found = index.together(requirements, server=False)
    if found.tree is not None:
        return found.tree, []
    notes = []
    if constraints.stat().st_size:
        notes.append("not all versions in the lock run in a Worker: the newest are installed")
    looser = [Dependency("", each, "").requirement for each in requirements]
    with Index(cache, pyodide_builds=builds) as index:
        found = index.together(looser, server=False)
        if found.tree is None:
            fitting = list(_fitting(index, looser, notes))
            found = index.together(fitting, server=False)
    if found.tree is None:
        raise UserError(f"the Worker's packages cannot be installed together: {found.failure}")
    return found.tree, notes


def _fitting(index: Index, requirements: Sequence[str], notes: list[str]) -> Iterator[str]:
    """Those that can be installed, perhaps without their extras; adds the others to the notes."""
    for requirement in requirements:
        bare = Requirement(requirement)
        bare.extras = set()
        for candidate in dict.fromkeys((requirement, str(bare))):
            probe = index.probe(candidate)
            if probe.failure:
                raise UserError(f"{candidate}: {probe.failure}")
            if probe.ready or probe.older:
                yield candidate
                break
            why = "; ".join(f"{name}: {reason}" for name, reason in probe.blockers.items())
            notes.append(f"{candidate} is left out: {why or 'it does not resolve'}")


def _pip(folder: Path, *arguments: str) -> str:
    """Have pip install releases for the Workers platform; empty, or why it could not."""
    command = [
        *(sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
        *("--target", str(folder), "--no-deps", "--no-compile", "--only-binary=:all:"),
        *("--platform", known_to_pyodide()["platform"], "--implementation", "cp"),
        *("--python-version", PYTHON, "--retries", "1", *arguments),
    ]
    return completed(command, folder, environment())


def _folder(kind: str, content: Iterable[str]) -> Path:
    key = sha256("\n".join((known_to_pyodide()["platform"], *content)).encode())
    return cache_folder(CACHE) / f"{kind}-{key.hexdigest()[:16]}"


def _pins(lock: Path) -> tuple[Dependency, ...]:
    """The releases in a lock of ours that the Workers platform gets."""
    return inputs.read(lock, frozenset(), frozenset()).dependencies


def _other_python(folder: Path) -> str:
    """The Python that compiled modules in a folder are for, unless it is ours."""
    minors = {match[1] for path in folder.rglob("*.so") if (match := _COMPILED.search(path.name))}
    others = {f"3.{minor}" for minor in minors} - {PYTHON}
    return min(others, default="")


def _may_matter(name: str, imported: frozenset[str]) -> bool:
    """Whether tests use a package: as a plugin of pytest, or by importing it.

    What is left are tools, such as ruff, that tests never see.
    """
    return name.startswith("pytest-") or not imported.isdisjoint(modules_of(name))
