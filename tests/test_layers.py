"""The arrows between the modules run one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import forge_scaffold

ROOT = Path(forge_scaffold.__file__).parent

# A module, and the modules of ours that it may import.
ARROWS = {
    "addresses": set[str](),
    "errors": set[str](),
    "printable": set[str](),
    "questions": {"errors"},
    "config_files": {"documents", "errors"},
    "config": {"config_files", "errors", "organisation", "questions", "suggestions"},
    "interview": {"config", "questions"},
    "git": {"errors", "printable"},
    "sources": {"addresses", "errors", "git", "printable", "questions"},
    "render": {"errors", "project", "recorded", "rendered", "sources"},
    "recorded": {"config_files", "documents", "errors", "printable", "sources"},
    "migration": {"config", "errors", "questions", "suggestions"},
    "references": {"documents", "project"},
    "signals": set[str](),
    "worktree": {"errors", "git", "signals"},
    "workers": {"signals"},
    "fleet": {
        "errors",
        "printable",
        "recorded",
        "signals",
        "sources",
        "status",
        "update",
        "workers",
        "worktree",
    },
    "status": {"project", "recorded", "render", "sources", "worktree"},
    "update": {
        "checks",
        "errors",
        "git",
        "migration",
        "organisation",
        "policy",
        "project",
        "recorded",
        "references",
        "render",
        "sources",
        "status",
        "worktree",
    },
    "documents": set[str](),
    "wrangler": {"documents"},
    "project": {"documents", "wrangler"},
    "packages": {"errors", "packages", "printable"},
    "declarations": {
        "declarations",
        "documents",
        "errors",
        "packages",
        "printable",
        "project",
    },
    "suggestions": set[str](),
    "organisation": {"documents", "errors", "suggestions"},
    "policy": {"errors", "organisation", "packages", "project"},
    "checks": {
        "checks",
        "declarations",
        "documents",
        "errors",
        "git",
        "packages",
        "policy",
        "printable",
        "project",
        "wrangler",
    },
    "audit": {
        "audit",
        "declarations",
        "packages",
        "policy",
        "sources",
    },
    "runtime": {
        "audit",
        "declarations",
        "errors",
        "packages",
        "project",
        "render",
        "runtime",
        "sources",
        "wrangler",
    },
    "reports": {"audit", "checks", "printable", "project", "reports"},
    "adopt": {
        "config",
        "errors",
        "git",
        "project",
        "recorded",
        "render",
        "sources",
        "worktree",
    },
    "inference": {"config", "documents", "project", "questions", "wrangler"},
    "staging": {"errors", "signals"},
    "rendered": {"printable", "project"},
    "generate": {
        "checks",
        "config",
        "errors",
        "git",
        "organisation",
        "policy",
        "project",
        "render",
        "sources",
        "staging",
    },
    "cli": {
        "addresses",
        "adopt",
        "audit",
        "checks",
        "cli",
        "config",
        "declarations",
        "documents",
        "errors",
        "fleet",
        "generate",
        "inference",
        "interview",
        "organisation",
        "packages",
        "policy",
        "printable",
        "project",
        "questions",
        "recorded",
        "reports",
        "runtime",
        "sources",
        "status",
        "suggestions",
        "update",
        "worktree",
    },
    "__main__": {"cli"},
    "__init__": set[str](),
}


# The same inside packages: what each part of one may import of the others.
INSIDE = {
    "checks": {
        "__init__": {
            "code",
            "configuration",
            "finding",
            "ignores",
            "options",
            "reach",
            "rule",
            "rules",
        },
        "baseline": {"finding"},
        "code": {"code"},
        "configuration": set[str](),
        "edits": {"finding"},
        "examples": set[str](),
        "finding": set[str](),
        "fixing": {"finding"},
        "git": set[str](),
        "httpx": {"rule"},
        "ignores": set[str](),
        "options": {"finding", "ignores"},
        "reach": {"code", "configuration", "finding", "uploads"},
        "rule": {"code", "configuration", "finding", "reach", "uploads"},
        "rules": {
            "code",
            "configuration",
            "edits",
            "examples",
            "finding",
            "git",
            "httpx",
            "ignores",
            "options",
            "rule",
            "tokens",
            "uploads",
            "words",
        },
        "tokens": set[str](),
        "uploads": set[str](),
        "words": set[str](),
    },
    "audit": {
        "__init__": set[str](),
        "ask": {"imports", "judge"},
        "imports": set[str](),
        "judge": {"imports", "replacements"},
        "plan": {"judge", "replacements"},
        "replacements": set[str](),
    },
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_is_below_it(path: Path) -> None:
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("forge_scaffold.")}
    assert ours <= ARROWS[layer(path)]


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if layer(path) in INSIDE],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_so_it_is_inside_packages(path: Path) -> None:
    package, part, *_ = path.relative_to(ROOT).with_suffix("").parts
    # A rule's module is no library for other rules.
    parts = {
        name.split(".")[2]
        for name in imported(path)
        if name.startswith(f"forge_scaffold.{package}.") and name.count(".") > 1
    }
    assert parts <= INSIDE[package][part]


def test_no_module_leads_back_to_itself() -> None:
    arrows = {dotted(path): set(known(imported(path))) for path in modules()}
    for needs in arrows.values():
        # The list of all commands: they are started, and completed, by name.
        needs.discard("forge_scaffold.cli.commands")
    while arrows:
        free = [name for name, needs in arrows.items() if not needs & (arrows.keys() - {name})]
        assert free, f"a circle among {sorted(arrows)}"
        for name in free:
            del arrows[name]


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def known(names: Iterator[str]) -> Iterator[str]:
    """The modules of ours that imports name; of a package's own name only where it is meant."""
    ours = {dotted(path) for path in modules()}
    for name in names:
        yield from {name, name.rpartition(".")[0]} & ours if name not in ours else {name}


def test_only_render_knows_copier() -> None:
    knowing = {
        layer(path)
        for path in modules()
        if any(name.split(".")[0] in {"copier", "plumbum"} for name in imported(path))
    }
    assert knowing == {"render"}
