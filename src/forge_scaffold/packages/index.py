"""The package index that pip is configured for: its releases, and which run in a Worker."""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from forge_scaffold.packages.cache import FRESH, cache_folder, write
from forge_scaffold.packages.process import CONNECTION, configuration, start, stop, tell
from forge_scaffold.packages.pyodide import known_to_pyodide
from forge_scaffold.packages.versions import Releases


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
    with start("forge_scaffold.packages.index_driver", errors=subprocess.DEVNULL) as process:
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
