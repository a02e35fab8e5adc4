"""DEP: what the Worker depends on."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.checks.words import shortened
from forge_scaffold.declarations.uv import sources
from forge_scaffold.declarations.worker import PIN, Declared, Locked
from forge_scaffold.documents import Place
from forge_scaffold.packages.distributions import TOOLS, TYPES
from forge_scaffold.packages.pyodide import known_to_pyodide
from forge_scaffold.packages.versions import Releases, Versions
from forge_scaffold.policy import Policy
from forge_scaffold.project import LOCK, Project, table, tables
from forge_scaffold.wrangler import PYTHONS


def _milder(policy: Policy) -> Severity | None:
    """The built-in list is advice, until a project makes it its own."""
    return None if policy.own else Severity.NOTE


def _list_of(policy: Policy) -> str:
    return "[tool.forge.allow]" if policy.own else "Forge's own allow-list"


def _dependencies(*requirements: str, more: str = "") -> str:
    """The base example's pyproject.toml with other dependencies."""
    listed = "".join(f'  "{requirement}",\n' for requirement in requirements)
    old = 'dependencies = ["httpx>=0.28,<1"]'
    return BASE["pyproject.toml"].replace(old, f"dependencies = [\n{listed}]") + more


_HASH = "--hash=sha256:" + "a1" * 32


class NotAllowed(Rule):
    """A dependency that is not on the allow-list.

    Whatever a Worker depends on is uploaded, counts against its size and start-up, and has to run
    without sockets, threads and native code. The list under `[tool.forge.allow]` says what a team
    has looked at. A project without a list of its own is held against Forge's, and gets one note.

    Fix: remove the dependency, or look at it and add it to `[tool.forge.allow]`.
    """

    id = "DEP001"
    since = "0.1.0"
    failing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1", "requests>=2,<3")}
    passing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1")}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Declared names against the list."""
        policy = subject.policy
        known = {*policy.direct, *policy.transitive, *policy.platform, *policy.banned}
        known |= TOOLS | TYPES
        found = [
            each
            for each in subject.declared
            if each.runtime
            and each.requirement
            and not each.requirement.url
            and each.name not in known
        ]
        if found and not policy.own:
            names = shortened(list(dict.fromkeys(each.name for each in found)))
            yield self.finding(
                found[0].place,
                f"{names}: not on Forge's own allow-list; list what you have looked at under "
                "[tool.forge.allow]",
                severity=Severity.NOTE,
            )
            return
        for each in found:
            yield self.finding(
                each.place,
                f"{each.name}: not on the allow-list; remove it, or allow it in "
                f"[tool.forge.allow] (now: {policy.names})",
            )


class OutsideRange(Rule):
    """A dependency in versions that the allow-list does not have.

    The allow-list names versions, not only packages: the next major version is another package
    under the same name, and an old one may not run in a Worker at all.

    Fix: narrow the requirement until the list's range contains it, and lock again.
    """

    id = "DEP002"
    since = "0.1.0"
    failing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28")}
    passing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1")}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Declared ranges and locked versions against the list."""
        policy = subject.policy
        for each in subject.declared:
            allowed = policy.direct.get(each.name) if each.runtime else None
            if not allowed or not each.requirement or each.requirement.url:
                continue
            if beyond := each.requirement.versions.beyond(allowed.versions):
                said = each.requirement.versions
                yield self.finding(
                    each.place,
                    f"{each.name}: {said} admits {beyond}; {_list_of(policy)} says "
                    f"{allowed.versions}: narrow it{allowed.because}",
                    severity=_milder(policy),
                )
        for lock in subject.locked:
            allowed = policy.direct.get(lock.name)
            if allowed and lock.version and not allowed.versions.has(lock.version):
                yield self.finding(
                    lock.place,
                    f"{lock.name}: {lock.version} is outside {allowed.versions}: lock again"
                    f"{allowed.because}",
                    severity=_milder(policy),
                )


class OnlyTransitive(Rule):
    """A dependency that is allowed only as another package's own.

    What an allowed package brings along is uploaded, but which of it, and in which version, is that
    package's business and changes with it.

    Fix: declare and import the package that brings it, or allow this one in `[tool.forge.allow]`.
    """

    id = "DEP003"
    since = "0.1.0"
    failing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1", "h11>=0.16")}
    passing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1")}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Declared names against the list of what is brought."""
        for each in subject.declared:
            only = each.name in subject.policy.transitive and each.name not in subject.policy.direct
            if only and each.runtime:
                yield self.finding(
                    each.place,
                    f"{each.name}: allowed only through another package; declare that one",
                    severity=_milder(subject.policy),
                )


