"""RUN1: what cannot run while a Worker's modules are imported."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.code.calls import RUNNERS
from forge_scaffold.checks.code.expressions import names_given, text_of
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.configuration import has_openssl
from forge_scaffold.checks.examples import service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule

# Functions that need no randomness, and those that need none with a seed. The runtime also blocks
# those functions of `random` that need none, because its generator gets another seed later.
_NO_ENTROPY = frozenset({"random.SystemRandom", "secrets.compare_digest"})


_SEEDED = frozenset({"numpy.random.default_rng", "random.Random"})


class Entropy(Rule):
    """Random numbers at import time.

    A Worker's modules are imported once, before it is deployed, and their state is what every
    isolate starts with. Random bytes would be the same everywhere, so the runtime refuses them, and
    the Worker does not start.

    Fix: make it in the request: inside the function that needs it, or with `default_factory=uuid4`.
    """

    id = "RUN101"
    since = "0.1.0"
    import_time = True
    calls = (
        "email.utils.make_msgid", "js.crypto.getRandomValues", "js.crypto.randomUUID",
        "numpy.random.default_rng", "os.urandom", "random.*", "secrets.*",
        "ssl.create_default_context", "uuid.getnode", "uuid.uuid1", "uuid.uuid4", "uuid.uuid6",
        "uuid.uuid7",
    )  # fmt: skip
    methods = (
        "choice", "choices", "getrandbits", "randbytes", "randint", "random", "randrange", "sample",
        "shuffle", "uniform",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        "import uuid\n\nimport httpx\n\nINSTANCE = uuid.uuid4()\n\n\nasync def answer(env):\n"
        '    return f"{INSTANCE} {httpx.__version__}"\n'
    )
    passing: ClassVar[Files] = service(
        "import uuid\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    return f"{uuid.uuid4()} {httpx.__version__}"\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time."""
        if not isinstance(node, ast.Call):
            return
        if self._draws(node, scope):
            yield self.finding(
                scope.place(node),
                f"{scope.shown(node)} {scope.when}: a Worker has no randomness before its first "
                "request; call it in the request",
            )

    def _draws(self, node: ast.Call, scope: Scope) -> bool:
        """Whether a call needs random bytes."""
        name = scope.name(node.func)
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(owner, ast.Call):
            return scope.name(owner.func) == "random.SystemRandom"
        if name is None or not scope.imported(node.func) or name in _NO_ENTROPY:
            return False
        if name == "ssl.create_default_context":
            return has_openssl(scope.project) is True
        matches = name in self.calls or f"{name.rpartition('.')[0]}.*" in self.calls
        return matches and not (name in _SEEDED and node.args)


# Functions that convert a time, and ask for the current one when they get fewer arguments.
_CONVERTS = {
    "email.utils.formatdate": 1,
    "time.ctime": 1,
    "time.gmtime": 1,
    "time.localtime": 1,
    "time.strftime": 2,
}


