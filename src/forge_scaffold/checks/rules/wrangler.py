"""WRA: what wrangler is told."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any, ClassVar

from forge_scaffold.checks.configuration import every, fits, known, others
from forge_scaffold.checks.edits import renamed, tried
from forge_scaffold.checks.examples import BASE, toml
from forge_scaffold.checks.finding import Edit, Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.checks.words import is_secret, mentioned, shortened
from forge_scaffold.documents import Address, Document, Place
from forge_scaffold.packages.versions import Versions
from forge_scaffold.project import WRANGLER_FILES, strings, table, tables
from forge_scaffold.wrangler import PYTHONS, Environment, Named, Wrangler, date_of

# What only a binding has: a variable or a secret is a string.
_BINDING_METHODS = frozenset(
    {
        "batch", "create", "createBatch", "delete", "exec", "fetch", "get", "getByName",
        "getWithMetadata", "head", "idFromName", "idFromString", "limit", "list", "newUniqueId",
        "prepare", "put", "query", "run", "send", "sendBatch", "toMarkdown", "upsert",
        "withSession", "writeDataPoint",
    }
)  # fmt: skip

# Bindings that do their work without being called from Python.
_SILENT = frozenset({"assets", "browser", "version_metadata", "vars", "secrets"})

_PLACEHOLDER = re.compile(
    r"[<>{}\s]|\.\.\.|^(?:x+|\*+|-+)$|your|change|replace|example|placeholder|dummy|todo|secret$"
    r"|^test|^local|^dev",
    re.IGNORECASE,
)


# The name of a secret, in the place of one.
_NAME = re.compile(r"[A-Z]+(?:_[A-Z]+)+")

# What some other tool is still to fill in.
_TEMPLATE = re.compile(r"[%{<$]")


class NoPythonFlag(Rule):
    """A Python Worker without the flag that makes it one.

    Without `python_workers` among the compatibility flags the runtime takes the main module for
    JavaScript, and the deployment fails.

    Fix: add `python_workers` to `compatibility_flags`.
    """

    id = "WRA001"
    since = "0.1.0"
    fixable = True
    failing: ClassVar[Files] = {"wrangler.toml": toml({'["python_workers"]': "[]"})}
    passing: ClassVar[Files] = {"wrangler.toml": BASE["wrangler.toml"]}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Flags of a configuration whose main module is Python."""
        wrangler = subject.project.wrangler
        if wrangler is None or not wrangler.main:
            return
        message = f'{wrangler.main} is Python; add "python_workers" to compatibility_flags'
        if not _has_python_flag(wrangler.flags):
            said = "compatibility_flags" in wrangler.data
            place = wrangler.place("compatibility_flags" if said else "main")
            yield self.finding(place, message, edit=_flag_edit(wrangler))
        for environment in wrangler.environments:
            flags = environment.data.get("compatibility_flags")
            if isinstance(flags, list) and not _has_python_flag(frozenset(strings(flags))):
                yield self.finding(environment.place("compatibility_flags"), message)


def _has_python_flag(flags: frozenset[str]) -> bool:
    return any(flag.startswith("python_workers") for flag in flags)


def _flag_edit(wrangler: Wrangler) -> Edit | None:
    """The flag, put into the list that is there."""
    if not isinstance(wrangler.data.get("compatibility_flags"), list):
        return None
    text = wrangler.document.text
    place = wrangler.place("compatibility_flags")
    start = text.content.find("[", text.offset(place.line, place.column))
    if start < 0:
        return None
    flags = wrangler.data["compatibility_flags"]
    edit = Edit(text.path, start + 1, start + 1, f'"python_workers"{", " if flags else ""}')
    return tried(
        edit,
        wrangler.document,
        {**wrangler.data, "compatibility_flags": ["python_workers", *flags]},
    )