class NotReleased(Rule):
    """A dependency on a repository or an address.

    It has no version that a list could allow or a lock could hold, and pywrangler resolves for
    Workers with `--no-build`: what has to be built first is not found, unless `allow-build` under
    `[tool.pywrangler]` says so. The address of a wheel installs, and only has no version to allow.

    A folder of your own, a `path` or `workspace` source of uv's, is built whatever `allow-build`
    says: it is allowed by its name, like any other package.

    Fix: declare a released version.
    """

    id = "DEP004"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "pyproject.toml": _dependencies("httpx @ git+https://example.org/httpx.git")
    }
    passing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1")}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Requirements with an address, and what uv takes from elsewhere."""
        project = subject.project
        names = {each.name for each in subject.declared if each.runtime}
        for each in subject.declared:
            address = each.requirement.url if each.requirement and each.runtime else None
            if address:
                installs = re.search(r"\.whl(?:[?#]|$)", address) or _builds(project)
                yield self.finding(
                    each.place,
                    f"{each.name}: an address is no version that can be allowed or locked; declare "
                    "a released version",
                    severity=_milder(subject.policy) if installs else None,
                )
        for name, normalised, choices in sources(project.pyproject):
            kinds = [choice.kind for choice in choices if choice and choice.kind != "folder"]
            if normalised in names and kinds:
                place = project.manifest.place("tool", "uv", "sources", name)  # type: ignore[union-attr]
                yield self.finding(
                    place,
                    f"{name}: taken from a {kinds[0]}, which is no version that can be allowed or "
                    "locked; declare a released version",
                    severity=Severity.WARNING,
                )


def _builds(project: Project) -> bool:
    """Whether pywrangler is told to build what has no wheel."""
    return table(table(project.pyproject, "tool"), "pywrangler").get("allow-build") is True


class NoRequirement(Rule):
    """A dependency that is not written as a requirement.

    pip, uv and pywrangler take PEP 508 requirements; anything else stops them.

    Fix: write it as `name>=1,<2`.
    """

    id = "DEP005"
    since = "0.1.0"
    failing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1", "./vendored")}
    passing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1")}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """What cannot be parsed."""
        for each in subject.declared:
            if each.requirement is None:
                yield self.finding(
                    each.place, f"{each.text}: not a requirement (PEP 508); write it as  name>=1,<2"
                )


class NoWheel(Rule):
    """A package without a wheel that runs in a Worker.

    Workers run Pyodide: pure Python wheels (`none-any`), wheels for `pyemscripten`, and the
    packages that Pyodide builds itself. Wheels for Linux, macOS or Windows hold machine code for
    those, and pywrangler builds nothing from source unless `allow-build` under `[tool.pywrangler]`
    says so. A uv.lock or pylock.toml names the wheels, and what is for other systems only; about
    what is only declared, or locked without wheels, `forge check --index` asks the index.

    Fix: replace the package, or move what needs it out of the Worker; `uv tree --invert --package
    NAME` says what brings it.
    """

    id = "DEP006"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "pyproject.toml": _dependencies("httpx>=0.28,<1"),
        "uv.lock": """\
version = 1

[[package]]
name = "example"
source = { virtual = "." }
dependencies = [{ name = "httpx" }]

[[package]]
name = "httpx"
version = "0.28.1"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "httptools" }]
wheels = [{ url = "https://example.org/httpx-0.28.1-py3-none-any.whl" }]

[[package]]
name = "httptools"
version = "0.7.1"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://example.org/httptools-0.7.1-cp314-cp314-manylinux_2_17_x86_64.whl" }]
""",
    }
    passing: ClassVar[Files] = {
        **failing,
        "uv.lock": failing["uv.lock"].replace("cp314-cp314-manylinux_2_17_x86_64", "py3-none-any"),
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Locked packages by the names of their wheels, the others by what the index has."""
        for lock in subject.locked:
            if "wheels" in lock.data or "sdist" in lock.data:
                if _never_runs(lock, subject.project):
                    culprit = f"{lock.via}, which brings it" if lock.via else "it"
                    yield self.finding(
                        lock.place,
                        f"{lock.name} {lock.version or ''}: no wheel of it runs in a Worker (none "
                        "is pure Python or for pyemscripten), and Pyodide does not build it; "
                        f"upgrade or replace {culprit}",
                    )
            elif releases := subject.releases.get(lock.name):
                yield from self._of_the_index(lock, releases)
        for each, versions, releases in _unlocked(subject):
            newest, running = releases.newest(versions)
            if newest and not running:
                yield self.finding(
                    each.place,
                    f"{each.name}: neither {newest} nor an older release of {versions} has a wheel "
                    f"that runs in a Worker; {_instead(releases)}",
                )

    def _of_the_index(self, lock: Locked, releases: Releases) -> Iterator[Finding]:
        if lock.version in set(releases.anywhere).difference(releases.in_worker):
            yield self.finding(
                lock.place,
                f"{lock.name} {lock.version}: the index has no wheel of it that runs in a Worker; "
                f"{_instead(releases)}",
            )


