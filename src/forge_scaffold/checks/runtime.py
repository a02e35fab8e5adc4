"""RUN: what works on a server and not in a Worker."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.base import Files, Finding, Rule, Severity, Subject
from forge_scaffold.checks.calls import RUNNERS
from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.httpx import Whose, httpx_of
from forge_scaffold.checks.walk import Scope
from forge_scaffold.checks.wrangler import python_worker
from forge_scaffold.documents import Place
from forge_scaffold.wrangler import FIRST_PYTHON

# From this date on the entry class is `Default`, and functions such as on_fetch are not called.
ENTRY_CLASS = date(2025, 8, 14)


# JavaScript's functions that take an object of options after their first argument.
_WITH_OPTIONS = ("js.Request.new", "js.Response.new", "js.fetch")


def _service(source: str) -> Files:
    return {"src/service.py": source}


def _has_openssl(scope: Scope) -> bool | None:
    """Whether the Worker's Python has OpenSSL; None when the configuration leaves it open."""
    wrangler = scope.subject.project.wrangler
    python = wrangler.python if wrangler else None
    return None if python is None else python < _WITHOUT_OPENSSL


def _runs_later(scope: Scope) -> bool:
    """Whether it runs in a request."""
    return bool(scope.functions) and not scope.typing and not scope.script


def _shown(node: ast.Call, scope: Scope) -> str:
    return f"{scope.name(node.func) or ast.unparse(node.func)}()"


# Functions that need no randomness, and those that need none with a seed. The runtime also blocks
# those functions of `random` that need none, because its generator gets another seed later.
_NO_ENTROPY = frozenset({"random.SystemRandom", "secrets.compare_digest"})
_SEEDED = frozenset({"numpy.random.default_rng", "random.Random"})

# Since then Pyodide has no OpenSSL: its ssl draws no random bytes, and its hashlib derives no keys.
_WITHOUT_OPENSSL = "3.14"


