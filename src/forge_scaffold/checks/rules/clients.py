"""RUN604: clients without a transport over fetch."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.examples import OWN_TRANSPORT, service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.httpx import Whose, has_transport, httpx_of
from forge_scaffold.checks.rule import Files, Rule, Subject

if TYPE_CHECKING:
    from forge_scaffold.documents import Place


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
    since = "0.1.0"
    needs_worker = True
    calls = (
        "httpx.AsyncClient", "httpx.Client", "httpx.delete", "httpx.get", "httpx.head",
        "httpx.patch", "httpx.post", "httpx.put", "httpx.request", "httpx.stream",
    )  # fmt: skip
    failing: ClassVar[Files] = {
        "requirements/worker.txt": f"httpx==0.28.1 --hash=sha256:{'a1' * 32}\n",
        **service(
            "import httpx\n\n\nasync def answer(env):\n"
            "    async with httpx.AsyncClient() as client:\n"
            '        return (await client.get("https://example.org")).text\n'
        ),
    }
    passing: ClassVar[Files] = {
        **failing,
        **service(OWN_TRANSPORT),
    }

    def __init__(self) -> None:
        self._calls: list[tuple[str, Place]] = []

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Note the calls without a transport."""
        if not isinstance(node, ast.Call) or scope.typing or scope.script:
            return
        if not has_transport(node):
            self._calls.append((scope.shown(node), scope.place(node)))
        yield from ()

    def check(self, subject: Subject) -> Iterator[Finding]:
        """What was noted, against what says which httpx it is."""
        if not self._calls:
            return
        origin = httpx_of(subject)
        if origin.whose is Whose.PYPI:
            for call, place in self._calls:
                yield self.finding(
                    place,
                    f"{call}: {origin.because}: it opens sockets, and https dies; give it a "
                    "transport over fetch",
                )
        elif origin.whose is Whose.OPEN:
            call, place = self._calls[0]
            yield self.finding(
                place,
                f"{call}: {origin.because}; with a transport over fetch it does not matter",
                severity=Severity.NOTE,
            )
