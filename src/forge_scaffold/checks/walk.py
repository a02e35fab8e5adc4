"""One walk over each module, with every rule that asked for what it meets.

The walk knows of each node whether it runs while the module is imported, in which functions and
classes it stands, and what its names stand for. It is a loop, not a recursion: nesting that Python
can parse cannot break it. Functions that are called at import time are walked once more, for the
rules that are about that.
"""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeGuard, TypeVar

from forge_scaffold.checks.base import Finding, Rule, Subject
from forge_scaffold.checks.calls import RUNNERS, Call, Calls, Definition
from forge_scaffold.checks.facts import Import, Use
from forge_scaffold.documents import Place
from forge_scaffold.project import Module

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Scope(NamedTuple):
    """Where a node stands.

    Attributes:
        subject: the project and its policy.
        module: the file.
        names: what the module's imports call what: {"sleep": "time.sleep"}; grows as it is read.
        functions: the functions around the node, outermost first.
        classes: the classes around it.
        shadowed: names that are parameters here, whatever was imported under them.
        optional: inside a `try` that expects an ImportError.
        typing: inside `if TYPE_CHECKING`.
        script: inside `if __name__ == "__main__"`, which no Worker runs.
        import_time: whether it runs while the module is imported, before any request.
        through: the call at import time that runs the function around the node, if one does.
    """

    subject: Subject
    module: Module
    names: dict[str, str]
    functions: tuple[Function, ...] = ()
    classes: tuple[ast.ClassDef, ...] = ()
    shadowed: frozenset[str] = frozenset()
    optional: bool = False
    typing: bool = False
    script: bool = False
    import_time: bool = True
    through: Call | None = None

    @property
    def when(self) -> str:
        """How a message says that the node runs at import time, and why."""
        if self.through is None:
            return "at import time"
        place = self.through.place
        here = place.path == self.module.path
        where = f"line {place.line}" if here else f"{place.path}:{place.line}"
        return f"at import time ({where} calls {self.through.name.lstrip('.')}())"

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
        lines = self.module.text.lines
        text = lines[line - 1] if line <= len(lines) else ""
        return offset if text.isascii() else len(text.encode()[:offset].decode(errors="ignore"))

    def name(self, node: ast.AST) -> str | None:
        """What an expression stands for, as a dotted name: "os.environ"; None when that is open.

        Builtins have their own name: "print".
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self.shadowed:
            return None
        parts.append(self.names.get(node.id, node.id))
        return ".".join(reversed(parts))

    def imported(self, node: ast.AST) -> bool:
        """Whether an expression begins with a name that was imported."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.names


class Wanted:
    """What some rules want to see."""

    __slots__ = ("calls", "methods", "nodes", "reads")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.nodes: dict[type[ast.AST], list[Rule]] = {}
        self.calls: dict[str, list[Rule]] = {}
        self.reads: dict[str, list[Rule]] = {}
        self.methods: dict[str, list[Rule]] = {}
        for rule in rules:
            _subscribe(self.nodes, rule.nodes, rule)
            _subscribe(self.calls, rule.calls, rule)
            _subscribe(self.reads, rule.reads, rule)
            _subscribe(self.methods, rule.methods, rule)


