"""RUN2: where settings come from."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from forge_scaffold.checks.code.expressions import text_of
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.code.walk import ENV
from forge_scaffold.checks.examples import BASE, service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject

if TYPE_CHECKING:
    from forge_scaffold.documents import Place


_MAPPINGS = frozenset({"os.environ", "os.environb"})


class _EnvironRead(NamedTuple):
    """What is taken from os.environ.

    Attributes:
        mapping: the expression that stands for it.
        name: the variable; None where that is open.
        default: its absence is provided for.
        writes: it is put there.
    """

    mapping: ast.expr
    name: str | None
    default: bool
    writes: bool


class Environ(Rule):
    """A variable read from os.environ.

    Workers have variables, secrets and bindings in their own environment object; `os.environ` has
    none of them. `os.environ[...]` raises KeyError; what is read with `get` is a warning: it is
    never there. `os.path.expandvars` leaves every `$NAME` as it is.

    Fix: read `self.env.NAME`, or `env.NAME` after `from workers import env`, in the request.
    """

    id = "RUN201"
    since = "0.1.0"
    nodes = (ast.Assign, ast.Compare, ast.Subscript)
    calls = ("os.environ.*", "os.environb.*", "os.getenv", "os.getenvb", "os.path.expandvars")
    reads = ("os.environ", "os.environb")
    failing: ClassVar[Files] = service(
        "import os\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    return os.environ["GREETING"] + httpx.__version__\n'
    )
    passing: ClassVar[Files] = {
        **service(
            "import httpx\n\n\nasync def answer(env):\n"
            "    return env.GREETING + httpx.__version__\n"
        ),
        "wrangler.toml": BASE["wrangler.toml"] + '\n[vars]\nGREETING = "Hello"\n',
    }

    def __init__(self) -> None:
        self._whole: list[tuple[Scope, Place]] = []
        self._reads: list[tuple[_EnvironRead, Place]] = []
        self._parts: set[Place] = set()
        self._writes: set[str | None] = set()

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Note what is read and what the project itself writes there."""
        if isinstance(node, ast.Name | ast.Attribute):
            self._whole.append((scope, scope.place(node)))
        elif isinstance(node, ast.Assign):
            # What is read through the variable is met where that is done.
            if scope.name(node.value) in _MAPPINGS:
                self._parts.add(scope.place(node.value))
        elif isinstance(node, ast.Call) and scope.name(node.func) == "os.path.expandvars":
            self._whole.append((scope, scope.place(node)))
        elif read := _environ_read(node, scope):
            self._parts.add(scope.place(read.mapping))
            if read.writes:
                self._writes.add(read.name)
            elif not scope.typing and not scope.script and not _of_builds(read.name):
                self._reads.append((read, scope.place(node)))
        yield from ()

    def check(self, subject: Subject) -> Iterator[Finding]:  # noqa: ARG002 - it has seen all
        """What is read and never written."""
        if None in self._writes:
            return
        for read, place in self._reads:
            if read.name not in self._writes:
                named = f"{read.name}: " if read.name else ""
                yield self.finding(
                    place,
                    f"{named}Workers do not fill os.environ; read "
                    f"self.env.{read.name or 'NAME'} in the request",
                    severity=Severity.WARNING if read.default else None,
                )
        for scope, place in () if self._writes else self._whole:
            if place not in self._parts and not scope.typing and not scope.script:
                yield self.finding(
                    place,
                    "Workers do not fill os.environ; read self.env in the request",
                    severity=Severity.WARNING,
                )


def _environ_read(node: ast.AST, scope: Scope) -> _EnvironRead | None:
    """What an expression takes from os.environ, or puts there."""
    if isinstance(node, ast.Subscript):
        if scope.name(node.value) not in _MAPPINGS or not scope.imported(node.value):
            return None
        writes = not isinstance(node.ctx, ast.Load)
        return _EnvironRead(node.value, _variable(node.slice), default=False, writes=writes)
    if isinstance(node, ast.Compare):
        name, mapping = _variable(node.left), node.comparators[0]
        asks = name and scope.name(mapping) in _MAPPINGS and scope.imported(mapping)
        return _EnvironRead(mapping, name, default=True, writes=False) if asks else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return None
    first = _variable(node.args[0]) if node.args else None
    method = (scope.name(node.func) or "").rpartition(".")[2]
    mapping = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    # What takes all of it is not known by a name.
    if method in {"get", "getenv", "getenvb", "pop", "setdefault", "update"}:
        default = method != "pop" or len(node.args) > 1
        writes = method in {"setdefault", "update"}
        return _EnvironRead(mapping, first, default=default, writes=writes)
    return None


