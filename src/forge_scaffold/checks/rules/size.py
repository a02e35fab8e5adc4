"""SIZ: what is uploaded, and what need not be."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar

from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.options import bytes_of
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.checks.uploads import matches, size_of
from forge_scaffold.documents import Place
from forge_scaffold.packages.distributions import PLATFORM_MODULES
from forge_scaffold.project import MANIFEST, Project, strings, table
from forge_scaffold.wrangler import Wrangler

# What the platform takes, uncompressed, on every plan.
LIMIT = 64 * 2**20

VENDORED = "python_modules"

# What wrangler leaves out when the configuration says nothing.
_DEFAULT = ("**/*.pyc",)

# What a package brings and no Worker reads, with the pattern that leaves it out.
_IDLE: Mapping[str, re.Pattern[str]] = {
    "**/*.pyi": re.compile(r"\.pyi$"),
    "**/*.c": re.compile(r"\.(?:c|cpp|h|hpp|pyx|pxd)$"),
    "**/tests/**": re.compile(r"(?:^|/)tests/"),
    "*.dist-info/RECORD": re.compile(r"^[^/]+\.dist-info/RECORD$"),
    "*.dist-info/sboms/**": re.compile(r"^[^/]+\.dist-info/sboms/"),
}

# Worth a word from here on.
_WORTH = 256 * 2**10


def excluded(wrangler: Wrangler | None) -> tuple[str, ...]:
    """The patterns of what stays at home, relative to python_modules."""
    said = table(wrangler.data if wrangler else {}, "python_modules").get("exclude")
    return strings(said) if isinstance(said, list) else _DEFAULT


def _files(project: Project) -> Iterator[tuple[str, int]]:
    """Every vendored file: its path inside python_modules, its size in bytes."""
    pending = [("", str(project.root / VENDORED))]
    while pending:
        prefix, folder = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append((f"{prefix}{entry.name}/", entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield f"{prefix}{entry.name}", entry.stat().st_size


def _uploaded(subject: Subject, globs: tuple[str, ...]) -> Counter[str]:
    """Bytes to upload: of each package that is vendored, and of the Worker itself."""
    project = subject.project
    sizes: Counter[str] = Counter()
    for path, size in _files(project):
        if not matches(globs, path):
            name = path.partition("/")[0]
            sizes[re.sub(r"-[^-]+\.dist-info$", "", name)] += size
    for module in project.modules:
        sizes["the Worker's own modules"] += len(module.text.content.encode())
    for file in subject.attached:
        sizes[str(file)] += size_of(project, file)
    return sizes


class TooLarge(Rule):
    """More to upload than there is room for.

    Cloudflare takes 64 MiB, uncompressed; a project sets a budget of its own with `budget` under
    `[tool.forge.check]`: size is start-up time. What is counted is what lies in python_modules,
    less what `[python_modules] exclude` leaves out, the Worker's modules, and what wrangler's
    `[[rules]]` attach beside them: `.txt`, `.html`, `.sql`, `.bin` and `.wasm` by default.

    Fix: leave out what is not read, drop a dependency, or raise the budget.
    """

    id = "SIZ001"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "pyproject.toml": BASE["pyproject.toml"] + '\n[tool.forge.check]\nbudget = "4 KiB"\n',
        "python_modules/httpx/__init__.py": f"# {'-' * 5000}\n",
    }
    passing: ClassVar[Files] = {
        "pyproject.toml": BASE["pyproject.toml"] + '\n[tool.forge.check]\nbudget = "8 KiB"\n',
        "python_modules/httpx/__init__.py": f"# {'-' * 5000}\n",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The sum against the platform's limit and the project's."""
        project = subject.project
        wrangler = subject.worker
        sizes = _uploaded(subject, excluded(wrangler))
        total = sizes.total()
        said = table(project.settings, "check").get("budget")
        budget = bytes_of(said) if isinstance(said, str) else None
        largest = ", ".join(f"{name} {_shown(size)}" for name, size in sizes.most_common(3))
        if total > LIMIT:
            yield self.finding(
                wrangler.place("main"),
                f"{_shown(total)} to upload, and Cloudflare takes {_shown(LIMIT)}: {largest}",
            )
        elif budget is not None and total > budget:
            place = Place(MANIFEST)
            if project.manifest:
                place = project.manifest.place("tool", "forge", "check", "budget")
            yield self.finding(
                place, f"{_shown(total)} to upload, and the budget is {_shown(budget)}: {largest}"
            )


def _shown(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"


class Idle(Rule):
    """Files that are uploaded and never read.

    Packages bring types for editors, sources of what is compiled, and tests of their own. Each file
    counts against the limit, and all of them are unpacked when the Worker starts.

    Fix: add the patterns of the message to `exclude` under `[python_modules]`.
    """

    id = "SIZ002"
    since = "0.1.0"
    needs_worker = True
    severity = Severity.NOTE
    failing: ClassVar[Files] = {"python_modules/httpx/_types.pyi": f"# {'-' * 300_000}\n"}
    passing: ClassVar[Files] = {
        **failing,
        "wrangler.toml": BASE["wrangler.toml"]
        + '\n[python_modules]\nexclude = ["**/*.pyc", "**/*.pyi"]\n',
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The vendored files by kind."""
        project = subject.project
        wrangler = subject.worker
        if not (project.root / VENDORED).is_dir():
            return
        globs = excluded(wrangler)
        idle: Counter[str] = Counter()
        for path, size in _files(project):
            kind = next((glob for glob, idle in _IDLE.items() if idle.search(path)), None)
            if kind and not matches(globs, path):
                idle[kind] += size
        if idle.total() >= _WORTH:
            patterns = ", ".join(f'"{glob}"' for glob, _ in idle.most_common())
            yield self.finding(
                wrangler.place("python_modules"),
                f"{_shown(idle.total())} of python_modules is never read; add to exclude under "
                f"[python_modules]: {patterns}",
            )


class LeftOut(Rule):
    """A file that is left out and needed.

    The SDK patches packages when Python starts, through `_workers_sdk_patch_loader.pth`: without it
    pydantic_core, among others, cannot be imported. And what the Worker imports has to travel.

    Fix: narrow the pattern in `exclude`.
    """

    id = "SIZ003"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"] + '\n[python_modules]\nexclude = ["*.pth"]\n'
    }
    passing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"] + '\n[python_modules]\nexclude = ["**/*.pyi"]\n'
    }

    SDK: ClassVar[tuple[str, ...]] = (
        "_workers_sdk_patch_loader.pth",
        "_workers_sdk_patch_loader.py",
        "_workers_sdk_package_patches.py",
        "_workers_sdk_entropy_import_context.py",
        "workers/__init__.py",
    )

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Each pattern against the SDK's files and the modules that are imported."""
        wrangler = subject.worker
        said = table(wrangler.data, "python_modules").get("exclude")
        own = subject.project.own_modules | PLATFORM_MODULES
        needed = {
            f"{name.replace('.', '/')}/__init__.py": name
            for each in subject.facts.imports
            if not each.typing and not each.optional and each.top not in own
            for name in {each.top, each.name}
        }
        for index, glob in enumerate(strings(said)):
            place = wrangler.document.place_of_item("python_modules", "exclude", index)
            lost = [path for path in self.SDK if matches((glob,), path)]
            lost += [name for path, name in needed.items() if matches((glob,), path)]
            if lost:
                yield self.finding(place, f"{glob}: leaves out {lost[0]}, which the Worker needs")
