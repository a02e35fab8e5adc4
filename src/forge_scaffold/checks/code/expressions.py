"""What can be read off an expression or a statement by itself."""

import ast


def text_of(node: ast.AST | None) -> str | None:
    """The string that an expression is, if it is plainly one."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


def names_given(node: ast.AST) -> set[str]:
    """The names that a statement gives."""
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    named = (getattr(target, "id", getattr(target, "name", None)) for target in targets)
    return {name for name in named if isinstance(name, str)}
