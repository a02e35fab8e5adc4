"""Which branches a Worker takes, where the code asks what it runs on."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from forge_scaffold.checks.code.modules import PLATFORM
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.project import Module

_VALUES: Mapping[str, object] = {
    "TYPE_CHECKING": False,
    "__name__": "the name that it is imported by",
    "os.name": "posix",
    "sys.implementation.name": "cpython",
    "sys.platform": "emscripten",
    "typing.TYPE_CHECKING": False,
    "typing_extensions.TYPE_CHECKING": False,
}
_CALLS: Mapping[str, str] = {
    "platform.machine": "wasm32",
    "platform.python_implementation": "CPython",
    "platform.system": "Emscripten",
}
_UNSET = frozenset({"os.environ.get", "os.getenv"})
_OPERATORS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.NotEq: operator.ne,
    ast.NotIn: lambda one, many: one not in many,
}

_OPEN = object()
"""What is not known before it runs."""

# A flag may be made of other flags, and of itself.
_DEEPEST = 8


def truth(test: ast.expr, scope: Scope) -> bool | None:
    """Whether a condition holds in a Worker; None where that is open."""
    value = _value(test, scope, _DEEPEST)
    return None if value is _OPEN else bool(value)


def programs(module: Module, scope: Scope) -> frozenset[str]:
    """The functions of a module that nothing but `if __name__ == "__main__"` calls."""
    used: dict[str, set[str | None]] = {}
    functions: set[str] = set()
    for statement in module.tree.body:
        owner: str | None = ""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            owner = statement.name
            # The runtime calls these, and a decorator may hand its function to anybody.
            if not statement.decorator_list and not owner.startswith("on_"):
                functions.add(owner)
        elif isinstance(statement, ast.If) and truth(statement.test, scope) is False:
            owner = None
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.setdefault(node.id, set()).add(owner)
    found = functions & used.keys()
    while True:
        left = {
            name for name in found if used[name] <= {None, name, *found} and used[name] - {name}
        }
        if left == found:
            break
        found = left
    return frozenset(name for name in found if not _named_elsewhere(name, module, scope))


def _named_elsewhere(name: str, module: Module, scope: Scope) -> bool:
    """Whether another module may use a function of this one."""
    stem = module.path.parent.name if module.path.stem == "__init__" else module.path.stem
    if stem not in scope.modules.imported:
        return False
    word = re.compile(rf"\b{re.escape(name)}\b")
    texts = (each.text.content for each in scope.project.modules if each is not module)
    return any(stem in text and word.search(text) for text in texts)


def is_platform(module: str) -> bool:
    """Whether a module is there in every Worker, and nowhere else."""
    return module.partition(".")[0] in PLATFORM


def ends(block: list[ast.stmt]) -> bool:
    """Whether what stands after a block is not reached through it."""
    return bool(block) and isinstance(block[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def _value(node: ast.expr, scope: Scope, depth: int) -> object:
    """What an expression is in a Worker, as far as it is about the platform."""
    value: object = _OPEN
    match node:
        case ast.Constant():
            value = node.value
        case ast.Tuple() | ast.List() | ast.Set():
            items = [_value(item, scope, depth) for item in node.elts]
            value = _OPEN if _OPEN in items else tuple(items)
        case ast.UnaryOp(op=ast.Not()):
            inner = _value(node.operand, scope, depth)
            value = _OPEN if inner is _OPEN else not inner
        case ast.BoolOp():
            value = _either(node, scope, depth)
        case ast.Compare(ops=[sign], comparators=[right]) if type(sign) in _OPERATORS:
            value = _compared(node.left, sign, right, scope, depth)
        case ast.Call():
            value = _called(node, scope, depth)
        case ast.Name() | ast.Attribute():
            value = _named(node, scope, depth)
    return value


def _either(node: ast.BoolOp, scope: Scope, depth: int) -> object:
    values = [_value(each, scope, depth) for each in node.values]
    decides = isinstance(node.op, ast.Or)
    if any(value is not _OPEN and bool(value) is decides for value in values):
        return decides
    return _OPEN if _OPEN in values else not decides


def _compared(left: ast.expr, sign: ast.cmpop, right: ast.expr, scope: Scope, depth: int) -> object:
    if _name(right, scope) == "sys.modules" and isinstance(left, ast.Constant):
        known = isinstance(left.value, str) and is_platform(left.value)
        return isinstance(sign, ast.In) if known else _OPEN
    values = _value(left, scope, depth), _value(right, scope, depth)
    if _OPEN in values:
        return _OPEN
    try:
        return _OPERATORS[type(sign)](*values)
    except TypeError:
        return _OPEN


def _called(node: ast.Call, scope: Scope, depth: int) -> object:
    name = _name(node.func, scope) or ""
    first = node.args[0] if node.args else None
    if name in _CALLS:
        return _CALLS[name]
    if name in _UNSET and not node.keywords and scope.import_time and _is_unset(node.args, scope):
        return None
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        if name == "importlib.util.find_spec" and is_platform(first.value):
            return True
        if name == "sys.platform.startswith":
            return "emscripten".startswith(first.value)
    if not node.args and not node.keywords and depth:
        told = scope.modules.told(f"{name}()", scope.module.path)
        if told is not None:
            return _value(told, scope, depth - 1)
    return _OPEN


def _is_unset(arguments: list[ast.expr], scope: Scope) -> bool:
    """Whether a variable of os.environ is not there: Workers fill it with nothing."""
    match arguments:
        case [ast.Constant(value=str(name))] | [ast.Constant(value=str(name)), ast.Constant(None)]:
            own = re.escape(name)
        case _:
            return False
    writes = re.compile(
        rf"""environ\[(?:[^"']|["']{own}["'])|environ\.(?:setdefault|update)|putenv|load_dotenv"""
    )
    return not any(writes.search(module.text.content) for module in scope.project.modules)


def _named(node: ast.expr, scope: Scope, depth: int) -> object:
    name = _name(node, scope) or ""
    if name in _VALUES:
        return _VALUES[name]
    if name in PLATFORM:
        return node
    if name == "sys.version_info":
        wrangler = scope.project.wrangler
        python = wrangler.python if wrangler else None
        return tuple(map(int, python.split("."))) if python else _OPEN
    told = scope.modules.told(name, scope.module.path) if depth and name else None
    return _OPEN if told is None else _value(told, scope, depth - 1)


def _name(node: ast.expr, scope: Scope) -> str | None:
    """What a name stands for, also where its import is still to be read."""
    name = scope.name(node)
    return name and scope.modules.early(name, scope.module.path)
