"""Where a piece of code stands, and what its names stand for."""

import ast
from typing import NamedTuple, TypeAlias

from forge_scaffold.checks.code.modules import Modules
from forge_scaffold.documents import Place
from forge_scaffold.project import Module, Project

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def _attribute(node: ast.AST) -> tuple[str, ast.expr] | None:
    """The name of an attribute and its owner: `a.b`, `getattr(a, "b")`."""
    if isinstance(node, ast.Name):  # mostly
        return None
    if isinstance(node, ast.Attribute):
        return node.attr, node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        match node.args:
            case [owner, ast.Constant(value=str(name))]:
                return name, owner
    return None


class Scope(NamedTuple):
    """Where a node stands.

    Attributes:
        project: whose module it is.
        module: the file.
        modules: all modules of the project.
        names: what the module's imports call what: {"sleep": "time.sleep"}; grows as it is read.
        functions: the functions around the node, outermost first.
        classes: the classes around it.
        local: what names of the functions around it stand for; None: for what is not known. It
            grows as the innermost function is read.
        optional: inside a `try` that expects an ImportError.
        typing: inside `if TYPE_CHECKING`.
        script: inside `if __name__ == "__main__"`, which no Worker runs.
        looks_first: inside a `try` that expects an AttributeError or KeyError.
        programs: the module's functions that only run when it is the program.
        branch: inside an `if`.
        import_time: whether it runs while the module is imported, before any request.
        through: the call at import time that runs the function around the node, if one does.
    """

    project: Project
    module: Module
    modules: Modules
    names: dict[str, str]
    functions: tuple[Function, ...] = ()
    classes: tuple[ast.ClassDef, ...] = ()
    local: dict[str, str | None] = {}  # noqa: RUF012 - nothing is local outside of functions
    optional: bool = False
    typing: bool = False
    script: bool = False
    looks_first: bool = False
    programs: frozenset[str] = frozenset()
    branch: bool = False
    import_time: bool = True
    through: "Call | None" = None

    @property
    def when(self) -> str:
        """How a message says that the node runs at import time, and why."""
        if self.through is None:
            return "at import time"
        place = self.through.place
        here = place.path == self.module.path
        where = f"line {place.line}" if here else f"{place.path}:{place.line}"
        name = self.through.name.lstrip(".")
        called = "a lambda" if name.startswith("lambda:") else f"{name}()"
        return f"at import time ({where} calls {called})"

    @property
    def is_async(self) -> bool:
        """Whether the innermost function is a coroutine."""
        return bool(self.functions) and isinstance(self.functions[-1], ast.AsyncFunctionDef)

    def place(self, node: ast.AST) -> Place:
        """Where a node stands: its first line, and its columns when it has only one."""
        line = getattr(node, "lineno", 1)
        start = self._column(line, getattr(node, "col_offset", 0))
        one_line = getattr(node, "end_lineno", None) == line
        end = self._column(line, getattr(node, "end_col_offset", 0)) if one_line else 0
        return Place(self.module.path, line, start + 1, end + 1 if end else 0)

    def _column(self, line: int, offset: int) -> int:
        """A column in characters; the syntax tree counts bytes."""
        if self.module.text.content.isascii():
            return offset
        lines = self.module.text.lines
        text = lines[line - 1] if line <= len(lines) else ""
        return len(text.encode()[:offset].decode(errors="ignore"))

    def name(self, node: ast.AST) -> str | None:
        """What an expression stands for, as a dotted name: "os.environ"; None when that is open.

        Builtins have their own name: "print".
        """
        parts: list[str] = []
        while step := _attribute(node):
            part, node = step
            parts.append(part)
        if not isinstance(node, ast.Name):
            return None
        first = node.id
        known = self.local[first] if first in self.local else self.names.get(first, first)
        if known is None:
            return None
        full = ".".join([known, *reversed(parts)]) if parts else known
        return self.modules.origin(full, self.module.path)

    def imported(self, node: ast.AST) -> bool:
        """Whether an expression begins with a name that was imported."""
        while step := _attribute(node):
            _, node = step
        return isinstance(node, ast.Name) and self.knows(node.id)

    def knows(self, name: str) -> bool:
        """Whether a name was imported, or stands for something that was."""
        local = self.local
        return local[name] is not None if name in local else name in self.names

    @property
    def is_dead(self) -> bool:
        """Whether no Worker runs it."""
        return self.typing or self.script

    @property
    def is_later(self) -> bool:
        """Whether it runs in a request."""
        return bool(self.functions) and not self.is_dead

    def shown(self, node: ast.Call) -> str:
        """How a message names a call."""
        return f"{self.name(node.func) or ast.unparse(node.func)}()"


class Call(NamedTuple):
    """A call of a name at import time.

    Attributes:
        name: what it calls, as `Scope.name` has it.
        node: the call, or the decorator.
        scope: where it stands.
        factory: what it returns is called as well, for it stands as a decorator.
        awaited: the coroutine that it returns runs at import time, too.
    """

    name: str
    node: ast.expr
    scope: Scope
    factory: bool = False
    awaited: bool = False

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.scope.place(self.node)
