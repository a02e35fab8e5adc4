"""RUN405, RUN406: timers, of which a request has so many, and none in the past."""

import ast
from collections.abc import Iterator
from typing import ClassVar

from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.examples import service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule

_DEADLINES = frozenset(
    {"anyio.fail_after", "anyio.move_on_after", "asyncio.timeout", "asyncio.wait_for"}
)

# What takes the next part of something that has any number of them.
_NEXT = frozenset(
    {"__anext__", "anext", "read", "readany", "readexactly", "readline", "receive", "recv"}
)


class DeadlinePerChunk(Rule):
    """A deadline for each part of a stream.

    A request has 10,000 timers, and one that Python has cancelled still counts: a stream of some
    thousand parts ends in an error when each of them is waited for with a deadline of its own.

    Fix: one deadline around the loop: `async with asyncio.timeout(300):`.
    """

    id = "RUN405"
    since = "0.2.0"
    severity = Severity.WARNING
    nodes = (ast.AsyncFor, ast.While)
    failing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def relay(chunks, send):\n"
        "    async for chunk in chunks:\n        await asyncio.wait_for(send(chunk), 30)\n\n\n"
        "async def answer(env):\n    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def relay(chunks, send):\n"
        "    async with asyncio.timeout(300):\n        async for chunk in chunks:\n"
        "            await send(chunk)\n\n\n"
        "async def answer(env):\n    return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Deadlines in loops over what has parts; a loop that only tries again has few rounds."""
        if isinstance(node, ast.AsyncFor):
            streams = True
        elif isinstance(node, ast.While):
            streams = any(_takes_next(each) for each in _inside(node))
        else:
            return
        for each in _inside(node) if streams else ():
            if isinstance(each, ast.Call) and scope.name(each.func) in _DEADLINES:
                yield self.finding(
                    scope.place(each),
                    f"{scope.shown(each)} in a loop over a stream: every round costs a timer, and "
                    "a request has 10,000; one deadline around the loop does",
                )


def _inside(loop: ast.AsyncFor | ast.While) -> Iterator[ast.AST]:
    """What runs in every round, inner functions and loops left out."""
    pending: list[ast.AST] = list(loop.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        yield node
        if not isinstance(node, ast.AsyncFor | ast.While):
            pending += ast.iter_child_nodes(node)


def _takes_next(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) in _NEXT


class TimerInThePast(Rule):
    """A timer for a time that may be past.

    CPython runs what is late at once. Pyodide's event loop raises `ValueError: Can't schedule in
    the past` from `call_at` with a past time and from `call_later` with a negative delay, be it by
    a microsecond. `asyncio.timeout_at` and `asyncio.sleep` take past times.

    Fix: `loop.call_later(max(0, when - loop.time()), callback)`.
    """

    id = "RUN406"
    since = "0.2.0"
    severity = Severity.NOTE
    methods = ("call_at", "call_later")
    failing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def remind(when, callback):\n"
        "    asyncio.get_running_loop().call_at(when, callback)\n\n\n"
        "async def answer(env):\n    return httpx.__version__\n"
    )
    passing: ClassVar[Files] = service(
        "import asyncio\n\nimport httpx\n\n\nasync def remind(when, callback):\n"
        "    loop = asyncio.get_running_loop()\n"
        "    loop.call_later(max(0, when - loop.time()), callback)\n\n\n"
        "async def answer(env):\n    return httpx.__version__\n"
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Times and delays that may be past; a sum with the current time is not."""
        if not isinstance(node, ast.Call) or len(node.args) < 2 or not scope.is_later:
            return
        method, when = getattr(node.func, "attr", ""), node.args[0]
        if method == "call_at" and not _adds_to_now(when):
            yield self.finding(
                scope.place(node),
                "call_at raises ValueError for a time that is past; "
                "call_later(max(0, when - loop.time()), ...) does not",
            )
        elif method == "call_later" and _may_be_negative(when):
            yield self.finding(
                scope.place(node),
                "call_later raises ValueError for a negative delay; max(0, ...) around it does not",
            )


def _adds_to_now(when: ast.expr) -> bool:
    return isinstance(when, ast.BinOp) and isinstance(when.op, ast.Add) and _asks_the_time(when)


def _may_be_negative(delay: ast.expr) -> bool:
    if isinstance(delay, ast.UnaryOp):
        return isinstance(delay.op, ast.USub)
    return isinstance(delay, ast.BinOp) and isinstance(delay.op, ast.Sub) and _asks_the_time(delay)


def _asks_the_time(sum_of_times: ast.BinOp) -> bool:
    """Whether one side of a sum or difference is the current time."""
    sides = (sum_of_times.left, sum_of_times.right)
    calls = (side.func for side in sides if isinstance(side, ast.Call))
    return any(getattr(call, "attr", "") in {"monotonic", "time"} for call in calls)
