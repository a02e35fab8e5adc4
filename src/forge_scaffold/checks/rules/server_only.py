"""RUN3: what needs an operating system."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from forge_scaffold.checks.code.expressions import names_given
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.code.values import origin
from forge_scaffold.checks.configuration import has_openssl
from forge_scaffold.checks.examples import service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.project import VENDORED

if TYPE_CHECKING:
    from forge_scaffold.documents import Place


class Sleep(Rule):
    """A wait that holds the whole isolate up.

    `time.sleep` does not let go: every other request of the isolate waits with this one, and it
    counts as CPU time.

    Before the first request there are no timers, and the Worker does not start.

    Fix: `await asyncio.sleep(seconds)`.
    """

    id = "RUN301"
    since = "0.1.0"
    severity = Severity.WARNING
    calls = ("time.sleep",)
    failing: ClassVar[Files] = service(
        "import time\n\nimport httpx\n\n\nasync def answer(env):\n    time.sleep(1)\n"
        "    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = service(
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
    since = "0.1.0"
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
    failing: ClassVar[Files] = service(
        "from urllib.request import urlopen\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    page = urlopen("https://example.org").read()\n    return page or httpx.__version__\n'
    )
    passing: ClassVar[Files] = service(
        "import httpx\nfrom workers import fetch\n\n\nasync def answer(env):\n"
        '    page = await fetch("https://example.org")\n'
        "    return await page.text() or httpx.__version__\n"
    )

    def __init__(self) -> None:
        self._calls: list[tuple[str, Place]] = []

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Note calls in functions; those outside are RUN103's."""
        if isinstance(node, ast.Call) and scope.is_later:
            self._calls.append((scope.shown(node), scope.place(node)))
        yield from ()

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The calls, unless a package has put fetch in the place of sockets."""
        if any(each.top == "pyodide_http" for each in subject.facts.imports):
            return
        for call, place in self._calls:
            yield self.finding(
                place, f"{call}: Workers have no sockets with TLS; use workers.fetch"
            )


class NestedLoop(Rule):
    """A loop inside the loop.

    A request already runs in an event loop. `asyncio.run` and `run_until_complete` stop there
    with an error, or, where the runtime can switch stacks, hold everything else up. A `main()` is
    left alone: it may be a program's.

    Fix: `await` it.
    """

    id = "RUN303"
    since = "0.1.0"
    severity = Severity.WARNING
    calls = ("asyncio.Runner", "asyncio.run")
    methods = ("run_forever", "run_until_complete")
    failing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def load():\n    return httpx.__version__\n\n\n"
        "async def answer(env):\n    return asyncio.run(load())\n"
    )
    passing: ClassVar[Files] = service(
        "import httpx\n\n\nasync def load():\n    return httpx.__version__\n\n\n"
        "async def answer(env):\n    return await load()\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls in coroutines, and in functions that are no program's."""
        if not isinstance(node, ast.Call) or not VENDORED.isdisjoint(scope.module.path.parts):
            return
        if scope.is_later and not _of_program(scope):
            yield self.finding(
                scope.place(node), f"{scope.shown(node)}: a loop runs already; await it"
            )


def _of_program(scope: Scope) -> bool:
    """Whether a function may be where a program starts."""
    outermost = scope.functions[0]
    if scope.is_async or isinstance(outermost, ast.Lambda):
        return not scope.is_async
    return outermost.name in {"cli", "main", "run"} or bool(outermost.decorator_list)


