"""The template's harness in the user's cache: its scripts; Node, wrangler and workerd from npm."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from forge_scaffold.errors import UserError
from forge_scaffold.packages.cache import cache_folder, whole_folder
from forge_scaffold.packages.process import stop
from forge_scaffold.render import render
from forge_scaffold.runtime.cache import hold
from forge_scaffold.sources import Source, current_template

Progress = Callable[[str], AbstractContextManager[None]]

# The project whose harness it is: it asks for nothing that a foreign Worker could lack.
ANSWERS = {
    "service_name": "forge-runtime",
    "providers": ["openai"],
    "auth": "none",
    "database": "none",
    "telemetry": "none",
}
CACHE = "runtime"  # below the user's cache folder
FROM_NPM = ("package.json", ".npmrc")
HARNESS = ("scripts", "requirements")

NO_NPM = "npm is missing; install Node.js 20 or newer (https://nodejs.org), which brings it"


def harness(progress: Progress) -> Path:
    """The harness's folder, installed unless it is there.

    What npm installs is kept for each package.json, the scripts below it: Node looks for packages
    in the parent folders, and most releases change only the scripts.

    Raises:
        UserError: it cannot be installed; the message says why.
    """
    with current_template() as source:
        installed = cache_folder(CACHE) / _digest(source, FROM_NPM)
        home = installed / _digest(source, HARNESS)
        if hold(installed) and hold(home):
            return home
        with TemporaryDirectory(prefix="forge-") as scratch:
            project = Path(scratch, "project")
            render(source, ANSWERS, project)
            if not hold(installed):
                with progress("Installing Node and workerd from npm, once (400 MB) ..."):
                    _install(project, installed)
                hold(installed)
            with whole_folder(home) as folder:
                for name in HARNESS:
                    shutil.copytree(project / name, folder / name)
            hold(home)
    return home


def node(home: Path) -> str:
    """The Node that npm has installed for a harness; where npm has none, the one on PATH."""
    installed = home.parent / "node_modules" / ".bin" / "node"
    return str(installed) if installed.exists() else "node"


def completed(command: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; empty, or the last lines of what it printed if it failed.

    Whatever ends this process early ends the command, and all that it started.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate()
    finally:
        stop(process)
    if process.returncode == 0:
        return ""
    lines = [line for line in printed.splitlines() if line.strip()]
    return "\n".join(lines[-8:]) or f"it ended with {process.returncode}"


def _install(project: Path, installed: Path) -> None:
    if not shutil.which("npm"):
        raise UserError(NO_NPM)
    with whole_folder(installed) as folder:
        for name in FROM_NPM:
            shutil.copy(project / name, folder)
        # A project's own install script also fetches its Python packages; here there are none.
        for command in ("install", "rebuild"):
            npm = ["npm", command, "--ignore-scripts", "--no-audit", "--no-fund"]
            if failure := completed(npm, folder):
                raise UserError(f"npm {command} failed:\n{failure}")


def _digest(source: Source, names: tuple[str, ...]) -> str:
    """Changes whenever one of these files or folders of the template does."""
    root = source.root / "template"
    digest = sha256(repr(sorted(ANSWERS.items())).encode())
    for name in names:
        found = [root / name, root / f"{name}.jinja", *sorted((root / name).rglob("*"))]
        for path in found:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"\n{path.relative_to(root)}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
