"""The Workers that are measured: ours, and what a user could deploy instead."""

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.costs.processes import progress, run

REPOSITORY = Path(__file__).resolve().parents[2]
APPS = Path(__file__).parent / "apps"

OURS: Mapping[str, Sequence[str]] = {
    "minimal": ("providers=openai", "auth=none", "database=none", "telemetry=none"),
    "default": (),
    "full": (
        "providers=openai,anthropic,cohere,google,mistral",
        "ai_gateway=true",
        "auth=oidc",
        "revocation=kv",
        "database=d1",
        "bucket=true",
        "search=true",
        "quota=true",
        "queue=true",
        "cron=true",
        "workflow=true",
    ),
}
"""Presets by name: the answers that differ from the defaults."""

HOME = "full"


@dataclass(frozen=True)
class Alternative:
    """A Worker from apps/: its requirements, and its modules, the main one first.

    What is `trimmed` leaves out of its packages whatever our own Workers do. One that
    `authenticates` its callers is told who issues their tokens.
    """

    requirements: Sequence[str]
    modules: Sequence[str]
    trimmed: bool = False
    authenticates: bool = False


ALTERNATIVES: Mapping[str, Alternative] = {
    "hello": Alternative((), ("hello",)),
    "pydantic": Alternative(("pydantic",), ("pydantic_hello",)),
    "fastapi": Alternative(("fastapi", "httpx"), ("fastapi_httpx",)),
    "sqlalchemy": Alternative(
        ("fastapi", "httpx", "sqlalchemy"), ("fastapi_sqlalchemy", "fastapi_httpx")
    ),
    "by-hand": Alternative((), ("by_hand",)),
    "by-hand-all": Alternative((), ("by_hand_all", "by_hand"), authenticates=True),
    "minimal-packages": Alternative(("httpx", "pydantic"), ("packages_minimal",), trimmed=True),
    "full-packages": Alternative(
        ("httpx", "pydantic", "sqlalchemy"), ("packages_full",), trimmed=True
    ),
}

# Only what wrangler leaves out by itself is left out of the alternatives.
_NOT_UPLOADED = re.compile(r"(^|/)(__pycache__|\.locked$|[^/]*\.pyc$)")


@dataclass(frozen=True)
class Worker:
    """A Worker on disk, with its packages: ready for wrangler, Miniflare and workerd."""

    name: str
    folder: Path

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its wrangler.toml."""
        return tomllib.loads((self.folder / "wrangler.toml").read_text(encoding="utf-8"))

    @property
    def snapshot(self) -> Path:
        """Where its memory snapshot is, once it is made."""
        return self.folder / ".cache" / "snapshot" / "snapshot.bin"

    def modules(self) -> list[tuple[str, str]]:
        """Name and path below the folder of each module that is uploaded, the main module first."""
        main: str = self.config["main"]
        files = [file for root in ("src", "python_modules") for file in self._files(root)]
        files.sort(key=lambda file: (file != main, file))
        return [(file.removeprefix("src/"), file) for file in files]

    def _files(self, root: str) -> Iterator[str]:
        for path in (self.folder / root).rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and not _NOT_UPLOADED.search(name):
                yield name


@dataclass(frozen=True)
class Home:
    """The project whose tools run all of them: Node, wrangler, its scripts and its stand-ins.

    It is the full preset, whose stand-ins know every provider and issuer.
    """

    folder: Path

    @cached_property
    def node(self) -> Path:
        """Node 24, which the project installs for itself."""
        return self.folder / "node_modules" / ".bin" / "node"

    @cached_property
    def workerd(self) -> Path:
        """The runtime's own program."""
        script = "const w = require('workerd'); console.log(w.default ?? w)"
        return Path(run((self.node, "-e", script), self.folder).strip())

    @cached_property
    def bundle(self) -> Path:
        """A folder with the Pyodide that workerd expects, made from npm's."""
        script = "import('./scripts/bundle.mjs')"
        script += ".then(({ bundle }) => console.log(bundle('.cache/workerd')))"
        return self.folder / run((self.node, "-e", script), self.folder).strip()

    def script(self, command: str, folder: Path) -> None:
        """Run a command of the scripts/ in a folder."""
        run((self.node, Path("scripts", "cli.mjs"), command), folder)


def npm_install(folder: Path, *packages: str) -> None:
    """`npm install`, without what it would ask the registry besides."""
    run(("npm", "install", "--no-audit", "--no-fund", *packages), folder)


def make_home(scratch: Path) -> Home:
    """Render and install the project that has the tools."""
    progress(f"{HOME}: rendering, npm install, vendoring")
    worker = _render(HOME, _template(scratch), scratch)
    npm_install(worker.folder)
    home = Home(worker.folder)
    home.script("vendor", worker.folder)
    return home


