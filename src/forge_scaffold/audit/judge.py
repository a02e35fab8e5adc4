"""A verdict for each direct dependency, and totals; from answers, asking nobody."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from forge_scaffold.audit.imports import Import, Sources
from forge_scaffold.audit.replacements import Fact, Replacement, facts, replacements
from forge_scaffold.declarations.dependency import Dependency
from forge_scaffold.declarations.inputs import Inputs
from forge_scaffold.packages.distributions import HELPS, NOT_IMPORTED, TOOLS, TYPES
from forge_scaffold.packages.pyodide import known_to_pyodide
from forge_scaffold.packages.resolve import Package, Probe, Together, Tree
from forge_scaffold.policy import Policy

READY = "ready"
OUTSIDE = "outside the policy"
REPLACED = "replaced"
BLOCKED = "blocked"
UNKNOWN = "unknown"
VERDICTS = (BLOCKED, REPLACED, OUTSIDE, READY, UNKNOWN)

UPLOAD_LIMIT = 64 * 1024 * 1024  # uncompressed, on every plan, in bytes

# What pywrangler adds to every Worker.
SDK = "workers-runtime-sdk"


@dataclass(frozen=True)
class Row:
    """One direct dependency, judged.

    Attributes:
        dependency: as it was declared.
        verdict: one of VERDICTS.
        why: what the verdict rests on, as text.
        chains: for each blocking package, the way to it: the dependency, ..., the blocker.
        newest: the newest release there is; empty when unknown.
        version: the newest that resolves on Workers; empty when none does.
        tree: what it would bring to a Worker, or would if it could; with itself.
        cautions: what is to know though it resolves.
        replacement: what is known of it, if anything.
        places: where it is imported.
        at_work: whether it does something without being imported: a string names it, or others
            look for it.
        migration: what was declared and what runs, where a major version is between them.
    """

    dependency: Dependency
    verdict: str
    why: str
    chains: tuple[tuple[str, ...], ...]
    newest: str
    version: str
    tree: Tree
    cautions: tuple[str, ...]
    replacement: Replacement | None
    places: tuple[Import, ...]
    at_work: bool = False
    migration: str = ""

    @property
    def name(self) -> str:
        """The package."""
        return self.dependency.name

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What the verdict rests on besides the index's answers and the allow-list."""
        return self.replacement.evidence if self.replacement else ()

    @property
    def transitive(self) -> int:
        """How many packages it brings besides itself."""
        return max(len(self.tree) - 1, 0)

    @property
    def size(self) -> "Size":
        """What its tree weighs."""
        return Size.of(self.tree)


@dataclass(frozen=True)
class Size:
    """The weight of packages.

    Attributes:
        raw: the bytes of their files.
        gzip: the bytes compressed.
        unknown: the packages whose size is not known, and not counted.
        estimated: the packages whose size is that of their wheel for another platform.
    """

    raw: int
    gzip: int
    unknown: tuple[str, ...] = ()
    estimated: tuple[str, ...] = ()

    @property
    def fits(self) -> bool | None:
        """Whether it can be uploaded; None where what is not known could be too much."""
        if self.raw > UPLOAD_LIMIT:
            return False
        return None if self.unknown else True

    @classmethod
    def of(cls, tree: Iterable[Package]) -> "Size":
        """The sum."""
        packages = list(tree)
        return cls(
            sum(package.raw or 0 for package in packages),
            sum(package.gzip or 0 for package in packages),
            tuple(package.name for package in packages if package.raw is None),
            tuple(package.name for package in packages if package.estimated),
        )


@dataclass(frozen=True)
class Total:
    """All dependencies together, in one environment.

    Attributes:
        direct: the names that would be declared.
        tree: everything that would be installed.
        failure: why it could not be resolved in one piece; the trees are then put together.
    """

    direct: tuple[str, ...]
    tree: Tree
    failure: str = ""

    @property
    def size(self) -> Size:
        """What it weighs."""
        return Size.of(self.tree)


@dataclass(frozen=True)
class Audit:
    """What moving a project takes.

    Attributes:
        inputs: what was read.
        sources: where it imports what.
        rows: the direct dependencies, the blocked ones first.
        before: the project as it is, on a Linux server.
        after: what a Worker would be left with.
        oldest: when the oldest answer used came from the index, in s since 1970; 0: none was.
        offline: no index was asked.
    """

    inputs: Inputs
    sources: Sources
    rows: tuple[Row, ...]
    before: Total
    after: Total
    oldest: float
    offline: bool

    def count(self, verdict: str) -> int:
        """How many dependencies have this verdict."""
        return sum(row.verdict == verdict for row in self.rows)


