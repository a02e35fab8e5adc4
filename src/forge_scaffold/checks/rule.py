"""What a rule is, and what it looks at."""

import ast
import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.code.facts import Facts
from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.configuration import python_worker
from forge_scaffold.checks.finding import Edit, Finding, Severity
from forge_scaffold.checks.reach import Reach
from forge_scaffold.checks.uploads import Uploads, attached
from forge_scaffold.declarations.worker import Declared, Locked, declared, grouped, locked
from forge_scaffold.documents import Place
from forge_scaffold.packages.versions import Releases
from forge_scaffold.policy import Policy
from forge_scaffold.printable import masked
from forge_scaffold.project import Project
from forge_scaffold.wrangler import Wrangler

# Before the walk.
_NOTHING = Facts()


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
        project: on disk.
        policy: what it may depend on.
        facts: what the walk over its modules has met; there when a rule's `check` runs.
        releases: what the package index has, by package; nothing when it was not asked.
    """

    project: Project
    policy: Policy
    facts: Facts = _NOTHING
    releases: Mapping[str, Releases] = field(default_factory=dict)

    @cached_property
    def worker(self) -> Wrangler:
        """The configuration of a Python Worker: for rules that `needs_worker`."""
        wrangler = python_worker(self.project)
        if wrangler is None:
            raise LookupError("a rule that asks for the Worker has to say that it needs one")
        return wrangler

    @cached_property
    def attached(self) -> tuple[PurePosixPath, ...]:
        """The files that are uploaded beside Python's modules."""
        return tuple(attached(self.project))

    @cached_property
    def uploads(self) -> Uploads:
        """Its Python modules, by the names under which they are imported."""
        return Uploads(self.project)

    @cached_property
    def reach(self) -> Reach:
        """The modules that the Worker imports."""
        return Reach.of(self.project, self.facts, self.uploads)

    @cached_property
    def declared(self) -> tuple[Declared, ...]:
        """Its requirements, optional ones included."""
        return tuple(declared(self.project))

    @cached_property
    def grouped(self) -> tuple[Declared, ...]:
        """The requirements of its groups, which are for developers."""
        return tuple(grouped(self.project))

    @cached_property
    def locked(self) -> tuple[Locked, ...]:
        """What its locks give to the Worker."""
        return tuple(locked(self.project))


Files = Mapping[str, str]


class Rule:
    """One thing that can be wrong with a Worker.

    Every subclass in checks/rules/ is a rule; nothing else lists them. Each check makes an instance
    of its own, which keeps what it has seen from `visit` to `check`.

    The docstring of a rule is its documentation: the first line its title, then the reason, then a
    paragraph that begins with "Fix: ". A rule that looks at Python code names what it wants to see
    (`nodes`, `calls`, `reads`, `methods`) and has `visit`; any other has `check`.

    Attributes:
        id: three letters of its family and a number; never given to another rule.
        since: the version of Forge that brought it.
        severity: of its findings, unless they say otherwise.
        failing: files of a project, beside those of `checks.examples.BASE`, that it objects to.
        passing: the same without a flaw.
        committed: what git's last commit has where these two differ from it.
        nodes: types of syntax nodes to visit.
        calls: dotted names whose calls to visit: "time.sleep", "secrets.*".
        reads: dotted names to visit where they stand: "os.environ".
        methods: names of methods whose calls to visit, whatever the object.
        import_time: whether to visit only what runs while the modules are imported, functions that
            are called then among it.
        needs_worker: whether `check` runs only where the configuration is a Python Worker's.
        last: whether its `check` comes after all others, which may find what it reports.
        fixable: whether `--fix` mends it, at least where that is plain.
    """

    id: ClassVar[str]
    since: ClassVar[str]
    severity: ClassVar[Severity] = Severity.ERROR
    failing: ClassVar[Files]
    passing: ClassVar[Files]
    committed: ClassVar[Files] = {}
    nodes: ClassVar[Collection[type[ast.AST]]] = ()
    calls: ClassVar[Collection[str]] = ()
    reads: ClassVar[Collection[str]] = ()
    methods: ClassVar[Collection[str]] = ()
    import_time: ClassVar[bool] = False
    needs_worker: ClassVar[bool] = False
    last: ClassVar[bool] = False
    fixable: ClassVar[bool] = False

    def check(self, subject: Subject) -> Iterator[Finding]:  # noqa: ARG002 - rules override it
        """Findings about the project as a whole."""
        yield from ()

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:  # noqa: ARG002
        """Findings about a node that the rule asked for."""
        yield from ()

    def finding(
        self,
        place: Place,
        message: str,
        *,
        severity: Severity | None = None,
        edit: Edit | None = None,
    ) -> Finding:
        """A finding of this rule; what its message repeats of the project is masked."""
        return Finding(self.id, place, masked(message), severity or self.severity, edit)

    @cached_property
    def _paragraphs(self) -> list[str]:
        text = inspect.cleandoc(type(self).__doc__ or "")
        return text.split("\n\n")

    @property
    def title(self) -> str:
        """What is wrong, in a few words."""
        return " ".join(self._paragraphs[0].split()).removesuffix(".")

    @property
    def reason(self) -> str:
        """Why that matters."""
        return "\n\n".join(
            paragraph for paragraph in self._paragraphs[1:] if not paragraph.startswith("Fix: ")
        )

    @property
    def fix(self) -> str:
        """What to do about it."""
        found = (each for each in self._paragraphs if each.startswith("Fix: "))
        return next(found, "").removeprefix("Fix: ")

    @property
    def looks_at_code(self) -> bool:
        """Whether it wants to see syntax nodes."""
        return bool(self.nodes or self.calls or self.reads or self.methods)
