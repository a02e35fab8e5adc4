"""What a project depends on, from whatever file says so. Hostile files get an error, no traceback.

Read are pyproject.toml (PEP 621 and PEP 735, and Poetry's, Flit's, PDM's, uv's and setuptools' own
tables), Pipfile, setup.cfg, requirements files, and uv.lock, poetry.lock and pylock.toml.
"""

import configparser
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from forge_scaffold.audit.resolve import ENVIRONMENT
from forge_scaffold.errors import UserError

LARGEST = 20 * 1024 * 1024  # of a file that is read, in bytes
DEEPEST = 20  # requirements files including each other
LOCKS = ("uv.lock", "poetry.lock", "pylock.toml")
SHOWN = 60  # characters of a line that an error repeats

URL_PROBLEM = "a URL, a repository or a path is no release that an index has"


@dataclass(frozen=True)
class Dependency:
    """One direct dependency.

    Attributes:
        name: as PEP 503 normalises it.
        declared: as the project says it, without its marker.
        place: `file:line`.
        group: "" for what runs; "extra NAME" or "group NAME" otherwise.
        locked: the version that the project's lock holds; empty without one.
        problem: why no index can be asked for it; empty when one can.
    """

    name: str
    declared: str
    place: str
    group: str = ""
    locked: str = ""
    problem: str = ""

    @property
    def requirement(self) -> str:
        """What to ask an index for. A pin is yesterday's answer: it counts as the least version."""
        requirement = Requirement(self.declared)
        parts = [
            f">={part.version}"
            if part.operator == "==" and not part.version.endswith(".*")
            else str(part)
            for part in requirement.specifier
        ]
        requirement.specifier = SpecifierSet(",".join(parts))
        return str(requirement)


@dataclass(frozen=True)
class Inputs:
    """Everything that is audited.

    Attributes:
        root: the project's folder.
        source: the file that was read, relative to it.
        dependencies: the direct ones, each name once.
        left_out: group -> how many dependencies it has that were not asked for.
        notes: what is to know about the reading.
    """

    root: Path
    source: str
    dependencies: tuple[Dependency, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read(path: Path, extras: frozenset[str], groups: frozenset[str]) -> Inputs:
    """The dependencies that a file or a folder declares.

    Args:
        path: a file of a kind that is known by its name, or a folder with one.
        extras: the optional extras that are meant too; "all" for all.
        groups: the dependency groups that are meant too; "all" for all.

    Raises:
        UserError: there is no such file, it cannot be read, or it is not what its name says.
    """
    reader = _Reader()
    file = _file(path)
    reader.file(file)
    root = path if path.is_dir() else file.parent
    locked = {} if file.name in LOCKS else locked_versions(root)
    chosen: dict[str, Dependency] = {}
    left_out: dict[str, int] = {}
    for found in reader.found:
        kind, _, name = found.group.partition(" ")
        wanted = {"": {""}, "extra": extras, "group": groups}[kind]
        if name in wanted or (kind and "all" in wanted):
            chosen.setdefault(
                found.name, replace(found, locked=found.locked or locked.get(found.name, ""))
            )
        else:
            left_out[found.group] = left_out.get(found.group, 0) + 1
    known = {found.group for found in reader.found}
    missing = [
        f"{file.name}: it has no {kind} {name!r}; it has: {_listed(known, kind)}"
        for kind, names in (("extra", extras), ("group", groups))
        for name in sorted(names - {"all"})
        if f"{kind} {name}" not in known
    ]
    if missing:
        raise UserError(*missing)
    source = file.relative_to(root).as_posix()
    return Inputs(root, source, tuple(chosen.values()), left_out, tuple(reader.notes))


def _listed(known: set[str], kind: str) -> str:
    names = sorted(group.partition(" ")[2] for group in known if group.startswith(f"{kind} "))
    return ", ".join(names) or "none"


def _file(path: Path) -> Path:
    """The file to read: the path itself, or what a folder declares its dependencies in."""
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"{path}: neither a file nor a folder")
    candidates = [
        path / "pyproject.toml",
        path / "Pipfile",
        path / "setup.cfg",
        path / "requirements.in",
        path / "requirements.txt",
        path / "requirements" / "base.txt",
        path / "requirements" / "production.txt",
        path / "requirements" / "prod.txt",
        path / "uv.lock",
        path / "poetry.lock",
        path / "pylock.toml",
    ]
    there = [candidate for candidate in candidates if candidate.is_file()]
    for candidate in there:
        if candidate.suffix not in {".toml", ".cfg"} or _declares(candidate):
            return candidate
    if there:
        return there[0]
    raise UserError(
        f"{path}: nothing says what it depends on; looked for pyproject.toml, Pipfile, setup.cfg, "
        "requirements.txt, uv.lock, poetry.lock and pylock.toml (a setup.py is not run)"
    )