def _unlocked(subject: Subject) -> Iterator[tuple[Declared, Versions, Releases]]:
    """What is declared and in no lock, with what the index has."""
    locked = {lock.name for lock in subject.locked}
    for each in subject.declared:
        releases = subject.releases.get(each.name)
        if releases and each.requirement and not each.requirement.url and each.name not in locked:
            yield each, each.requirement.versions, releases


def _instead(releases: Releases) -> str:
    if releases.in_worker:
        return f"the newest that runs is {releases.in_worker[0]}"
    return "none runs: replace it"


def _never_runs(lock: Locked, project: Project) -> bool:
    """Whether a Worker needs a locked package of which nothing can be installed for it."""
    python = project.wrangler.python if project.wrangler else None
    return (
        lock.name not in known_to_pyodide()["packages"]
        and not _runs(lock.data)
        and not ("sdist" in lock.data and _builds(project))
        and lock.needed(python or PYTHONS[0][1])
    )


def _runs(package: Mapping[str, Any]) -> bool:
    wheels = tables(package.get("wheels"))
    files = (
        str(wheel.get(key, "")) for wheel in wheels for key in ("url", "path", "name", "filename")
    )
    return any(re.search(r"-none-any\.whl|emscripten|wasm32", file) for file in files)


class Tool(Rule):
    """A developer's tool among the runtime dependencies.

    Runtime dependencies are uploaded with the Worker. Test runners, linters and pywrangler itself
    have no use there, and some of them do not even install.

    Fix: move it to the group `dev` of `[dependency-groups]`.
    """

    id = "DEP007"
    since = "0.1.0"
    failing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1", "pytest>=9")}
    passing: ClassVar[Files] = {
        "pyproject.toml": _dependencies(
            "httpx>=0.28,<1", more='\n[dependency-groups]\ndev = ["pytest>=9"]\n'
        )
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Declared runtime dependencies that are tools."""
        for each in subject.declared:
            in_runtime = each.runtime and each.name in TOOLS
            if in_runtime and each.name not in subject.policy.direct and not _tests(subject):
                yield self.finding(
                    each.place,
                    f"{each.name}: a developer's tool, and it would be uploaded; move it to "
                    "[dependency-groups] dev",
                )


def _tests(subject: Subject) -> bool:
    """Whether the Worker is there to run tests: it imports pytest, or has tests where it lies."""
    project = subject.project
    if any(each.top == "pytest" for each in subject.facts.imports):
        return True
    base = project.base
    if project.wrangler and not project.wrangler.main:
        base = PurePosixPath()  # nobody says which modules are uploaded
    elif not base.parts:
        return False  # tests beside the Worker look the same
    imported = re.compile(r"^\s*(?:import|from) pytest\b", re.MULTILINE)
    below = (path for path in project.files if path.is_relative_to(base))
    return any(path.suffix == ".py" and imported.search(project.shown(path)) for path in below)


class RequirementsFile(Rule):
    """A requirements.txt that nothing installs.

    pywrangler stops when it sees one: "Specifying Python Packages in requirements.txt is no longer
    supported". wrangler alone does not read it, nor the cf-requirements.txt of earlier days: it
    deploys the Worker without its packages. A warning, where there is no pyproject.toml.

    Fix: move its lines to `dependencies` in pyproject.toml, and delete the file.
    """

    id = "DEP008"
    since = "0.1.0"
    failing: ClassVar[Files] = {"requirements.txt": "httpx>=0.28,<1\n"}
    passing: ClassVar[Files] = {"requirements/worker.in": "httpx>=0.28,<1\n"}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The files at the project's root."""
        project = subject.project
        if not project.wrangler or not project.wrangler.main:
            return
        move = "move its lines to the dependencies in pyproject.toml, and delete it"
        if project.has("requirements.txt"):
            stops = "pywrangler refuses to work beside a requirements.txt"
            unread = "neither wrangler nor pywrangler installs what a requirements.txt names"
            yield self.finding(
                Place(PurePosixPath("requirements.txt")),
                f"{stops if project.manifest else unread}; {move}",
                severity=None if project.manifest else Severity.WARNING,
            )
        if project.has("cf-requirements.txt"):
            yield self.finding(
                Place(PurePosixPath("cf-requirements.txt")),
                f"no tool reads it any more; {move}",
                severity=Severity.WARNING,
            )


class StaleLock(Rule):
    """A lock that no longer matches what is declared.

    What is tested and uploaded comes from the lock. A declared package that is not in it is missing
    at run time; one that is in it in another version is not the one that was asked for.

    Fix: lock again: `npm run lock` in a generated project, `uv lock` for uv.lock.
    """

    id = "DEP009"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "pyproject.toml": _dependencies("httpx>=0.28,<1"),
        "requirements/worker.txt": f"httpx==0.27.2 {_HASH}\n",
    }
    passing: ClassVar[Files] = {
        **failing,
        "requirements/worker.txt": f"httpx==0.28.1 {_HASH}\n",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Each lock against the declared requirements."""
        locks: dict[PurePosixPath, dict[str, Locked]] = {}
        for lock in subject.locked:
            locks.setdefault(lock.place.path, {})[lock.name] = lock
        for each in subject.declared:
            if not each.requirement or not each.runtime:
                continue
            if (
                each.requirement.conditional
                or each.requirement.url
                or not _judged_here(each, subject)
            ):
                continue
            for path, packages in locks.items():
                yield from self._held(
                    each, each.requirement.versions, path, packages.get(each.name)
                )

    def _held(
        self, each: Declared, versions: Versions, path: PurePosixPath, lock: Locked | None
    ) -> Iterator[Finding]:
        if lock is None:
            yield self.finding(each.place, f"{each.name}: not in {path}; lock again")
        elif lock.version and not versions.has(lock.version):
            yield self.finding(
                lock.place,
                f"{each.name}: {lock.version} is locked, {versions} declared; lock again",
            )


def _judged_here(each: Declared, subject: Subject) -> bool:
    """Whether no other rule says already that the package or its locked version is not allowed."""
    policy = subject.policy
    allowed = policy.direct.get(each.name)
    if allowed is None:
        return not policy.own or each.name in policy.platform
    versions = [lock.version for lock in subject.locked if lock.name == each.name and lock.version]
    return all(allowed.versions.has(version) for version in versions)


class LooseLock(Rule):
    """A line of the Worker's lock that holds nothing fast.

    A lock names one version and its hashes, or what is uploaded tomorrow is not what was tested
    today.

    Fix: lock again: `npm run lock` in a generated project.
    """

    id = "DEP010"
    since = "0.1.0"
    failing: ClassVar[Files] = {"requirements/worker.txt": "httpx==0.28.1\n"}
    passing: ClassVar[Files] = {"requirements/worker.txt": f"httpx==0.28.1 {_HASH}\n"}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Lines of requirements/worker.txt without a version or a hash."""
        lock = subject.project.lock
        for line, text in lock.logical_lines() if lock else ():
            pin = PIN.fullmatch(text)
            name = pin["name"] if pin else text.split()[0]
            if pin is None:
                yield self.finding(
                    Place(LOCK, line),
                    f"{name}: not pinned to one version; lock again: npm run lock",
                )
            elif not pin["hashes"].strip():
                yield self.finding(
                    Place(LOCK, line), f"{name}: locked without a hash; lock again: npm run lock"
                )


class LockedTooMuch(Rule):
    """A locked package that nobody allowed.

    It is uploaded with the Worker, though it is neither on the allow-list nor among what the
    allowed packages bring.

    Fix: remove what brings it and lock again, or name it in `[tool.forge]`.
    """

    id = "DEP011"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "requirements/worker.txt": f"httpx==0.28.1 {_HASH}\nrequests==2.32.5 {_HASH}\n"
    }
    passing: ClassVar[Files] = {"requirements/worker.txt": f"httpx==0.28.1 {_HASH}\n"}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Locked names against all lists; only those of the project itself are complete."""
        policy = subject.policy
        if not policy.own:
            return
        known = {*policy.direct, *policy.transitive, *policy.platform, *policy.banned}
        for lock in subject.locked:
            if lock.name not in known:
                yield self.finding(
                    lock.place,
                    f"{lock.name}: locked for the Worker, but neither allowed nor brought by what "
                    "is; remove it and lock again (npm run lock), or name it in [tool.forge]",
                )


class Ancient(Rule):
    """A package that resolves to an ancient version on Workers.

    Where a resolver finds no wheel of the newest version for a Worker's platform, it goes back
    until it finds one: for pydantic to version 1, which is pure Python, and another library under
    the same name. Versions that Pyodide builds are found, so a range that has one is none of those.

    Known without asking of pydantic; `forge check --index` asks the index about each package.

    Fix: declare a lower bound, such as `pydantic>=2.12,<3`, and lock again. Where there is none
    that runs: replace the package, or write `>=` and `<` around the version that you mean.
    """

    id = "DEP012"
    since = "0.1.0"
    failing: ClassVar[Files] = {"pyproject.toml": _dependencies("httpx>=0.28,<1", "pydantic<2.10")}
    passing: ClassVar[Files] = {
        "pyproject.toml": _dependencies("httpx>=0.28,<1", "pydantic>=2.12,<3"),
        "src/service.py": "import httpx\nimport pydantic\n\n\nasync def answer(env):\n"
        "    return httpx.__version__ + pydantic.VERSION\n",
    }

    # Since when a package has what a resolver may not find, and its versions that Pyodide has.
    FLOORS: ClassVar[Mapping[str, str]] = {"pydantic": "2"}
    BUILT: ClassVar[Mapping[str, tuple[str, ...]]] = {"pydantic": ("2.10.6", "2.12.5")}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Requirements that admit or mean such a version, and locks that have one."""
        for each, versions, releases in _unlocked(subject):
            newest, running = releases.newest(versions)
            # What Pyodide builds is chosen, and not the last that happened to be pure.
            chosen = each.name in known_to_pyodide()["packages"]
            if newest and running and not chosen and _series(running) < _series(newest):
                yield self.finding(
                    each.place,
                    f"{each.name}: resolves to {running} for a Worker, as {newest} has no wheel "
                    f"that runs there; replace it, or say that you mean {running}",
                    severity=Severity.WARNING,
                )
        for each in subject.declared:
            floor = self.FLOORS.get(each.name)
            if (
                floor
                and each.requirement
                and each.runtime
                and each.requirement.versions.beyond(Versions(f">={floor}"))
                and not any(map(each.requirement.versions.has, self.BUILT[each.name]))
            ):
                yield self.finding(
                    each.place,
                    f"{each.name}: admits versions before {floor}, to which a resolver goes back "
                    f"for Workers; declare  {each.name}>={floor}",
                    severity=Severity.WARNING,
                )
        for lock in subject.locked:
            floor = self.FLOORS.get(lock.name)
            if floor and lock.version and not Versions(f">={floor}").has(lock.version):
                yield self.finding(
                    lock.place,
                    f"{lock.name}: {lock.version} is locked; declare  {lock.name}>={floor}  and "
                    "lock again",
                )