class NoDate(Rule):
    """A compatibility date that is missing, no date, or still to come.

    The date decides how the runtime behaves and which Python a Worker gets. wrangler does not
    deploy without one, and Cloudflare takes none from the future.

    Fix: set `compatibility_date` to a day on which you tested the Worker, as `YYYY-MM-DD`.
    """

    id = "WRA002"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {"wrangler.toml": toml({'compatibility_date = "2026-11-01"\n': ""})}
    passing: ClassVar[Files] = {"wrangler.toml": BASE["wrangler.toml"]}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The date of the top level, and those of environments that have their own."""
        wrangler = subject.worker
        if wrangler.data.get("compatibility_date") is None:
            yield self.finding(
                wrangler.place("main"), "there is no compatibility_date; wrangler needs one"
            )
        for environment in every(wrangler):
            said = environment.data.get("compatibility_date")
            day = date_of(said)
            place = environment.place("compatibility_date")
            if said is not None and day is None and not _TEMPLATE.search(str(said)):
                message = f"compatibility_date: {said} is no date; write YYYY-MM-DD"
                yield self.finding(place, message)
            elif day and day > date.today() + timedelta(days=1):  # noqa: DTZ011 - wherever that is
                yield self.finding(place, f"compatibility_date: {said} is still to come")


class OtherPython(Rule):
    """A configuration that means another Python than the project wants.

    Flags and date decide which Python runs: 3.14 from 2026-09-08, 3.13 from 2025-09-29, 3.12
    before. When `requires-python` excludes it, pywrangler finds no packages. Python 3.12 is noted,
    because newer packages have no wheels for its Pyodide.

    Fix: move `compatibility_date` on, or widen `requires-python`.
    """

    id = "WRA003"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "wrangler.toml": toml({"2026-11-01": "2026-03-01"}),
        "pyproject.toml": BASE["pyproject.toml"].replace(">=3.11", ">=3.14"),
    }
    passing: ClassVar[Files] = {
        "wrangler.toml": BASE["wrangler.toml"],
        "pyproject.toml": BASE["pyproject.toml"].replace(">=3.11", ">=3.14"),
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The Python of the configuration against that of the project."""
        wrangler = subject.worker
        wanted = table(subject.project.pyproject, "project").get("requires-python")
        for environment in every(wrangler):
            python = wrangler.python_in(environment)
            inherits = not environment.data.keys() & {"compatibility_date", "compatibility_flags"}
            if python is None or (environment.name and inherits):
                continue
            place = environment.place("compatibility_date")
            if isinstance(wanted, str) and not _contains(wanted, python):
                yield self.finding(
                    place,
                    f"flags and date mean Python {python}, and requires-python says {wanted}; "
                    "move the date on, or widen requires-python",
                )
            elif all(python != version for _, version, _ in PYTHONS):
                since, version, _ = PYTHONS[-1]
                yield self.finding(
                    place,
                    f"flags and date mean Python {python}, for which few packages have wheels; "
                    f"from {since} on it is {version}",
                    severity=Severity.NOTE,
                )


def _contains(wanted: str, python: str) -> bool:
    try:
        # The last of the series, so that ">=3.14.2" is satisfied by "3.14".
        return Versions.parse(wanted).has(f"{python}.99")
    except ValueError:
        return True


