"""A package index on this machine, with tiny packages in it that were made for the tests."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZIP_DEFLATED, ZipFile

PURE = "py3-none-any"
LINUX = "cp314-cp314-manylinux_2_28_x86_64"
WORKER = "cp314-cp314-pyemscripten_2026_0_wasm32"

# Name, version, tag, needs, Requires-Python.
Release = tuple[str, str, str, Sequence[str], str]


def release(
    name: str, version: str, tag: str = PURE, needs: Sequence[str] = (), python: str = ">=3.9"
) -> Release:
    return name, version, tag, needs, python


RELEASES = [
    release("leaf", "1.0"),
    # with a server's marker, which does not hold on Workers
    release("plain", "1.0", needs=["leaf", 'compiled; platform_machine == "x86_64"']),
    release("compiled", "1.0", LINUX),
    release("middle", "1.0", needs=["compiled"]),
    release("chained", "1.0", needs=["leaf", "middle"]),
    # as pydantic-core: a pure release of years ago, and one for this very platform
    release("two-builds", "1.10"),
    release("two-builds", "2.0", WORKER),
    release("two-builds", "2.0", LINUX),
    # one release back it is still pure
    release("held-back", "2.0"),
    release("held-back", "2.1", needs=["compiled"]),
    # the newest itself, with an older release of what it needs
    release("loose", "1.0", needs=["held-back"]),
    # only a release with another interface is pure
    release("ancient", "1.0"),
    release("ancient", "2.0", needs=["compiled"]),
    # the newest needs what is not released yet
    release("too-early", "1.1"),
    release("too-early", "1.2", needs=["not-yet"]),
    release("older-python", "2.0", python="<3.14"),
    # Pyodide builds 12.2.0
    release("pillow", "13.0", LINUX),
    # allowed, replaced and lacking, by name
    release("httpx", "0.28.1"),
    release("tenacity", "9.2.1"),
    release("redis", "8.0"),
    # read by the standard library, imported by nobody
    release("tzdata", "2026.3"),
    release("workers-runtime-sdk", "1.9.5"),
]


def wheel(folder: Path, one: Release) -> None:
    """Write one release, with a module of its name in it."""
    name, version, tag, needs, python = one
    base = f"{name.replace('-', '_')}-{version}"
    module = name.replace("-", "_")
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        f"Requires-Python: {python}",
        *(f"Requires-Dist: {needed}" for needed in needs),
    ]
    files = {
        f"{module}/__init__.py": "# " + "x" * 998 + "\n",
        f"{base}.dist-info/METADATA": "\n".join(metadata) + "\n",
        f"{base}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{base}.dist-info/RECORD": "",
    }
    page = folder / "simple" / name
    page.mkdir(parents=True, exist_ok=True)
    with ZipFile(page / f"{base}-{tag}.whl", "w", ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    admits = python.replace("<", "&lt;")
    links = [
        f'<a href="{file.name}" data-requires-python="{admits}">{file.name}</a>'
        for file in sorted(page.glob("*.whl"))
    ]
    (page / "index.html").write_text("<!doctype html>" + "\n".join(links), encoding="utf-8")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def build(folder: Path) -> None:
    """Write the index with all releases."""
    for one in RELEASES:
        wheel(folder, one)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The index in a folder, as an address that pip takes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple/"
        finally:
            server.shutdown()
            thread.join()


def environment(address: str, cache: Path) -> Mapping[str, str]:
    """Variables with which forge asks this index, and keeps what it says in a folder."""
    cleared = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))
    }
    return {
        **cleared,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": address,
        "XDG_CACHE_HOME": str(cache),
    }
