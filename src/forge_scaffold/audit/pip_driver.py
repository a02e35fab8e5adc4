"""A program of its own that has pip resolve for another platform: a job on stdin, JSON on stdout.

pip picks wheels for any platform it is told (`--platform`), but judges environment markers
(`; platform_machine == "x86_64"`) by the Python it runs on. On a server that drags greenlet into
SQLAlchemy and calls it blocked. Here pip is given the platform's marker values too; that, and
reading what is in a wheel without downloading it, is why this is not a plain `pip install`.

pip's own configuration (index, credentials, proxies, certificates) applies throughout.
"""

import io
import json
import logging
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname
from zipfile import ZipFile

from pip._internal.commands.install import InstallCommand
from pip._internal.models.target_python import TargetPython
from pip._vendor.packaging import markers
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

# What is read first from a wheel's end, in bytes: most central directories fit.
TAIL = 64 * 1024

READERS = 8


class Resolver:
    """pip, for one platform at a time.

    Args:
        job: `environment` (marker values), `python` (such as "3.14"), `platforms` (wheel tags, the
            Worker's), `server` (wheel tags of a Linux server), `find_links` (a folder with wheels
            that the Worker's platform has besides the index), `cache` (a folder),
            `timeout` (of one connection, in s), `patience` (of one resolution that may go on for
            long, in s).
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.job = job
        self.environment: Any = dict(job["environment"])
        replaced: Any = markers
        replaced.default_environment = lambda: dict(self.environment)

    def resolve(
        self, requirements: Sequence[str], platforms: Sequence[str], *, patiently: bool = True
    ) -> tuple[list[dict[str, Any]], str]:
        """What would be installed, as pip's report has it; or nothing, and pip's words.

        Not patiently: where nothing fits, pip tries every older release of everything; give up on
        that after the job's `patience`.
        """
        with TemporaryDirectory(prefix="forge-audit-") as scratch:
            report = Path(scratch, "report.json")
            arguments = [
                *self._options(platforms),
                "--dry-run",
                "--quiet",
                "--ignore-installed",
                f"--report={report}",
                f"--target={scratch}/target",
                "--only-binary=:all:",
                *requirements,
            ]
            said = io.StringIO()
            limit = 0 if patiently else self.job["patience"]
            with redirect_stderr(said), redirect_stdout(io.StringIO()), _at_most(limit):
                code = InstallCommand("install", "").main(arguments)
            if code:
                return [], said.getvalue()
            return json.loads(report.read_text(encoding="utf-8"))["install"], ""

    def _options(self, platforms: Sequence[str]) -> list[str]:
        return [
            *(f"--platform={platform}" for platform in platforms),
            "--implementation=cp",
            f"--python-version={self.job['python']}",
            f"--find-links={self.job['find_links']}",
            f"--timeout={self.job['timeout']}",
            "--retries=1",
            "--no-input",
            "--disable-pip-version-check",
        ]

    def finder(self, platforms: Sequence[str], *options: str) -> Any:  # noqa: ANN401 - pip's own, untyped here
        """What finds the files of a package that fit these platforms."""
        command = InstallCommand("install", "")
        settings, _ = command.parse_args([*self._options(platforms), *options])
        version = tuple(map(int, self.job["python"].split(".")))
        target = TargetPython(
            platforms=list(platforms), py_version_info=version, implementation="cp"
        )
        return command._build_package_finder(  # noqa: SLF001
            settings, self.session, target, settings.ignore_requires_python
        )

    @cached_property
    def session(self) -> Any:  # noqa: ANN401 - as above
        """HTTP as pip is configured."""
        command = InstallCommand("install", "")
        settings, _ = command.parse_args(self._options(self.job["platforms"]))
        return command._build_session(settings)  # noqa: SLF001


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Interrupt the block (pip makes it an exit code) after so long; 0: never."""
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _give_up(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt  # what pip treats as no failure of a server


class Trouble(logging.Handler):
    """Remembers which index pages could not be had, which pip takes for an empty page."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the server's name, not the address: that may hold a password."""
        message = record.getMessage()
        if message.startswith("Could not fetch URL ") and " 404 " not in message:
            host = urlsplit(message.removeprefix("Could not fetch URL ").split(": ")[0]).hostname
            self.told.append(host or "the index")


def probe(resolver: Resolver, requirement: str) -> dict[str, Any]:
    """Whether the newest release of one requirement resolves, what blocks it, what else would do.

    Returns:
        `newest`; `ready`: its packages, or None; `wanted`: the packages that the newest would
        bring if all wheels existed; `blockers`; `older`: the packages of the newest release that
        does resolve, if one of this or the last major version does within the patience, or None;
        `said`: pip's words, when nothing resolves at all.
    """
    job = resolver.job
    wanted = Requirement(requirement)
    extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    everything = [*job["platforms"], *job["server"]]
    found: dict[str, Any] = {"newest": None, "ready": None, "wanted": None, "older": None}
    found |= {"blockers": [], "said": ""}
    newest = best_version(resolver, wanted, everything, "--ignore-requires-python")
    if newest is None:
        return found | {"said": f"no release of {wanted.name} fits {wanted.specifier or 'at all'}"}
    found["newest"] = str(newest)
    pinned = f"{wanted.name}{extras}=={newest}"
    said = ""
    if newest == best_version(resolver, wanted, everything):
        kind = "ready"
        generous, said = resolver.resolve([pinned], everything)
        if not generous:  # nor could a server: its parts are not all there, or it is source only
            kind, pinned = "older", requirement
            generous, _ = resolver.resolve([pinned], everything, patiently=False)
            found["blockers"] = list(_told(said))
        packages = described(resolver, generous, [pinned])
        if packages and not any(package["native"] for package in packages):
            return found | {kind: packages}
        found["wanted"] = packages or None
        blockers, there = _judged(resolver, generous, packages)
        if packages and not blockers:
            for pins in (there, []):
                if fitting := resolver.resolve([pinned, *pins], job["platforms"])[0]:
                    return found | {kind: described(resolver, fitting, [pinned])}
        found["blockers"] = blockers or found["blockers"]
    else:
        why = f"{newest} does not admit Python {job['python']}"
        found["blockers"] = [{"name": canonicalize_name(wanted.name), "why": why}]
    older, older_said = _older(resolver, wanted, extras, newest)
    found["older"] = described(resolver, older, [requirement]) if older else None
    found["blockers"] = found["blockers"] or list(_told(said)) or list(_told(older_said))
    return found | {"said": said or older_said}


def best_version(
    resolver: Resolver, wanted: Requirement, platforms: Sequence[str], *options: str
) -> Any:  # noqa: ANN401
    """The newest version that a requirement admits and these platforms can take; None: none."""
    finder = resolver.finder(platforms, *options)
    best = finder.find_best_candidate(wanted.name, wanted.specifier).best_candidate
    return best.version if best else None


def _older(
    resolver: Resolver,
    wanted: Requirement,
    extras: str,
    newest: Any,  # noqa: ANN401
) -> tuple[list[dict[str, Any]], str]:
    """The newest release that does resolve, back to the last major version or to what is there."""
    platforms = resolver.job["platforms"]
    there = best_version(resolver, wanted, platforms, "--only-binary=:all:")
    if there is None:
        return [], f"Could not find a version that satisfies the requirement {wanted.name}"
    least = SpecifierSet(f">={max(min(newest.major - 1, there.major), 0)}")
    requirement = f"{wanted.name}{extras}{wanted.specifier & least}"
    return resolver.resolve([requirement], platforms, patiently=False)


def whole(resolver: Resolver, requirements: Sequence[str], *, server: bool) -> dict[str, Any]:
    """All requirements together: `packages`, or None and pip's words in `said`."""
    platforms = resolver.job["server"] if server else resolver.job["platforms"]
    installs, said = resolver.resolve(requirements, platforms)
    packages = described(resolver, installs, requirements) if installs else None
    return {"packages": packages, "said": said}


def _judged(
    resolver: Resolver, installs: list[dict[str, Any]], packages: list[dict[str, Any]]
) -> tuple[list[dict[str, str]], list[str]]:
    """The compiled packages of a tree: those that block it, and pins for the others.

    One blocks when no release that its parents admit has a wheel for the platform.
    """
    finder = resolver.finder(resolver.job["platforms"], "--only-binary=:all:")
    admitted: dict[str, SpecifierSet] = {}
    for install in installs:
        for text in install["metadata"].get("requires_dist", []):
            needed = Requirement(text)
            name = canonicalize_name(needed.name)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                admitted[name] = admitted.get(name, SpecifierSet()) & needed.specifier
    blockers, pins = [], []
    for name in (package["name"] for package in packages if package["native"]):
        best = finder.find_best_candidate(name, admitted.get(name, SpecifierSet())).best_candidate
        if best is None:
            why = "compiled, and no wheel for WebAssembly"
            blockers.append({"name": name, "why": why})
        else:
            pins.append(f"{name}=={best.version}")
    return blockers, pins


UNSATISFIED = re.compile(
    r"Could not find a version that satisfies the requirement ([A-Za-z0-9][\w.-]*)[^\n]*"
)
MISSING = re.compile(
    r"no matching distributions available for your environment:\s+((?:\S+\n?\s*)+)"
)


def _told(said: str) -> Iterator[dict[str, str]]:
    """The packages that pip's words call missing."""
    names = [*UNSATISFIED.findall(said), *(MISSING.findall(said + "\n") or [""])[0].split()]
    for name in dict.fromkeys(map(canonicalize_name, names)):
        yield {"name": name, "why": "no wheel that Python there could install"}


def described(
    resolver: Resolver, installs: list[dict[str, Any]], requirements: Sequence[str]
) -> list[dict[str, Any]]:
    """The installs as the audit wants them, with sizes in bytes; raw and gzip None if unknown."""
    if not installs:
        return []
    needs = _needs(resolver, installs, requirements)
    session = resolver.session
    with ThreadPoolExecutor(READERS) as pool:
        contents = pool.map(lambda install: _content(resolver, session, install), installs)
        pairs = list(zip(installs, contents, strict=True))
    return [
        {
            "name": canonicalize_name(install["metadata"]["name"]),
            "version": install["metadata"]["version"],
            "from_pyodide": _is_stub(resolver, install),
            "native": not _filename(install).endswith(
                ("-any.whl", *(f"-{platform}.whl" for platform in resolver.job["platforms"]))
            ),
            "needs": needs.get(canonicalize_name(install["metadata"]["name"]), []),
            **content,
        }
        for install, content in pairs
    ]


def _needs(
    resolver: Resolver, installs: list[dict[str, Any]], requirements: Sequence[str]
) -> dict[str, list[str]]:
    """Who needs whom in a tree, under the platform's markers and the extras asked for."""
    metadata = {
        canonicalize_name(install["metadata"]["name"]): install["metadata"] for install in installs
    }
    needs: dict[str, list[str]] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    pending = [Requirement(text) for text in requirements]
    while pending:
        needed = pending.pop()
        name = canonicalize_name(needed.name)
        state = (name, frozenset(needed.extras))
        if name not in metadata or state in seen:
            continue
        seen.add(state)
        for text in metadata[name].get("requires_dist", []):
            child = Requirement(text)
            applies = child.marker is None or any(
                child.marker.evaluate({**resolver.environment, "extra": extra})
                for extra in ("", *needed.extras)
            )
            child_name = canonicalize_name(child.name)
            if applies and child_name in metadata:
                known = needs.setdefault(name, [])
                if child_name not in known:
                    known.append(child_name)
                pending.append(child)
    return needs


def _filename(install: Mapping[str, Any]) -> str:
    return unquote(PurePosixPath(urlsplit(install["download_info"]["url"]).path).name)


def _is_stub(resolver: Resolver, install: Mapping[str, Any]) -> bool:
    address = urlsplit(install["download_info"]["url"])
    if address.scheme != "file":
        return False
    return Path(url2pathname(address.path)).parent == Path(resolver.job["find_links"])


def _content(resolver: Resolver, session: Any, install: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """A wheel's sizes and what it can be imported as; kept, for a release never changes."""
    if _is_stub(resolver, install):
        return {"raw": None, "gzip": None, "modules": []}
    information = install["download_info"]
    digest = information.get("archive_info", {}).get("hashes", {}).get("sha256")
    key = sha256(f"{_filename(install)} {digest or information['url']}".encode()).hexdigest()
    kept = Path(resolver.job["cache"], "wheels", f"{key}.json")
    try:
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        pass
    try:
        content = _read(session, information["url"])
    except Exception:  # noqa: BLE001 - whatever a server answers: an unknown size is no failure
        return {"raw": None, "gzip": None, "modules": []}
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as scratch:
        half = Path(scratch, "half")
        half.write_text(json.dumps(content), encoding="utf-8")
        half.replace(kept)
    return content


def _read(session: Any, url: str) -> dict[str, Any]:  # noqa: ANN401
    address = urlsplit(url)
    if address.scheme == "file":
        path = Path(url2pathname(address.path))
        with ZipFile(path) as wheel:
            return _summary(wheel, path.stat().st_size)
    wanted = TAIL
    while True:
        headers = {"Range": f"bytes=-{wanted}", "Accept-Encoding": "identity"}
        answer = session.get(url, headers=headers)
        answer.raise_for_status()
        whole = answer.status_code == 200
        total = len(answer.content) if whole else int(answer.headers["Content-Range"].split("/")[1])
        try:
            with ZipFile(io.BytesIO(answer.content)) as wheel:
                return _summary(wheel, total)
        except ValueError:
            raise
        except Exception:
            if whole or wanted >= total:
                raise
            wanted *= 16


def _summary(wheel: ZipFile, size: int) -> dict[str, Any]:
    files = wheel.infolist()
    names = [file.filename for file in files]
    return {
        "raw": sum(file.file_size for file in files),
        "gzip": size,
        "modules": modules(names),
    }


def modules(names: Sequence[str]) -> list[str]:
    """What a wheel with these files can be imported as: the outermost modules, dotted.

    A package without __init__.py is shared with others (`google`): what lies in it counts.
    """
    paths = [PurePosixPath(name) for name in names if name.endswith((".py", ".so", ".pyd"))]
    packages = {path.parent for path in paths if path.name == "__init__.py"}
    found: set[str] = set()
    for path in paths:
        if path.parts[0].endswith((".data", ".dist-info")):
            continue
        outer = next((parent for parent in reversed(path.parents) if parent in packages), None)
        module = outer or path.parent / path.name.partition(".")[0]
        found.add(".".join(module.parts))
    return sorted(found)[:40]


def main() -> None:
    """Do the job on stdin: `{"do": "probe"|"server"|"worker", "requirements": [...], ...}`."""
    job = json.load(sys.stdin)
    trouble = Trouble()
    collector = logging.getLogger("pip._internal.index.collector")
    collector.setLevel(logging.DEBUG)
    collector.addHandler(trouble)
    resolver = Resolver(job)
    requirements = job["requirements"]
    if job["do"] == "probe":
        answer = probe(resolver, requirements[0])
    else:
        answer = whole(resolver, requirements, server=job["do"] == "server")
    json.dump({**answer, "unreachable": sorted(set(trouble.told))}, sys.stdout)


if __name__ == "__main__":
    main()
