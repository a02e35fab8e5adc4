"""RUN404: Python's values where JavaScript wants its own."""

import ast
from collections.abc import Iterator, Mapping
from typing import ClassVar

from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.code.values import kind
from forge_scaffold.checks.configuration import python_worker
from forge_scaffold.checks.examples import service
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule
from forge_scaffold.wrangler import FIRST_PYTHON

_SUBTLE = "js.crypto.subtle."

# What each function makes of a value that it cannot read, by the kind of that.
_REFUSED: Mapping[str, Mapping[str, str]] = {
    "js.Headers.new": {"dict": "takes the keys of a dict for pairs"},
    "js.Object.fromEntries": {"dict": "takes the keys of a dict for pairs"},
    "js.Promise.all": {"list": "finds its items destroyed"},
    "js.Promise.allSettled": {"list": "finds its items destroyed"},
    "js.Promise.any": {"list": "finds its items destroyed"},
    "js.Promise.race": {"list": "finds its items destroyed"},
    "js.Response.new": {"bytes": "sends the text b'...' in place of the bytes"},
    "js.URLSearchParams.new": {"dict": "takes the keys of a dict for pairs"},
    "js.crypto.getRandomValues": {"bytes": "takes no buffer of Python's"},
    "js.structuredClone": {
        "dict": "clones nothing of Python's",
        "list": "clones nothing of Python's",
    },
}
_OF_SUBTLE: Mapping[str, str] = {
    "bytes": "takes no buffer of Python's",
    "dict": "reads a dict's own attributes, its length among them, in place of its keys",
}
_INSTEAD: Mapping[str, str] = {
    "js.Promise.all": "await asyncio.gather(...)",
    "js.crypto.getRandomValues": "Uint8Array.new(size)",
    "dict": "to_js({...}, dict_converter=Object.fromEntries)",
    "bytes": "to_js(data)",
    "list": "to_js([...])",
}


class RawArgument(Rule):
    """A Python value that JavaScript cannot read.

    Numbers and text become JavaScript's own. Everything else crosses as a proxy, which fetch, JSON
    and many others read, and some do not: Web Crypto refuses bytes, a Response sends them as the
    text `b'...'`, Headers and URLSearchParams take a dict's keys for pairs, and the items of a list
    are gone when a Promise looks at them.

    Fix: `to_js(value)`, with `dict_converter=Object.fromEntries` for a dict; `asyncio.gather` in
    place of `Promise.all`.
    """

    id = "RUN404"
    since = "0.2.0"
    calls = (f"{_SUBTLE}*", *_REFUSED)
    failing: ClassVar[Files] = service(
        "import httpx\nfrom js import crypto\n\n\nasync def answer(env):\n"
        "    data = httpx.__version__.encode()\n"
        '    return str(await crypto.subtle.digest("SHA-256", data))\n'
    )
    passing: ClassVar[Files] = service(
        "import httpx\nfrom js import crypto\nfrom pyodide.ffi import to_js\n\n\n"
        "async def answer(env):\n"
        "    data = to_js(httpx.__version__.encode())\n"
        '    return str(await crypto.subtle.digest("SHA-256", data))\n'
    )

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """Calls with what is plainly of such a kind."""
        name = scope.name(node.func) if isinstance(node, ast.Call) else None
        if not isinstance(node, ast.Call) or not name:
            return
        refused = _OF_SUBTLE if name.startswith(_SUBTLE) else _REFUSED[name]
        # A Response's options are another matter.
        count = len(node.args) if name.startswith(_SUBTLE) else 1
        for argument in node.args[:count]:
            what = kind(argument, scope)
            if what and (problem := refused.get(what)):
                instead = _INSTEAD.get(name) or _INSTEAD[what]
                yield self.finding(
                    scope.place(argument),
                    f"{name}() {problem}; hand over  {instead}",
                    severity=self._severity(what, name, scope),
                )

    def _severity(self, what: str, name: str, scope: Scope) -> Severity | None:
        """What depends on the algorithm, or on Pyodide's version, is a warning."""
        wrangler = python_worker(scope.project)
        first = wrangler is None or wrangler.python == FIRST_PYTHON
        mild = (what == "dict" and name.startswith(_SUBTLE)) or (what == "list" and first)
        return Severity.WARNING if mild else None
