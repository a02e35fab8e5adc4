"""setup.py: read as a syntax tree, never run; only what it says in so many words."""

import ast
from collections.abc import Iterator

from forge_scaffold.declarations.dependency import Collector
from forge_scaffold.declarations.files import Source


def read(into: Collector, source: Source) -> None:
    """The requirements that a setup.py hands to setup() as literals, by name or in the call."""
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        into.notes.append(f"{source.name}: not Python that can be read, and a setup.py is not run")
        return
    names = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    arguments = list(_arguments(tree))
    if not arguments:
        into.notes.append(f"{source.name}: it names no requirements, and a setup.py is not run")
    for key, value in arguments:
        node = names.get(value.id, value) if isinstance(value, ast.Name) else value
        try:
            said = ast.literal_eval(node)
        except (ValueError, TypeError, RecursionError, MemoryError):
            into.notes.append(
                f"{source.name}:{value.lineno}: {key} is computed, and a setup.py is not run"
            )
            continue
        groups = {"": said} if key == "install_requires" else said
        for extra, requirements in groups.items() if isinstance(groups, dict) else ():
            for requirement in _listed(requirements):
                into.add(source, requirement, f"extra {extra}" if extra else "")


def _arguments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The arguments of setup() about requirements."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "setup":
            for keyword in node.keywords:
                if keyword.arg in {"install_requires", "extras_require"}:
                    yield keyword.arg, keyword.value


def _listed(said: object) -> list[str]:
    if isinstance(said, str):
        return [line.strip() for line in said.splitlines() if line.strip()]
    return [one for one in said if isinstance(one, str)] if isinstance(said, list | tuple) else []