class Walker:
    """Takes the rules that look at code through the modules of a project."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        every = tuple(rules)
        self.every = Wanted(every)
        self.early = Wanted(rule for rule in every if rule.import_time)
        self.always = Wanted(rule for rule in every if not rule.import_time)

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """What the rules find in the modules of the project."""
        for module in subject.project.modules:
            scope = Scope(subject, module, {})
            subject.facts.calls.add(scope)
            start: list[tuple[ast.AST, Scope]] = [(module.tree, scope)]
            yield from _walk(start, self.every, self.always, _FIRST)
        yield from self._early(subject)

    def _early(self, subject: Subject) -> Iterator[Finding]:
        """What they find in functions that are called at import time, each looked at once."""
        none = Wanted(())
        seen: set[ast.AST] = set()
        calls = subject.facts.calls
        while calls.made:
            call = calls.made.popleft()
            for function, scope in calls.run(call):
                if function in seen or scope.typing or scope.script:
                    continue
                seen.add(function)
                start = list(_body(function, scope, call.scope.through or call))
                start.reverse()
                # The calls that the function makes are added to those still to be followed.
                yield from _walk(start, self.early, none, _AGAIN)
        # It knows of all scopes, and they of it: what stands in a circle costs a collection.
        subject.facts.calls = Calls()


def _walk(
    pending: list[tuple[ast.AST, Scope]], early: Wanted, later: Wanted, way: "Way"
) -> Iterator[Finding]:
    """Past all nodes below some, for those who want to see what runs `early`, or only `later`."""
    notes, openers, note_call = way
    while pending:
        node, scope = pending.pop()
        wanted = early if scope.import_time else later
        if isinstance(node, ast.Name):
            # The most frequent of all nodes: nothing is below it, and no rule asks for it.
            if node.id in scope.names:
                yield from _read(node, scope, wanted)
            continue
        kind = type(node)
        if kind in wanted.nodes:
            for rule in wanted.nodes[kind]:
                yield from rule.visit(node, scope)
        if kind in notes:
            notes[kind](node, scope)
        if isinstance(node, ast.Call):
            name = scope.name(node.func)
            note_call(node, scope, name)
            yield from _call(node, scope, wanted, name)
        elif kind is ast.Attribute and scope.imported(node):
            yield from _read(node, scope, wanted)
        if kind in openers:
            pending += reversed(list(openers[kind](node, scope)))
        else:
            pending += [(child, scope) for child in reversed(children(node))]


def _call(node: ast.Call, scope: Scope, wanted: Wanted, name: str | None) -> Iterator[Finding]:
    function = node.func
    # A dotted name that nothing imported is some object's attribute.
    if name is not None and ("." not in name or scope.imported(function)):
        for rule in _matching(wanted.calls, name):
            yield from rule.visit(node, scope)
    if isinstance(function, ast.Attribute):
        for rule in wanted.methods.get(function.attr, ()):
            yield from rule.visit(node, scope)


def _read(node: ast.AST, scope: Scope, wanted: Wanted) -> Iterator[Finding]:
    name = scope.name(node)
    if name is not None:
        for rule in _matching(wanted.reads, name):
            yield from rule.visit(node, scope)


_Key = TypeVar("_Key")


def _subscribe(table: dict[_Key, list[Rule]], keys: Collection[_Key], rule: Rule) -> None:
    for key in keys:
        table.setdefault(key, []).append(rule)


def _matching(table: Mapping[str, list[Rule]], name: str) -> Iterable[Rule]:
    exact = table.get(name, ())
    family = table.get(f"{name.rpartition('.')[0]}.*") if "." in name else None
    return [*exact, *family] if family else exact


_DULL = frozenset({"attr", "ctx", "id", "kind", "op", "ops", "type_comment"})

# The fields of each kind of node that hold nodes worth a visit.
_FIELDS: Mapping[type[ast.AST], tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _DULL)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
_SEEN = _FIELDS.keys() - {ast.Constant}


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below a node, in the order of its fields; constants left out."""
    found: list[ast.AST] = []
    for name in _FIELDS[type(node)]:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [item for item in value if type(item) in _SEEN]
        elif isinstance(value, ast.AST) and type(value) in _SEEN:
            found.append(value)
    return found


def _learn(node: ast.AST, scope: Scope) -> None:
    """Note what an import brings, and what the module calls it."""
    names = scope.names
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            names[alias.asname or top] = alias.name if alias.asname else top
            _note_import(node, scope, alias.name)
    elif isinstance(node, ast.ImportFrom):
        origin = "." * node.level + (f"{node.module}." if node.module else "")
        for alias in node.names:
            names[alias.asname or alias.name] = f"{origin}{alias.name}"
        if not node.level and node.module:
            _note_import(node, scope, node.module)


def _note_import(node: ast.AST, scope: Scope, name: str) -> None:
    scope.subject.facts.imports.append(
        Import(
            name,
            scope.place(node),
            optional=scope.optional,
            typing=scope.typing or scope.script,
            later=bool(scope.functions),
        )
    )


_IMPORTERS = frozenset({"__import__", "importlib.import_module"})


