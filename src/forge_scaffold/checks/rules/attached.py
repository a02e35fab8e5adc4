"""SIZ004, SIZ005: files beside the code, against what wrangler attaches."""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.code.expressions import text_of
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.code.values import origin
from forge_scaffold.checks.examples import BASE, service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.checks.uploads import size_of
from forge_scaffold.documents import Place

_READING = (
    "import json\nfrom pathlib import Path\n\nimport httpx\n\n\nasync def answer(env):\n"
    '    texts = json.loads(Path(__file__).with_name("texts.json").read_text())\n'
    '    return texts["hello"] + httpx.__version__\n'
)


class NotAttached(Rule):
    """A file that is read and not uploaded.

    Beside Python's modules wrangler attaches what its rules name in the folder of the main module:
    `.txt`, `.html`, `.sql`, `.bin` and `.wasm`, and what `[[rules]]` add. Everything else is found
    on your machine only, and FileNotFoundError is raised in the Worker.

    Fix: `[[rules]]` with `type = "Text"` (or `"Data"`), `globs = ["**/*.json"]` and
    `fallthrough = true`; or make it a Python module.
    """

    id = "SIZ004"
    since = "0.2.0"
    needs_worker = True
    calls = ("io.open", "open")
    methods = ("open", "read_bytes", "read_text")
    failing: ClassVar[Files] = {**service(_READING), "src/texts.json": '{"hello": "Hello"}\n'}
    passing: ClassVar[Files] = {
        **failing,
        "wrangler.toml": BASE["wrangler.toml"]
        + '\n[[rules]]\ntype = "Text"\nglobs = ["**/*.json"]\nfallthrough = true\n',
    }

    def __init__(self) -> None:
        self._read: list[tuple[PurePosixPath, Place]] = []

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Note reads of paths that begin with `__file__`."""
        if isinstance(node, ast.Call) and not (scope.optional or scope.is_dead):
            bare = scope.name(node.func) in self.calls
            opened = node.args[0] if bare and node.args else getattr(node.func, "value", None)
            modes = node.args[1:2] if bare else node.args[:1]
            writes = any((text_of(mode) or "").startswith(("w", "a", "x")) for mode in modes)
            path = _path(opened, scope) if opened is not None and not writes else None
            if path is not None:
                self._read.append((path, scope.place(node)))
        yield from ()

    def check(self, subject: Subject) -> Iterator[Finding]:
        """What is read, where it is a file of the project that stays at home."""
        project = subject.project
        uploaded = set(subject.attached) if self._read else set()
        for path, place in self._read:
            if path.suffix != ".py" and path not in uploaded and project.has(str(path)):
                kind = path.suffix or path.name
                yield self.finding(
                    place,
                    f"{path}: read here, and wrangler does not attach it; add [[rules]] for "
                    f"{kind} to the configuration"
                    if path.is_relative_to(project.base)
                    else f"{path}: read here, and only what is below {project.base}/ is uploaded",
                )


# A path is put together in so many steps at most.
_STEPS = 20

_FOLDERS = frozenset({"os.path.dirname"})
_SAME = frozenset(
    {"os.path.abspath", "os.path.realpath", "pathlib.Path", "pathlib.PurePath", "str"}
)


def _path(node: ast.expr, scope: Scope, steps: int = _STEPS) -> PurePosixPath | None:
    """The file of the project that an expression names, where it begins with `__file__`."""
    path = None
    match node:
        case _ if steps == 0:
            pass
        case ast.Name("__file__"):
            path = scope.module.path
        case ast.Name():
            value = _value(node, scope)
            path = _path(value, scope, steps - 1) if value else None
        case ast.Call():
            path = _called(node, scope, steps - 1)
        case ast.Attribute(value=below, attr="parent"):
            inner = _path(below, scope, steps - 1)
            path = inner.parent if inner else None
        case ast.Subscript(ast.Attribute(value=below, attr="parents"), ast.Constant(int(index))):
            inner = _path(below, scope, steps - 1)
            path = dict(enumerate(inner.parents)).get(index) if inner else None
        case ast.BinOp(op=ast.Div()):
            path = _joined(node.left, [node.right], scope, steps - 1)
    return path


def _value(node: ast.Name, scope: Scope) -> ast.expr | None:
    """What a name stands for: in its function, or as a constant of the module."""
    value = origin(node, scope)
    if value is node and node.id not in scope.local:
        return scope.modules.told(node.id, scope.module.path)
    return value if isinstance(value, ast.expr) and value is not node else None


def _called(node: ast.Call, scope: Scope, steps: int) -> PurePosixPath | None:
    """The path that a call makes of another one."""
    name = scope.name(node.func)
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    path = None
    if name == "os.path.join" and node.args:
        path = _joined(node.args[0], node.args[1:], scope, steps)
    elif name in _SAME | _FOLDERS and len(node.args) == 1:
        inner = _path(node.args[0], scope, steps)
        path = inner.parent if inner and name in _FOLDERS else inner
    elif method == "joinpath":
        path = _joined(owner, node.args, scope, steps)
    elif method in {"absolute", "resolve"}:
        path = _path(owner, scope, steps)
    elif method == "with_name" and node.args:
        inner, told = _path(owner, scope, steps), text_of(node.args[0])
        path = inner.parent / told if inner and told else None
    return path


def _joined(
    first: ast.expr, rest: list[ast.expr], scope: Scope, steps: int
) -> PurePosixPath | None:
    path = _path(first, scope, steps)
    for each in rest:
        part = text_of(each)
        if path is None or part is None or part.startswith("/"):
            return None
        for name in part.split("/"):
            path = path.parent if name == ".." else path / name
    return path


class Idle(Rule):
    """A large file that is uploaded and that no code names.

    What wrangler's rules name goes with the Worker: a dump of a database or an old model beside the
    code counts against the limit, and is unpacked when the Worker starts.

    Fix: move it out of the main module's folder, or to R2 where the Worker reads it.
    """

    id = "SIZ005"
    since = "0.2.0"
    needs_worker = True
    severity = Severity.WARNING
    failing: ClassVar[Files] = {"src/dump.sql": f"-- {'-' * 2**20}\n"}
    passing: ClassVar[Files] = {"src/dump.sql": "CREATE TABLE notes (id);\n"}

    WORTH: ClassVar[int] = 2**20

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Attached files whose name, ending or folder no module has."""
        project = subject.project
        for path in subject.attached:
            size = size_of(project, path)
            if size < self.WORTH or path.suffix == ".wasm":
                continue
            signs = {path.stem, f"*{path.suffix}", f'"{path.suffix}"'}
            if path.parent != project.base:
                signs.add(path.parent.name)
            texts = (module.text.content for module in project.modules)
            if not any(sign in text for text in texts for sign in signs):
                yield self.finding(
                    Place(path),
                    f"{path}: {size / 2**20:.1f} MiB are uploaded, and no module names it; move it "
                    f"out of {project.base}/",
                )
