"""What the Workers' Python could install: pip's resolver, asked about that platform and cached.

Workers take packages from two places, as pywrangler does: the index that pip is configured for, and
Pyodide's own builds. Those are listed in pyodide.json (from npm's `pyodide`, whose
pyodide-lock.json names them); here they become wheels with nothing but their metadata in them, so
that the resolver weighs both places against each other.
"""

import contextlib
import hashlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Timer
from typing import Any, Self
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from forge_scaffold.packages.cache import FRESH, whole_folder, write
from forge_scaffold.packages.process import configuration, start, stop, tell
from forge_scaffold.packages.pyodide import ENVIRONMENT, known_to_pyodide
from forge_scaffold.printable import masked

# A Linux server with Python 3.14: where the project is taken to run today.
SERVER_ENVIRONMENT: Mapping[str, str] = {
    **ENVIRONMENT,
    "platform_machine": "x86_64",
    "platform_release": "6.1.0",
    "platform_system": "Linux",
    "sys_platform": "linux",
}
SERVER_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)),
    *(f"manylinux{year}_x86_64" for year in (2014, 2010, 1)),
    "linux_x86_64",
)

SHAPE = 4  # of what is kept: a higher number, and it is asked for anew
CONNECTION = 15  # until a connection is given up, in s
PATIENCE = 60  # until a resolution is given up, in s
BRIEF_PATIENCE = 15  # the same for what is told besides: an older release that fits, the totals
STUCK = 300  # until a driver that does not answer is ended, in s


@dataclass(frozen=True)
class Package:
    """One package of a resolved tree.

    Attributes:
        name: as PEP 503 normalises it.
        raw: the bytes of its files; None when unknown.
        gzip: the bytes of its wheel, which is compressed in the same way; None when unknown.
        estimated: the sizes are those of the release's wheel for another platform.
        native: it is compiled, and not for WebAssembly.
        from_pyodide: it comes from Pyodide's own builds, not from the index.
        needs: the names of the packages of the tree that it requires.
        modules: what it can be imported as, dotted.
    """

    name: str
    version: str
    raw: int | None
    gzip: int | None
    estimated: bool
    native: bool
    from_pyodide: bool
    needs: tuple[str, ...]
    modules: tuple[str, ...]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """One from what the driver tells."""
        return cls(**{**told, "needs": tuple(told["needs"]), "modules": tuple(told["modules"])})


Tree = tuple[Package, ...]


@dataclass(frozen=True)
class Probe:
    """What the resolver says of one requirement.

    Attributes:
        newest: the newest release that the requirement admits, wherever it runs; None: none.
        ready: the tree of that release on Workers; None when it does not resolve.
        wanted: the tree it would have if every wheel existed; None when that is unknown too.
        older: the tree of an older release that does resolve; None when there is no recent one.
        blockers: the packages that have no wheel there, with the reason.
        undecided: why it is not known whether an older release resolves; empty when it is.
        failure: why nothing is known; empty when something is.
        as_of: when the index was asked, as seconds since 1970.
    """

    newest: str | None = None
    ready: Tree | None = None
    wanted: Tree | None = None
    older: Tree | None = None
    blockers: Mapping[str, str] = field(default_factory=dict)
    undecided: str = ""
    failure: str = ""
    as_of: float = 0.0


@dataclass(frozen=True)
class Together:
    """What the resolver says of several requirements at once: the tree, or why there is none."""

    tree: Tree | None
    failure: str = ""


