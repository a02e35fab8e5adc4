"""workerd by itself, with Python Workers from a configuration of its own.

One process may hold many Workers. It imports them all before it answers a request; when one of them
cannot be imported, the process prints why, goes on with the others, and ends.
"""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# npm's Pyodide makes the "development" bundle. The newest Python's flag wins, so those are off.
_FLAGS = (
    "python_workers",
    "python_workers_development",
    "no_python_workers_314",
    "no_python_workers_20250116",
)
_DATE = "2026-11-01"

SAVE_BASELINE = "--python-save-baseline-snapshot"
SAVE = "--python-save-snapshot"
LOAD = "--python-load-snapshot=snapshot.bin"

SDK = ("_workers_sdk_*", "workers", "workers_runtime_sdk-*")
"""The part of python_modules that every Python Worker needs."""

_NOT_UPLOADED = re.compile(r"__pycache__|\.pyc$|\.pyi$|/RECORD$")


@dataclass(frozen=True)
class Worker:
    """A Python Worker.

    Attributes:
        modules: the source of each module; the first is the main module.
        packages: patterns for names in python_modules.
        variables: text bindings.
        dedicated: whether its snapshot holds its modules, too, as that of a deployed Worker does.
        flags: further compatibility flags.
    """

    modules: Mapping[str, str]
    packages: Collection[str] = SDK
    variables: Mapping[str, str] = field(default_factory=dict)
    dedicated: bool = True
    flags: Collection[str] = ()


@dataclass(frozen=True)
class Running:
    """A process that has imported its Workers, or has ended."""

    process: subprocess.Popen[str]
    port: int | None

    def get(self, path: str) -> tuple[int, str]:
        """Ask the first Worker; the status and the body of its answer."""
        url = f"http://127.0.0.1:{self.port}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=600) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@dataclass(frozen=True)
class Workerd:
    """A workerd, with what it needs to run Python.

    Attributes:
        binary: the program.
        bundles: the folder with the bundle of Pyodide.
        packages: a project's python_modules.
    """

    binary: Path
    bundles: Path
    packages: Path

    @contextmanager
    def serve(
        self, folder: Path, workers: Mapping[str, Worker], *arguments: str
    ) -> Iterator[Running]:
        """Serve the first of the Workers on a free port; what it prints is in `folder`/log."""
        folder.mkdir()
        (folder / "python_modules").symlink_to(self.packages)
        config = folder / "config.capnp"
        config.write_text(self._config(folder, workers))
        reader, writer = os.pipe()
        command: list[str | Path] = [
            self.binary,
            "serve",
            "--experimental",
            f"--control-fd={writer}",
            f"--pyodide-bundle-disk-cache-dir={self.bundles}",
            *arguments,
            config,
        ]
        with (folder / "log").open("w") as log, os.fdopen(reader) as control:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, pass_fds=[writer], text=True
            )
            os.close(writer)
            try:
                line = control.readline()
                yield Running(process, json.loads(line)["port"] if line else None)
            finally:
                process.kill()
                process.wait()

    def failures(
        self, folder: Path, workers: Mapping[str, Worker], *arguments: str
    ) -> dict[str, str]:
        """The error of each Worker that cannot be imported, or of which no snapshot can be made."""
        # A process ends only when a Worker fails.
        failing = Worker({"failing.py": "raise RuntimeError\n"})
        with self.serve(folder, {**workers, "failing": failing}, *arguments) as running:
            running.process.wait(1200)
        failures = re.split(r"(?m)^service (\w+): ", (folder / "log").read_text())
        found = dict(zip(failures[1::2], failures[2::2], strict=True))
        assert found.pop("failing", None), failures
        return found

    def _config(self, folder: Path, workers: Mapping[str, Worker]) -> str:
        """A configuration; of the modules, those of the Workers are written below `folder`."""
        definitions = "".join(
            f"const {name} :Workerd.Worker = {self._worker(folder / name, worker)};\n"
            for name, worker in workers.items()
        )
        first = next(iter(workers))
        services = ", ".join(f'(name = "{name}", worker = .{name})' for name in workers)
        return f"""\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [{services}],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "{first}")],
);
{definitions}"""

    def _worker(self, folder: Path, worker: Worker) -> str:
        folder.mkdir()
        modules = []
        for name, source in worker.modules.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(source)
            modules.append(_module(name, f"{folder.name}/{name}"))
        for pattern in worker.packages:
            modules += (_module(name, name) for name in self._uploaded(pattern))
        dedicated = ("python_dedicated_snapshot",) if worker.dedicated else ()
        flags = [*_FLAGS, *dedicated, *worker.flags]
        variables = ", ".join(
            f"(name = {_text(name)}, text = {_text(value)})"
            for name, value in worker.variables.items()
        )
        return (
            f"(modules = [{', '.join(modules)}], bindings = [{variables}], "
            f'compatibilityDate = "{_DATE}", '
            f"compatibilityFlags = [{', '.join(map(_text, flags))}])"
        )

    def _uploaded(self, pattern: str) -> Iterator[str]:
        for top in sorted(self.packages.glob(pattern)):
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                name = f"python_modules/{path.relative_to(self.packages).as_posix()}"
                if path.is_file() and not _NOT_UPLOADED.search(name):
                    yield name


def _module(name: str, file: str) -> str:
    kind = "pythonModule" if name.endswith(".py") else "data"
    return f"(name = {_text(name)}, {kind} = embed {_text(file)})"


def _text(value: str) -> str:
    """A string literal of Cap'n Proto's."""
    return json.dumps(value)
