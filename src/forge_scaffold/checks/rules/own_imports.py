"""IMP007, IMP008: imports of the project's own modules."""

from collections.abc import Iterator
from typing import ClassVar

from forge_scaffold.checks.code.facts import Statement
from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.git import is_left_out
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.checks.uploads import Uploads
from forge_scaffold.packages.distributions import MODULES, PLATFORM_MODULES, modules_of
from forge_scaffold.packages.standard_library import standard_modules

_MAIN = BASE["src/entry.py"]


def _others(subject: Subject) -> set[str]:
    """The outermost modules that come from elsewhere, or may."""
    packages = [each.name for each in (*subject.declared, *subject.grouped)]
    packages += [each.name for each in subject.locked]
    policy = subject.policy
    brought = {
        module
        for name in (*packages, *policy.direct, *policy.transitive)
        for module in (*modules_of(name), name.replace("-", "_"))
    }
    known = {module for modules in MODULES.values() for module in modules}
    folder = subject.project.root / "python_modules"
    vendored = {path.name.partition(".")[0] for path in folder.glob("*")}
    return brought | standard_modules() | known | vendored | PLATFORM_MODULES


def _changes_paths(subject: Subject) -> bool:
    """Whether the project itself says where modules are looked for."""
    signs = (
        "sys.path",
        "sys.modules[",
        "sys.modules.",
        "addsitedir",
        "sys.meta_path",
        "path_hooks",
    )
    return any(sign in module.text.content for module in subject.project.modules for sign in signs)


def _severity(statement: Statement, subject: Subject) -> Severity:
    return subject.reach.severity(statement.place.path, later=statement.later)


class NotUploaded(Rule):
    """An import of a module that lies beside what is uploaded.

    wrangler attaches the modules in and below the folder of the main module (or `base_dir`), and
    nothing else: what lies beside it is found on your machine, by tests and scripts, and is not
    there in the Worker. Inside a function it is a warning: only what calls that fails. In a module
    that the Worker never imports it is a note.

    Fix: move the module below that folder, or set `base_dir` to one that has both.
    """

    id = "IMP007"
    since = "0.2.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "src/entry.py": _MAIN.replace("from service", "from shared.texts import GREETING  # noqa\n"
                                      "from service"),
        "shared/__init__.py": "",
        "shared/texts.py": 'GREETING = "hello"\n',
    }  # fmt: skip
    passing: ClassVar[Files] = {
        "src/entry.py": failing["src/entry.py"],
        "src/shared/__init__.py": "",
        "src/shared/texts.py": 'GREETING = "hello"\n',
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Imports of what is in the project, and not below the main module's folder."""
        project = subject.project
        if _changes_paths(subject):
            return
        uploads, others = subject.uploads, _others(subject)
        for each in subject.facts.statements:
            top = (each.module or "").partition(".")[0]
            if each.excused or not top or top in others or uploads.find(top):
                continue
            if place := uploads.elsewhere(top):
                base = f"{project.base}/"
                inside = each.module != top and place == project.base
                yield self.finding(
                    each.place,
                    f"{top}: {base} is what is uploaded, and modules are named from there on; "
                    f"import {str(each.module).partition('.')[2]}"
                    if inside
                    else f"{top}: lies in {place}, and only what is below {base} is uploaded; "
                    "move it there",
                    severity=_severity(each, subject),
                )


class OwnMissing(Rule):
    """An import of something of the project's own that is not there.

    The first part of the name is a module or package of the project, and the rest of it is not: a
    module that was renamed or never committed, a name that its module does not give. The import
    raises ModuleNotFoundError or ImportError, and with it the Worker. Inside a function it is a
    warning: only what calls that fails. In a module that the Worker never imports it is a note.

    Fix: name what is there; what is optional belongs in a `try` with `except ImportError`.
    """

    id = "IMP008"
    since = "0.2.0"
    failing: ClassVar[Files] = {
        "src/entry.py": _MAIN.replace("from service", "from shop.orders import total  # noqa\n"
                                      "from service"),
        "src/shop/__init__.py": "",
        "src/shop/prices.py": "PRICES = {}\n",
    }  # fmt: skip
    passing: ClassVar[Files] = {
        **failing,
        "src/shop/orders.py": "def total():\n    return 0\n",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Modules and names of imports against what is there."""
        if _changes_paths(subject) or not subject.project.modules:
            return
        uploads, others = subject.uploads, _others(subject)
        for each in subject.facts.statements:
            module = each.module or ""
            top = module.partition(".")[0]
            if each.module is None and not each.excused and _too_far(each, subject):
                yield self.finding(
                    each.place,
                    f"the import leads out of {subject.project.base}/, from where modules are "
                    "named; leave the dots out",
                    severity=_severity(each, subject),
                )
            if each.excused or not top or top in others or not uploads.find(top):
                continue
            for problem in _problems(module, each.names, uploads, subject):
                yield self.finding(each.place, problem, severity=_severity(each, subject))


def _too_far(statement: Statement, subject: Subject) -> bool:
    """Whether a relative import has too many dots; how the main module is named is not ours."""
    return statement.place.path.parent != subject.project.base


def _generated(module: str, subject: Subject) -> bool:
    """Whether a module is made by a build: git leaves it out, or its name says so."""
    if module.endswith(("_pb2", "_pb2_grpc")):
        return True
    path = subject.project.base / f"{module.replace('.', '/')}.py"
    return is_left_out(subject.project.root, path)


def _problems(
    module: str, names: tuple[str, ...], uploads: Uploads, subject: Subject
) -> Iterator[str]:
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        found = uploads.find(".".join(parts[:length]))
        if found is None:
            around = uploads.find(".".join(parts[: length - 1]))
            # The package around it may say itself where its modules are.
            if around and uploads.gives(around, parts[length - 1]):
                return
            name = ".".join(parts[:length])
            if _generated(name, subject):
                return
            yield f"{name}: there is no such module below {subject.project.base}/"
            return
    file = uploads.find(module)
    for name in names:
        if name == "*" or file is None or uploads.find(f"{module}.{name}"):
            continue
        is_module = file.suffix == ".py"
        given = is_module and uploads.gives(file, name)
        if given or _generated(f"{module}.{name}", subject):
            continue
        if not is_module:
            yield f"{name}: there is no such module in {file}/"
        else:
            package = file.name == "__init__.py"
            yield (
                f"{name}: neither a module of {file.parent} nor a name in {file}"
                if package
                else f"{name}: {file} has no such name"
            )