def _series(version: str) -> tuple[int, ...]:
    """What changes with another interface: the first number that is not 0, and those before."""
    numbers = [int(digits) for digits in re.findall(r"\d+", version)]
    leading = next((place for place, number in enumerate(numbers) if number), 0)
    return tuple(numbers[: leading + 1])


class BannedPackage(Rule):
    """A package that the organisation bans.

    A `forge.toml` above the project, or in the user's configuration folder, bans packages, each
    with a reason:

        [ban]
        requests = { reason = "blocks the event loop", instead = "httpx" }

    Fix: use what the ban names instead, or talk to whoever wrote it.
    """

    id = "DEP013"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "forge.toml": '[ban]\nrequests = { reason = "blocks the event loop", instead = "httpx" }\n',
        "pyproject.toml": _dependencies("httpx>=0.28,<1", "requests>=2,<3"),
    }
    passing: ClassVar[Files] = {**failing, "pyproject.toml": _dependencies("httpx>=0.28,<1")}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Declared and locked names against the bans."""
        named: list[Declared | Locked] = [*subject.declared, *subject.locked]
        for each in named:
            if banned := subject.policy.banned.get(each.name):
                yield self.finding(each.place, f"{each.name}: {banned}")


class Namesake(Rule):
    """A package that is not the tool of its name.

    Cloudflare's pywrangler is a command of the package workers-py. What PyPI has under the name
    pywrangler is something else, by somebody else: it installs without a word, and there is no
    such command.

    Fix: declare workers-py, in the group `dev` of `[dependency-groups]`.
    """

    id = "DEP014"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "pyproject.toml": BASE["pyproject.toml"]
        + '\n[dependency-groups]\ndev = ["pywrangler>=0.0.2"]\n'
    }
    passing: ClassVar[Files] = {
        "pyproject.toml": BASE["pyproject.toml"]
        + '\n[dependency-groups]\ndev = ["workers-py>=1.17"]\n'
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Requirements, extras and groups by name."""
        for each in (*subject.declared, *subject.grouped):
            if each.name == "pywrangler":
                yield self.finding(
                    each.place,
                    "pywrangler: PyPI's package of this name is not Cloudflare's tool; declare  "
                    "workers-py",
                )