def _variable(node: ast.expr) -> str | None:
    """The name of a variable, where it is plainly one; `os.environb` has bytes for names."""
    raw = node.value if isinstance(node, ast.Constant) else None
    return raw.decode(errors="replace") if isinstance(raw, bytes) else text_of(node)


def _of_builds(name: str | None) -> bool:
    """Whether a variable is there for machines that build, where there is no Worker."""
    return name is not None and (name == "CI" or name.endswith("_CI"))


class EarlySettings(Rule):
    """Settings read at import time.

    What a module reads when it is imported is frozen into the deployment's snapshot: variables and
    secrets changed later are not seen, and on the first import there are none.

    Fix: read them in the request, and keep what was read in the request or in the entry point's
    instance.
    """

    id = "RUN202"
    since = "0.1.0"
    import_time = True
    nodes = (ast.ClassDef, ast.Call)
    reads = ("self.env.*", "workers.env.*")
    failing: ClassVar[Files] = {
        **service(
            "import httpx\nfrom workers import env\n\nGREETING = env.GREETING\n\n\n"
            "async def answer(_):\n    return GREETING + httpx.__version__\n"
        ),
        "wrangler.toml": BASE["wrangler.toml"] + '\n[vars]\nGREETING = "Hello"\n',
    }
    passing: ClassVar[Files] = {
        **failing,
        **service(
            "import httpx\nfrom workers import env\n\n\n"
            "async def answer(_):\n    return env.GREETING + httpx.__version__\n"
        ),
    }

    def __init__(self) -> None:
        self._classes: list[tuple[str, list[str]]] = []
        self._calls: list[tuple[str, str, Place]] = []

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Reads of the SDK's environment; settings classes and where they are called."""
        if isinstance(node, ast.ClassDef):
            bases = [name for base in node.bases if (name := scope.name(base))]
            self._classes.append((node.name, bases))
        elif isinstance(node, ast.Attribute):
            if scope.name(node.value) == ENV:
                # A function that gets the environment is right: its call comes too early.
                if scope.through:
                    what = f"{scope.through.name.lstrip('.')}() reads env.{node.attr}"
                    message = f"{what} at import time: it is frozen into the deployment"
                    yield self.finding(scope.through.place, f"{message}; call it in the request")
            else:
                yield self._frozen(f"env.{node.attr}", node, scope)
        elif isinstance(node, ast.Call) and (name := scope.name(node.func)):
            if name == "getattr" and node.args and scope.name(node.args[0]) == "workers.env":
                yield self._frozen("getattr(env, ...)", node, scope)
            self._calls.append((name, scope.when, scope.place(node)))

    def _frozen(self, read: str, node: ast.AST, scope: Scope) -> Finding:
        message = f"{read} {scope.when}: it is frozen into the deployment; read it in the request"
        return self.finding(scope.place(node), message)

    def check(self, subject: Subject) -> Iterator[Finding]:  # noqa: ARG002 - it has seen all
        """Settings classes that are called at import time."""
        classes = _settings_classes(self._classes)
        for name, when, place in self._calls if classes else ():
            if name.rpartition(".")[2] in classes:
                yield self.finding(
                    place,
                    f"{name.lstrip('.')}() {when}: it is frozen into the deployment; make it in "
                    "the request",
                )


def _settings_classes(classes: list[tuple[str, list[str]]]) -> set[str]:
    """The names of the classes, each given with its bases, that come from pydantic's."""
    derived: dict[str, list[str]] = {}
    for name, bases in classes:
        for base in bases:
            foreign = base.startswith(("pydantic.", "pydantic_settings."))
            derived.setdefault(base if foreign else base.rpartition(".")[2], []).append(name)
    found: set[str] = set()
    pending = ["pydantic_settings.BaseSettings", "pydantic.BaseSettings"]
    while pending:
        new = set(derived.get(pending.pop(), ())) - found
        found |= new
        pending += new
    return found