class UnknownKey(Rule):
    """A key that wrangler does not know.

    wrangler warns of it and goes on without: what was meant to be configured is not.

    Fix: write it as wrangler does; the message names the key that comes nearest.
    """

    id = "WRA004"
    since = "0.1.0"
    needs_worker = True
    severity = Severity.WARNING
    fixable = True
    failing: ClassVar[Files] = {
        "wrangler.toml": toml({"[observability]": "[observabilty]"}),
    }
    passing: ClassVar[Files] = {"wrangler.toml": BASE["wrangler.toml"]}

    def __init__(self) -> None:
        self._given: set[Address] = set()

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Every key against those of wrangler's schema."""
        wrangler = subject.worker
        keys = known()["keys"]
        only_top = set(known()["top_level_only"])
        inside = {key: value for key, value in keys.items() if key not in only_top}
        yield from self._unknown(wrangler.document, (), wrangler.data, keys)
        for environment in wrangler.environments:
            yield from self._unknown(
                wrangler.document, environment.address, environment.data, inside
            )

    def _unknown(
        self, document: Document, address: Address, data: object, keys: object
    ) -> Iterator[Finding]:
        if isinstance(keys, list):
            (keys,) = keys
        if not isinstance(keys, dict):
            return
        if isinstance(data, list):
            for index, item in enumerate(data):
                yield from self._unknown(document, (*address, index), item, keys)
        elif isinstance(data, dict):
            for key, value in data.items():
                if key in keys:
                    yield from self._unknown(document, (*address, key), value, keys[key])
                else:
                    yield self._finding(document, address, key, keys, data)

    def _finding(
        self,
        document: Document,
        address: Address,
        key: str,
        keys: Mapping[str, Any],
        data: Mapping[str, Any],
    ) -> Finding:
        place = document.place(*address, key)
        from difflib import get_close_matches

        near = get_close_matches(key, keys, 1, 0.75)
        where = f" in {'.'.join(map(str, address))}" if address else ""
        if not near:
            return self.finding(place, f"{key}: wrangler knows no such key{where}")
        message = f"{key}: wrangler knows no such key{where}; did you mean {near[0]}?"
        fit = near[0] not in data and fits(data[key], keys[near[0]])
        edit = self._rename(document, address, key, near[0]) if fit else None
        return self.finding(place, message, edit=edit)

    def _rename(self, document: Document, address: Address, key: str, name: str) -> Edit | None:
        """The edit that gives a key another name, which none of its table has yet."""
        start, new = _start_of(document, address, key), (*address, name)
        # What is too much for one time is found again when the first are fixed.
        if start is None or new in self._given or len(self._given) == _TRIED:
            return None
        self._given.add(new)
        edit = Edit(document.text.path, start, start + len(key), name)
        return tried(edit, document, renamed(document.data, address, key, name))


def _start_of(document: Document, address: Address, key: str) -> int | None:
    """The offset of a key's name in its place, which may be a header: `[queues.consumers]`."""
    place = document.place(*address, key)
    parts = document.text.at(place).split(".")
    names = [step for step in (*address, key) if isinstance(step, str)]
    index = len(names) - 1 if parts[: len(names)] == names else 0
    if parts[index] != key:
        return None
    return document.text.offset(place.line, place.column) + len(".".join(["", *parts[:index]]))


# Each trial reads the whole file.
_TRIED = 50


class NoMain(Rule):
    """A main module that does not exist.

    wrangler has nothing to upload: "The entry-point file was not found".

    Fix: name the module with the class `Default`, relative to the configuration.
    """

    id = "WRA005"
    since = "0.1.0"
    failing: ClassVar[Files] = {"wrangler.toml": toml({"src/entry.py": "src/main.py"})}
    passing: ClassVar[Files] = {"wrangler.toml": BASE["wrangler.toml"]}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The paths that `main` names."""
        wrangler = subject.project.wrangler
        for environment in every(wrangler):
            main = environment.data.get("main")
            if not isinstance(main, str) or not main.endswith(".py") or "\0" in main:
                continue
            if not (subject.project.root / main).is_file():
                yield self.finding(environment.place("main"), f"main: there is no {main}")


class UndeclaredBinding(Rule):
    """A binding that the code uses and no environment declares.

    `self.env.NAME` is undefined then, and the first request that needs it fails.

    Fix: declare the binding, in every environment that is deployed.
    """

    id = "WRA006"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\n\nasync def answer(env):\n"
        '    return await env.CACHE.get("answer") or httpx.__version__\n'
    }
    passing: ClassVar[Files] = {
        **failing,
        "wrangler.toml": toml({}, '\n[[kv_namespaces]]\nbinding = "CACHE"\n'),
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Names on which a binding's methods are called."""
        wrangler = subject.worker
        declared = {named.name for each in every(wrangler) for named in each.named}
        # Who has looked first, or has something else instead, has seen to it.
        seen = {use.name for use in subject.facts.uses if use.default}
        for use in subject.facts.uses:
            if use.called not in _BINDING_METHODS or use.name in seen:
                continue
            seen.add(use.name)
            if use.name not in declared:
                # It may be for a Worker of the same code with a configuration of its own.
                if any(f'"{use.name}"' in text for text in others(subject.project)):
                    continue
                yield self.finding(
                    use.place,
                    f"{use.name}: {use.called} is called on it, and {wrangler.document.text.path} "
                    "declares no such binding",
                )
            # What the top level has is WRA008's to compare.
            elif use.name not in {named.name for named in wrangler.top.named}:
                for environment in wrangler.environments:
                    if use.name not in {named.name for named in environment.named}:
                        yield self.finding(
                            environment.place(),
                            f"{use.name}: other environments declare it, {environment.title} does "
                            "not, and the code uses it",
                            severity=Severity.WARNING,
                        )


