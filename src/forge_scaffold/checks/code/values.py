"""What kind of value an expression is, where its function says so plainly."""

import ast
from collections.abc import Mapping
from functools import lru_cache

from forge_scaffold.checks.code.scope import Function, Scope

# What calls make, by dotted name.
_MADE: Mapping[str, str] = {
    "base64.b64decode": "bytes", "base64.b64encode": "bytes", "base64.urlsafe_b64decode": "bytes",
    "base64.urlsafe_b64encode": "bytes", "bytearray": "bytes", "bytes": "bytes",
    "bytes.fromhex": "bytes", "dataclasses.asdict": "dict", "dict": "dict", "dict.fromkeys": "dict",
    "functools.partial": "function", "list": "list", "memoryview": "bytes", "os.urandom": "bytes",
    "secrets.token_bytes": "bytes", "sorted": "list", "struct.pack": "bytes", "tuple": "list",
}  # fmt: skip
_LITERALS: Mapping[type[ast.expr], str] = {
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Lambda: "function",
    ast.List: "list",
    ast.ListComp: "list",
    ast.Tuple: "list",
}
_ANNOTATED: Mapping[str, str] = {
    "bytearray": "bytes",
    "bytes": "bytes",
    "dict": "dict",
    "list": "list",
    "memoryview": "bytes",
}

# A name may have been given another name's value.
_DEEPEST = 8


def kind(node: ast.expr, scope: Scope) -> str | None:
    """What a value plainly is: "bytes", "dict", "function" or "list"; None where that is open."""
    value = origin(node, scope)
    if isinstance(value, ast.arg):
        annotation = value.annotation
        name = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        return _ANNOTATED.get(name.id) if isinstance(name, ast.Name) else None
    if isinstance(value, ast.Constant):
        return "bytes" if isinstance(value.value, bytes) else None
    if isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and value.func.attr == "encode":
            # A TextEncoder's takes the text, a string's at most the name of an encoding.
            return "bytes" if all(isinstance(each, ast.Constant) for each in value.args) else None
        return _MADE.get(scope.name(value.func) or "")
    return _LITERALS.get(type(value))


def origin(node: ast.expr, scope: Scope) -> ast.expr | ast.arg:
    """An expression; or the one that a name stands for, which nothing else is given to."""
    value: ast.expr | ast.arg = node
    for _ in range(_DEEPEST):
        if not isinstance(value, ast.Name) or not scope.functions:
            break
        given = _given(scope.functions[-1]).get(value.id, [])
        if len(given) != 1 or given[0] is None:
            break
        value = given[0]
    return value


@lru_cache(maxsize=8)
def _given(function: Function) -> dict[str, list[ast.expr | ast.arg | None]]:
    """What a function gives its names, parameters included; None for what is not plain."""
    given: dict[str, list[ast.expr | ast.arg | None]] = {}
    plain: set[ast.AST] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            given.setdefault(node.arg, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and node.value:
                    plain.add(target)
                    given.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in plain:
            given.setdefault(node.id, []).append(None)
    return given
