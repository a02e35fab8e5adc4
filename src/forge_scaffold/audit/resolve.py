"""What the Workers' Python could install: pip's resolver, asked about that platform and cached.

Workers take packages from two places, as pywrangler does: the index that pip is configured for, and
Pyodide's own builds. Those are listed in pyodide.json (from npm's `pyodide`, whose
pyodide-lock.json names them); here they become wheels with nothing but their metadata in them, so
that the resolver weighs both places against each other.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from forge_scaffold.index import FRESH, configuration, environment, write
from forge_scaffold.pyodide import known_to_pyodide

# The marker values (PEP 508) of Pyodide 314, which is what Workers run since 2026-09-08.
ENVIRONMENT: Mapping[str, str] = {
    "implementation_name": "cpython",
    "implementation_version": "3.14.2",
    "os_name": "posix",
    "platform_machine": "wasm32",
    "platform_python_implementation": "CPython",
    "platform_release": "5.0.3",
    "platform_system": "Emscripten",
    "platform_version": "#1",
    "python_full_version": "3.14.2",
    "python_version": "3.14",
    "sys_platform": "emscripten",
}

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

SHAPE = 1  # of what is kept: a higher number, and it is asked for anew
CONNECTION = 15  # until a connection is given up, in s
PATIENCE = 10  # how long pip may look for an older release that fits, in s


@dataclass(frozen=True)
class Package:
    """One package of a resolved tree.

    Attributes:
        name: as PEP 503 normalises it.
        raw: the bytes of its files; None when unknown.
        gzip: the bytes of its wheel, which is compressed in the same way; None when unknown.
        native: it is compiled, and not for WebAssembly.
        from_pyodide: it comes from Pyodide's own builds, not from the index.
        needs: the names of the packages of the tree that it requires.
        modules: what it can be imported as, dotted.
    """

    name: str
    version: str
    raw: int | None
    gzip: int | None
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
        failure: why nothing is known; empty when something is.
        as_of: when the index was asked, as seconds since 1970.
    """

    newest: str | None = None
    ready: Tree | None = None
    wanted: Tree | None = None
    older: Tree | None = None
    blockers: Mapping[str, str] = field(default_factory=dict)
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

    Raises (its methods): KeyboardInterrupt: the user's; the resolvers under way are gone then.
    """

    def __init__(self, cache: Path, *, offline: bool = False) -> None:
        self.cache = cache
        self.offline = offline
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        for process in list(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def probes(
        self, requirements: Sequence[str], told: Callable[[int, int], None]
    ) -> dict[str, Probe]:
        """What is known of each requirement; several are asked at a time.

        Args:
            requirements: PEP 508, without markers.
            told: is called with how many are done, and of how many.
        """
        wanted = sorted(set(requirements))
        found: dict[str, Probe] = {}
        pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1))
        try:
            asked = {pool.submit(self.probe, requirement): requirement for requirement in wanted}
            for done in as_completed(asked):
                found[asked[done]] = done.result()
                told(len(found), len(wanted))
        except BaseException:
            self.__exit__()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
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
        pyodide = known_to_pyodide()["pyodide"]
        key = json.dumps([SHAPE, what, requirements, self._configuration, pyodide])
        kept = self.cache / "answers" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            answer = json.loads(kept.read_text(encoding="utf-8"))
            if self.offline or time.time() - answer["at"] < FRESH:
                return dict(answer)
        if self.offline:
            return {"failure": "not known offline: it was never asked for on this machine"}
        answer = self._run(what, requirements)
        if "failure" not in answer and not answer["unreachable"]:
            answer["at"] = time.time()
            write(kept, json.dumps(answer))
        return {"at": time.time(), **answer}

    def _run(self, what: str, requirements: list[str]) -> dict[str, Any]:
        job = {
            "do": what,
            "requirements": requirements,
            "environment": SERVER_ENVIRONMENT if what == "server" else ENVIRONMENT,
            "python": ENVIRONMENT["python_version"],
            "platforms": [known_to_pyodide()["platform"]],
            "server": SERVER_PLATFORMS,
            "find_links": str(self._pyodide_wheels),
            "cache": str(self.cache),
            "timeout": CONNECTION,
            "patience": PATIENCE,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "forge_scaffold.audit.pip_driver"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: we end it
        )
        self._running.add(process)
        try:
            if self._stopped:
                os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate(json.dumps(job), timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return {"failure": "the resolver did not finish within 5 minutes"}
        finally:
            self._running.discard(process)
        if process.returncode:
            return {"failure": f"the resolver failed: {_last_words(errors)}"}
        return dict(json.loads(output))

    @cached_property
    def _configuration(self) -> str:
        return configuration()

    @cached_property
    def _pyodide_wheels(self) -> Path:
        """A folder with a wheel, metadata only, for each package that Pyodide builds."""
        content = json.dumps(known_to_pyodide())
        folder = self.cache / f"pyodide-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
                half = Path(scratch, "half")
                half.mkdir()
                for name, package in known_to_pyodide()["packages"].items():
                    _write_wheel(half, name, package)
                with contextlib.suppress(OSError):  # another forge was faster
                    half.rename(folder)
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
    return lines[-1].removeprefix("ERROR: ")[:300] if lines else "it said nothing"