class UnusedBinding(Rule):
    """A binding that is declared and that no code names.

    It gives the Worker access to something that it does not need, and each deployment depends on
    that being there.

    Fix: remove it from the configuration.
    """

    id = "WRA007"
    since = "0.1.0"
    needs_worker = True
    severity = Severity.WARNING
    failing: ClassVar[Files] = {
        "wrangler.toml": toml({}, '\n[[kv_namespaces]]\nbinding = "CACHE"\n')
    }
    passing: ClassVar[Files] = {**failing, **UndeclaredBinding.failing}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Declared names against the words of the code."""
        wrangler = subject.worker
        project = subject.project
        if not project.modules or project.broken:
            return
        for environment in every(wrangler):
            for named in environment.bindings:
                # A workflow is declared by its binding, and may be started from elsewhere.
                if named.kind not in {*_SILENT, "workflows"} and not mentioned(named.name, project):
                    yield self.finding(
                        named.place, f"{named.name}: declared ({named.kind}), but no code names it"
                    )


class NotRepeated(Rule):
    """A table that an environment does not inherit and does not repeat.

    Bindings, variables and secrets of the top level are not those of `[env.NAME]`: what is not
    repeated there is missing there, and only there.

    Fix: repeat the table in the environment, with its own values.
    """

    id = "WRA008"
    since = "0.1.0"
    needs_worker = True
    severity = Severity.WARNING
    failing: ClassVar[Files] = {
        "src/service.py": UndeclaredBinding.failing["src/service.py"],
        "wrangler.toml": toml(
            {},
            '\n[[kv_namespaces]]\nbinding = "CACHE"\n\n[env.production]\nname = "example-prod"\n',
        ),
    }
    passing: ClassVar[Files] = {
        "src/service.py": UndeclaredBinding.failing["src/service.py"],
        "wrangler.toml": failing["wrangler.toml"]
        + '\n[[env.production.kv_namespaces]]\nbinding = "CACHE"\n',
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Names of the top level against those of each environment."""
        wrangler = subject.worker
        kinds = set(known()["not_inherited"])
        for environment in wrangler.environments:
            has = {named.name for named in environment.named}
            missing: dict[str, list[str]] = {}
            for named in wrangler.top.named:
                if named.kind in kinds and named.name not in has:
                    missing.setdefault(named.kind, []).append(named.name)
            for kind, names in missing.items():
                if kind in environment.data:
                    names = [each for each in names if mentioned(each, subject.project)]  # noqa: PLW2901
                if names:
                    place = environment.place(*([kind] if kind in environment.data else []))
                    yield self.finding(
                        place,
                        f"{environment.title} does not inherit {kind}: {shortened(names)} "
                        f"{'is' if len(names) == 1 else 'are'} missing there; repeat "
                        f"{'it' if len(names) == 1 else 'them'}",
                    )