def _declares(file: Path) -> bool:
    """Whether a file that may be about other things has dependencies in it."""
    reader = _Reader()
    reader.file(file)
    return bool(reader.found)


def _text(file: Path) -> str:
    try:
        if not file.is_file():
            raise UserError(f"{file}: no such file")
        if file.stat().st_size > LARGEST:
            raise UserError(f"{file}: larger than {LARGEST // 2**20} MiB; it is not read")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: {getattr(error, 'strerror', None) or error}") from error


def _toml(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UserError(f"{file}: nested too deep") from error
    except ValueError as error:
        raise UserError(f"{file}: not TOML: {error}") from error


def locked_versions(root: Path) -> dict[str, str]:
    """The version of each package in a project's lock, by name; a broken lock holds none."""
    for name in LOCKS:
        lock = root / name
        if lock.is_file():
            try:
                content = _toml(lock, _text(lock))
            except UserError:
                return {}
            packages = [*tables(content.get("package")), *tables(content.get("packages"))]
            return {
                canonicalize_name(text(package.get("name"))): text(package.get("version"))
                for package in packages
            }
    return {}


def table(value: object) -> dict[str, Any]:
    """The value when it is a table, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def tables(value: object) -> list[dict[str, Any]]:
    """The tables of an array."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def strings(value: object) -> list[str]:
    """The strings of an array."""
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def text(value: object) -> str:
    """The value when it is a string, an empty one otherwise."""
    return value if isinstance(value, str) else ""


class _Reader:
    """Collects dependencies from one file and those that it includes."""

    def __init__(self) -> None:
        self.found: list[Dependency] = []
        self.notes: list[str] = []

    def file(self, file: Path) -> None:
        content = _text(file)
        name = file.name
        kinds: Mapping[str, Callable[[Path, str], None]] = {
            "pyproject.toml": self._pyproject,
            "Pipfile": self._pipfile,
            "setup.cfg": self._setup_cfg,
            "uv.lock": self._uv_lock,
            "poetry.lock": self._poetry_lock,
        }
        if name in kinds:
            kinds[name](file, content)
        elif re.fullmatch(r"pylock(\.[^.]+)?\.toml", name):
            self._pylock(file, content)
        elif file.suffix in {".txt", ".in", ".pip"}:
            self._requirements(file, content, "", ())
        else:
            raise UserError(
                f"{file}: not a file of a known kind: pyproject.toml, Pipfile, setup.cfg, uv.lock, "
                "poetry.lock, pylock.toml, or requirements in a .txt or .in file"
            )

    def add(self, file: Path, content: str, requirement: str, group: str = "") -> None:
        """One requirement as PEP 508 writes it; what is none is an error of the file."""
        place = f"{file.name}:{_line(content, requirement)}"
        try:
            parsed = Requirement(requirement)
        except (InvalidRequirement, RecursionError) as error:
            raise UserError(
                f"{place}: not a requirement (PEP 508): {requirement[:SHOWN]!r}"
            ) from error
        self._parsed(parsed, place, group)

    def _parsed(self, parsed: Requirement, place: str, group: str) -> None:
        name = canonicalize_name(parsed.name)
        if not _applies(parsed):
            self.notes.append(f"{place}: {name} is not installed on Workers ({parsed.marker})")
            return
        parsed.marker = None
        problem = URL_PROBLEM if parsed.url else ""
        self.found.append(Dependency(name, str(parsed), place, group, problem=problem))

    # --- pyproject.toml ---

    def _pyproject(self, file: Path, content: str) -> None:
        data = _toml(file, content)
        project, tool = table(data.get("project")), table(data.get("tool"))
        for requirement in strings(project.get("dependencies")):
            self.add(file, content, requirement)
        for extra, requirements in table(project.get("optional-dependencies")).items():
            for requirement in strings(requirements):
                self.add(file, content, requirement, f"extra {extra}")
        self._groups(file, content, table(data.get("dependency-groups")))
        self._poetry(file, content, table(tool.get("poetry")))
        self._flit(file, content, table(table(tool.get("flit")).get("metadata")))
        for group, requirements in table(table(tool.get("pdm")).get("dev-dependencies")).items():
            for requirement in strings(requirements):
                if not requirement.startswith("-e"):
                    self.add(file, content, requirement, f"group {group}")
        for requirement in strings(table(tool.get("uv")).get("dev-dependencies")):
            self.add(file, content, requirement, "group dev")
        self._setuptools(file, table(table(tool.get("setuptools")).get("dynamic")))

    def _flit(self, file: Path, content: str, flit: Mapping[str, Any]) -> None:
        for requirement in strings(flit.get("requires")):
            self.add(file, content, requirement)
        for extra, requirements in table(flit.get("requires-extra")).items():
            for requirement in strings(requirements):
                self.add(file, content, requirement, f"extra {extra}")

    def _groups(self, file: Path, content: str, groups: Mapping[str, Any]) -> None:
        for group in groups:
            for requirement in dict.fromkeys(_group(groups, group, set())):
                self.add(file, content, requirement, f"group {group}")

    def _setuptools(self, file: Path, dynamic: Mapping[str, Any]) -> None:
        """`dynamic = ["dependencies"]`, read from requirements files."""
        optional = table(dynamic.get("optional-dependencies"))
        sources = {"": dynamic.get("dependencies")}
        sources |= {f"extra {extra}": source for extra, source in optional.items()}
        for group, source in sources.items():
            names = table(source).get("file")
            for name in [names] if isinstance(names, str) else strings(names):
                included = file.parent / name
                self._requirements(included, _text(included), group, ())

    def _poetry(self, file: Path, content: str, poetry: Mapping[str, Any]) -> None:
        extras = {
            canonicalize_name(name): extra
            for extra, names in table(poetry.get("extras")).items()
            for name in strings(names)
        }
        sections = {"": table(poetry.get("dependencies"))}
        sections["group dev"] = table(poetry.get("dev-dependencies"))
        for group, section in table(poetry.get("group")).items():
            sections[f"group {group}"] = {
                **sections.get(f"group {group}", {}),
                **table(table(section).get("dependencies")),
            }
        for group, section in sections.items():
            for name, wanted in section.items():
                if canonicalize_name(name) == "python":
                    continue
                extra = extras.get(canonicalize_name(name)) if not group else None
                self._poetic(file, content, name, wanted, f"extra {extra}" if extra else group)

    def _poetic(self, file: Path, content: str, name: str, wanted: object, group: str) -> None:
        """One dependency as Poetry and Pipfile write it: a constraint, a table, or several."""
        place = f"{file.name}:{_line_of_key(content, name)}"
        choices = wanted if isinstance(wanted, list) else [wanted]
        for choice in choices:
            options = {"version": choice} if isinstance(choice, str) else table(choice)
            try:
                extras = ",".join(strings(options.get("extras")))
                parsed = Requirement(f"{name}[{extras}]" if extras else name)
                parsed.specifier = SpecifierSet(pep440(text(options.get("version")) or "*"))
                if markers := text(options.get("markers")):
                    parsed.marker = Requirement(f"{name}; {markers}").marker
            except (InvalidRequirement, InvalidSpecifier, RecursionError) as error:
                raise UserError(
                    f"{place}: {name[:SHOWN]}: not a constraint: {str(choice)[:SHOWN]!r}"
                ) from error
            if not _applies(parsed):
                continue
            before = len(self.found)
            self._parsed(parsed, place, group)
            if options.keys() & {"git", "path", "url", "file"}:
                self.found[before] = replace(self.found[before], problem=URL_PROBLEM)
            return
        self.notes.append(f"{place}: {name} is not installed on Workers")

    def _pipfile(self, file: Path, content: str) -> None:
        data = _toml(file, content)
        for section, group in (("packages", ""), ("dev-packages", "group dev")):
            for name, wanted in table(data.get(section)).items():
                self._poetic(file, content, name, wanted, group)

    def _setup_cfg(self, file: Path, content: str) -> None:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(content, source=file.name)
        except configparser.Error as error:
            raise UserError(f"{file}: {str(error).splitlines()[0]}") from error
        for requirement in parser.get("options", "install_requires", fallback="").splitlines():
            if cleaned := requirement.partition(" #")[0].strip().removeprefix("#"):
                self.add(file, content, cleaned)
        if parser.has_section("options.extras_require"):
            for extra, listed in parser.items("options.extras_require"):
                for requirement in filter(None, map(str.strip, listed.splitlines())):
                    self.add(file, content, requirement, f"extra {extra}")

    # --- requirements files ---

    def _requirements(
        self, file: Path, content: str, group: str, including: tuple[Path, ...]
    ) -> None:
        if file.resolve() in including:
            raise UserError(f"{file}: includes itself, through {len(including)} files")
        if len(including) >= DEEPEST:
            raise UserError(f"{file}: more than {DEEPEST} requirements files deep")
        compiled = re.search(r"(?m)^\s*#\s+via\b", content) is not None
        for line, entry, comment in _entries(content):
            if option := re.match(r"(-r|--requirement|-c|--constraint)[\s=]*(\S+)", entry):
                included = file.parent / option[2]
                if option[1] in {"-c", "--constraint"}:
                    self.notes.append(f"{file.name}:{line}: constraints are not applied")
                elif "://" in option[2]:
                    self.notes.append(
                        f"{file.name}:{line}: a requirements file elsewhere: not read"
                    )
                else:
                    again = (*including, file.resolve())
                    self._requirements(included, _text(included), group, again)
            elif re.match(r"(-e|--editable)\b", entry):
                self._elsewhere(file, line, re.sub(r"^\S+[\s=]*", "", entry), group)
            elif entry.startswith("-"):
                option_name = re.split(r"[\s=]", entry)[0]
                self.notes.append(
                    f"{file.name}:{line}: {option_name[:SHOWN]} is not applied; configure pip"
                )
            elif not compiled or _asked_for(comment):
                self._requirement_line(file, line, entry, group)

    def _requirement_line(self, file: Path, line: int, entry: str, group: str) -> None:
        wanted = re.split(r"\s--?[a-z]", entry)[0].strip()
        try:
            parsed = Requirement(wanted)
        except (InvalidRequirement, RecursionError) as error:
            if re.match(r"(\w+\+)?\w+://|[./~]|\S+\.(whl|zip|tar\.gz)\b", wanted):
                self._elsewhere(file, line, wanted, group)
                return
            raise UserError(
                f"{file.name}:{line}: not a requirement (PEP 508): {wanted[:SHOWN]!r}"
            ) from error
        self._parsed(parsed, f"{file.name}:{line}", group)

    def _elsewhere(self, file: Path, line: int, address: str, group: str) -> None:
        """A requirement by its address; the name is in the fragment, or the last part."""
        if re.fullmatch(r"\./?(\[[^]]*\])?", address):
            self.notes.append(f"{file.name}:{line}: the project itself; name its pyproject.toml")
            return
        egg = re.search(r"#egg=([\w.-]+)", address)
        last = re.split(r"[/\\]", address.partition("#")[0].rstrip("/"))[-1]
        name = egg[1] if egg else re.split(r"@|\.git|-\d", last)[0]
        if not re.fullmatch(r"[A-Z\d]|[A-Z\d][\w.-]*[A-Z\d]", name, re.IGNORECASE | re.ASCII):
            name = "unnamed"
        self.found.append(
            Dependency(
                canonicalize_name(name),
                name,
                f"{file.name}:{line}",
                group,
                problem=URL_PROBLEM,
            )
        )

    # --- locks ---

    def _uv_lock(self, file: Path, content: str) -> None:
        packages = tables(_toml(file, content).get("package"))
        versions = {text(package.get("name")): text(package.get("version")) for package in packages}
        roots = [
            package
            for package in packages
            if table(package.get("source")).keys() & {"virtual", "editable"}
        ]
        for root in roots:
            sections = {"": tables(root.get("dependencies"))}
            for extra, needed in table(root.get("optional-dependencies")).items():
                sections[f"extra {extra}"] = tables(needed)
            for group, needed in table(root.get("dev-dependencies")).items():
                sections[f"group {group}"] = tables(needed)
            for group, needed in sections.items():
                for one in needed:
                    self._pinned(file, content, one, versions, group)
        if not roots:
            self._undemanded(file, content, packages)

    def _pinned(
        self,
        file: Path,
        content: str,
        needed: Mapping[str, Any],
        versions: Mapping[str, str],
        group: str,
    ) -> None:
        name, extras = text(needed.get("name")), ",".join(strings(needed.get("extra")))
        marker = text(needed.get("marker"))
        requirement = f"{name}[{extras}]" if extras else name
        before = len(self.found)
        self.add(file, content, f"{requirement}; {marker}" if marker else requirement, group)
        if len(self.found) > before:
            line = _line(content, f'name = "{name}"')
            place = f"{file.name}:{line}"
            locked = versions.get(name, "")
            self.found[before] = replace(self.found[before], place=place, locked=locked)

    def _poetry_lock(self, file: Path, content: str) -> None:
        self._undemanded(file, content, tables(_toml(file, content).get("package")))

    def _pylock(self, file: Path, content: str) -> None:
        self._undemanded(file, content, tables(_toml(file, content).get("packages")))

    def _undemanded(self, file: Path, content: str, packages: list[dict[str, Any]]) -> None:
        """A lock that does not say what is direct: whatever no other package of it needs."""
        needed: set[str] = set()
        for package in packages:
            dependencies = package.get("dependencies")
            names = [text(entry.get("name")) for entry in tables(dependencies)]
            needed |= {canonicalize_name(name) for name in [*table(dependencies), *names]}
        versions = {text(package.get("name")): text(package.get("version")) for package in packages}
        for package in packages:
            if canonicalize_name(text(package.get("name"))) not in needed:
                groups = strings(package.get("groups"))
                group = f"group {groups[0]}" if groups and "main" not in groups else ""
                self._pinned(file, content, {"name": package.get("name")}, versions, group)
        self.notes.append(
            f"{file.name}: a lock does not say what is direct: taken is what nothing else needs"
        )


def _applies(requirement: Requirement) -> bool:
    """Whether a requirement's marker holds on Workers; one that cannot be judged does."""
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate(dict(ENVIRONMENT))
    except (UndefinedEnvironmentName, ValueError, TypeError, RecursionError):
        return True


def _group(groups: Mapping[str, Any], name: str, seen: set[str]) -> Iterator[str]:
    """A dependency group's requirements, with those of the groups that it includes (PEP 735)."""
    if name in seen:
        return
    seen.add(name)
    entries = groups.get(name)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str):
            yield entry
        elif included := text(table(entry).get("include-group")):
            yield from _group(groups, included, seen)