class Entropy(Rule):
    """Random numbers at import time.

    A Worker's modules are imported once, before it is deployed, and their state is what every
    isolate starts with. Random bytes would be the same everywhere, so the runtime refuses them, and
    the Worker does not start.

    Fix: make it in the request: inside the function that needs it, or with `default_factory=uuid4`.
    """

    id = "RUN101"
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
    failing: ClassVar[Files] = _service(
        "import uuid\n\nimport httpx\n\nINSTANCE = uuid.uuid4()\n\n\nasync def answer(env):\n"
        '    return f"{INSTANCE} {httpx.__version__}"\n'
    )
    passing: ClassVar[Files] = _service(
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
                f"{_shown(node, scope)} {scope.when}: a Worker has no randomness before its first "
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
            return _has_openssl(scope) is True
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
    import_time = True
    severity = Severity.WARNING
    calls = (
        "datetime.date.today", "datetime.datetime.now", "datetime.datetime.today",
        "datetime.datetime.utcnow", "email.utils.formatdate", "js.Date.now", "js.performance.now",
        "time.ctime", "time.gmtime", "time.localtime", "time.monotonic", "time.monotonic_ns",
        "time.perf_counter", "time.perf_counter_ns", "time.strftime", "time.time", "time.time_ns",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "import time\n\nimport httpx\n\nSTARTED = time.time()\n\n\nasync def answer(env):\n"
        '    return f"{STARTED} {httpx.__version__}"\n'
    )
    passing: ClassVar[Files] = _service(
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
                f"{_shown(node, scope)} {scope.when}: it is the time of the deployment, not of a "
                "request",
            )


class EarlyRequest(Rule):
    """A request to somewhere at import time.

    There is no network while a Worker's modules are imported: the import fails, and the Worker does
    not start.

    Fix: make the request in a function, on first use.
    """

    id = "RUN103"
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
    failing: ClassVar[Files] = _service(
        'import httpx\n\nKEYS = httpx.get("https://example.org/keys").json()\n\n\n'
        "async def answer(env):\n    return KEYS\n"
    )
    passing: ClassVar[Files] = _service(
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
                f"{_shown(node, scope)} {scope.when}: there is no network then; call it in the "
                "request",
            )


_CONNECTS_TO_HOST = frozenset({"ftplib.FTP", "ftplib.FTP_TLS", "smtplib.SMTP", "smtplib.SMTP_SSL"})


class EarlyObject(Rule):
    """A JavaScript object kept in a module.

    After import, Cloudflare takes a snapshot of the Worker's memory. JavaScript objects cannot be
    part of it: such a Worker runs on your machine and fails at deploy. An object is kept when
    a name refers to it, and when one of its methods was called. Names imported from `js` are fine,
    except `crypto.subtle`.

    Fix: make the object in the function that hands it to JavaScript.
    """

    id = "RUN104"
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
    reads = ("js.crypto.subtle",)
    failing: ClassVar[Files] = _service(
        "import httpx\nfrom js import Headers\n\nNO_CACHE = Headers.new()\n\n\n"
        'async def answer(env):\n    return f"{NO_CACHE} {httpx.__version__}"\n'
    )
    passing: ClassVar[Files] = _service(
        "import httpx\nfrom js import Headers\n\n\nasync def answer(env):\n"
        '    return f"{Headers.new()} {httpx.__version__}"\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time, and assignments to JavaScript's own objects."""
        if isinstance(node, ast.Assign):
            yield from self._assigned(node, scope)
        elif isinstance(node, ast.Attribute):
            yield self._kept("crypto.subtle", node, scope)
        elif isinstance(node, ast.Call):
            yield from self._made(node, scope)

    def _assigned(self, node: ast.Assign, scope: Scope) -> Iterator[Finding]:
        value = node.value
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Call):
            # It may be a plain value, such as a length, or another object.
            scope.subject.facts.marked(f"{self.id} read").add(value.value)
        for target in node.targets:
            name = scope.name(target) or ""
            if isinstance(target, ast.Attribute) and name.startswith("js."):
                yield self._kept(name, target, scope)

    def _made(self, node: ast.Call, scope: Scope) -> Iterator[Finding]:
        marked = scope.subject.facts.marked
        name = scope.name(node.func) or ""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "to_py":
            marked(f"{self.id} converted").add(node.func.value)
        elif name.startswith(("js.", "pyodide.ffi.", "workers.")) and not (
            _is_scalar(name, node.args) or node in marked(f"{self.id} converted")
        ):
            only_read = node in marked(f"{self.id} read")
            yield self._kept(
                f"{name}()", node, scope, severity=Severity.WARNING if only_read else None
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
    import_time = True
    calls = (
        "asyncio.Runner", "asyncio.create_task", "asyncio.ensure_future", "asyncio.gather",
        "asyncio.get_event_loop", "asyncio.new_event_loop", "asyncio.run",
        "asyncio.run_coroutine_threadsafe", "asyncio.sleep", "asyncio.timeout", "asyncio.wait_for",
        "js.AbortSignal.timeout", "js.setInterval", "js.setTimeout", "pyodide.ffi.run_sync",
        "workers.wait_until",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "import asyncio\n\nimport httpx\n\n\nasync def load():\n    await asyncio.sleep(1)\n"
        "    return httpx.__version__\n\n\nVERSION = asyncio.run(load())\n\n\n"
        "async def answer(env):\n    return VERSION\n"
    )
    passing: ClassVar[Files] = _service(
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
            f"{_shown(node, scope)} {scope.when}: there are no timers and no network then; await "
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
    import_time = True
    nodes = (ast.Assign,)
    calls = (
        "gzip.open", "io.open", "logging.FileHandler", "logging.handlers.RotatingFileHandler",
        "logging.handlers.TimedRotatingFileHandler", "logging.handlers.WatchedFileHandler", "open",
        "os.chdir", "os.link", "os.makedirs", "os.mkdir", "os.pipe", "os.rename", "os.replace",
        "os.symlink", "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree",
        "shutil.move", "sqlite3.connect", "tempfile.NamedTemporaryFile",
        "tempfile.TemporaryDirectory", "tempfile.TemporaryFile", "tempfile.mkdtemp",
        "tempfile.mkstemp",
    )  # fmt: skip
    methods = ("mkdir", "symlink_to", "touch", "write_bytes", "write_text")
    failing: ClassVar[Files] = _service(
        'from pathlib import Path\n\nimport httpx\n\nCACHE = Path("/tmp/cache")\nCACHE.mkdir()\n'
        '\n\nasync def answer(env):\n    (CACHE / "version").write_text(httpx.__version__)\n'
        "    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = _service(
        'from pathlib import Path\n\nimport httpx\n\nCACHE = Path("/tmp/cache")\n'
        "\n\nasync def answer(env):\n    CACHE.mkdir(exist_ok=True)\n"
        '    (CACHE / "version").write_text(httpx.__version__)\n'
        "    return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time; files opened to be read when a name keeps them."""
        if isinstance(node, ast.Assign):
            scope.subject.facts.marked(self.id).add(node.value)
        elif isinstance(node, ast.Call) and self._lost(node, scope):
            yield self.finding(
                scope.place(node),
                f"{_shown(node, scope)} {scope.when}: no file survives the deployment's snapshot; "
                "do it in the request",
            )

    def _lost(self, node: ast.Call, scope: Scope) -> bool:
        name = scope.name(node.func)
        if name in _OPENERS:
            writes = not set(_mode(node)).isdisjoint("wax+")
            return writes or node in scope.subject.facts.marked(self.id)
        if name == "sqlite3.connect":
            path = _text(node.args[0]) if node.args else None
            return path is not None and ":memory:" not in path and path != ""
        return True


_OPENERS = frozenset({"gzip.open", "io.open", "open"})


def _mode(node: ast.Call) -> str:
    """The mode that a call of `open` gives, as far as it is plain."""
    named = (keyword.value for keyword in node.keywords if keyword.arg == "mode")
    mode = next(iter((*node.args[1:2], *named)), None)
    return (_text(mode) or "") if mode else ""


class EarlyContext(Rule):
    """A context variable set at import time.

    Each request runs in a context of its own, which knows nothing of what was set at import
    time: `get` raises LookupError, or returns the default. The precision of `decimal` is such a
    variable.

    Fix: set it in the request, or give the variable a default. `decimal.DefaultContext` holds for
    all requests.
    """

    id = "RUN107"
    import_time = True
    nodes = (ast.Assign,)
    calls = ("decimal.getcontext", "decimal.setcontext")
    methods = ("set",)
    failing: ClassVar[Files] = _service(
        'from contextvars import ContextVar\n\nimport httpx\n\nVERSION = ContextVar("version")\n'
        "VERSION.set(httpx.__version__)\n\n\nasync def answer(env):\n    return VERSION.get()\n"
    )
    passing: ClassVar[Files] = _service(
        "from contextvars import ContextVar\n\nimport httpx\n\n"
        'VERSION = ContextVar("version", default=httpx.__version__)\n\n\n'
        "async def answer(env):\n    return VERSION.get()\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time, `set` only of variables that the module has made."""
        variables = scope.subject.facts.marked(self.id)
        if isinstance(node, ast.Assign):
            value = node.value
            if isinstance(value, ast.Call) and scope.name(value.func) == "contextvars.ContextVar":
                variables.update((scope.module.path, name) for name in _defined(node))
        elif isinstance(node, ast.Call):
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            decimal = scope.imported(node.func) and scope.name(node.func) in self.calls
            if decimal or (scope.module.path, getattr(owner, "id", None)) in variables:
                yield self.finding(
                    scope.place(node),
                    f"{_shown(node, scope)} {scope.when}: each request has a context of its own; "
                    "set it there, or as the default",
                )


@dataclass(frozen=True)
class _EnvironRead:
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
    never there.

    Fix: read `self.env.NAME`, or `env.NAME` after `from workers import env`, in the request.
    """

    id = "RUN201"
    nodes = (ast.Compare, ast.Subscript)
    calls = ("os.environ.*", "os.getenv")
    reads = ("os.environ",)
    failing: ClassVar[Files] = _service(
        "import os\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    return os.environ["GREETING"] + httpx.__version__\n'
    )
    passing: ClassVar[Files] = {
        **_service(
            "import httpx\n\n\nasync def answer(env):\n"
            "    return env.GREETING + httpx.__version__\n"
        ),
        "wrangler.toml": BASE["wrangler.toml"] + '\n[vars]\nGREETING = "Hello"\n',
    }

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Note what is read and what the project itself writes there."""
        facts = scope.subject.facts
        if isinstance(node, ast.Name | ast.Attribute):
            facts.noted(f"{self.id} whole").append((scope, scope.place(node)))
        elif read := _environ_read(node, scope):
            facts.noted(f"{self.id} parts").append(scope.place(read.mapping))
            if read.writes:
                facts.noted(f"{self.id} writes").append(read.name)
            elif not scope.typing and not scope.script and not _of_builds(read.name):
                facts.noted(self.id).append((read, scope.place(node)))
        yield from ()

    def check(self, subject: Subject) -> Iterator[Finding]:
        """What is read and never written."""
        facts = subject.facts
        writes = set(facts.noted(f"{self.id} writes"))
        if None in writes:
            return
        for read, place in facts.noted(self.id):
            if read.name not in writes:
                named = f"{read.name}: " if read.name else ""
                yield self.finding(
                    place,
                    f"{named}Workers do not fill os.environ; read "
                    f"self.env.{read.name or 'NAME'} in the request",
                    severity=Severity.WARNING if read.default else None,
                )
        parts = set(facts.noted(f"{self.id} parts"))
        for scope, place in () if writes else facts.noted(f"{self.id} whole"):
            if place not in parts and not scope.typing and not scope.script:
                yield self.finding(
                    place,
                    "Workers do not fill os.environ; read self.env in the request",
                    severity=Severity.WARNING,
                )


def _environ_read(node: ast.AST, scope: Scope) -> _EnvironRead | None:
    """What an expression takes from os.environ, or puts there."""
    if isinstance(node, ast.Subscript):
        if scope.name(node.value) != "os.environ" or not scope.imported(node.value):
            return None
        writes = not isinstance(node.ctx, ast.Load)
        return _EnvironRead(node.value, _text(node.slice), default=False, writes=writes)
    if isinstance(node, ast.Compare):
        name, mapping = _text(node.left), node.comparators[0]
        asks = name and scope.name(mapping) == "os.environ" and scope.imported(mapping)
        return _EnvironRead(mapping, name, default=True, writes=False) if asks else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return None
    first = _text(node.args[0]) if node.args else None
    method = (scope.name(node.func) or "").rpartition(".")[2]
    mapping = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    # What takes all of it is not known by a name.
    if method in {"get", "getenv", "pop", "setdefault", "update"}:
        default = method != "pop" or len(node.args) > 1
        writes = method in {"setdefault", "update"}
        return _EnvironRead(mapping, first, default=default, writes=writes)
    return None


def _of_builds(name: str | None) -> bool:
    """Whether a variable is there for machines that build, where there is no Worker."""
    return name is not None and (name == "CI" or name.endswith("_CI"))


def _text(node: ast.AST) -> str | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


class EarlySettings(Rule):
    """Settings read at import time.

    What a module reads when it is imported is frozen into the deployment's snapshot: variables and
    secrets changed later are not seen, and on the first import there are none.

    Fix: read them in the request, and keep what was read in the request or in the entry point's
    instance.
    """

    id = "RUN202"
    import_time = True
    nodes = (ast.ClassDef, ast.Call)
    reads = ("workers.env.*",)
    failing: ClassVar[Files] = {
        **_service(
            "import httpx\nfrom workers import env\n\nGREETING = env.GREETING\n\n\n"
            "async def answer(_):\n    return GREETING + httpx.__version__\n"
        ),
        "wrangler.toml": BASE["wrangler.toml"] + '\n[vars]\nGREETING = "Hello"\n',
    }
    passing: ClassVar[Files] = {
        **failing,
        **_service(
            "import httpx\nfrom workers import env\n\n\n"
            "async def answer(_):\n    return env.GREETING + httpx.__version__\n"
        ),
    }

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Reads of the SDK's environment; settings classes and where they are called."""
        if isinstance(node, ast.ClassDef):
            bases = [name for base in node.bases if (name := scope.name(base))]
            scope.subject.facts.noted(self.id).append((node.name, bases))
        elif isinstance(node, ast.Attribute):
            yield self._frozen(f"env.{node.attr}", node, scope)
        elif isinstance(node, ast.Call) and (name := scope.name(node.func)):
            if name == "getattr" and node.args and scope.name(node.args[0]) == "workers.env":
                yield self._frozen("getattr(env, ...)", node, scope)
            call = (name, scope.when, scope.place(node))
            scope.subject.facts.noted(f"{self.id} calls").append(call)

    def _frozen(self, read: str, node: ast.AST, scope: Scope) -> Finding:
        message = f"{read} {scope.when}: it is frozen into the deployment; read it in the request"
        return self.finding(scope.place(node), message)

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Settings classes that are called at import time."""
        classes = _settings_classes(subject.facts.noted(self.id))
        for name, when, place in subject.facts.noted(f"{self.id} calls") if classes else ():
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


class Sleep(Rule):
    """A wait that holds the whole isolate up.

    `time.sleep` does not let go: every other request of the isolate waits with this one, and it
    counts as CPU time.

    Before the first request there are no timers, and the Worker does not start.

    Fix: `await asyncio.sleep(seconds)`.
    """

    id = "RUN301"
    severity = Severity.WARNING
    calls = ("time.sleep",)
    failing: ClassVar[Files] = _service(
        "import time\n\nimport httpx\n\n\nasync def answer(env):\n    time.sleep(1)\n"
        "    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = _service(
        "import asyncio\n\nimport httpx\n\n\nasync def answer(env):\n    await asyncio.sleep(1)\n"
        "    return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run."""
        if scope.import_time:
            yield self.finding(
                scope.place(node),
                "time.sleep() at import time: there are no timers before the first request",
                severity=Severity.ERROR,
            )
        elif not scope.typing and not scope.script:
            yield self.finding(
                scope.place(node),
                "time.sleep() holds every request of the isolate up; await asyncio.sleep()",
            )


class SocketClient(Rule):
    """A client that needs a socket.

    Workers reach the network through `fetch`. The clients of the standard library open sockets, and
    "TLS not supported in this environment" is what https, mail and databases get.

    Fix: `workers.fetch`, or httpx with a transport over it.
    """

    id = "RUN302"
    calls = (
        "asyncio.open_connection", "asyncio.open_unix_connection", "asyncio.start_server",
        "asyncio.start_unix_server", "ftplib.FTP", "ftplib.FTP_TLS",
        "http.client.HTTPConnection", "http.client.HTTPSConnection", "http.server.HTTPServer",
        "http.server.ThreadingHTTPServer", "imaplib.IMAP4", "imaplib.IMAP4_SSL", "poplib.POP3",
        "poplib.POP3_SSL", "smtplib.SMTP", "smtplib.SMTP_SSL", "socket.create_connection",
        "socket.create_server", "socket.socket", "socketserver.TCPServer",
        "socketserver.ThreadingTCPServer", "ssl.wrap_socket", "telnetlib.Telnet",
        "urllib.request.build_opener", "urllib.request.urlopen", "urllib.request.urlretrieve",
        "wsgiref.simple_server.make_server", "xmlrpc.client.ServerProxy",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "from urllib.request import urlopen\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    page = urlopen("https://example.org").read()\n    return page or httpx.__version__\n'
    )
    passing: ClassVar[Files] = _service(
        "import httpx\nfrom workers import fetch\n\n\nasync def answer(env):\n"
        '    page = await fetch("https://example.org")\n'
        "    return await page.text() or httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls in functions; those outside are RUN103's."""
        patched = any(each.top == "pyodide_http" for each in scope.subject.facts.imports)
        if isinstance(node, ast.Call) and _runs_later(scope) and not patched:
            yield self.finding(
                scope.place(node),
                f"{_shown(node, scope)}: Workers have no sockets with TLS; use workers.fetch",
            )


class NestedLoop(Rule):
    """A loop inside the loop.

    A coroutine already runs in an event loop. `asyncio.run` and `run_until_complete` stop there
    with an error, or, where the runtime can switch stacks, hold everything else up.

    Fix: `await` it.
    """

    id = "RUN303"
    severity = Severity.WARNING
    calls = ("asyncio.Runner", "asyncio.run")
    methods = ("run_forever", "run_until_complete")
    failing: ClassVar[Files] = _service(
        "import asyncio\n\nimport httpx\n\n\nasync def load():\n    return httpx.__version__\n\n\n"
        "async def answer(env):\n    return asyncio.run(load())\n"
    )
    passing: ClassVar[Files] = EarlyTask.passing

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls in coroutines."""
        if isinstance(node, ast.Call) and scope.is_async and _runs_later(scope):
            yield self.finding(
                scope.place(node), f"{_shown(node, scope)}: a loop runs already; await it"
            )


class Thread(Rule):
    """A thread of its own.

    A Worker has one: "can't start new thread". (`asyncio.to_thread` and `run_in_executor` work;
    they call the function where they are.)

    Fix: coroutines and `asyncio.gather`; long work goes to a queue or a workflow.
    """

    id = "RUN304"
    calls = (
        "_thread.start_new_thread", "concurrent.futures.ProcessPoolExecutor",
        "concurrent.futures.ThreadPoolExecutor", "logging.handlers.QueueListener",
        "multiprocessing.Array", "multiprocessing.Event",
        "multiprocessing.Lock", "multiprocessing.Manager", "multiprocessing.Pool",
        "multiprocessing.Process", "multiprocessing.Queue", "multiprocessing.Semaphore",
        "multiprocessing.SimpleQueue", "multiprocessing.Value", "multiprocessing.pool.Pool",
        "multiprocessing.pool.ThreadPool", "threading.Thread", "threading.Timer",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "import threading\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    threading.Thread(target=print).start()\n    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = _service(
        "import asyncio\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    await asyncio.to_thread(print)\n    return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run; but for executors that nothing but run_in_executor gets."""
        if isinstance(node, ast.Call) and not scope.typing and not scope.script:
            if _shown(node, scope).endswith("Executor()") and _runs_inline(node, scope):
                return
            yield self.finding(
                scope.place(node),
                f"{_shown(node, scope)}: a Worker cannot start threads or processes; use "
                "coroutines",
            )


def _runs_inline(executor: ast.Call, scope: Scope) -> bool:
    """Whether an executor is only handed to run_in_executor, which takes no notice of it here."""
    names: set[str] = set()
    handed: list[ast.expr] = []
    for node in ast.walk(scope.module.tree):
        if isinstance(node, ast.Assign) and node.value is executor:
            names |= _defined(node)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "run_in_executor":
            handed += node.args[:1]
    uses = [
        node
        for node in ast.walk(scope.module.tree)
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)
    ]
    return executor in handed or (bool(uses) and all(use in handed for use in uses))


class Process(Rule):
    """Another program.

    There is no operating system under a Worker: "emscripten does not support processes".

    Fix: do it in Python, or ask a service that can.
    """

    id = "RUN305"
    calls = (
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell",
        "asyncio.subprocess.create_subprocess_exec", "asyncio.subprocess.create_subprocess_shell",
        "os.execl", "os.execle", "os.execlp", "os.execv", "os.execve", "os.execvp", "os.execvpe",
        "os.fork", "os.forkpty", "os.popen", "os.posix_spawn", "os.posix_spawnp", "os.spawnl",
        "os.spawnle", "os.spawnlp", "os.spawnv", "os.spawnve", "os.spawnvp", "os.system",
        "pty.spawn", "subprocess.Popen", "subprocess.call", "subprocess.check_call",
        "subprocess.check_output", "subprocess.getoutput", "subprocess.getstatusoutput",
        "subprocess.run",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "import subprocess\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    name = subprocess.check_output(["uname"])\n    return f"{name} {httpx.__version__}"\n'
    )
    passing: ClassVar[Files] = _service(
        "import platform\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    return f"{platform.system()} {httpx.__version__}"\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run."""
        if isinstance(node, ast.Call) and not scope.typing and not scope.script:
            yield self.finding(
                scope.place(node), f"{_shown(node, scope)}: a Worker cannot start other programs"
            )


class JavaScriptSource(Rule):
    """JavaScript from a string.

    Workers refuse to make code from strings: `js.eval`, `js.Function.new` and `run_js` raise an
    EvalError. Python's own `eval` is another matter.

    Fix: call what JavaScript has through `js`, or put the script into a module of its own.
    """

    id = "RUN306"
    calls = (
        "js.Function", "js.Function.new", "js.eval", "js.globalThis.Function.new",
        "js.globalThis.eval", "pyodide.code.run_js",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "import httpx\nimport js\n\n\nasync def answer(env):\n"
        '    return js.eval("navigator.userAgent") + httpx.__version__\n'
    )
    passing: ClassVar[Files] = _service(
        "import httpx\nimport js\n\n\nasync def answer(env):\n"
        "    return js.navigator.userAgent + httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run."""
        if isinstance(node, ast.Call):
            yield self.finding(
                scope.place(node), f"{_shown(node, scope)}: Workers make no code from strings"
            )


class MissingFunction(Rule):
    """A function that Python in a Worker does not have.

    Pyodide is built without the parts of the standard library that need an operating system or,
    from Python 3.14 on, OpenSSL: the module can be imported, and the function raises AttributeError
    or ImportError.

    Fix: do without it. Derive keys from passwords with Web Crypto (`crypto.subtle.deriveBits`).
    """

    id = "RUN307"
    calls = (
        "hashlib.pbkdf2_hmac", "hashlib.scrypt", "os.getrandom", "os.memfd_create", "shelve.open",
        "signal.alarm", "signal.pthread_kill", "signal.setitimer",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "import signal\n\nimport httpx\n\n\nasync def answer(env):\n    signal.alarm(5)\n"
        "    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = _service(
        "import asyncio\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    async with asyncio.timeout(5):\n        return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run."""
        if not isinstance(node, ast.Call) or scope.typing or scope.script or scope.optional:
            return
        name = scope.name(node.func) or ""
        if not name.startswith("hashlib.") or _has_openssl(scope) is False:
            yield self.finding(scope.place(node), f"{name}(): Python in a Worker does not have it")


class MapNotObject(Rule):
    """A dict in which JavaScript finds no key.

    On the Python 3.12 of Workers `to_js` makes a Map of a dict, and a dict that is handed over as
    it is arrives as a proxy. Nearly every API wants an object: a Response is a 200 whatever its
    `status` says, fetch sends a GET, Web Crypto knows no algorithm "undefined". From Python 3.13 on
    what `to_js` makes has the keys as properties, from 3.14 on it is an object.

    Fix: `to_js(value, dict_converter=Object.fromEntries)`, with `from js import Object`; or move
    `compatibility_date` on.
    """

    id = "RUN401"
    severity = Severity.WARNING
    calls = ("js.Headers.new", "js.Object.fromEntries", "pyodide.ffi.to_js", *_WITH_OPTIONS)
    nodes = (ast.Assign, ast.keyword)
    failing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"].replace("2026-11-01", "2025-07-01"),
        **_service(
            "import httpx\nfrom js import fetch\nfrom pyodide.ffi import to_js\n\n\n"
            "async def answer(env):\n"
            '    page = await fetch("https://example.org", to_js({"method": "HEAD"}))\n'
            '    return f"{page.status} {httpx.__version__}"\n'
        ),
    }
    passing: ClassVar[Files] = {"src/service.py": failing["src/service.py"]}

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls with what is plainly a dict, or a list of them."""
        wrangler = python_worker(scope.subject)
        if wrangler is None or wrangler.python != FIRST_PYTHON:
            return
        fine = scope.subject.facts.marked(self.id)
        if not isinstance(node, ast.Call):
            fine.update(_headers(node))
        elif (name := scope.name(node.func)) == "pyodide.ffi.to_js":
            if node not in fine and _makes_map(node, scope):
                yield self.finding(
                    scope.place(node),
                    "to_js() makes a Map of a dict; add dict_converter=Object.fromEntries for an "
                    "object",
                )
        elif name in _WITH_OPTIONS:
            for options in node.args[1:]:
                if _is_dict(options, scope):
                    yield self.finding(
                        scope.place(options),
                        f"{name}() finds nothing in a dict; hand over  to_js({{...}}, "
                        "dict_converter=Object.fromEntries)  or keyword arguments",
                    )
        else:
            # Both take the entries of a Map; what is nested in it stays one.
            fine.update(each for each in node.args if name == "js.Headers.new" or _flat(each))


def _headers(node: ast.AST) -> list[ast.expr]:
    """What is called headers: those may be a Map."""
    if isinstance(node, ast.keyword):
        return [node.value] if node.arg == "headers" else []
    names = _defined(node)
    named = isinstance(node, ast.Assign) and any(each.lower().endswith("headers") for each in names)
    return [node.value] if isinstance(node, ast.Assign) and named else []


def _flat(node: ast.expr) -> bool:
    """Whether a call takes a dict without dicts in it, headers aside."""
    value = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return isinstance(value, ast.Dict) and all(
        not isinstance(item, ast.Dict) or (key is not None and _text(key) == "headers")
        for key, item in zip(value.keys, value.values, strict=True)
    )


def _makes_map(node: ast.Call, scope: Scope) -> bool:
    """Whether a call of to_js() takes what is plainly a dict, and does not say how."""
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if keywords.keys() & {"dict_converter", "default_converter", None}:
        return False
    value = node.args[0] if node.args else keywords.get("obj")
    return value is not None and _is_dict(value, scope)


def _is_dict(node: ast.expr, scope: Scope) -> bool:
    """Whether a value is a dict, or has them, wherever the code runs."""
    match node:
        case ast.List() | ast.Tuple():
            return any(_is_dict(item, scope) for item in node.elts)
        case ast.ListComp():
            return _is_dict(node.elt, scope)
        case ast.BinOp(op=ast.BitOr()):
            return isinstance(node.left, ast.Dict) or isinstance(node.right, ast.Dict)
        case ast.Call(func=ast.Attribute(attr="model_dump")):
            return True
        case ast.Call():
            return scope.name(node.func) in {"dataclasses.asdict", "dict"}
    return isinstance(node, ast.Dict | ast.DictComp)


class RawValue(Rule):
    """None or bytes handed to a binding as they are.

    Without the SDK's wrapper, which `WorkerEntrypoint` puts around `self.env`, Python's None is
    JavaScript's undefined, which D1 refuses, and bytes cross as a proxy that is gone after the
    call.

    Fix: write the Worker as a class `Default(WorkerEntrypoint)` and use `self.env`; or pass
    `jsnull` and `to_js(data)`.
    """

    id = "RUN402"
    methods = ("bind", "put")
    failing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"].replace("2026-11-01", "2025-07-01")
        + '\n[[d1_databases]]\nbinding = "DB"\n',
        "src/entry.py": "import httpx\nfrom workers import Response\n\n\n"
        "async def on_fetch(request, env):\n"
        '    insert = env.DB.prepare("INSERT INTO notes VALUES (?)")\n'
        "    await insert.bind(None).run()\n"
        "    return Response(httpx.__version__)\n",
        "src/service.py": "",
    }
    passing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"] + '\n[[d1_databases]]\nbinding = "DB"\n',
        **_service(
            "import httpx\n\n\nasync def answer(env):\n"
            '    insert = env.DB.prepare("INSERT INTO notes VALUES (?)")\n'
            "    await insert.bind(None).run()\n    return httpx.__version__\n"
        ),
    }

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Literals in calls inside the functions that Workers had before there was an SDK."""
        function = scope.functions[0] if scope.functions else None
        name = getattr(function, "name", "")
        if not isinstance(node, ast.Call) or scope.classes or not name.startswith("on_"):
            return
        for argument in node.args:
            if raw := _raw(argument, scope):
                instead = "jsnull" if raw == "None" else "to_js(data)"
                yield self.finding(
                    scope.place(argument),
                    f"{raw} to {_method(node)}: nothing converts it here; pass {instead}, or use "
                    "the SDK's WorkerEntrypoint",
                )


def _raw(node: ast.expr, scope: Scope) -> str | None:
    """What a value is that does not cross as it should: plainly None, or bytes."""
    match node:
        case ast.Constant(value=None):
            return "None"
        case ast.Constant(value=bytes()):
            return "bytes"
        case ast.Call(func=ast.Attribute(value=ast.Constant() | ast.JoinedStr(), attr="encode")):
            return "bytes"
        case ast.Call(func=ast.Name()) if scope.name(node.func) in {"bytearray", "bytes"}:
            return "bytes"
    return None


def _method(node: ast.Call) -> str:
    return f"{node.func.attr}()" if isinstance(node.func, ast.Attribute) else "the binding"


class LegacyHandler(Rule):
    """A handler function instead of the entry class.

    From the compatibility date 2025-08-14 on the runtime calls the methods of a class `Default`;
    functions such as `on_fetch` are not called any more. Before, they are a warning: they get none
    of the SDK's conversions.

    Fix: `class Default(WorkerEntrypoint)` with `async def fetch(self, request)`, `scheduled`,
    `queue`.
    """

    id = "RUN501"
    nodes = (
        ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign, ast.ImportFrom,
    )  # fmt: skip
    failing: ClassVar[Files] = {
        "src/entry.py": "from workers import Response\n\nfrom service import answer\n\n\n"
        "async def on_fetch(request, env):\n    return Response(await answer(env))\n"
    }
    passing: ClassVar[Files] = {"src/entry.py": BASE["src/entry.py"]}

    HANDLERS: ClassVar[frozenset[str]] = frozenset(
        {"on_alarm", "on_email", "on_fetch", "on_queue", "on_scheduled", "on_tail", "on_trace"}
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """What gives a name at the top of the main module."""
        if scope.functions or scope.classes or not _is_main(scope):
            return
        wrangler = python_worker(scope.subject)
        if wrangler is None:
            return
        names = _defined(node) & self.HANDLERS
        if names and not _has_default(scope):
            modern = wrangler.date and wrangler.date >= ENTRY_CLASS
            dead = modern and "disable_python_no_global_handlers" not in wrangler.flags
            since = (
                "is not called from 2025-08-14 on" if dead else "gets no conversions from the SDK"
            )
            yield self.finding(
                _name_place(node, scope),
                f"{min(names)} {since}; write a class Default(WorkerEntrypoint)",
                severity=None if dead else Severity.WARNING,
            )


def _is_main(scope: Scope) -> bool:
    wrangler = scope.subject.project.wrangler
    main = wrangler.main if wrangler else None
    return main is not None and str(scope.module.path) == main.removeprefix("./")


def _defined(node: ast.AST) -> set[str]:
    """The names that a statement gives."""
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    named = (getattr(target, "id", getattr(target, "name", None)) for target in targets)
    return {name for name in named if isinstance(name, str)}


def _name_place(node: ast.AST, scope: Scope) -> Place:
    """The place of the name that a definition gives, on the line of the definition."""
    place = scope.place(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return scope.module.text.place_of(node.name, node.lineno)
    return place


def _has_default(scope: Scope) -> bool:
    """Whether the main module has a `Default`: a class, an import, an assignment."""
    known = scope.subject.facts.noted("has a Default")
    if not known:
        known.append(any(_defined(node) & {"Default", "*"} for node in _top(scope.module.tree)))
    return bool(known[0])


def _top(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements outside of functions and classes, those under conditions among them."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                pending += getattr(node, name, [])


# Names of whatever may be something that the runtime calls, or may bring it.
_ENTRIES = LegacyHandler.HANDLERS | {
    "*", "Default", "DurableObject", "WorkerEntrypoint", "WorkflowEntrypoint", "globals", "setattr",
}  # fmt: skip


def _names_entry(tree: ast.Module) -> bool:
    """Whether a module has one of those names, wherever."""
    return any(
        getattr(node, field, None) in _ENTRIES
        for node in ast.walk(tree)
        for field in ("id", "name", "asname", "attr")
    )


class NoDefault(Rule):
    """A main module without the class `Default`.

    From the compatibility date 2025-08-14 on the runtime looks for `Default` in the main module.
    Other entry classes are for service bindings that name them. A module that has neither, nor a
    handler such as `on_fetch`, answers nothing: an application object of FastAPI or a function
    `fetch` is not looked for.

    Fix: call the class `Default`; hand an application to it: `asgi.fetch(app, request, self.env)`.
    """

    id = "RUN502"
    nodes = (ast.ClassDef,)
    failing: ClassVar[Files] = {
        "src/entry.py": BASE["src/entry.py"].replace("class Default", "class Worker")
    }
    passing: ClassVar[Files] = {"src/entry.py": BASE["src/entry.py"]}

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Entry classes of a main module that has no `Default`."""
        wrangler = python_worker(scope.subject)
        if not isinstance(node, ast.ClassDef) or wrangler is None or not _is_main(scope):
            return
        entry = any(scope.name(base) == "workers.WorkerEntrypoint" for base in node.bases)
        modern = wrangler.date and wrangler.date >= ENTRY_CLASS
        if entry and modern and not _has_default(scope):
            yield self.finding(
                _name_place(node, scope),
                f"{node.name}: the runtime looks for a class Default in {wrangler.main}",
            )

    def check(self, subject: Subject) -> Iterator[Finding]:
        """A main module that speaks of nothing that the runtime looks for."""
        wrangler = python_worker(subject)
        main = wrangler and wrangler.main and wrangler.main.removeprefix("./")
        for module in subject.project.modules if wrangler else ():
            if str(module.path) == main and not _names_entry(module.tree):
                yield self.finding(
                    Place(module.path),
                    "there is no class Default in the main module, and nothing else that the "
                    "runtime looks for; write a class Default(WorkerEntrypoint)",
                )


class SharedPrimitive(Rule):
    """A lock, queue or event between requests.

    The requests of an isolate run interleaved, but each has its own I/O: one that waits for what
    another holds is cancelled, "your Worker's code had hung", with a 500. What is made at import
    time is shared by all.

    Fix: share plain values; where many would wait for one, let each do it for itself.
    """

    id = "RUN601"
    import_time = True
    calls = (
        "anyio.CapacityLimiter", "anyio.Condition", "anyio.Event", "anyio.Lock",
        "anyio.Semaphore", "asyncio.Barrier", "asyncio.BoundedSemaphore", "asyncio.Condition",
        "asyncio.Event", "asyncio.Future", "asyncio.LifoQueue", "asyncio.Lock",
        "asyncio.PriorityQueue", "asyncio.Queue", "asyncio.Semaphore", "asyncio.TaskGroup",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "import asyncio\n\nimport httpx\n\nLOCK = asyncio.Lock()\n\n\nasync def answer(env):\n"
        "    async with LOCK:\n        return httpx.__version__\n"
    )
    passing: ClassVar[Files] = _service(
        "import asyncio\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    at_most = asyncio.Semaphore(4)\n    async with at_most:\n"
        "        return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time."""
        if isinstance(node, ast.Call):
            yield self.finding(
                scope.place(node),
                f"{_shown(node, scope)} {scope.when} is shared by all requests of an isolate, and "
                "one that waits for another's hangs; make it in the request",
            )


class SharedClient(Rule):
    """A pool of connections between requests.

    A connection belongs to the request that opened it. A client kept in a module hands it to the
    next one, which then hangs. httpx with a transport over `fetch` pools nothing and may be kept.

    Fix: make the client in the request, or give httpx a transport of its own.
    """

    id = "RUN602"
    import_time = True
    severity = Severity.WARNING
    calls = (
        "aiohttp.ClientSession", "asyncpg.create_pool", "httpx.AsyncClient", "httpx.Client",
        "redis.Redis", "redis.asyncio.Redis", "requests.Session", "requests.session",
        "urllib3.PoolManager",
    )  # fmt: skip
    failing: ClassVar[Files] = _service(
        "import httpx\n\nclient = httpx.AsyncClient()\n\n\nasync def answer(env):\n"
        '    return (await client.get("https://example.org")).text\n'
    )
    passing: ClassVar[Files] = _service(
        "import httpx\nfrom workers import fetch\n\n\n"
        "class Fetch(httpx.AsyncBaseTransport):\n"
        "    async def handle_async_request(self, request):\n"
        "        answer = await fetch(str(request.url), method=request.method)\n"
        "        return httpx.Response(answer.status, content=await answer.bytes())\n\n\n"
        "async def answer(env):\n"
        "    async with httpx.AsyncClient(transport=Fetch()) as client:\n"
        '        return (await client.get("https://example.org")).text\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls at import time, without a transport."""
        if not isinstance(node, ast.Call):
            return
        if not _has_transport(node):
            yield self.finding(
                scope.place(node),
                f"{_shown(node, scope)} {scope.when} keeps connections between requests, and they "
                "belong to one; make it in the request",
            )


class SharedTask(Rule):
    """What belongs to a request, kept by it in a module.

    A task belongs to the request that made it: another one that awaits it hangs, and when the first
    is answered the task is stopped. It is the same with a lock or a pooled client that the first
    request makes and keeps for all, in a global name, a dict of the module, or a cached function.

    Fix: await it in its own request, or hand it to `wait_until`; keep the value, not the task.
    """

    id = "RUN603"
    nodes = (ast.AnnAssign, ast.Assign, ast.FunctionDef, ast.Global, ast.NamedExpr)
    failing: ClassVar[Files] = _service(
        "import asyncio\n\nimport httpx\n\nloading = None\n\n\nasync def load():\n"
        "    return httpx.__version__\n\n\nasync def answer(env):\n    global loading\n"
        "    loading = loading or asyncio.create_task(load())\n    return await loading\n"
    )
    passing: ClassVar[Files] = _service(
        "import httpx\n\nloaded = None\n\n\nasync def load():\n    return httpx.__version__\n\n\n"
        "async def answer(env):\n    global loaded\n    loaded = loaded or await load()\n"
        "    return loaded\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Assignments to what a module keeps, and what cached functions return."""
        marked = scope.subject.facts.marked(self.id)
        if isinstance(node, ast.Global):
            marked.update((*_owner(scope), name) for name in node.names)
        elif isinstance(node, ast.FunctionDef):
            yield from self._cached(node, scope)
        elif not isinstance(node, ast.AnnAssign | ast.Assign | ast.NamedExpr):
            return
        elif not scope.functions:
            if isinstance(node.value, ast.Dict | ast.Call):
                marked.update((*_owner(scope), name) for name in _defined(node))
        elif isinstance(node.value, ast.BoolOp | ast.Call | ast.IfExp):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in filter(None, (self._shared(target, scope) for target in targets)):
                yield from self._kept(name, node.value, scope)

    def _cached(self, node: ast.FunctionDef, scope: Scope) -> Iterator[Finding]:
        if any(_caches(decorator, scope) for decorator in node.decorator_list):
            for each in node.body:
                if isinstance(each, ast.Return) and each.value:
                    yield from self._kept(f"{node.name}()", each.value, scope)

    def _shared(self, target: ast.expr, scope: Scope) -> str | None:
        """The name of the module's that an assignment in a function changes."""
        marked = scope.subject.facts.marked(self.id)
        if isinstance(target, ast.Name):
            return target.id if (*_owner(scope), target.id) in marked else None
        base = target.value if isinstance(target, ast.Subscript) else None
        if not isinstance(base, ast.Name) or base.id in scope.shadowed:
            return None
        return base.id if (scope.module.path, None, base.id) in marked else None

    def _kept(self, name: str, value: ast.expr, scope: Scope) -> Iterator[Finding]:
        if call := _of_request(value, scope):
            yield self.finding(
                scope.place(call),
                f"{name} keeps {_shown(call, scope)} for other requests, and it belongs to the one "
                "that made it; keep plain values",
                severity=Severity.WARNING if _is_client(call, scope) else None,
            )


def _owner(scope: Scope) -> tuple[PurePosixPath, ast.AST | None]:
    """Whose names they are: a function's, or a module's."""
    return scope.module.path, scope.functions[-1] if scope.functions else None


_CACHES = frozenset({"functools.cache", "functools.lru_cache"})
_TASKS = frozenset({"asyncio.create_task", "asyncio.ensure_future"})


def _caches(decorator: ast.expr, scope: Scope) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return scope.name(function) in _CACHES


def _of_request(node: ast.expr, scope: Scope) -> ast.Call | None:
    """The call that makes a task, a lock or a client, in a value that is one at least sometimes."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.BoolOp):
            pending += reversed(node.values)
        elif isinstance(node, ast.IfExp):
            pending += (node.orelse, node.body)
        elif isinstance(node, ast.Call) and _belongs(node, scope):
            return node
    return None


def _belongs(node: ast.Call, scope: Scope) -> bool:
    name = scope.name(node.func)
    if _is_client(node, scope):
        return not _has_transport(node)
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    return name in _TASKS.union(SharedPrimitive.calls) or method in {"create_future", "create_task"}


def _is_client(node: ast.Call, scope: Scope) -> bool:
    return scope.name(node.func) in SharedClient.calls


def _has_transport(node: ast.Call) -> bool:
    """Whether a client is given what it reaches others by, or may be."""
    return not {keyword.arg for keyword in node.keywords}.isdisjoint({"transport", "mounts", None})


class PlainHttpx(Rule):
    """A client of httpx without a transport over fetch.

    The httpx of PyPI opens sockets: http works here and there, https never does. Pyodide's own
    index has a fork that uses `fetch`, of one version; pywrangler takes it as long as PyPI has none
    that is newer and in range. Where the project says that it gets PyPI's (by a lock, a range that
    leaves the fork out, what lies in python_modules) that is an error, and where it leaves it open
    a note.

    Fix: `httpx.AsyncClient(transport=...)` with a transport over `workers.fetch`.
    """

    id = "RUN604"
    calls = (
        "httpx.AsyncClient", "httpx.Client", "httpx.delete", "httpx.get", "httpx.head",
        "httpx.patch", "httpx.post", "httpx.put", "httpx.request", "httpx.stream",
    )  # fmt: skip
    failing: ClassVar[Files] = {
        "requirements/worker.txt": f"httpx==0.28.1 --hash=sha256:{'a1' * 32}\n",
        **_service(
            "import httpx\n\n\nasync def answer(env):\n"
            "    async with httpx.AsyncClient() as client:\n"
            '        return (await client.get("https://example.org")).text\n'
        ),
    }
    passing: ClassVar[Files] = {**failing, **SharedClient.passing}

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Note the calls without a transport."""
        if not isinstance(node, ast.Call) or scope.typing or scope.script:
            return
        if not _has_transport(node):
            call = (_shown(node, scope), scope.place(node))
            scope.subject.facts.noted(self.id).append(call)
        yield from ()

    def check(self, subject: Subject) -> Iterator[Finding]:
        """What was noted, against what says which httpx it is."""
        calls = subject.facts.noted(self.id)
        if not calls or python_worker(subject) is None:
            return
        origin = httpx_of(subject)
        if origin.whose is Whose.PYPI:
            for call, place in calls:
                yield self.finding(
                    place,
                    f"{call}: {origin.because}: it opens sockets, and https dies; give it a "
                    "transport over fetch",
                )
        elif origin.whose is Whose.OPEN:
            call, place = calls[0]
            yield self.finding(
                place,
                f"{call}: {origin.because}; with a transport over fetch it does not matter",
                severity=Severity.NOTE,
            )


class Buffered(Rule):
    """A body that passes through Python on its way to a bucket.

    A Worker has 128 MB, and a body that is read into Python is there twice while it crosses from
    JavaScript. R2 takes the stream itself.

    Fix: `await env.BUCKET.put(key, request.js_object.body)`, and hand R2's `body` to the Response.
    """

    id = "RUN701"
    severity = Severity.WARNING
    methods = ("put",)
    failing: ClassVar[Files] = {
        **_service(
            "import httpx\n\n\nasync def keep(env, request):\n"
            '    await env.FILES.put("upload", await request.bytes())\n\n\n'
            "async def answer(env):\n    return httpx.__version__\n"
        ),
        "wrangler.toml": BASE["wrangler.toml"]
        + '\n[[r2_buckets]]\nbinding = "FILES"\nbucket_name = "files"\n',
    }
    passing: ClassVar[Files] = {
        **failing,
        **_service(
            "import httpx\n\n\nasync def keep(env, request):\n"
            '    await env.FILES.put("upload", request.js_object.body)\n\n\n'
            "async def answer(env):\n    return httpx.__version__\n"
        ),
    }

    READS: ClassVar[frozenset[str]] = frozenset(
        {"arrayBuffer", "blob", "body", "buffer", "bytes", "text"}
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """`put` of an R2 binding with a body that is awaited in the same call."""
        if not isinstance(node, ast.Call):
            return
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        name = owner.attr if isinstance(owner, ast.Attribute) else ""
        named = (keyword.value for keyword in node.keywords if keyword.arg == "value")
        body = next(iter((*node.args[1:2], *named)), node)
        read = body.value if isinstance(body, ast.Await) else None
        method = read.func if isinstance(read, ast.Call) else None
        if not isinstance(method, ast.Attribute) or method.attr not in self.READS:
            return
        wrangler = python_worker(scope.subject)
        buckets = (
            {each.name for each in wrangler.top.bindings if each.kind == "r2_buckets"}
            if wrangler
            else set()
        )
        if name in buckets:
            yield self.finding(
                scope.place(body),
                f"the whole body passes through Python's memory on its way to {name}; hand the "
                "stream over",
            )


RULES: tuple[type[Rule], ...] = (
    Entropy,
    Clock,
    EarlyRequest,
    EarlyObject,
    EarlyTask,
    EarlyFile,
    EarlyContext,
    Environ,
    EarlySettings,
    Sleep,
    SocketClient,
    NestedLoop,
    Thread,
    Process,
    JavaScriptSource,
    MissingFunction,
    MapNotObject,
    RawValue,
    LegacyHandler,
    NoDefault,
    SharedPrimitive,
    SharedClient,
    SharedTask,
    PlainHttpx,
    Buffered,
)
