"""The package index that pip is configured for: its releases, and which run in a Worker."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from forge_scaffold.errors import UserError
from forge_scaffold.pyodide import known_to_pyodide
from forge_scaffold.versions import Releases

FRESH = 24 * 60 * 60  # how long an answer of the index counts, in s
CONNECTION = 15  # until a connection is given up, in s

# uv's names for what pip's variables say, for those who have configured only uv.
UV_NAMES: Mapping[str, tuple[str, ...]] = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
}


def ask(names: Collection[str], progress: Callable[[int, int], None]) -> dict[str, Releases]:
    """What the index has of packages; those that it gives no answer about are missing.

    An answer is kept in the user's cache folder and counts for a day; an older one counts when the
    index cannot be reached.

    Args:
        names: as PEP 503 normalises them.
        progress: called with the number done and the total.

    Raises:
        UserError: there can be no cache folder.
        KeyboardInterrupt: the user's; pip is gone then.
    """
    folder = cache_folder("index")
    configured = configuration()
    found: dict[str, Releases] = {}
    kept: dict[str, Path] = {}
    for name in sorted(names):
        key = hashlib.sha256(f"{configured}\n{name}".encode()).hexdigest()
        file = folder / f"{key}.json"
        at, releases = _read(file)
        if releases:
            found[name] = releases
        if time.time() - at >= FRESH:
            kept[name] = file
    for done, (name, releases) in enumerate(_asked([*kept]), start=1):
        progress(done, len(kept))
        if releases:
            found[name] = releases
            write(kept[name], json.dumps({"at": time.time(), **releases._asdict()}))
    return {
        name: releases._replace(in_worker=_with_pyodides(name, releases.in_worker))
        for name, releases in found.items()
    }


def _read(kept: Path) -> tuple[float, Releases | None]:
    """When an answer came, as seconds since 1970, and the answer; (0, None): there is none."""
    try:
        told = json.loads(kept.read_text(encoding="utf-8"))
        return float(told["at"]), Releases(tuple(told["anywhere"]), tuple(told["in_worker"]))
    except (OSError, ValueError, KeyError, TypeError):
        return 0, None


def _asked(names: Sequence[str]) -> Iterator[tuple[str, Releases | None]]:
    """The index's own answers, as they come; None: it gave none."""
    if not names:
        return
    known = known_to_pyodide()
    job = {
        "names": names,
        "python": ".".join(known["python"].split(".")[:2]),
        "platform": known["platform"],
        "timeout": CONNECTION,
    }
    with start("forge_scaffold.index_driver", errors=subprocess.DEVNULL) as process:
        try:
            tell(process, job)
            for line in process.stdout or ():
                yield _answer(json.loads(line))
        finally:
            stop(process)


def _answer(told: Mapping[str, Any]) -> tuple[str, Releases | None]:
    if "anywhere" not in told:
        return told["name"], None
    return told["name"], Releases(tuple(told["anywhere"]), tuple(told["in_worker"]))


def _with_pyodides(name: str, versions: Sequence[str]) -> tuple[str, ...]:
    built = known_to_pyodide()["packages"].get(name)
    if not built or built["version"] in versions:
        return tuple(versions)
    from packaging.version import Version

    return tuple(sorted([*versions, built["version"]], key=Version, reverse=True))


def start(program: str, *, errors: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start a module of ours that has pip do something, in lines of JSON; `stop` is to end it."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", program],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,  # Ctrl-C is for us: we end it
    )


def tell(process: subprocess.Popen[str], message: Mapping[str, Any]) -> None:
    """Write a line to a process; whether it is there to read it is seen from its answer."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), file=process.stdin, flush=True)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def unheard(message: str) -> str | None:
    """The server that gave no answer, from a line of pip's log; None: that is about something else.

    pip takes it for an empty page; that there is no such page (404) is an answer. Not the address:
    that may hold a password.
    """
    if not message.startswith("Could not fetch URL ") or " 404 " in message:
        return None
    address = urlsplit(message.removeprefix("Could not fetch URL ").split(": ")[0])
    return address.hostname or "the index"


def environment() -> dict[str, str]:
    """This process's variables for pip, with uv's names where pip's are not set."""
    variables = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}
    for name, uv_names in UV_NAMES.items():
        told = [os.environ[uv_name] for uv_name in uv_names if os.environ.get(uv_name)]
        if told and not os.environ.get(name):
            # uv may name an index: `internal=https://...`
            variables[name] = " ".join(
                part.partition("=")[2] if "=" in part.partition("://")[0] else part
                for part in told[0].split()
            )
    return variables


def configuration() -> str:
    """What pip is configured to. It may hold passwords: to be kept only as part of a hash."""
    listed = subprocess.run(
        [sys.executable, "-P", "-m", "pip", "config", "list"],
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    return listed.stdout


def cache_folder(of: str) -> Path:
    """Where answers of the index are kept: below the user's cache folder.

    Raises:
        UserError: it cannot be made.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    if not base:
        base = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    folder = Path(base).expanduser() / "forge-workers" / of
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror}; name a folder for the cache in XDG_CACHE_HOME"
        ) from error
    return folder


def write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as scratch:
        half = Path(scratch, "half")
        half.write_text(text, encoding="utf-8")
        half.replace(path)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `target` when the block ends: all of it or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
        dir=target.parent, prefix=".new-", ignore_cleanup_errors=True
    ) as scratch:
        folder = Path(scratch, "folder")
        folder.mkdir()
        yield folder
        with contextlib.suppress(OSError):  # another forge was faster
            folder.rename(target)
