"""One walk over each module, with every visitor that asked for what it meets.

The walk knows of each node whether it runs while the module is imported, in which functions and
classes it stands, and what its names stand for. It is a loop, not a recursion: nesting that Python
can parse cannot break it. Functions that are called at import time are walked once more, for the
visitors that are about that.
"""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from forge_scaffold.checks.code.calls import RUNNERS, Calls, Definition
from forge_scaffold.checks.code.expressions import text_of
from forge_scaffold.checks.code.facts import Facts, Import, Statement, Use
from forge_scaffold.checks.code.guards import ends, programs, truth
from forge_scaffold.checks.code.modules import Modules, asks_for_platform, brought
from forge_scaffold.checks.code.scope import Call, Function, Scope
from forge_scaffold.project import Project

Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)


class Visitor(Protocol[Found_co]):
    """Somebody who wants to see some of the nodes.

    Attributes:
        nodes: types of syntax nodes to visit.
        calls: dotted names whose calls to visit: "time.sleep", "secrets.*".
        reads: dotted names to visit where they stand: "os.environ".
        methods: names of methods whose calls to visit, whatever the object.
        import_time: whether to visit only what runs while the modules are imported.
    """

    @property
    def nodes(self) -> Collection[type[ast.AST]]: ...  # noqa: D102
    @property
    def calls(self) -> Collection[str]: ...  # noqa: D102
    @property
    def reads(self) -> Collection[str]: ...  # noqa: D102
    @property
    def methods(self) -> Collection[str]: ...  # noqa: D102
    @property
    def import_time(self) -> bool: ...  # noqa: D102
    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Found_co]: ...  # noqa: D102


class Wanted(Generic[Found]):
    """What some visitors want to see."""

    __slots__ = ("calls", "methods", "nodes", "reads")

    def __init__(self, visitors: Iterable[Visitor[Found]]) -> None:
        self.nodes: dict[type[ast.AST], list[Visitor[Found]]] = {}
        self.calls: dict[str, list[Visitor[Found]]] = {}
        self.reads: dict[str, list[Visitor[Found]]] = {}
        self.methods: dict[str, list[Visitor[Found]]] = {}
        for visitor in visitors:
            _subscribe(self.nodes, visitor.nodes, visitor)
            _subscribe(self.calls, visitor.calls, visitor)
            _subscribe(self.reads, visitor.reads, visitor)
            _subscribe(self.methods, visitor.methods, visitor)