class Index:
    """The package index, seen from a Worker; a context manager, which ends what it started.

    Args:
        cache: a folder to keep answers in.
        offline: ask nobody; use what is kept, of whatever age.
        pyodide_builds: count Pyodide's own builds, too, not only what the index has.
        constraints: a file with versions, as pip reads it.

    Raises (its methods): KeyboardInterrupt: the user's; the resolvers under way are gone then.
    """

    def __init__(
        self,
        cache: Path,
        *,
        offline: bool = False,
        pyodide_builds: bool = True,
        constraints: Path | None = None,
    ) -> None:
        self.cache = cache
        self.offline = offline
        self.constraints = constraints
        self._builds = known_to_pyodide()["packages"] if pyodide_builds else {}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            stop(self._process)
            self._process.communicate()
            self._process = None

    def probes(
        self, requirements: Sequence[str], progress: Callable[[int, int], None]
    ) -> dict[str, Probe]:
        """What is known of each requirement.

        Args:
            requirements: PEP 508, without markers.
            progress: called with the number done and the total.
        """
        wanted = sorted(set(requirements))
        unknown = [one for one in wanted if self._kept("probe", [one]) is None]
        progress(0, len(wanted))
        if unknown and not self.offline:
            self._run("read-ahead", unknown)
        found: dict[str, Probe] = {}
        for requirement in wanted:
            found[requirement] = self.probe(requirement)
            progress(len(found), len(wanted))
        return found

    def probe(self, requirement: str) -> Probe:
        """What is known of one requirement."""
        answer = self._ask("probe", [requirement])
        if "failure" in answer:
            return Probe(failure=answer["failure"])
        blockers = {blocker["name"]: blocker["why"] for blocker in answer["blockers"]}
        if answer["newest"] is None:
            blockers = {_name(requirement): answer["said"]}
        if answer["unreachable"] and not answer["ready"]:
            return Probe(failure=f"no answer from {', '.join(answer['unreachable'])}")
        return Probe(
            newest=answer["newest"],
            ready=_tree(answer["ready"]),
            wanted=_tree(answer["wanted"]),
            older=_tree(answer["older"]),
            blockers=blockers,
            undecided=answer["undecided"],
            as_of=answer["at"],
        )

    def together(self, requirements: Sequence[str], *, server: bool) -> Together:
        """All requirements in one environment: a Worker's, or a Linux server's."""
        if not requirements:
            return Together(())
        answer = self._ask("server" if server else "worker", sorted(set(requirements)))
        if "failure" in answer:
            return Together(None, answer["failure"])
        tree = _tree(answer["packages"])
        return Together(tree, "" if tree else _last_words(answer["said"]))

    def _ask(self, what: str, requirements: list[str]) -> dict[str, Any]:
        """The driver's answer with the time `at` which it came, or `failure`: why there is none."""
        if kept := self._kept(what, requirements):
            return kept
        if self.offline:
            return {"failure": "not known offline: it was never asked for on this machine"}
        answer = {"at": time.time(), **self._run(what, requirements)}
        # What is not decided takes as long to be asked again.
        known = "failure" not in answer or "undecided" in answer
        if known and not answer["unreachable"]:
            write(self._path(what, requirements), json.dumps(answer))
        return answer

    def _kept(self, what: str, requirements: list[str]) -> dict[str, Any] | None:
        """An answer from earlier that still counts."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            answer = json.loads(self._path(what, requirements).read_text(encoding="utf-8"))
            if self.offline or time.time() - answer["at"] < FRESH:
                return dict(answer)
        return None

    def _path(self, what: str, requirements: list[str]) -> Path:
        """Where an answer is kept."""
        pyodide = known_to_pyodide()["pyodide"] if self._builds else None
        limits = self.constraints and self.constraints.read_text("utf-8")
        key = json.dumps([SHAPE, what, requirements, self._configuration, pyodide, limits])
        return self.cache / "answers" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _run(self, what: str, requirements: Sequence[str]) -> dict[str, Any]:
        """The driver's answer to one question; the first one starts it."""
        process = self._process = self._process or self._start()
        stuck = Timer(STUCK, process.kill)
        stuck.start()
        try:
            tell(process, {"do": what, "requirements": list(requirements)})
            if process.stdout and (line := process.stdout.readline()):
                return dict(json.loads(line))
        finally:
            stuck.cancel()
        _, errors = process.communicate()
        self._process = None
        if process.returncode == -signal.SIGKILL:
            return {"failure": f"the resolver did not answer within {STUCK} s"}
        return {"failure": f"the resolver failed: {_last_words(errors)}"}

    def _start(self) -> subprocess.Popen[str]:
        """Another driver."""
        process = start("forge_scaffold.packages.pip_driver")
        job = {
            "environment": ENVIRONMENT,
            "server_environment": SERVER_ENVIRONMENT,
            "python": ENVIRONMENT["python_version"],
            "platforms": [known_to_pyodide()["platform"]],
            "server": SERVER_PLATFORMS,
            "find_links": str(self._pyodide_wheels),
            "cache": str(self.cache),
            "constraints": [f"--constraint={self.constraints}"] if self.constraints else [],
            "timeout": CONNECTION,
            "patience": PATIENCE,
            "brief_patience": BRIEF_PATIENCE,
        }
        tell(process, job)
        return process

    @cached_property
    def _configuration(self) -> str:
        return configuration()

    @cached_property
    def _pyodide_wheels(self) -> Path:
        """A folder with a wheel, metadata only, for each package that Pyodide builds."""
        content = json.dumps([known_to_pyodide()["platform"], self._builds])
        folder = self.cache / f"pyodide-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        if not folder.is_dir():
            with whole_folder(folder) as wheels:
                for name, package in self._builds.items():
                    _write_wheel(wheels, name, package)
        return folder


def _write_wheel(folder: Path, name: str, package: Mapping[str, Any]) -> None:
    """A wheel with metadata only. Its tag ranks last, so that the index's own wheel wins a tie."""
    platform = known_to_pyodide()["platform"] if package["compiled"] else "any"
    base = f"{name.replace('-', '_')}-{package['version']}"
    needs = "".join(f"Requires-Dist: {needed}\n" for needed in package["needs"])
    tag = f"py30-none-{platform}"
    contents = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {package['version']}\n{needs}",
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: forge\nRoot-Is-Purelib: true\nTag: {tag}\n",
        "RECORD": "",
    }
    with ZipFile(folder / f"{base}-{tag}.whl", "w") as wheel:
        for file, text in contents.items():
            wheel.writestr(f"{base}.dist-info/{file}", text)


def _tree(told: list[Mapping[str, Any]] | None) -> Tree | None:
    return None if told is None else tuple(map(Package.of, told))


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _last_words(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("WARNING")]
    return masked(lines[-1].removeprefix("ERROR: "))[:300] if lines else "it said nothing"