def _note_call(node: ast.Call, scope: Scope, name: str | None) -> None:
    """Imports and environment reads that are calls with a literal name."""
    first = node.args[0] if node.args else None
    second = node.args[1] if len(node.args) > 1 else None
    if name in _IMPORTERS and (text := _literal(first)) and not text.startswith("."):
        _note_import(node, scope, text)
    elif name == "getattr" and first and is_env(first, scope) and (text := _literal(second)):
        use = Use(text, scope.place(node), called=None, default=len(node.args) > 2)
        scope.subject.facts.uses.append(use)
    elif isinstance(node.func, ast.Attribute) and _is_binding(node.func.value, scope):
        owner = node.func.value
        scope.subject.facts.uses.append(Use(owner.attr, scope.place(owner), node.func.attr))
    _note_early_call(node, scope, name)


def _note_early_call(node: ast.Call, scope: Scope, name: str | None) -> None:
    if name and scope.import_time:
        scope.subject.facts.calls.made.append(Call(name, node, scope))
        for argument in node.args if name in RUNNERS else ():
            _note_coroutine(argument, scope)


def _note_await(node: ast.Await, scope: Scope) -> None:
    _note_coroutine(node.value, scope)


def _note_coroutine(node: ast.expr, scope: Scope) -> None:
    """Note the call of a coroutine function whose coroutine runs at import time."""
    if isinstance(node, ast.Call) and (name := scope.name(node.func)):
        scope.subject.facts.calls.made.append(Call(name, node, scope, awaited=True))


def _note_function(node: Definition, scope: Scope) -> None:
    scope.subject.facts.calls.define(node, scope)
    _note_decorators(node, scope)


def _note_decorators(node: Definition, scope: Scope) -> None:
    """Calls without brackets: what decorates, and what a decorator's own call returns."""
    for decorator in node.decorator_list if scope.import_time else ():
        factory = isinstance(decorator, ast.Call)
        if name := scope.name(decorator.func if isinstance(decorator, ast.Call) else decorator):
            scope.subject.facts.calls.made.append(Call(name, decorator, scope, factory))


def _note_class(node: ast.ClassDef, scope: Scope) -> None:
    scope.subject.facts.classes.add(node.name)
    _note_function(node, scope)


def _note_use(node: ast.Attribute, scope: Scope) -> None:
    if _is_binding(node, scope):
        scope.subject.facts.uses.append(Use(node.attr, scope.place(node), called=None))


def _is_binding(node: ast.AST, scope: Scope) -> TypeGuard[ast.Attribute]:
    """Whether it is `self.env.NAME`, or the same of an `env` that is a parameter or the SDK's."""
    return isinstance(node, ast.Attribute) and node.attr.isupper() and is_env(node.value, scope)


def is_env(node: ast.AST, scope: Scope) -> bool:
    """Whether an expression is a Worker's environment: `self.env`, a parameter, the SDK's `env`."""
    if isinstance(node, ast.Attribute):
        return node.attr == "env" and isinstance(node.value, ast.Name)
    if not isinstance(node, ast.Name):
        return False
    if node.id in scope.shadowed:
        return node.id == "env"
    return scope.names.get(node.id) == "workers.env"


def _literal(node: ast.AST | None) -> str | None:
    text = node.value if isinstance(node, ast.Constant) else None
    return text if isinstance(text, str) and text else None


Inner: TypeAlias = Iterator[tuple[ast.AST, Scope]]


def _function(node: Function, scope: Scope) -> Inner:
    """Decorators and defaults run where the function is defined, its body when it is called."""
    yield from _outside(node, scope)
    yield from _body(node, scope)


def _outside(node: Function, scope: Scope) -> Inner:
    arguments = node.args
    outside = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
    if not isinstance(node, ast.Lambda):
        outside = [*node.decorator_list, *outside]
    return ((each, scope) for each in outside)


def _body(node: Function, scope: Scope, through: Call | None = None) -> Inner:
    """The body, when it is called: at import time `through` some call there, or later."""
    parameters = {each.arg for each in _parameters(node.args)}
    inside = scope._replace(
        functions=(*scope.functions, node),
        shadowed=scope.shadowed | parameters,
        import_time=through is not None,
        through=through,
    )
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    return ((each, inside) for each in body)


