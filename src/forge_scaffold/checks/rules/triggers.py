"""WRA016, WRA017: what the configuration calls, against what the main module has."""

import ast
from collections.abc import Iterator, Mapping
from typing import ClassVar

from forge_scaffold.checks.configuration import every
from forge_scaffold.checks.examples import BASE, toml
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.documents import Address
from forge_scaffold.project import Module, strings, table, tables
from forge_scaffold.wrangler import Environment

_CRON = '\n[triggers]\ncrons = ["*/5 * * * *"]\n'
_MAIN = BASE["src/entry.py"]

_Handler = ast.FunctionDef | ast.AsyncFunctionDef


def _main(subject: Subject) -> Module | None:
    main = (subject.worker.main or "").removeprefix("./")
    return next((each for each in subject.project.modules if str(each.path) == main), None)


def _default(module: Module) -> ast.ClassDef | None:
    """The class `Default`, where its methods are all that it has."""
    found = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and node.name == "Default"
    ]
    if len(found) != 1 or found[0].decorator_list or found[0].keywords:
        return None
    bases = {getattr(base, "id", getattr(base, "attr", "")) for base in found[0].bases}
    dynamic = {"__getattr__", "__getattribute__"} & _methods(found[0]).keys()
    assigned = any(isinstance(node, ast.Assign | ast.AnnAssign) for node in found[0].body)
    return found[0] if bases == {"WorkerEntrypoint"} and not dynamic and not assigned else None


def _methods(node: ast.ClassDef) -> Mapping[str, _Handler]:
    """Its methods, those under conditions among them."""
    inside = (each for each in ast.walk(node) if isinstance(each, _Handler))
    return {each.name: each for each in inside}


def _set_later(module: Module) -> bool:
    """Whether something may be put into the class after it is made."""
    for node in ast.walk(module.tree):
        stores = isinstance(getattr(node, "ctx", None), ast.Store)
        owner = node.value if isinstance(node, ast.Attribute) else node
        if isinstance(owner, ast.Name) and (
            owner.id == "setattr" or (stores and owner.id == "Default")
        ):
            return True
    return False


def _hands_on(method: _Handler) -> bool:
    """Whether a handler is there for triggers to come: it only calls what is registered."""
    body = [node for node in method.body if not _is_text(node)]
    return len(body) <= 1


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _triggers(environment: Environment) -> Iterator[tuple[str, str, Address]]:
    """The handler that each trigger calls, what the trigger is, and its address."""
    data = environment.data
    if strings(table(data, "triggers").get("crons")):
        yield "scheduled", "a cron", ("triggers", "crons")
    if tables(table(data, "queues").get("consumers")):
        yield "queue", "a queue", ("queues", "consumers")


class NoHandler(Rule):
    """A trigger without the method that it calls.

    A cron calls `scheduled` of the class `Default`, a queue `queue`. Without it every run fails,
    and messages are delivered again until they are given up. `on_scheduled` and `on_queue` are the
    names of functions of old; in a class nothing calls them.

    Fix: write `async def scheduled(self, controller, env, ctx)`, `async def queue(self, batch, env,
    ctx)`, or take the trigger out of the configuration.
    """

    id = "WRA016"
    since = "0.2.0"
    needs_worker = True
    failing: ClassVar[Files] = {"wrangler.toml": toml({}, _CRON)}
    passing: ClassVar[Files] = {
        "wrangler.toml": toml({}, _CRON),
        "src/entry.py": f"{_MAIN}\n    async def scheduled(self, controller, env, ctx):\n"
        "        print(controller.cron)\n        await answer(env)\n",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The triggers of every environment."""
        module = _main(subject)
        default = _default(module) if module else None
        if module is None or default is None or _set_later(module):
            return
        methods = _methods(default)
        for environment in every(subject.worker):
            # An environment may have a main module of its own.
            if environment.name and "main" in environment.data:
                continue
            for handler, what, address in _triggers(environment):
                if handler in methods:
                    continue
                old = f"on_{handler}"
                hint = f"; nothing calls {old} in a class" if old in methods else ""
                yield self.finding(
                    environment.place(*address),
                    f"{what} calls {handler}, and Default has no such method{hint}",
                )


# The functions that the runtime called before there were classes.
_OLD = frozenset({"on_email", "on_fetch", "on_queue", "on_scheduled", "on_tail"})


class NoTrigger(Rule):
    """A handler that nothing in the configuration calls.

    `scheduled` runs when a cron says so, `queue` when the Worker consumes one. Without a trigger
    the code never runs, unless one was made in the dashboard. A handler that only calls another
    function is taken for one that waits for triggers to come. What calls `email` and `tail` is not
    in a Worker's own configuration. `on_email`, `on_tail` and their like are the names of functions
    of old: in a class nothing calls them, and that is a warning. `on_fetch` is called in a class
    before the compatibility date 2025-08-14.

    Fix: `[triggers] crons = [...]`, `[[queues.consumers]]`, or take the method out.
    """

    id = "WRA017"
    since = "0.2.0"
    needs_worker = True
    severity = Severity.NOTE
    failing: ClassVar[Files] = {"src/entry.py": NoHandler.passing["src/entry.py"]}
    passing: ClassVar[Files] = NoHandler.passing

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The handlers of `Default` against the triggers of all environments."""
        module = _main(subject)
        default = _default(module) if module else None
        if module is None or default is None:
            return
        called = {
            handler
            for environment in every(subject.worker)
            for handler, _, _ in _triggers(environment)
        }
        for handler in ("scheduled", "queue"):
            method = _methods(default).get(handler)
            if method and handler not in called and not _hands_on(method):
                yield self.finding(
                    module.text.place_of(handler, method.lineno),
                    f"{handler}: nothing in the configuration calls it",
                )
        old = _OLD - {"on_fetch"} if subject.worker.calls_functions else _OLD
        for name, method in _methods(default).items():
            handler = name.removeprefix("on_")
            if name in old and handler not in called and f".{name}" not in module.text.content:
                yield self.finding(
                    module.text.place_of(name, method.lineno),
                    f"{name}: nothing calls it in a class; the method's name is {handler}",
                    severity=Severity.WARNING,
                )