def make(name: str, home: Home) -> Worker:
    """Make one Worker beside the home.

    Returns:
        The Worker, with its packages vendored.
    """
    scratch = home.folder.parent
    if name == HOME:
        return Worker(name, home.folder)
    progress(f"{name}: vendoring")
    if name in OURS:
        worker = _render(name, _template(scratch), scratch)
    else:
        worker = _assemble(name, ALTERNATIVES[name], home)
    (worker.folder / "node_modules").symlink_to(home.folder / "node_modules")
    if name in ALTERNATIVES:
        home.script("lock", worker.folder)
    home.script("vendor", worker.folder)
    return worker


def _template(scratch: Path) -> Path:
    """A copy of the template as it is in the working tree: Forge would render a release."""
    folder = scratch / "template"
    if not folder.exists():
        listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
        names = run((*listed, "copier.yml", "template"), REPOSITORY).split("\0")
        for file in (REPOSITORY / name for name in names if name):
            if file.exists():
                copy = folder / file.relative_to(REPOSITORY)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, copy)
    return folder


def _render(name: str, template: Path, scratch: Path) -> Worker:
    forge = Path(sys.executable).with_name("forge")
    answers = [part for answer in OURS[name] for part in ("--set", answer)]
    new = (forge, "new", name, "--defaults", "--no-git", "--template", template)
    run((*new, *answers), scratch)
    return Worker(name, scratch / name)


def _assemble(name: str, alternative: Alternative, home: Home) -> Worker:
    """Write a pywrangler project around modules of apps/, at our own projects' versions."""
    ours = Worker(HOME, home.folder)
    folder = home.folder.parent / name
    (folder / "src").mkdir(parents=True)
    (folder / "dev" / "standins" / "apis").mkdir(parents=True)  # the scripts list it
    for module in alternative.modules:
        shutil.copy(APPS / f"{module}.py", folder / "src")
    project = tomllib.loads((home.folder / "pyproject.toml").read_text(encoding="utf-8"))
    platform = project["dependency-groups"]["platform"]
    excluded = ours.config["python_modules"]["exclude"] if alternative.trimmed else ["**/*.pyc"]
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "costs-{name}"\nversion = "0"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(alternative.requirements)}\n"
        f"[dependency-groups]\nplatform = {json.dumps(platform)}\n"
        'test = ["iniconfig"]\n'  # the scripts vendor two groups, and pip refuses an empty one
    )
    issuer = 'AUTH_ISSUER = "https://issuer.example"\n' if alternative.authenticates else ""
    (folder / "wrangler.toml").write_text(
        f'name = "costs-{name}"\nmain = "src/{alternative.modules[0]}.py"\n'
        f'compatibility_date = "{ours.config["compatibility_date"]}"\n'
        f"compatibility_flags = {json.dumps(ours.config['compatibility_flags'])}\n"
        '[vars]\nOPENAI_BASE_URL = "https://api.openai.com/v1"\nOPENAI_MODEL = "gpt-6-luna"\n'
        f"{issuer}"
        '[secrets]\nrequired = ["OPENAI_API_KEY"]\n'
        '[[d1_databases]]\nbinding = "DB"\ndatabase_name = "db"\n'
        '[[ratelimits]]\nname = "RATE_LIMITER"\nnamespace_id = "1001"\n'
        "simple = { limit = 60, period = 60 }\n"
        '[[analytics_engine_datasets]]\nbinding = "ANALYTICS"\n'
        f"[python_modules]\nexclude = {json.dumps(excluded)}\n"
    )
    shutil.copytree(home.folder / "migrations", folder / "migrations")
    shutil.copytree(home.folder / "scripts", folder / "scripts")
    if not alternative.trimmed:
        (folder / "scripts" / "compact.py").write_text("")  # pywrangler takes packages as they are
    # The lock starts from ours: what both need has one version.
    shutil.copytree(home.folder / "requirements", folder / "requirements")
    return Worker(name, folder)


def versions(home: Home, workers: Sequence[Worker]) -> dict[str, str]:
    """The versions of what ran."""
    found: dict[str, str] = {}
    for worker in workers:
        for metadata in (worker.folder / "python_modules").glob("*.dist-info"):
            package, _, version = metadata.stem.partition("-")
            found[package.replace("_", "-")] = version
    for package in ("workerd", "wrangler", "miniflare"):
        manifest = home.folder / "node_modules" / package / "package.json"
        found[package] = json.loads(manifest.read_text())["version"]
    found["node"] = run((home.node, "--version"), home.folder).strip().removeprefix("v")
    return dict(sorted(found.items()))