class Thread(Rule):
    """A thread of its own.

    A Worker has one: "can't start new thread". (`asyncio.to_thread` and `run_in_executor` work;
    they call the function where they are.)

    Fix: coroutines and `asyncio.gather`; long work goes to a queue or a workflow.
    """

    id = "RUN304"
    since = "0.1.0"
    nodes = (ast.ClassDef,)
    methods = ("start",)
    calls = (
        "_thread.start_new_thread", "concurrent.futures.ProcessPoolExecutor",
        "concurrent.futures.ThreadPoolExecutor", "logging.handlers.QueueListener",
        "multiprocessing.Array", "multiprocessing.Event",
        "multiprocessing.Lock", "multiprocessing.Manager", "multiprocessing.Pool",
        "multiprocessing.Process", "multiprocessing.Queue", "multiprocessing.Semaphore",
        "multiprocessing.SimpleQueue", "multiprocessing.Value", "multiprocessing.pool.Pool",
        "multiprocessing.pool.ThreadPool", "threading.Thread", "threading.Timer",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        "import threading\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    threading.Thread(target=print).start()\n    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    await asyncio.to_thread(print)\n    return httpx.__version__\n"
    )

    def __init__(self) -> None:
        self._threads: set[str] = set()
        self._starts: list[tuple[str, Place]] = []

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run; but for executors that nothing but run_in_executor gets."""
        if isinstance(node, ast.ClassDef):
            if {scope.name(base) for base in node.bases} & _STARTED:
                self._threads.add(node.name)
        elif isinstance(node, ast.Call) and not scope.is_dead:
            if scope.name(node.func) not in self.calls:
                owner = node.func.value if isinstance(node.func, ast.Attribute) else node
                made = origin(owner, scope)
                if isinstance(made, ast.Call) and (name := scope.name(made.func)):
                    self._starts.append((name.rpartition(".")[2], scope.place(node)))
                return
            if scope.shown(node).endswith("Executor()") and _runs_inline(node, scope):
                return
            yield self.finding(
                scope.place(node),
                f"{scope.shown(node)}: a Worker cannot start threads or processes; use coroutines",
            )

    def check(self, subject: Subject) -> Iterator[Finding]:  # noqa: ARG002 - it has seen all
        """Starts of what the project derives from threads."""
        for name, place in self._starts:
            if name in self._threads:
                yield self.finding(
                    place, f"{name}().start(): a Worker cannot start threads; use coroutines"
                )


# What starts when its `start` is called.
_STARTED = frozenset({"multiprocessing.Process", "threading.Thread", "threading.Timer"})


def _runs_inline(executor: ast.Call, scope: Scope) -> bool:
    """Whether an executor is only handed to run_in_executor, which takes no notice of it here."""
    names: set[str] = set()
    handed: list[ast.expr] = []
    for node in ast.walk(scope.module.tree):
        if isinstance(node, ast.Assign) and node.value is executor:
            names |= names_given(node)
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
    since = "0.1.0"
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
    failing: ClassVar[Files] = service(
        "import subprocess\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    name = subprocess.check_output(["uname"])\n    return f"{name} {httpx.__version__}"\n'
    )
    passing: ClassVar[Files] = service(
        "import platform\n\nimport httpx\n\n\nasync def answer(env):\n"
        '    return f"{platform.system()} {httpx.__version__}"\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run."""
        if isinstance(node, ast.Call) and not scope.typing and not scope.script:
            yield self.finding(
                scope.place(node), f"{scope.shown(node)}: a Worker cannot start other programs"
            )


class MissingFunction(Rule):
    """A function that Python in a Worker does not have.

    Pyodide is built without the parts of the standard library that need an operating system or,
    from Python 3.14 on, OpenSSL: the module can be imported, and the function raises AttributeError
    or ImportError.

    Fix: do without it. Derive keys from passwords with Web Crypto (`crypto.subtle.deriveBits`).
    """

    id = "RUN307"
    since = "0.2.0"
    calls = (
        "hashlib.pbkdf2_hmac", "hashlib.scrypt", "os.getrandom", "os.memfd_create", "shelve.open",
        "signal.alarm", "signal.pthread_kill", "signal.setitimer",
    )  # fmt: skip
    failing: ClassVar[Files] = service(
        "import signal\n\nimport httpx\n\n\nasync def answer(env):\n    signal.alarm(5)\n"
        "    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def answer(env):\n"
        "    async with asyncio.timeout(5):\n        return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls, wherever they run."""
        if not isinstance(node, ast.Call) or scope.typing or scope.script or scope.optional:
            return
        name = scope.name(node.func) or ""
        if not name.startswith("hashlib.") or has_openssl(scope.project) is False:
            yield self.finding(scope.place(node), f"{name}(): Python in a Worker does not have it")