def judged(
    inputs: Inputs, sources: Sources, probes: Mapping[str, Probe], policy: Policy
) -> tuple[Row, ...]:
    """A row for each dependency, the blocked ones first.

    Args:
        inputs: the dependencies.
        sources: where the project imports what.
        probes: what the index said, by requirement.
        policy: what a Worker may depend on.
    """
    names = {dependency.name for dependency in inputs.dependencies}
    rows = [
        _row(dependency, _probe(dependency, probes), sources, policy, names)
        for dependency in inputs.dependencies
    ]
    return tuple(sorted(rows, key=lambda row: (VERDICTS.index(row.verdict), row.name)))


def _probe(dependency: Dependency, probes: Mapping[str, Probe]) -> Probe | None:
    return None if dependency.problem else probes.get(dependency.requirement)


def _row(
    dependency: Dependency,
    probe: Probe | None,
    sources: Sources,
    policy: Policy,
    names: Collection[str],
) -> Row:
    known = replacements().get(dependency.name)
    if probe is None:
        places = tuple(sources.of(_modules(dependency.name, (), known)))
        verdict, why = _unasked(dependency, policy)
        return Row(dependency, verdict, why, (), "", "", (), (), known, places)
    tree = _usable(probe, dependency.name)
    shown = tree or probe.wanted or ()
    verdict, why = _verdict(dependency.name, probe, tree, known, policy)
    chains = () if tree else _chains(dependency.name, shown, probe.blockers)
    modules = _modules(dependency.name, shown, known)
    version = _version(dependency.name, tree) if tree else ""
    migration = _migration(dependency, version, policy) if verdict in {READY, OUTSIDE} else ""
    return Row(
        dependency,
        verdict,
        why,
        chains,
        newest=probe.newest or "",
        version=version,
        tree=shown,
        cautions=(*filter(None, [migration]), *_cautions(dependency.name, probe, tree)),
        replacement=known,
        places=tuple(sources.of(modules)),
        at_work=sources.name(modules) or _at_work(dependency.name, names),
        migration=migration,
    )


def _unasked(dependency: Dependency, policy: Policy) -> tuple[str, str]:
    """The verdict on what no index has: a folder of one's own is allowed by its name."""
    if not dependency.local:
        return BLOCKED, dependency.problem
    verdict = READY if dependency.name in policy.direct else OUTSIDE
    return verdict, f"{dependency.problem}: it is built with the Worker; audit it by itself"


def _migration(dependency: Dependency, version: str, policy: Policy) -> str:
    """What is to migrate before a dependency runs in the version that does; empty for nothing."""
    was = dependency.held
    locked = dependency.locked
    said = f"locked {locked}" if locked else f"declared {dependency.specifier or 'without a range'}"
    if was and version and _breaks(was, version):
        new = "a new major version" if was[0] != "0" else "before 1.0 each minor one may break"
        return f"{said}, what runs is {version}: {new}; migrate first"
    allowed = policy.direct.get(dependency.name)
    if version and allowed and not allowed.versions.has(version):
        return (
            f"{said}, what runs is {version}: the allow-list has {allowed.versions}; migrate first"
        )
    return ""


# A first number that is a year counts time, not changes of an interface.
_YEARS = (*range(17, 40), *range(2017, 2040))


def _breaks(old: str, new: str) -> bool:
    """Whether the interface may have changed: another first number, or the second one after 0."""
    try:
        before, after = Version(old), Version(new)
    except InvalidVersion:
        return False
    if before.major in _YEARS:
        return False
    return before < after and (
        before.major != after.major or (before.major == 0 and before.minor != after.minor)
    )


def _at_work(name: str, names: Collection[str]) -> bool:
    """Whether a package does something in a Worker though nothing imports it."""
    helps = not HELPS.get(name, frozenset()).isdisjoint(names)
    return helps or name in NOT_IMPORTED.difference(TOOLS, TYPES)


def _usable(probe: Probe, name: str) -> Tree | None:
    """The tree that a Worker would get: the newest release's, or that of one not much older.

    A resolver that may go back will find a release from before a package's compiled parts, years
    behind and with another interface. It counts only within the newest major version, or when it
    is the one that Pyodide itself builds.
    """
    if probe.ready or not probe.older or not probe.newest:
        return probe.ready
    (package,) = (package for package in probe.older if package.name == name)
    try:
        same = Version(package.version).major == Version(probe.newest).major
    except InvalidVersion:
        same = False
    return probe.older if same or package.from_pyodide else None