def _parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from filter(None, (arguments.vararg, arguments.kwarg))


def _class(node: ast.ClassDef, scope: Scope) -> Inner:
    yield from ((each, scope) for each in (*node.decorator_list, *node.bases))
    yield from ((each.value, scope) for each in node.keywords)
    inside = scope._replace(classes=(*scope.classes, node))
    yield from ((each, inside) for each in node.body)


def _if(node: ast.If, scope: Scope) -> Inner:
    inside = scope
    if scope.name(node.test) in {"typing.TYPE_CHECKING", "TYPE_CHECKING"}:
        inside = scope._replace(typing=True, import_time=False)
    elif _is_main(node.test):
        inside = scope._replace(script=True, import_time=False)
    yield node.test, scope
    yield from ((each, inside) for each in node.body)
    yield from ((each, scope) for each in node.orelse)


def _early_if(node: ast.If | ast.IfExp, scope: Scope) -> Inner:
    """The condition alone: which branch such a call takes is not plain from the text."""
    return iter([(node.test, scope)])


def _is_main(test: ast.expr) -> bool:
    """Whether it is `__name__ == "__main__"`."""
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return False
    sides = (test.left, test.comparators[0])
    names = {side.id for side in sides if isinstance(side, ast.Name)}
    values = {side.value for side in sides if isinstance(side, ast.Constant)}
    return names == {"__name__"} and values == {"__main__"}


_EXPECTED = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def _try(node: ast.Try, scope: Scope) -> Inner:
    expects = any(
        _names(handler.type) & _EXPECTED or handler.type is None for handler in node.handlers
    )
    inside = scope._replace(optional=True) if expects else scope
    yield from ((each, inside) for each in node.body)
    # What stands in for a missing import is as optional as the import.
    yield from ((each, inside) for handler in node.handlers for each in handler.body)
    yield from ((each, scope) for each in (*node.orelse, *node.finalbody))


def _with(node: ast.With, scope: Scope) -> Inner:
    """`contextlib.suppress` expects errors, too."""
    calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
    expects = any(
        scope.name(call.func) == "contextlib.suppress"
        and any(_names(argument) & _EXPECTED for argument in call.args)
        for call in calls
    )
    inside = scope._replace(optional=True) if expects else scope
    yield from ((item, scope) for item in node.items)
    yield from ((each, inside) for each in node.body)


def _names(node: ast.expr | None) -> set[str]:
    if isinstance(node, ast.Tuple):
        return {each.id for each in node.elts if isinstance(each, ast.Name)}
    return {node.id} if isinstance(node, ast.Name) else set()


Openers: TypeAlias = Mapping[type[ast.AST], Callable[[Any, Scope], Inner]]
Notes: TypeAlias = Mapping[type[ast.AST], Callable[[Any, Scope], None]]

_OPENERS: Openers = {
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.Lambda: _function,
    ast.ClassDef: _class,
    ast.If: _if,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.With: _with,
}

# What is noted of some kinds of nodes, whichever rules are followed.
_NOTES: Notes = {
    ast.AsyncFunctionDef: _note_function,
    ast.Attribute: _note_use,
    ast.ClassDef: _note_class,
    ast.FunctionDef: _note_function,
    ast.Import: _learn,
    ast.ImportFrom: _learn,
}

# The same for a function that is called at import time: the functions in it may never be.
_EARLY_OPENERS: Openers = {
    **_OPENERS,
    ast.FunctionDef: _outside,
    ast.AsyncFunctionDef: _outside,
    ast.Lambda: _outside,
    ast.If: _early_if,
    ast.IfExp: _early_if,
}
_EARLY_NOTES: Notes = {
    ast.AsyncFunctionDef: _note_decorators,
    ast.Await: _note_await,
    ast.ClassDef: _note_decorators,
    ast.FunctionDef: _note_decorators,
}


class Way(NamedTuple):
    """What a walk notes, and where it goes on."""

    notes: Notes
    openers: Openers
    note_call: Callable[[ast.Call, Scope, str | None], None]


_FIRST = Way(_NOTES, _OPENERS, _note_call)
_AGAIN = Way(_EARLY_NOTES, _EARLY_OPENERS, _note_early_call)
