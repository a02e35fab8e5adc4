"""A package index on this machine, with tiny packages in it that were made for the tests."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from forge_scaffold.packages.pyodide import known_to_pyodide

PURE = "py3-none-any"
LINUX = "cp314-cp314-manylinux_2_28_x86_64"
WORKER = "cp314-cp314-pyemscripten_2026_0_wasm32"

# Name, version, tag, needs, Requires-Python.
Release = tuple[str, str, str, Sequence[str], str]


def release(
    name: str, version: str, tag: str = PURE, needs: Sequence[str] = (), python: str = ">=3.9"
) -> Release:
    return name, version, tag, needs, python


LXML = known_to_pyodide()["packages"]["lxml"]["version"]

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
    # Pyodide builds this version, and only the index knows its extra and its size
    release("lxml", LXML, LINUX, needs=['compiled; extra == "native"', 'leaf; extra == "pure"']),
    release("lxml", "99.0", LINUX, needs=['leaf; extra == "pure"']),
    # allowed, replaced and lacking, by name
    release("httpx", "0.28.1"),
    release("tenacity", "9.2.1"),
    release("redis", "8.0"),
    # drivers that Cloudflare supports over Hyperdrive
    *(release(name, "3.9") for name in ("aiomysql", "asyncpg", "pg8000", "psycopg", "pymysql")),
    # another major version than projects were written for
    release("pydantic", "1.10.13"),
    release("pydantic", "2.14.4"),
    release("early", "0.5.0"),
    # read by the standard library, imported by nobody
    release("tzdata", "2026.3"),
    release("workers-runtime-sdk", "1.9.5"),
]


def wheel(folder: Path, one: Release, filling: int = 0) -> Path:
    """Write one release, with a module of its name in it, and so many bytes after all else."""
    name, version, tag, needs, python = one
    base = f"{name.replace('-', '_')}-{version}"
    module = name.replace("-", "_")
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        f"Requires-Python: {python}",
        *(f"Requires-Dist: {needed}" for needed in needs),
        *(f"Provides-Extra: {extra}" for extra in re.findall('extra == "(.*?)"', str(needs))),
    ]
    files = {
        f"{module}/__init__.py": "# " + "x" * 998 + "\n",
        f"{module}/tests/test_all.py": "# " + "x" * 998 + "\n",
        f"{base}.dist-info/METADATA": "\n".join(metadata) + "\n",
        f"{base}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{base}.dist-info/RECORD": "",
    }
    page = folder / "simple" / name
    page.mkdir(parents=True, exist_ok=True)
    made = page / f"{base}-{tag}.whl"
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        if filling:
            archive.writestr(f"{module}/filling", os.urandom(filling))
    admits = python.replace("<", "&lt;")
    links = [
        f'<a href="{file.name}" data-requires-python="{admits}">{file.name}</a>'
        for file in sorted(page.glob("*.whl"))
    ]
    (page / "index.html").write_text("<!doctype html>" + "\n".join(links), encoding="utf-8")
    return made


@dataclass
class Served:
    """What an index has sent: the path of each request, and how many bytes of wheels."""

    paths: list[str] = field(default_factory=list)
    wheels: int = 0


class _Handler(SimpleHTTPRequestHandler):
    """Quiet, and able to send a part of a file, as the servers of real indexes are."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - socketserver's own
        served: Served,
        ranges: bool,
        directory: Path,
    ) -> None:
        self.served = served
        self.ranges = ranges
        super().__init__(*arguments, directory=str(directory))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.served.paths.append(self.path)
        if not self.path.endswith(".whl"):
            super().do_GET()
            return
        whole = Path(self.translate_path(self.path)).read_bytes()
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers["Range"] or "")
        part, start = whole, 0
        if asked and self.ranges:
            first, last = asked.groups()
            start = int(first) if first else max(len(whole) - int(last), 0)
            part = whole[start : int(last) + 1 if first and last else None]
        self.send_response(206 if asked and self.ranges else 200)
        self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        self.served.wheels += len(part)


def build(folder: Path) -> None:
    """Write the index with all releases."""
    for one in RELEASES:
        wheel(folder, one)


@contextmanager
def served(folder: Path, into: Served | None = None, *, ranges: bool = True) -> Iterator[str]:
    """The index in a folder, as an address that pip takes."""
    handler = partial(_Handler, served=into or Served(), ranges=ranges, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
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