class Clock(Rule):
    """The time of day at import time.

    A Worker's modules are imported before it is deployed: what the clock says then is kept, and is
    old, or zero, in every request.

    Fix: ask for the time in the request.
    """

    id = "RUN102"
    since = "0.1.0"
    import_time = True
    severity = Severity.WARNING
    calls = (
        "datetime.date.today", "datetime.datetime.now", "datetime.datetime.today",
        "datetime.datetime.utcnow", "email.utils.formatdate", "js.Date.now", "js.performance.now",
        "time.ctime", "time.gmtime", "time.localtime", "time.monotonic", "time.monotonic_ns",
        "time.perf_counter", "time.perf_counter_ns", "time.strftime", "time.time", "time.time_ns",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        "import time\n\nimport httpx\n\nSTARTED = time.time()\n\n\nasync def answer(env):\n"
        '    return f"{STARTED} {httpx.__version__}"\n'
    )
    passing: ClassVar[Files] = service(
        "import time\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    return f"{time.time()} {httpx.__version__}"\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time; those that get a time do not ask for one."""
        if not isinstance(node, ast.Call):
            return
        converts = _CONVERTS.get(scope.name(node.func) or "")
        if converts is None or len(node.args) < converts:
            yield self.finding(
                scope.place(node),
                f"{scope.shown(node)} {scope.when}: it is the time of the deployment, not of a "
                "request",
            )


class EarlyRequest(Rule):
    """A request to somewhere at import time.

    There is no network while a Worker's modules are imported: the import fails, and the Worker does
    not start.

    Fix: make the request in a function, on first use.
    """

    id = "RUN103"
    since = "0.1.0"
    import_time = True
    calls = (
        "ftplib.FTP", "ftplib.FTP_TLS", "httpx.delete", "httpx.get", "httpx.head", "httpx.patch",
        "httpx.post", "httpx.put", "httpx.request", "httpx.stream", "imaplib.IMAP4",
        "imaplib.IMAP4_SSL", "js.fetch", "logging.handlers.SysLogHandler", "poplib.POP3",
        "poplib.POP3_SSL", "pyodide.http.open_url", "pyodide.http.pyfetch", "requests.delete",
        "requests.get", "requests.head", "requests.post", "requests.put", "requests.request",
        "smtplib.SMTP", "smtplib.SMTP_SSL", "socket.create_connection", "socket.create_server",
        "socket.socketpair", "urllib.request.urlopen", "urllib.request.urlretrieve",
        "workers.fetch",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        'import httpx\n\nKEYS = httpx.get("https://example.org/keys").json()\n\n\n'
        "async def answer(env):\n    return KEYS\n"
    )
    passing: ClassVar[Files] = service(
        "import httpx\n\nfrom workers import fetch\n\n\nasync def answer(env):\n"
        '    keys = await fetch("https://example.org/keys")\n'
        '    return f"{await keys.json()} {httpx.__version__}"\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time; some clients connect only when they get a host."""
        if isinstance(node, ast.Call) and (
            node.args or scope.name(node.func) not in _CONNECTS_TO_HOST
        ):
            yield self.finding(
                scope.place(node),
                f"{scope.shown(node)} {scope.when}: there is no network then; call it in the "
                "request",
            )


_CONNECTS_TO_HOST = frozenset({"ftplib.FTP", "ftplib.FTP_TLS", "smtplib.SMTP", "smtplib.SMTP_SSL"})


# Attributes that JavaScript computes for the object itself. While a snapshot is made, what Python
# has in its place is a stand-in, and reading one raises "Illegal invocation".
# tests/runtime/test_getters.py asks workerd for them.
GETTERS = (
    "js.crypto.subtle",
    "js.performance.eventCounts",
    "js.performance.nodeTiming",
    "js.performance.timeOrigin",
)

# Objects that no path through stand-ins leads to, and symbols.
_HIDDEN = (
    "js.Array.prototype", "js.Function.prototype", "js.Headers.prototype", "js.Map.prototype",
    "js.Object.prototype", "js.Promise.prototype", "js.Request.prototype", "js.Response.prototype",
    "js.String.prototype", "js.Symbol.*", "pyodide_js.FS",
)  # fmt: skip


class EarlyObject(Rule):
    """A JavaScript object kept in a module.

    After import, Cloudflare takes a snapshot of the Worker's memory. JavaScript objects cannot be
    part of it: such a Worker runs on your machine and fails at deploy. An object is kept when
    a name refers to it, and when one of its methods was called. Names imported from `js` are fine,
    and so are most of their attributes. Those that JavaScript computes for an object itself, such
    as `crypto.subtle`, cannot be read then; symbols and prototypes cannot be kept.

    Fix: make the object in the function that hands it to JavaScript.
    """

    id = "RUN104"
    since = "0.1.0"
    import_time = True
    calls = (
        "js.Array", "js.Array.of", "js.JSON.parse", "js.Object", "js.Object.assign",
        "js.Object.create", "js.Object.fromEntries", "pyodide.ffi.create_once_callable",
        "pyodide.ffi.create_proxy", "pyodide.ffi.to_js", "workers.Blob", "workers.File",
        "workers.FormData", "workers.Request", "workers.Response", "workers.Response.json",
        "workers.Response.redirect",
    )  # fmt: skip
    methods = ("new", "to_py")
    nodes = (ast.Assign,)
    reads = (*GETTERS, *_HIDDEN)
    failing: ClassVar[Files] = service(
        "import httpx\nfrom js import Headers\n\nNO_CACHE = Headers.new()\n\n\n"
        'async def answer(env):\n    return f"{NO_CACHE} {httpx.__version__}"\n'
    )
    passing: ClassVar[Files] = service(
        "import httpx\nfrom js import Headers\n\n\nasync def answer(env):\n"
        '    return f"{Headers.new()} {httpx.__version__}"\n'
    )

    def __init__(self) -> None:
        self._read: set[ast.AST] = set()
        self._converted: set[ast.AST] = set()

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time, and assignments to JavaScript's own objects."""
        if isinstance(node, ast.Assign):
            yield from self._assigned(node, scope)
        elif isinstance(node, ast.Attribute):
            yield self._seen(scope.name(node) or "", node, scope)
        elif isinstance(node, ast.Call):
            yield from self._made(node, scope)

    def _assigned(self, node: ast.Assign, scope: Scope) -> Iterator[Finding]:
        value = node.value
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Call):
            # It may be a plain value, such as a length, or another object.
            self._read.add(value.value)
        for target in node.targets:
            name = scope.name(target) or ""
            if isinstance(target, ast.Attribute) and name.startswith("js."):
                yield self._kept(name, target, scope)

    def _made(self, node: ast.Call, scope: Scope) -> Iterator[Finding]:
        name = scope.name(node.func) or ""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "to_py":
            self._converted.add(node.func.value)
        elif name.startswith(("js.", "pyodide.ffi.", "workers.")) and not (
            _is_scalar(name, node.args) or node in self._converted
        ):
            only_read = node in self._read
            yield self._kept(
                f"{name}()", node, scope, severity=Severity.WARNING if only_read else None
            )

    def _seen(self, name: str, node: ast.Attribute, scope: Scope) -> Finding:
        what = name.removeprefix("js.")
        if name not in GETTERS:
            return self._kept(what, node, scope)
        return self.finding(
            scope.place(node),
            f"{what} {scope.when}: it cannot be read while the deployment's snapshot is made; read "
            "it in the request",
        )

    def _kept(
        self, what: str, node: ast.AST, scope: Scope, severity: Severity | None = None
    ) -> Finding:
        return self.finding(
            scope.place(node),
            f"{what} {scope.when}: no JavaScript object survives the deployment's snapshot; make "
            "it in the request",
            severity=severity,
        )


def _is_scalar(function: str, arguments: list[ast.expr]) -> bool:
    """Whether a conversion gives a number, a string, or null."""
    value = arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else b""
    if function == "js.JSON.parse":
        return isinstance(value, str) and not value.lstrip().startswith(("{", "["))
    return function == "pyodide.ffi.to_js" and not isinstance(value, bytes)


class EarlyTask(Rule):
    """An event loop at import time.

    A coroutine that runs while a Worker's modules are imported cannot wait for anything: there are
    no timers and no network before the first request. A loop or runner made then is not the one
    that runs in requests. A coroutine that never waits does run, which is a warning.

    Fix: await it in the request. Use `wait_until` for work that goes on after the response.
    """

    id = "RUN105"
    since = "0.1.0"
    import_time = True
    calls = (
        "asyncio.Runner", "asyncio.create_task", "asyncio.ensure_future", "asyncio.gather",
        "asyncio.get_event_loop", "asyncio.new_event_loop", "asyncio.run",
        "asyncio.run_coroutine_threadsafe", "asyncio.sleep", "asyncio.timeout", "asyncio.wait_for",
        "js.AbortSignal.timeout", "js.setInterval", "js.setTimeout", "pyodide.ffi.run_sync",
        "workers.wait_until",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def load():\n    await asyncio.sleep(1)\n"
        "    return httpx.__version__\n\n\nVERSION = asyncio.run(load())\n\n\n"
        "async def answer(env):\n    return VERSION\n"
    )
    passing: ClassVar[Files] = service(
        "import httpx\n\n\nasync def load():\n    return httpx.__version__\n\n\n"
        "async def answer(env):\n    return await load()\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time."""
        if not isinstance(node, ast.Call):
            return
        name = scope.name(node.func)
        if name == "asyncio.sleep" and _is_zero(node.args):
            return
        yield self.finding(
            scope.place(node),
            f"{scope.shown(node)} {scope.when}: there are no timers and no network then; await "
            "it in the request",
            severity=Severity.WARNING if name in _RUN_COROUTINES else None,
        )


# These run a coroutine in the runtime's own loop, or only return that loop.
_RUN_COROUTINES = RUNNERS | {"asyncio.get_event_loop"}


def _is_zero(arguments: list[ast.expr]) -> bool:
    return bool(arguments) and isinstance(arguments[0], ast.Constant) and arguments[0].value == 0


class EarlyFile(Rule):
    """A file written or kept open at import time.

    The snapshot of a deployed Worker holds its memory, and no files. Files, folders and databases
    on disk that a module makes are gone in every request, open files can no longer be read, and the
    current folder is the first one again.

    Fix: keep the data in memory, write the file in the request that reads it, or use R2, KV or D1.
    """

    id = "RUN106"
    since = "0.2.0"
    import_time = True
    nodes = (ast.Assign,)
    calls = (
        "bz2.open", "codecs.open", "gzip.open", "io.FileIO", "io.open", "logging.FileHandler",
        "logging.basicConfig", "logging.handlers.RotatingFileHandler",
        "logging.handlers.TimedRotatingFileHandler", "logging.handlers.WatchedFileHandler",
        "lzma.open", "open", "os.chdir", "os.link", "os.makedirs", "os.mkdir", "os.open", "os.pipe",
        "os.rename", "os.replace", "os.symlink", "shutil.copy", "shutil.copy2", "shutil.copyfile",
        "shutil.copytree", "shutil.make_archive", "shutil.move", "shutil.unpack_archive",
        "sqlite3.connect", "tarfile.open", "tempfile.NamedTemporaryFile",
        "tempfile.TemporaryDirectory", "tempfile.TemporaryFile", "tempfile.mkdtemp",
        "tempfile.mkstemp", "zipfile.ZipFile",
    )  # fmt: skip
    methods = (
        "hardlink_to", "mkdir", "open", "symlink_to", "touch", "write_bytes", "write_text",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        'from pathlib import Path\n\nimport httpx\n\nCACHE = Path("/tmp/cache")\nCACHE.mkdir()\n'
        '\n\nasync def answer(env):\n    (CACHE / "version").write_text(httpx.__version__)\n'
        "    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = service(
        'from pathlib import Path\n\nimport httpx\n\nCACHE = Path("/tmp/cache")\n'
        "\n\nasync def answer(env):\n    CACHE.mkdir(exist_ok=True)\n"
        '    (CACHE / "version").write_text(httpx.__version__)\n'
        "    return httpx.__version__\n"
    )

    def __init__(self) -> None:
        self._kept: set[ast.AST] = set()

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time; files opened to be read when a name keeps them."""
        if isinstance(node, ast.Assign):
            self._kept.add(node.value)
        elif isinstance(node, ast.Call) and self._lost(node, scope):
            yield self.finding(
                scope.place(node),
                f"{scope.shown(node)} {scope.when}: no file survives the deployment's snapshot; "
                "do it in the request",
            )

    def _lost(self, node: ast.Call, scope: Scope) -> bool:
        name = scope.name(node.func)
        if name in _OPENERS:
            return node in self._kept or _writes(_mode(node))
        if name == "sqlite3.connect":
            return bool(node.args) and _is_on_disk(node.args[0], scope)
        if name == "logging.basicConfig":
            return any(keyword.arg == "filename" for keyword in node.keywords)
        if getattr(node.func, "attr", "") == "open" and name not in self.calls:
            return self._opens(node, scope)
        return True

    def _opens(self, node: ast.Call, scope: Scope) -> bool:
        """Whether `path.open()` writes, or is kept, where the path is plainly one."""
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if owner is None or not _is_path(owner, scope):
            return False
        mode = text_of(node.args[0]) if node.args else _mode(node)
        return node in self._kept or _writes(mode or "")


def _is_path(node: ast.expr, scope: Scope) -> bool:
    """Whether an expression is a path of pathlib's: `Path(...)`, `Path(...) / "name"`."""
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        node = node.left
    return isinstance(node, ast.Call) and scope.name(node.func) == "pathlib.Path"


def _is_on_disk(database: ast.expr, scope: Scope) -> bool:
    """Whether what sqlite3 connects to is plainly a file."""
    path = text_of(database)
    return _is_path(database, scope) if path is None else ":memory:" not in path and path != ""


_OPENERS = frozenset(
    {
        "bz2.open", "codecs.open", "gzip.open", "io.FileIO", "io.open", "lzma.open", "open",
        "tarfile.open", "zipfile.ZipFile",
    }
)  # fmt: skip


def _writes(mode: str) -> bool:
    """Whether a mode of `open` writes; what tarfile has behind a colon is a compression."""
    return not set(re.split("[:|]", mode)[0]).isdisjoint("wax+")


def _mode(node: ast.Call) -> str:
    """The mode that a call of `open` gives, as far as it is plain."""
    named = (keyword.value for keyword in node.keywords if keyword.arg == "mode")
    mode = next(iter((*node.args[1:2], *named)), None)
    return (text_of(mode) or "") if mode else ""


class EarlyContext(Rule):
    """A context variable set at import time.

    Each request runs in a context of its own, which knows nothing of what was set at import
    time: `get` raises LookupError, or returns the default. The precision of `decimal` is such a
    variable.

    Fix: set it in the request, or give the variable a default. `decimal.DefaultContext` holds for
    all requests.
    """

    id = "RUN107"
    since = "0.2.0"
    import_time = True
    nodes = (ast.Assign,)
    calls = ("decimal.getcontext", "decimal.setcontext")
    methods = ("set",)
    failing: ClassVar[Files] = service(
        'from contextvars import ContextVar\n\nimport httpx\n\nVERSION = ContextVar("version")\n'
        "VERSION.set(httpx.__version__)\n\n\nasync def answer(env):\n    return VERSION.get()\n"
    )
    passing: ClassVar[Files] = service(
        "from contextvars import ContextVar\n\nimport httpx\n\n"
        'VERSION = ContextVar("version", default=httpx.__version__)\n\n\n'
        "async def answer(env):\n    return VERSION.get()\n"
    )

    def __init__(self) -> None:
        self._variables: set[tuple[PurePosixPath, str | None]] = set()

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time, `set` only of variables that the module has made."""
        if isinstance(node, ast.Assign):
            value = node.value
            if isinstance(value, ast.Call) and scope.name(value.func) == "contextvars.ContextVar":
                self._variables.update((scope.module.path, name) for name in names_given(node))
        elif isinstance(node, ast.Call):
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            decimal = scope.imported(node.func) and scope.name(node.func) in self.calls
            if decimal or (scope.module.path, getattr(owner, "id", None)) in self._variables:
                yield self.finding(
                    scope.place(node),
                    f"{scope.shown(node)} {scope.when}: each request has a context of its own; "
                    "set it there, or as the default",
                )