def _entries(content: str) -> Iterator[tuple[int, str, str]]:
    """Line, text and comment of a requirements file's entries: continuations joined.

    The comment is the one on the entry's lines and on those of nothing but a comment behind it,
    which is where pip-compile and uv say what an entry is there for.
    """
    pending, start = "", 1
    comments: list[str] = []
    entries: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(content.splitlines(), start=1):
        code = re.sub(r"(^|\s)#.*", "", line).strip()
        comment = re.search(r"(?:^|\s)#(.*)", line)
        if not pending:
            start, comments = number, []
        if comment:
            comments.append(comment[1].strip())
            if not code and not pending and entries:
                entries[-1][2].append(comment[1].strip())
        pending += code
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip() + " "
        elif pending:
            entries.append((start, pending, comments))
            pending = ""
    if pending.strip():
        entries.append((start, pending.strip(), comments))
    for start, entry, comments in entries:
        yield start, entry, "\n".join(comments)


def _asked_for(comment: str) -> bool:
    """Whether a compiled requirement is there for the project itself, not for another package."""
    if "via" not in comment:
        return True
    return re.search(r"-r |\(|pyproject\.toml|\.in\b|\.txt\b", comment) is not None


def pep440(constraint: str) -> str:
    """Poetry's constraint as PEP 440 says it: `^1.2` is `>=1.2,<2`, `~1.2` is `>=1.2,<1.3`.

    Alternatives (`||`) become the last one: the newest releases are what is asked for.
    """
    parts = [part.strip() for part in re.split(r"\|\|?", constraint)[-1].split(",")]
    return ",".join(filter(None, map(_pep440, parts)))


def _pep440(part: str) -> str:
    if part in {"", "*"}:
        return ""
    match = re.fullmatch(r"([\^~])\s*(\d+(?:\.\d+)*)(.*)", part)
    if match is None:
        return re.sub(r"^(?=[\dv])", "==", part)
    numbers = [int(number) for number in match[2].split(".")[:9]]
    if match[1] == "^":
        place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        place = min(1, len(numbers) - 1)
    end = [*numbers[:place], numbers[place] + 1]
    return f">={match[2]}{match[3]},<{'.'.join(map(str, end))}"


def _line(content: str, fragment: str) -> int:
    """The first line with a fragment, quotes in it perhaps escaped; 1 when it is nowhere."""
    escaped = fragment.replace('"', '\\"')
    at = max(content.find(fragment), content.find(escaped), 0)
    return content.count("\n", 0, at) + 1


def _line_of_key(content: str, key: str) -> int:
    found = re.search(rf"""(?m)^\s*["']?{re.escape(key)}["']?\s*=""", content)
    return content.count("\n", 0, found.end()) + 1 if found else 1