class SecretInVars(Rule):
    """A secret among the variables.

    The configuration is committed, and variables are shown in the dashboard and by `wrangler
    deploy`.

    Fix: remove it, `wrangler secret put NAME`, name it under `[secrets] required`; the one that was
    committed is no secret any more: replace it where it came from.
    """

    id = "WRA009"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "wrangler.toml": toml({}, '\n[vars]\nMAIL_API_KEY = "9f8c2b7e41d05a63"\n')
    }
    passing: ClassVar[Files] = {
        "wrangler.toml": toml({}, '\n[secrets]\nrequired = ["MAIL_API_KEY"]\n')
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Variables with the name of a secret and a value that is no placeholder."""
        for environment in every(subject.worker):
            values = table(environment.data, "vars")
            for named in environment.variables:
                for name, value in _texts_in(named.name, values[named.name]):
                    if (is_secret(name) and _looks_real(value)) or _has_password(value):
                        yield self.finding(
                            named.place,
                            f"{name}: a secret among the variables; remove it, and "
                            f"wrangler secret put {named.name}",
                        )


def _texts_in(name: str, value: object) -> Iterator[tuple[str, object]]:
    """A variable, or what is in one that is a table, each with the name that is next to it."""
    pending = [(name, value)]
    while pending:
        name, value = pending.pop()
        yield name, value
        if isinstance(value, dict):
            pending += value.items()
        elif isinstance(value, list):
            pending += [(name, item) for item in value]


def _looks_real(value: object) -> bool:
    if not isinstance(value, str) or _NAME.fullmatch(value):
        return False
    return len(value) >= 8 and not _PLACEHOLDER.search(value)


# The password in an address, and whose machine it is for.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s:/@]*:([^\s/@]{8,})@([^\s/:@]+)")
_HERE = re.compile(r"localhost|127\.|0\.0\.|\[?::1|host\.docker|[^.]*$")


def _has_password(value: object) -> bool:
    """Whether a value is the address of somebody else's server, with a password in it."""
    found = _ADDRESS.match(value) if isinstance(value, str) else None
    if found is None or _HERE.match(found[2]):
        return False
    return _looks_real(found[1]) and not re.search("(?i)pass|secret|user", found[1])


class SecretNotRequired(Rule):
    """A secret that the code reads and the configuration does not require.

    What stands under `[secrets] required` is asked for: `wrangler deploy` stops when it was not
    set, and `wrangler dev` warns. Without, the first request finds out. A note, where the
    configuration has no such table at all.

    What is read with a default, `getattr(env, "NAME", None)`, is not required.

    Fix: name it under `[secrets] required`, in every environment.
    """

    id = "WRA010"
    since = "0.1.0"
    needs_worker = True
    severity = Severity.WARNING
    failing: ClassVar[Files] = {
        "wrangler.toml": toml({}, "\n[secrets]\nrequired = []\n"),
        "src/service.py": "import httpx\n\n\nasync def answer(env):\n"
        "    return httpx.__version__ + env.MAIL_API_KEY\n",
    }
    passing: ClassVar[Files] = {
        **failing,
        "wrangler.toml": toml({}, '\n[secrets]\nrequired = ["MAIL_API_KEY"]\n'),
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Names of secrets that the code takes from its environment."""
        wrangler = subject.worker
        declared = {named.name for each in every(wrangler) for named in each.named}
        listed = any("secrets" in each.data for each in every(wrangler))
        seen = {use.name for use in subject.facts.uses if use.default}
        for use in subject.facts.uses:
            if use.name in declared | seen or not is_secret(use.name):
                continue
            seen.add(use.name)
            yield self.finding(
                use.place,
                f"{use.name}: read here, but not required by the configuration; name it under "
                "[secrets] required",
                severity=None if listed else Severity.NOTE,
            )


# Numbers with bounds: the tables, the key, the least and the most.
_BOUNDS: Sequence[tuple[tuple[str, ...], str, float, float]] = (
    (("limits",), "cpu_ms", 1, 300_000),
    (("observability",), "head_sampling_rate", 0, 1),
    (("observability", "logs"), "head_sampling_rate", 0, 1),
    (("observability", "traces"), "head_sampling_rate", 0, 1),
    (("queues", "consumers"), "max_batch_size", 1, 100),
    (("queues", "consumers"), "max_batch_timeout", 0, 60),
    (("queues", "consumers"), "max_concurrency", 1, 250),
    (("queues", "consumers"), "max_retries", 0, 100),
    (("queues", "consumers"), "retry_delay", 0, 86_400),
    (("queues", "producers"), "delivery_delay", 0, 86_400),
)

# The fields of a cron, and the largest number of each.
_CRON = (("minute", 59), ("hour", 23), ("day", 31), ("month", 12), ("weekday", 7))

_WORKER_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class OutOfBounds(Rule):
    """A limit, a period or a name out of its bounds.

    Cloudflare refuses the deployment: a rate limit counts in 10 or 60 seconds, a batch of a queue
    has at most 100 messages, a sampling rate is between 0 and 1, a cron has five fields.

    Fix: take a value inside the bounds that the message names.
    """

    id = "WRA011"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\n\nasync def answer(env):\n"
        '    await env.LIMITER.limit({"key": "all"})\n    return httpx.__version__\n',
        "wrangler.toml": toml(
            {},
            '\n[[ratelimits]]\nname = "LIMITER"\nnamespace_id = "1001"\n'
            "simple = { limit = 100, period = 30 }\n",
        ),
    }
    passing: ClassVar[Files] = {
        **failing,
        "wrangler.toml": failing["wrangler.toml"].replace("period = 30", "period = 60"),
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Every bounded value of every environment."""
        for environment in every(subject.worker):
            yield from self._numbers(environment)
            yield from self._rate_limits(environment)
            yield from self._texts(environment)

    def _numbers(self, environment: Environment) -> Iterator[Finding]:
        for address, key, least, most in _BOUNDS:
            for found, data in _reached(environment.data, address):
                value = data.get(key)
                if isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                if not least <= value <= most:
                    yield self.finding(
                        environment.place(*found, key),
                        f"{key}: {value} is not between {least:g} and {most:g}",
                    )

    def _rate_limits(self, environment: Environment) -> Iterator[Finding]:
        limits = [*_reached(environment.data, ("ratelimits",))]
        limits += _reached(environment.data, ("unsafe", "bindings"))
        for found, data in limits:
            simple = table(data, "simple")
            period, limit = simple.get("period"), simple.get("limit")
            if isinstance(period, int | float) and period not in {10, 60}:
                place = environment.place(*found, "simple", "period")
                yield self.finding(place, f"period: {period} is neither 10 nor 60 seconds")
            if isinstance(limit, int | float) and limit < 1:
                place = environment.place(*found, "simple", "limit")
                yield self.finding(place, f"limit: {limit} lets nothing through")

    def _texts(self, environment: Environment) -> Iterator[Finding]:
        name = environment.data.get("name")
        good = not isinstance(name, str) or _WORKER_NAME.fullmatch(name) or _TEMPLATE.search(name)
        if not good:
            yield self.finding(
                environment.place("name"),
                "name: 1 to 63 lower-case letters, digits, - and _, with no - first or last",
            )
        for cron in strings(table(environment.data, "triggers").get("crons")):
            place = environment.place("triggers", "crons")
            if len(cron.split()) != 5:
                yield self.finding(place, f"crons: {cron!r} has not five fields")
            elif beyond := _beyond(cron):
                yield self.finding(place, f"crons: {cron!r}: {beyond}")


def _beyond(cron: str) -> str | None:
    """The first number of a cron that its field cannot be; steps and weeks left out."""
    for text, (field, most) in zip(cron.split(), _CRON, strict=True):
        for number in re.findall(r"(?<![/#\d])\d{1,9}", text):
            if int(number) > most:
                return f"{field} goes to {most}, not {number}"
    return None


def _reached(
    data: Mapping[str, Any], address: tuple[str, ...]
) -> Iterator[tuple[Address, Mapping[str, Any]]]:
    """The table at an address, or the tables of the array there, each with its address."""
    value: object = data
    for step in address:
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, dict):
        yield address, value
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield (*address, index), item


class NotObserved(Rule):
    """A Worker whose logs go nowhere.

    Without `[observability]` nothing that a Worker logs is kept: not even the traceback of a
    request that failed.

    Fix: `[observability]` with `enabled = true`; `head_sampling_rate` where it becomes too much.
    """

    id = "WRA012"
    since = "0.1.0"
    needs_worker = True
    severity = Severity.WARNING
    fixable = True
    failing: ClassVar[Files] = {"wrangler.toml": toml({"\n[observability]\nenabled = true\n": ""})}
    passing: ClassVar[Files] = {"wrangler.toml": BASE["wrangler.toml"]}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Whether logs, or all of it, are on, wherever the configuration says so."""
        wrangler = subject.worker
        if not wrangler.main or "pages_build_output_dir" in wrangler.data:
            return
        said = wrangler.data.get("observability")
        if said is None:
            if wrangler.data.get("logpush") or wrangler.data.get("tail_consumers"):
                return
            yield self.finding(
                Place(wrangler.document.text.path),
                "observability is off: nothing that the Worker logs is kept",
                edit=_observability_edit(wrangler),
            )
        for environment in every(wrangler):
            said = environment.data.get("observability")
            if isinstance(said, dict) and not (
                said.get("enabled") or table(said, "logs").get("enabled")
            ):
                yield self.finding(
                    environment.place("observability"),
                    "observability is switched off: nothing that the Worker logs is kept",
                    severity=Severity.NOTE,
                )


def _observability_edit(wrangler: Wrangler) -> Edit | None:
    expected = {**wrangler.data, "observability": {"enabled": True}}
    return tried(_observability(wrangler), wrangler.document, expected)


def _observability(wrangler: Wrangler) -> Edit:
    text = wrangler.document.text
    if text.path.suffix == ".toml":
        end = len(text.content)
        gap = "\n" if text.content.endswith("\n") else "\n\n"
        return Edit(text.path, end, end, f"{gap}[observability]\nenabled = true\n")
    places = [wrangler.place(key) for key in wrangler.data]
    first = min(text.offset(place.line, place.column) for place in places)
    # Before the first key, and with the same space between.
    start = text.content.rfind('"', 0, first + 1)
    before = re.search(r"\s*$", text.content[:start])
    gap = (before[0] if before else "").replace("\r", "")
    gap = gap[gap.rfind("\n") :] if "\n" in gap else gap
    return Edit(text.path, start, start, f'"observability": {{ "enabled": true }},{gap}')


class BoundTwice(Rule):
    """Two bindings of one name.

    wrangler refuses it: a name in the Worker's environment is one thing.

    Fix: rename one of them.
    """

    id = "WRA013"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "src/service.py": UndeclaredBinding.failing["src/service.py"],
        "wrangler.toml": toml(
            {}, '\n[[kv_namespaces]]\nbinding = "CACHE"\n\n[vars]\nCACHE = "in memory"\n'
        ),
    }
    passing: ClassVar[Files] = {
        "src/service.py": UndeclaredBinding.failing["src/service.py"],
        "wrangler.toml": toml(
            {}, '\n[[kv_namespaces]]\nbinding = "CACHE"\n\n[vars]\nCACHE_KIND = "in memory"\n'
        ),
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The names of each environment."""
        for environment in every(subject.worker):
            seen: dict[str, Named] = {}
            for named in environment.named:
                first = seen.setdefault(named.name, named)
                if first is not named:
                    yield self.finding(
                        named.place,
                        f"{named.name}: bound twice, under {first.kind} (line {first.place.line}) "
                        f"and {named.kind}",
                    )


class TwoFiles(Rule):
    """Two wrangler configurations side by side.

    wrangler and pywrangler do not read the same one: pywrangler looks for wrangler.toml first,
    wrangler for wrangler.json and wrangler.jsonc.

    Fix: keep one of them.
    """

    id = "WRA014"
    since = "0.1.0"
    needs_worker = True
    severity = Severity.WARNING
    failing: ClassVar[Files] = {
        "wrangler.jsonc": '{ "name": "example", "main": "src/entry.py" }\n',
    }
    passing: ClassVar[Files] = {"wrangler.toml": BASE["wrangler.toml"]}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The files of the project's folder."""
        found = [path for path in WRANGLER_FILES if subject.project.has(str(path))]
        if len(found) > 1:
            yield self.finding(
                Place(PurePosixPath(found[1])),
                f"{found[0]} is there too, and pywrangler reads that one; keep one of them",
            )


class NoClass(Rule):
    """A Durable Object or Workflow without its class or its migration.

    The class is looked up in the main module when the Worker is deployed, and a Durable Object's
    storage is made by a migration that names the class (or by `exports`): without either, the
    deployment fails.

    Fix: define or import the class in the main module; add it to `new_sqlite_classes` of a
    migration.
    """

    id = "WRA015"
    since = "0.1.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\n\nasync def answer(env):\n"
        '    await env.ROOMS.getByName("lobby")\n    return httpx.__version__\n',
        "wrangler.toml": toml(
            {}, '\n[[durable_objects.bindings]]\nname = "ROOMS"\nclass_name = "Room"\n'
        ),
    }
    passing: ClassVar[Files] = {
        "src/service.py": failing["src/service.py"],
        "src/entry.py": BASE["src/entry.py"]
        .replace("import Response", "import DurableObject, Response")
        .rstrip()
        + "\n\n\nclass Room(DurableObject):\n    pass\n",
        "wrangler.toml": failing["wrangler.toml"]
        + '\n[[migrations]]\ntag = "v1"\nnew_sqlite_classes = ["Room"]\n',
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The classes that bindings name."""
        wrangler = subject.worker
        project = subject.project
        if not project.modules or project.broken:
            return
        for environment in every(wrangler):
            made = _migrated(environment, wrangler)
            objects = tables(table(environment.data, "durable_objects").get("bindings"))
            flows = tables(environment.data.get("workflows"))
            for kind, items in (("durable_objects", objects), ("workflows", flows)):
                for index, item in enumerate(items):
                    name = item.get("class_name")
                    if not isinstance(name, str) or "script_name" in item:
                        continue
                    steps = ("bindings",) if kind == "durable_objects" else ()
                    place = environment.place(kind, *steps, index, "class_name")
                    if not _has_class(name, subject):
                        yield self.finding(place, f"{name}: there is no such class")
                    elif kind == "durable_objects" and name not in made:
                        yield self.finding(
                            place, f"{name}: no migration makes it; add it to new_sqlite_classes"
                        )


def _has_class(name: str, subject: Subject) -> bool:
    """Whether the code has a class of a name, or may bring one."""
    if name in subject.facts.classes:
        return True
    # It may be imported, assigned, or made by something that brings all that it has.
    brought = {given for each in subject.facts.statements for given in each.names}
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return not brought.isdisjoint({name, "*"}) or any(
        word.search(ast.unparse(node))
        for module in subject.project.modules
        for node in module.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr | ast.Import | ast.ImportFrom)
    )


def _migrated(environment: Environment, wrangler: Wrangler) -> set[str]:
    """The classes that migrations, or exports, have made."""
    made = {*table(environment.data, "exports"), *table(wrangler.data, "exports")}
    listed = environment.data.get("migrations", wrangler.data.get("migrations"))
    for migration in tables(listed):
        for key in ("new_classes", "new_sqlite_classes"):
            made.update(strings(migration.get(key)))
        for key in ("renamed_classes", "transferred_classes"):
            made.update(str(each.get("to")) for each in tables(migration.get(key)))
    return made