def _verdict(
    name: str, probe: Probe, tree: Tree | None, known: Replacement | None, policy: Policy
) -> tuple[str, str]:
    """The verdict and what it rests on."""
    if banned := policy.banned.get(name):
        return BLOCKED, str(banned)
    if probe.failure:
        return UNKNOWN, probe.failure
    if tree is None:
        return BLOCKED, _blocked(name, probe)
    if name in policy.platform:
        return READY, "part of the platform"
    return (READY, "on the allow-list") if name in policy.direct else _not_allowed(known)


def _not_allowed(known: Replacement | None) -> tuple[str, str]:
    """The verdict on what resolves, and is not on the allow-list."""
    if known and known.lacks:
        return BLOCKED, "; ".join(facts()[lacking].says for lacking in known.lacks)
    if known and known.policy == "replace":
        return REPLACED, f"by {known.by}"
    return OUTSIDE, "it resolves, and is not on the allow-list"


def _blocked(name: str, probe: Probe) -> str:
    if not probe.blockers:
        return "nothing that fits together resolves there"
    if name in probe.blockers:
        told = [probe.blockers[name]]
    else:
        reasons = dict.fromkeys(probe.blockers.values())
        told = [
            f"{', '.join(one for one, why in probe.blockers.items() if why == reason)}: {reason}"
            for reason in reasons
        ]
    older = _version(name, probe.older) if probe.older else ""
    if older:
        return f"{'; '.join(told)} (only {older} resolves, and the newest is {probe.newest})"
    if probe.undecided:
        told.append(f"whether an older release resolves is open ({probe.undecided})")
    return "; ".join(told)


def _cautions(name: str, probe: Probe, tree: Tree | None) -> Iterable[str]:
    if tree is None:
        return
    version = _version(name, tree)
    if tree is probe.older and version == probe.newest:
        why = _blocked(name, Probe(blockers=probe.blockers))
        yield f"with older releases of what it needs: {why}"
    elif tree is probe.older:
        own = any(package.name == name and package.from_pyodide for package in tree)
        why = f"Pyodide builds {version}" if own else _blocked(name, Probe(blockers=probe.blockers))
        yield f"held back at {version}, the newest is {probe.newest}: {why}"
    built = [package.name for package in tree if package.from_pyodide]
    if built:
        yield f"from Pyodide's own builds: {', '.join(built)}"
    for package in tree:
        known = replacements().get(package.name)
        if package.name != name and known and known.lacks:
            yield f"brings {package.name}: {facts()[known.lacks[0]].says}"


def _version(name: str, tree: Tree) -> str:
    return next((package.version for package in tree if package.name == name), "")


def _modules(name: str, tree: Tree, known: Replacement | None) -> Sequence[str]:
    """What a package is imported as: what its wheel holds, what is known, or its name."""
    held = next((package.modules for package in tree if package.name == name), ())
    built = known_to_pyodide()["packages"].get(name, {}).get("imports", ())
    return (*held, *built, *(known.modules if known else ())) or [name.replace("-", "_")]


def _chains(name: str, tree: Tree, blockers: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The shortest way from a package to each of its blockers."""
    needs = {package.name: package.needs for package in tree}
    ways: dict[str, tuple[str, ...]] = {name: (name,)}
    pending = [name]
    for reached in pending:
        for needed in needs.get(reached, ()):
            if needed not in ways:
                ways[needed] = (*ways[reached], needed)
                pending.append(needed)
    return tuple(ways.get(blocker, (name, blocker)) for blocker in sorted(blockers))


def staying(rows: Sequence[Row]) -> dict[str, str]:
    """Name -> requirement of what a Worker is left with: what may stay, what replacements use."""
    left = {
        row.name: row.dependency.requirement
        for row in rows
        if row.verdict == READY and not row.dependency.problem
    }
    for row in rows:
        undecided = row.replacement is None or row.replacement.policy == "decide"
        if row.verdict == OUTSIDE and undecided and not row.dependency.problem:
            left[row.name] = row.dependency.requirement
        elif row.replacement and row.replacement.policy == "replace":
            for used in row.replacement.uses:
                left.setdefault(used, used)
    return left


def total(direct: tuple[str, ...], together: Together, trees: Sequence[Tree]) -> Total:
    """What several dependencies are together; their trees put together where that failed."""
    if together.tree is not None:
        return Total(direct, together.tree)
    union = {package.name: package for tree in trees for package in tree}
    return Total(direct, tuple(union.values()), together.failure)
