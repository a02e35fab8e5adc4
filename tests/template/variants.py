"""The template's files one by one: what each depends on, and every text that it can have.

The questions make hundreds of thousands of combinations, but hardly a file depends on more than a
few of them. So each file is looked at in all the variants it has, and a project is right when its
files are and each has what it imports.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import PurePosixPath

import yaml
from jinja2 import StrictUndefined, meta
from jinja2.sandbox import SandboxedEnvironment

from tests.support import REPOSITORY
from tests.template.combinations import (
    Combination,
    closed_questions,
    completed,
    every_combination,
    every_pair,
)

TEMPLATE = REPOSITORY / "template"
ROOTS = ("src", "")
"""Where the modules of a project are imported from."""
FEW = 8_000
"""More variants than that are all looked at only when asked for."""

# As Copier makes it: tests/template/test_matrix.py compares the two.
JINJA = SandboxedEnvironment(
    extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


@cache
def _copier_yml() -> Mapping[str, object]:
    content: Mapping[str, object] = yaml.safe_load((REPOSITORY / "copier.yml").read_text())
    return content


@cache
def _computed() -> Mapping[str, object]:
    """What the template computes and nobody is asked for, other than the excluded paths."""
    return {
        name: entry["default"]
        for name, entry in _copier_yml().items()
        if isinstance(entry, dict) and entry.get("when") is False and name != "excluded"
    }


def _rendered(text: str, combination: Combination) -> str:
    # Nothing of Copier's own, such as _copier_answers: only the answers file may depend on that.
    return _compiled(text).render({**_computed(), **completed(combination)})


_compiled = cache(JINJA.from_string)


@cache
def mentioned(text: str) -> frozenset[str]:
    """The closed questions that a Jinja template depends on."""
    names = meta.find_undeclared_variables(JINJA.parse(text))
    return frozenset(names & {question.name for question in closed_questions()})


@dataclass(frozen=True)
class File:
    """A file of the template; `path` is where it lands, `source` its text there or its Jinja."""

    path: str
    source: str
    is_jinja: bool

    @cached_property
    def questions(self) -> frozenset[str]:
        """The questions that its text depends on."""
        return mentioned(self.source) if self.is_jinja else frozenset()

    def text(self, combination: Combination) -> str:
        """Its text in a project of these answers, whether or not it is in there."""
        return _rendered(self.source, combination) if self.is_jinja else self.source

    def combinations(self, *others: str, full: bool) -> Iterable[Combination]:
        """Those of its questions and the others; where they are many, all only if `full`."""
        found = [*every_combination({*self.questions, *others})]
        return found if full or len(found) <= FEW else every_pair()

    def variants(self, *, full: bool) -> Iterator[str]:
        """Every text that it can have, once."""
        seen: set[int] = set()
        for combination in self.combinations(full=full):
            if exists(self.path, combination):
                text = self.text(combination)
                if hash(text) not in seen:
                    seen.add(hash(text))
                    yield text


@cache
def files() -> list[File]:
    """All of the template, but for the file of the answers."""
    scratch = {"__pycache__", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
    scratch |= {"node_modules", "python_modules", ".cache", ".venv", ".wrangler"}
    found: list[File] = []
    for path in sorted(TEMPLATE.rglob("*")):
        relative = path.relative_to(TEMPLATE)
        if path.is_file() and "{{" not in path.name and not scratch & {*relative.parts}:
            name = relative.as_posix()
            source = path.read_text(encoding="utf-8")
            found.append(File(name.removesuffix(".jinja"), source, name.endswith(".jinja")))
    return found


@cache
def paragraphs() -> list[str]:
    """The paragraphs of copier.yml's `excluded`, each of which depends on few answers."""
    entry = _copier_yml()["excluded"]
    assert isinstance(entry, dict)
    return str(entry["default"]).split("\n\n")


@cache
def _excluded(entry: str, answers: tuple[tuple[str, str], ...]) -> frozenset[str]:
    combination: Combination = {name: ast.literal_eval(answer) for name, answer in answers}
    lines = _rendered(entry, combination).splitlines()
    return frozenset(line.strip().strip("/") for line in lines if line.strip())


def excluded_by(entry: str, combination: Combination) -> frozenset[str]:
    names = sorted(mentioned(entry) & {*combination})
    return _excluded(entry, tuple((name, repr(combination[name])) for name in names))


@cache
def _deciding(path: str) -> list[str]:
    """The entries that can exclude a path, itself or with its folder."""
    places = {path, *(parent.as_posix() for parent in PurePosixPath(path).parents)}
    return [
        entry
        for entry in paragraphs()
        if any(places & excluded_by(entry, each) for each in every_combination(mentioned(entry)))
    ]


def exists(path: str, combination: Combination) -> bool:
    """Whether a project of these answers has the file."""
    places = {path, *(parent.as_posix() for parent in PurePosixPath(path).parents)}
    return not any(places & excluded_by(entry, combination) for entry in _deciding(path))


@cache
def presence(path: str) -> frozenset[str]:
    """The questions that decide whether the file exists."""
    return frozenset[str]().union(*map(mentioned, _deciding(path)))


@cache
def imported(source: str) -> frozenset[str]:
    """The files of the project that a Python text imports, by where they may be found."""
    return frozenset(path for name in _modules(ast.parse(source)) if (path := _place(name)))


def _modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _place(module: str) -> str | None:
    known = {file.path for file in files()}
    for root in ROOTS:
        stem = PurePosixPath(root, *module.split("."))
        for path in (f"{stem}.py", f"{stem}/__init__.py"):
            if path in known:
                return path
    return None