class Record:
    """What a walk notes on its way, whoever visits."""

    def __init__(self, modules: Modules) -> None:
        self.imports: list[Import] = []
        self.statements: list[Statement] = []
        self.uses: list[Use] = []
        self.classes: set[str] = set()
        self.calls = Calls(modules)
        self._attributes: dict[tuple[ast.ClassDef, str], str] = {}

    def keep(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        """Note what a method gives an attribute of its instance: `self.store = env.STORE`."""
        if scope.classes and isinstance(target, ast.Attribute) and is_self(target.value):
            key = scope.classes[-1], target.attr
            self._attributes[key] = "" if key in self._attributes else _binding(value, scope) or ""

    def attribute(self, node: ast.expr, scope: Scope) -> str | None:
        """The binding that an attribute of an instance is."""
        if scope.classes and isinstance(node, ast.Attribute) and is_self(node.value):
            return self._attributes.get((scope.classes[-1], node.attr))
        return None

    @property
    def facts(self) -> Facts:
        """What was met."""
        return Facts(
            tuple(self.imports),
            tuple(self.statements),
            tuple(self.uses),
            frozenset(self.classes),
        )


class Walker(Generic[Found]):
    """Takes visitors through the modules of a project."""

    def __init__(self, visitors: Iterable[Visitor[Found]]) -> None:
        every = tuple(visitors)
        self.every = Wanted(every)
        self.early = Wanted([each for each in every if each.import_time])
        self.always = Wanted([each for each in every if not each.import_time])

    def walk(self, project: Project) -> tuple[list[Found], Facts]:
        """What the visitors find in the modules of a project, and what else was met."""
        modules = Modules(project)
        record = Record(modules)
        found: list[Found] = []
        for module in project.modules:
            scope = Scope(project, module, modules, modules.names[module.path])
            start: list[tuple[ast.AST, Scope]] = [(module.tree, scope)]
            found += _walk(start, self.every, self.always, _FIRST, record)
        found += self._early(record)
        return found, record.facts

    def _early(self, record: Record) -> list[Found]:
        """What they find in functions that are called at import time, each looked at once."""
        none: Wanted[Found] = Wanted(())
        found: list[Found] = []
        seen: set[ast.AST] = set()
        calls = record.calls
        while calls.made:
            call = calls.made.popleft()
            for function, scope in calls.run(call):
                if function in seen or scope.typing or scope.script:
                    continue
                seen.add(function)
                start = list(_body(function, scope, call.scope.through or call))
                start.reverse()
                # The calls that the function makes are added to those still to be followed.
                found += _walk(start, self.early, none, _AGAIN, record)
        return found


def _walk(
    pending: list[tuple[ast.AST, Scope]],
    early: Wanted[Found],
    later: Wanted[Found],
    way: "Way",
    record: Record,
) -> list[Found]:
    """Past all nodes below some, for those who want to see what runs `early`, or only `later`."""
    notes, openers, note_call = way
    none: Wanted[Found] = Wanted(())
    wanted = none
    around: Scope | None = None
    found: list[Found] = []
    while pending:
        node, scope = pending.pop()
        if scope is not around:
            around = scope
            wanted = none if scope.is_dead else early if scope.import_time else later
        if isinstance(node, ast.Name):
            # The most frequent of all nodes: nothing is below it, and no rule asks for it.
            found += _name(node, scope, wanted)
            continue
        kind = type(node)
        if kind in wanted.nodes:
            for visitor in wanted.nodes[kind]:
                found += visitor.visit(node, scope)
        if kind in notes:
            notes[kind](node, scope, record)
        if isinstance(node, ast.Call):
            name = scope.name(node.func)
            note_call(node, scope, name, record)
            found += _call(node, scope, wanted, name)
        elif kind is ast.Attribute and scope.imported(node):
            found += _read(node, scope, wanted)
        inner = list(openers[kind](node, scope)) if kind in openers else _inner(node, scope)
        inner.reverse()
        pending += inner
    return found


def _name(node: ast.Name, scope: Scope, wanted: Wanted[Found]) -> Iterable[Found]:
    if scope.functions and isinstance(node.ctx, ast.Store):
        scope.local.setdefault(node.id, None)
    return _read(node, scope, wanted) if scope.knows(node.id) else ()


def _call(node: ast.Call, scope: Scope, wanted: Wanted[Found], name: str | None) -> Iterator[Found]:
    function = node.func
    # A dotted name that nothing imported is some object's attribute.
    if name is not None and ("." not in name or scope.imported(function)):
        for visitor in _matching(wanted.calls, name):
            yield from visitor.visit(node, scope)
        for argument in node.args if name in _APPLIES else ():
            if isinstance(argument, ast.Name | ast.Attribute) and scope.imported(argument):
                called = ast.copy_location(ast.Call(argument, [], []), argument)
                yield from _call(called, scope, wanted, scope.name(argument))
    if isinstance(function, ast.Attribute):
        for visitor in wanted.methods.get(function.attr, ()):
            yield from visitor.visit(node, scope)


def _read(node: ast.AST, scope: Scope, wanted: Wanted[Found]) -> Iterator[Found]:
    name = scope.name(node)
    if name is not None:
        for visitor in _matching(wanted.reads, name):
            yield from visitor.visit(node, scope)


Inner: TypeAlias = Iterator[tuple[ast.AST, Scope]]

# What a variable stands for that is the Worker's environment.
ENV = "self.env"

_Key = TypeVar("_Key")


def _subscribe(
    table: dict[_Key, list[Visitor[Found]]], keys: Collection[_Key], visitor: Visitor[Found]
) -> None:
    for key in keys:
        table.setdefault(key, []).append(visitor)


def _matching(table: Mapping[str, list[Visitor[Found]]], name: str) -> Iterable[Visitor[Found]]:
    exact = table.get(name, ())
    family = table.get(f"{name.rpartition('.')[0]}.*") if "." in name else None
    return [*exact, *family] if family else exact


_DULL = frozenset({"attr", "ctx", "id", "kind", "names", "op", "ops", "type_comment"})

# The fields of each kind of node that hold nodes worth a visit.
_FIELDS: Mapping[type[ast.AST], tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _DULL)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
_SEEN = _FIELDS.keys() - {ast.Constant, ast.Name}


def _inner(node: ast.AST, scope: Scope) -> list[tuple[ast.AST, Scope]]:
    """The nodes directly below a node, in the order of its fields, as far as they tell anything.

    Constants do not, nor do names that are only read and were not imported: most nodes are one.
    """
    found: list[tuple[ast.AST, Scope]] = []
    for name in _FIELDS[type(node)]:
        value: Any = getattr(node, name, None)
        for item in value if type(value) is list else (value,):
            kind = type(item)
            if kind in _SEEN or (
                kind is ast.Name and (type(item.ctx) is ast.Store or scope.knows(item.id))
            ):
                found.append((item, scope))
    return found


def _learn(node: ast.AST, scope: Scope, record: Record) -> None:
    """Note what an import brings, and what the module calls it."""
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return
    names: dict[str, Any] = scope.local if scope.functions else scope.names
    names.update(brought(node))
    record.statements += _statements(node, scope)
    if isinstance(node, ast.Import):
        for alias in node.names:
            _note_import(node, scope, alias.name, record)
    elif not node.level and node.module:
        _note_import(node, scope, node.module, record)


def _statements(node: ast.Import | ast.ImportFrom, scope: Scope) -> Iterator[Statement]:
    place, optional, dead = scope.place(node), scope.optional, scope.is_dead
    later = bool(scope.functions)
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Statement(alias.name, (), place, optional, dead, later)
        return
    module = scope.modules.imported_from(node, scope.module.path)
    names = tuple(alias.name for alias in node.names)
    yield Statement(module, names, place, optional, dead, later)


def _note_import(node: ast.AST, scope: Scope, name: str, record: Record) -> None:
    record.imports.append(
        Import(
            name,
            scope.place(node),
            optional=scope.optional,
            typing=scope.typing or scope.script,
            later=bool(scope.functions),
        )
    )


# Functions that call the functions that they get.
_APPLIES = frozenset(
    {"filter", "functools.reduce", "itertools.starmap", "map", "max", "min", "sorted"}
)

_IMPORTERS = frozenset({"__import__", "importlib.import_module"})


def _note_call(node: ast.Call, scope: Scope, name: str | None, record: Record) -> None:
    """Imports and environment reads that are calls with a literal name."""
    first = node.args[0] if node.args else None
    second = node.args[1] if len(node.args) > 1 else None
    if name in _IMPORTERS and (text := text_of(first)) and not text.startswith("."):
        _note_import(node, scope, text, record)
    elif name in {"getattr", "hasattr"} and first and is_env(first, scope):
        if text := text_of(second):
            default = name == "hasattr" or len(node.args) > 2
            record.uses.append(Use(text, scope.place(node), called=None, default=default))
    elif isinstance(node.func, ast.Attribute) and (
        binding := _binding(node.func.value, scope) or record.attribute(node.func.value, scope)
    ):
        owner = node.func.value
        use = Use(binding, scope.place(owner), node.func.attr, default=scope.looks_first)
        record.uses.append(use)
    _note_early_call(node, scope, name, record)


def _note_early_call(node: ast.Call, scope: Scope, name: str | None, record: Record) -> None:
    if scope.import_time and isinstance(node.func, ast.Lambda):
        _note_lambda(node.func, node, scope, record)
    if name and scope.import_time:
        record.calls.made.append(Call(name, node, scope))
        for argument in node.args if name in _APPLIES else ():
            if isinstance(argument, ast.Lambda):
                _note_lambda(argument, argument, scope, record)
            else:
                record.calls.made.append(Call(scope.name(argument) or "", argument, scope))
        for argument in node.args if name in RUNNERS else ():
            _note_coroutine(argument, scope, record)


def _note_lambda(function: ast.Lambda, call: ast.expr, scope: Scope, record: Record) -> None:
    """Note the call of a function without a name."""
    name = f"lambda:{function.lineno}:{function.col_offset}"
    record.calls.define_as(name, function, scope)
    record.calls.made.append(Call(name, call, scope))


def _note_await(node: ast.Await, scope: Scope, record: Record) -> None:
    _note_coroutine(node.value, scope, record)


def _note_coroutine(node: ast.expr, scope: Scope, record: Record) -> None:
    """Note the call of a coroutine function whose coroutine runs at import time."""
    if isinstance(node, ast.Call) and (name := scope.name(node.func)):
        record.calls.made.append(Call(name, node, scope, awaited=True))


def _note_function(node: Definition, scope: Scope, record: Record) -> None:
    _forget(node.name, scope)
    record.calls.define(node, scope)
    _note_decorators(node, scope, record)


def _note_decorators(node: Definition, scope: Scope, record: Record) -> None:
    """Calls without brackets: what decorates, and what a decorator's own call returns."""
    for decorator in node.decorator_list if scope.import_time else ():
        factory = isinstance(decorator, ast.Call)
        if name := scope.name(decorator.func if isinstance(decorator, ast.Call) else decorator):
            record.calls.made.append(Call(name, decorator, scope, factory))


def _note_class(node: ast.ClassDef, scope: Scope, record: Record) -> None:
    record.classes.add(node.name)
    _note_function(node, scope, record)
    for base in node.bases if scope.import_time else ():
        if name := scope.name(base):
            record.calls.made.append(Call(f"{name}.__init_subclass__", base, scope))


def _note_use(node: ast.Attribute, scope: Scope, record: Record) -> None:
    if node.attr.isupper() and is_env(node.value, scope):
        use = Use(node.attr, scope.place(node), called=None, default=scope.looks_first)
        record.uses.append(use)


def _note_compare(node: ast.Compare, scope: Scope, record: Record) -> None:
    """`"NAME" in env`: whoever asks has something else where it is not there."""
    asked = text_of(node.left)
    if asked and isinstance(node.ops[0], ast.In | ast.NotIn):
        where = node.comparators[0]
        if isinstance(where, ast.Call) and where.args:  # dir(env)
            where = where.args[0]
        if is_env(where, scope):
            record.uses.append(Use(asked, scope.place(node), called=None, default=True))


def _binding(node: ast.AST, scope: Scope) -> str | None:
    """The name in `self.env.NAME`, the same of a parameter `env` or the SDK's, or a variable's."""
    if isinstance(node, ast.Attribute) and node.attr.isupper() and is_env(node.value, scope):
        return node.attr
    match node:
        case ast.Call(func=ast.Name("getattr"), args=[owner, ast.Constant(str(name))]):
            return name if name.isupper() and is_env(owner, scope) else None
    known = scope.local.get(node.id) if isinstance(node, ast.Name) else None
    return known.removeprefix(f"{ENV}.") if known and known.startswith(f"{ENV}.") else None


class _Binding(ast.AST):
    """Comes after an assignment: from there on its names stand for something else."""

    _fields = ()

    def __init__(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        super().__init__()
        self.targets = targets
        self.value = value


def _assigned(node: ast.Assign | ast.AnnAssign, scope: Scope) -> Inner:
    """The value, what it is assigned to, and then what that means."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target, node.annotation]
    if node.value:
        yield node.value, scope
    yield from ((target, scope) for target in targets)
    if node.value:
        yield _Binding(targets, node.value), scope


def _bind(node: _Binding, scope: Scope, record: Record) -> None:
    """Note what the names of an assignment stand for from here on."""
    if scope.classes and not scope.functions:
        return
    for target in node.targets:
        record.keep(target, node.value, scope)
        for name, value in _pairs(target, node.value):
            if isinstance(value, ast.Lambda):
                record.calls.define_as(name, value, scope)
            if origin := _origin(value, scope) or _made(value, scope, record):
                table: dict[str, Any] = scope.local if scope.functions else scope.names
                table[name] = origin
            else:
                _forget(name, scope)


def is_self(node: ast.expr) -> bool:
    """Whether an expression is the instance whose method it stands in."""
    return isinstance(node, ast.Name) and node.id == "self"


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """The names of an assignment, each with its part of the value: `a, b = c, d`."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, part in zip(target.elts, value.elts, strict=False):
            yield from _pairs(one, part)


def _made(value: ast.expr, scope: Scope, record: Record) -> str | None:
    """The class of the project that an instance is one of: its methods are that class's."""
    name = scope.name(value.func) if isinstance(value, ast.Call) else None
    return name if name and record.calls.makes(name, scope) else None


def _forget(name: str, scope: Scope) -> None:
    """A name that was imported stands for something else, unless that is for where it is not."""
    if scope.functions:
        if name in scope.local or name in scope.names:
            scope.local[name] = None
    elif not scope.classes and not scope.optional and not scope.is_dead and not scope.branch:
        scope.names.pop(name, None)


def _origin(value: ast.expr, scope: Scope) -> str | None:
    """What a value stands for: something imported, the environment, or something in that."""
    if isinstance(value, ast.Call) and scope.name(value.func) == "functools.partial":
        value = value.args[0] if value.args else value
    if is_env(value, scope):
        return ENV if scope.functions else None
    if scope.functions and (name := _binding(value, scope)):
        return f"{ENV}.{name}"
    if isinstance(value, ast.Name | ast.Attribute) and scope.imported(value):
        return scope.name(value)
    return None


def _nothing(_node: ast.AST, _scope: Scope) -> Inner:
    """Nothing is below it."""
    return iter(())


def is_env(node: ast.AST, scope: Scope) -> bool:
    """Whether an expression is a Worker's environment: `self.env`, a parameter, the SDK's `env`."""
    if isinstance(node, ast.Attribute):
        return node.attr == "env" and isinstance(node.value, ast.Name)
    if not isinstance(node, ast.Name):
        return False
    if node.id in scope.local:
        return scope.local[node.id] in {ENV, "workers.env"}
    return scope.names.get(node.id) == "workers.env"


def _function(node: Function, scope: Scope) -> Inner:
    """Decorators and defaults run where the function is defined, its body when it is called."""
    yield from _outside(node, scope)
    if not (scope.functions or scope.classes) and getattr(node, "name", "") in scope.programs:
        scope = scope._replace(script=True)
    yield from _body(node, scope)


def _outside(node: Function, scope: Scope) -> Inner:
    arguments = node.args
    outside = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
    if not isinstance(node, ast.Lambda):
        outside = [*node.decorator_list, *outside]
    return ((each, scope) for each in outside)


def _body(node: Function, scope: Scope, through: Call | None = None) -> Inner:
    """The body, when it is called: at import time `through` some call there, or later."""
    parameters = {each.arg: ENV if each.arg == "env" else None for each in _parameters(node.args)}
    inside = scope._replace(
        functions=(*scope.functions, node),
        local={**scope.local, **parameters},
        branch=False,
        import_time=through is not None,
        through=through,
    )
    if isinstance(node, ast.Lambda):
        return iter([(node.body, inside)])
    return _block(node.body, inside)


def _module(node: ast.Module, scope: Scope) -> Inner:
    if "__main__" in scope.module.text.content:
        scope = scope._replace(programs=programs(scope.module, scope))
    return _block(node.body, scope)


def _block(statements: Sequence[ast.stmt], scope: Scope) -> Inner:
    """Statements; dead after an `if` in which every Worker leaves."""
    for statement in statements:
        yield statement, scope
        if isinstance(statement, ast.If) and not scope.is_dead:
            left = {True: statement.body, False: statement.orelse}.get(
                truth(statement.test, scope)  # type: ignore[arg-type]
            )
            if left and ends(left):
                scope = scope._replace(script=True, import_time=False)


def _parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from filter(None, (arguments.vararg, arguments.kwarg))


def _class(node: ast.ClassDef, scope: Scope) -> Inner:
    yield from ((each, scope) for each in (*node.decorator_list, *node.bases))
    yield from ((each.value, scope) for each in node.keywords)
    inside = scope._replace(classes=(*scope.classes, node))
    yield from ((each, inside) for each in node.body)


def _if(node: ast.If, scope: Scope) -> Inner:
    body, orelse = _branches(node.test, scope)
    yield node.test, scope
    yield from _block(node.body, body)
    yield from _block(node.orelse, orelse)


def _if_expression(node: ast.IfExp, scope: Scope) -> Inner:
    body, orelse = _branches(node.test, scope)
    yield from ((node.test, scope), (node.body, body), (node.orelse, orelse))


def _one_by_one(node: ast.BoolOp, scope: Scope) -> Inner:
    """What stands after the part of an `and` or `or` that decides it never runs."""
    decides = isinstance(node.op, ast.Or)
    for each in node.values:
        yield each, scope
        if not scope.is_dead and truth(each, scope) is decides:
            scope = scope._replace(script=True, import_time=False)


def _branches(test: ast.expr, scope: Scope) -> tuple[Scope, Scope]:
    """Where the two branches of a condition stand; no Worker runs one that is for elsewhere."""
    holds = truth(test, scope)
    if holds is None:
        inside = scope._replace(branch=True)
        return inside, inside
    dead = scope._replace(script=True, import_time=False)
    return (scope, dead) if holds else (dead, scope)


def _early_if(node: ast.If | ast.IfExp, scope: Scope) -> Inner:
    """The condition, and the branch where that is plain: mostly it depends on the call."""
    yield node.test, scope
    holds = truth(node.test, scope)
    if holds is not None:
        taken = node.body if holds else node.orelse
        yield from ((each, scope) for each in (taken if isinstance(taken, list) else [taken]))


_EXPECTED = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def _try(node: ast.Try, scope: Scope) -> Inner:
    expects = any(
        _names(handler.type) & _EXPECTED or handler.type is None for handler in node.handlers
    )
    inside = scope._replace(optional=True) if expects else scope
    if any(_names(handler.type) & _LOOKS_FIRST for handler in node.handlers):
        inside = inside._replace(looks_first=True)
    yield from _block(node.body, inside)
    # What stands in for a missing import is as optional as the import, and in a Worker those of
    # the platform are not missing.
    if expects and asks_for_platform(node):
        inside = inside._replace(script=True, import_time=False)
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


# Who expects one of these has something else where a name of the environment is not there.
_LOOKS_FIRST = frozenset({"AttributeError", "Exception", "KeyError"})

Openers: TypeAlias = Mapping[type[ast.AST], Callable[[Any, Scope], Inner]]
Notes: TypeAlias = Mapping[type[ast.AST], Callable[[Any, Scope, Record], None]]

_OPENERS: Openers = {
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.Lambda: _function,
    ast.ClassDef: _class,
    ast.If: _if,
    ast.IfExp: _if_expression,
    ast.BoolOp: _one_by_one,
    ast.Assign: _assigned,
    ast.AnnAssign: _assigned,
    ast.Module: _module,
    _Binding: _nothing,
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
    ast.Compare: _note_compare,
    _Binding: _bind,
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
    _Binding: _bind,
    ast.AsyncFunctionDef: _note_decorators,
    ast.Await: _note_await,
    ast.ClassDef: _note_decorators,
    ast.FunctionDef: _note_decorators,
}


class Way(NamedTuple):
    """What a walk notes, and where it goes on."""

    notes: Notes
    openers: Openers
    note_call: Callable[[ast.Call, Scope, str | None, Record], None]


_FIRST = Way(_NOTES, _OPENERS, _note_call)
_AGAIN = Way(_EARLY_NOTES, _EARLY_OPENERS, _note_early_call)
