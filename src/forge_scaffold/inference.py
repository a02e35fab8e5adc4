"""What an existing Worker would have answered: read from its code and configuration.

Nothing of the project is imported or run, and no value of a secret is read. Each answer names the
line that shows it. Where nothing shows a feature the Worker does not have it, so the answer is
`none` or no; where the template has no such choice, it is the template's default.
"""

import ast
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from forge_scaffold.config import ProvidedAnswer
from forge_scaffold.documents import Place
from forge_scaffold.project import Module, Project, table
from forge_scaffold.questions import Question, Questionnaire
from forge_scaffold.wrangler import Environment

Kind: TypeAlias = Literal["import", "package", "name", "text", "table"]


class Sign(NamedTuple):
    """One thing to look for.

    Attributes:
        kind: an imported module, a declared package, an identifier or variable, a string, or a
            table of the wrangler configuration with its names.
        pattern: matches the whole of it; for a string, a part.
    """

    kind: Kind
    pattern: re.Pattern[str]


class Rule(NamedTuple):
    """When a choice is taken.

    Attributes:
        choice: the answer, or one of several.
        groups: each needs one of its signs.
        general: true of the rules before it as well, so it is no rival of theirs.
    """

    choice: str | bool
    groups: tuple[tuple[Sign, ...], ...]
    general: bool = False


class Evidence(NamedTuple):
    """Where a rule holds: `wrangler.toml:12 d1_databases DB`."""

    rule: Rule
    shown: str


def _signs(**patterns: str) -> tuple[Sign, ...]:
    kinds: Mapping[str, Kind] = {
        "imports": "import", "packages": "package", "names": "name",
        "texts": "text", "tables": "table",
    }  # fmt: skip
    return tuple(Sign(kinds[kind], re.compile(text)) for kind, text in patterns.items())


def _provider(name: str, *, modules: str, variables: str, texts: str, gateway: str) -> Rule:
    packages = modules.replace(r"\.", "-").replace("_", "-")
    route = rf"gateway\.ai\.cloudflare\.com/v1/[^/\s]+/[^/\s]+/{gateway}\b"
    signs = _signs(
        imports=rf"(?:{modules})(?:\..*)?",
        packages=packages,
        names=rf"(?i)(?:{variables})_(?:API_KEY|KEY|TOKEN|BASE_URL|API_BASE|MODEL|MODEL_NAME)",
        texts=rf"(?i)\b(?:{texts})\b|{route}",
    )
    return Rule(name, (signs,))


def _feature(*groups: tuple[Sign, ...]) -> tuple[Rule, ...]:
    """A yes-or-no question: yes when each group shows."""
    return (Rule(choice=True, groups=groups),)


# Revocation has a store, and something that says what is in it: KV and Redis alone are caches.
_REVOKED = r".*(?i:revok|revocation|deny_?list|block_?list|black_?list).*"
_UPSTASH = _signs(
    imports=r"upstash_redis(?:\..*)?", names=r"UPSTASH_REDIS_\w+", texts=r"\.upstash\.io\b"
)

# The first rule that holds answers a question, all that hold where several choices may be taken.
RULES: Mapping[str, tuple[Rule, ...]] = {
    "providers": (
        _provider(
            "openai",
            modules="openai|langchain_openai|llama_index.llms.openai",
            variables="OPENAI",
            texts=r"api\.openai\.com",
            gateway="openai",
        ),
        _provider(
            "anthropic",
            modules="anthropic|langchain_anthropic",
            variables="ANTHROPIC|CLAUDE",
            texts=r"api\.anthropic\.com",
            gateway="anthropic",
        ),
        _provider(
            "cohere",
            modules="cohere|langchain_cohere",
            variables="COHERE",
            texts=r"api\.cohere\.(?:com|ai)",
            gateway="cohere",
        ),
        _provider(
            "google",
            modules=r"google\.genai|google\.generativeai|langchain_google_genai",
            # GOOGLE_API_KEY alone may be the key for Maps.
            variables="GEMINI|GOOGLE_GENAI|GOOGLE_GENERATIVE_AI|GOOGLE(?!_API_KEY|_KEY|_TOKEN)",
            texts=r"generativelanguage\.googleapis\.com",
            gateway="google-ai-studio",
        ),
        _provider(
            "mistral",
            modules="mistralai|langchain_mistralai",
            variables="MISTRAL",
            texts=r"api\.mistral\.ai",
            gateway="mistral",
        ),
        _provider(
            "openai-compatible",
            modules="groq|together|openrouter|langchain_groq|langchain_together",
            variables="GROQ|OPENROUTER|TOGETHER|DEEPSEEK|FIREWORKS|OPENAI_COMPATIBLE",
            texts=r"openrouter\.ai|api\.(?:groq\.com|deepseek\.com|x\.ai|together\.xyz)",
            gateway=r"(?:compat|groq|openrouter|deepseek|grok|custom-[\w-]+)",
        ),
    ),
    "ai_gateway": _feature(
        _signs(
            names=r"(?i)(?:CF_|CLOUDFLARE_)?AI_GATEWAY(?:_\w+)?|CF_AIG_\w+",
            texts=r"(?i)\bgateway\.ai\.cloudflare\.com\b|\bcf-aig-[a-z-]+",
        )
    ),
    "auth": (
        Rule(
            "clerk",
            (
                _signs(
                    imports=r"clerk_backend_api(?:\..*)?|(?:.*\.)?clerk(?:_\w+)?",
                    packages="clerk-backend-api",
                    names=r"CLERK_\w+",
                    texts=r"(?i)\bapi\.clerk\.(?:com|dev)\b|\.clerk\.accounts\.dev\b|https://clerk\.",
                ),
            ),
        ),
        Rule(
            "cloudflare-access",
            (
                _signs(
                    names=r"(?i)(?:CF|CLOUDFLARE)_ACCESS_\w+",
                    texts=r"(?i)\bcf-access-jwt-assertion\b|\.cloudflareaccess\.com\b",
                ),
            ),
        ),
        Rule(
            "oidc",
            (
                _signs(
                    names=r"(?i)OIDC_\w+|AUTH0_\w+|OKTA_\w+|(?:\w+_)?JWKS_UR[IL]",
                    texts=r"\.well-known/(?:openid-configuration|jwks\.json)\b",
                ),
            ),
            general=True,
        ),
    ),
    "revocation": (
        Rule("kv", (_signs(tables=rf"kv_namespaces {_REVOKED}"),)),
        Rule("upstash-redis", (_UPSTASH, _signs(names=_REVOKED))),
        Rule("kv", (_signs(tables="kv_namespaces.*"), _signs(names=_REVOKED))),
    ),
    "database": (
        Rule("d1", (_signs(tables="d1_databases.*"),)),
        Rule(
            "turso",
            (
                _signs(
                    imports=r"(?:libsql|libsql_client|libsql_experimental)(?:\..*)?",
                    packages="libsql|libsql-client|libsql-experimental",
                    names=r"(?i)(?:TURSO|LIBSQL)_\w+",
                    texts=r"\blibsql://|\.turso\.io\b",
                ),
            ),
        ),
    ),
    "telemetry": (
        Rule("analytics-engine", (_signs(tables="analytics_engine_datasets.*"),)),
        Rule(
            "otlp",
            (
                _signs(
                    imports=r"opentelemetry(?:\..*)?",
                    names=r"OTEL_EXPORTER_OTLP_\w+",
                    tables=r"observability\.(?:logs|traces)\.destinations.*",
                ),
            ),
        ),
    ),
    "bucket": _feature(_signs(tables="r2_buckets.*")),
    "search": _feature(_signs(tables="vectorize.*"), _signs(tables="ai .*")),
    "quota": _feature(_signs(tables=r"(?i)durable_objects\.bindings .*quota.*")),
    "queue": _feature(_signs(tables=r"queues\.producers.*"), _signs(tables=r"queues\.consumers.*")),
    "cron": _feature(_signs(tables=r"triggers\.crons.*")),
    "workflow": _feature(_signs(tables="workflows.*")),
}

# What comes near a question and is none of its choices: the user decides.
NEAR: Mapping[str, tuple[Sign, ...]] = {
    "providers": _signs(
        imports=r"litellm(?:\..*)?",
        texts=r"@cf/",
        tables="ai .*",
    ),
    "auth": _signs(
        imports=r"(?:jwt|jose|joserfc|authlib)(?:\..*)?",
        names=r"(?i)JWT_\w+|verify_(?:\w+_)?token|require_auth\w*",
    ),
    "revocation": _signs(names=_REVOKED),
    "database": _signs(
        imports=r"(?:asyncpg|psycopg2?|pg8000|pymysql|aiomysql|supabase|pymongo|motor)(?:\..*)?",
        tables="hyperdrive.*",
    ),
    "telemetry": _signs(imports=r"(?:sentry_sdk|logfire|langfuse|langsmith)(?:\..*)?"),
    "search": _signs(tables="vectorize.*"),
    "quota": _signs(names=r"(?i)\w*quota\w*"),
    "queue": _signs(tables=r"queues\..*"),
}

# Where wrangler configures what the questions are about.
TABLES: tuple[tuple[str, ...], ...] = (
    ("ai",),
    ("analytics_engine_datasets",),
    ("d1_databases",),
    ("durable_objects", "bindings"),
    ("hyperdrive",),
    ("kv_namespaces",),
    ("observability", "logs", "destinations"),
    ("observability", "traces", "destinations"),
    ("queues", "consumers"),
    ("queues", "producers"),
    ("r2_buckets",),
    ("triggers", "crons"),
    ("vectorize",),
    ("workflows",),
)

LONGEST = 200
"""Names longer than this many characters are ignored: patterns would take long on them."""

_IDENTIFIER = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)
_PACKAGE = re.compile(r"\s*([\w.-]+)")
_WORDS: Mapping[Kind, str] = {"import": "imports ", "package": "depends on "}


@dataclass(frozen=True)
class Facts:
    """What a project shows, each with the first place that shows it.

    Attributes:
        seen: by kind, from the text to its place.
    """

    seen: Mapping[Kind, dict[str, Place]] = field(
        default_factory=lambda: {"import": {}, "package": {}, "name": {}, "text": {}, "table": {}}
    )

    @classmethod
    def of(cls, project: Project) -> "Facts":
        """What the project's configuration, manifest and modules show, in this order."""
        facts = cls()
        if project.wrangler:
            for environment in (project.wrangler.top, *project.wrangler.environments):
                facts._read_environment(environment)
        facts._read_dependencies(project)
        for module in project.modules:
            facts._read_module(module, project.own_modules)
        return facts

    def find(self, sign: Sign) -> str | None:
        """The first thing that matches, as evidence: `src/main.py:3 imports openai`."""
        whole = sign.kind != "text"
        for text, place in self.seen[sign.kind].items():
            if match := sign.pattern.fullmatch(text) if whole else sign.pattern.search(text):
                # Of a string only what matched: the rest may hold credentials.
                shown = match[0].strip().lstrip(".") if whole else match[0]
                return f"{place.path}:{place.line} {_WORDS.get(sign.kind, '')}{shown}"
        return None

    def evidence(self, rule: Rule) -> Evidence | None:
        """What shows the rule's choice; None when one of its groups shows nothing."""
        found = [self._any(group) for group in rule.groups]
        shown = [text for text in found if text]
        return Evidence(rule, ", ".join(shown)) if len(shown) == len(found) else None

    def _any(self, signs: Iterable[Sign]) -> str | None:
        return next(filter(None, map(self.find, signs)), None)

    def near(self, question: str) -> str | None:
        """What comes near the question without being one of its choices."""
        return self._any(NEAR.get(question, ()))

    def _add(self, kind: Kind, text: str, place: Place) -> None:
        if kind == "text" or len(text) <= LONGEST:
            self.seen[kind].setdefault(text, place)

    def _read_environment(self, environment: Environment) -> None:
        for named in environment.named:
            self._add("name", named.name, named.place)
        for name, value in table(environment.data, "vars").items():
            if isinstance(value, str):
                self._add("text", value, environment.place("vars", name))
        for address in TABLES:
            for text, place in _configured(environment, address):
                self._add("table", text, place)

    def _read_dependencies(self, project: Project) -> None:
        for index, requirement in enumerate(project.dependencies):
            if project.manifest and (name := _PACKAGE.match(requirement)):
                place = project.manifest.place_of_item("project", "dependencies", index)
                self._add("package", re.sub(r"[-_.]+", "-", name[1]).lower(), place)

    def _read_module(self, module: Module, own: Container[str]) -> None:
        docstrings: set[ast.AST] = set()
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Expr):
                docstrings.add(node.value)
            elif node not in docstrings or not isinstance(node, ast.Constant):
                for kind, text in _mentions(node, own):
                    if text not in self.seen[kind]:
                        self._add(kind, text, Place(module.path, getattr(node, "lineno", 1)))


def _configured(environment: Environment, address: tuple[str, ...]) -> Iterator[tuple[str, Place]]:
    """What a table configures, as its address and its names; what other Workers run is not."""
    value: object = environment.data
    for key in address:
        value = value.get(key) if isinstance(value, dict) else None
    items = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
    for index, item in enumerate(items):
        entry = item if isinstance(item, dict) else {}
        if "script_name" not in entry:
            names = (entry.get(key) for key in ("binding", "name", "class_name", "queue"))
            words = " ".join(name for name in names if isinstance(name, str))
            yield f"{'.'.join(address)} {words}", environment.place(*address, index)


def _mentions(node: ast.AST, own: Container[str]) -> Iterator[tuple[Kind, str]]:
    """What a node of the syntax tree shows; the project's own modules begin with a dot."""
    match node:
        case ast.Import(names=names):
            yield from (("import", _module(alias.name, own)) for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            name = _module(f"{'.' * level}{module or ''}", own)
            yield "import", name
            yield from (("import", f"{name}.{alias.name}") for alias in names)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield "name", name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield "name", name
        case ast.arg(arg=name) | ast.keyword(arg=str(name)):
            yield "name", name
        case ast.JoinedStr(values=values):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in values)
            yield "text", "".join(parts)
        case ast.Constant(value=str(text)):
            yield "text", text
            if _IDENTIFIER.fullmatch(text):
                yield "name", text


def _module(name: str, own: Container[str]) -> str:
    return f".{name}" if name.partition(".")[0] in own else name


def infer(
    project: Project, questionnaire: Questionnaire, provided: Mapping[str, ProvidedAnswer]
) -> dict[str, ProvidedAnswer]:
    """The answers that a project shows, completed to all questions that apply.

    Args:
        project: a Worker.
        questionnaire: the questions.
        provided: the user's own answers, which win.

    Returns:
        Every answer with its origin: the line that shows it, or that nothing does.
    """
    facts = Facts.of(project)
    answers: dict[str, ProvidedAnswer] = {}
    values: dict[str, object] = {}
    for question in questionnaire:
        name = question.name
        if name in provided:
            answers[name] = provided[name]
        elif questionnaire.applies(question, values):
            answers[name] = _answer(question, project, facts, questionnaire, values)
        else:
            continue
        values[name] = answers[name].value
    # Names that are no questions, for whoever checks the answers.
    return {**answers, **{name: told for name, told in provided.items() if name not in answers}}


def _answer(
    question: Question,
    project: Project,
    facts: Facts,
    questionnaire: Questionnaire,
    values: Mapping[str, object],
) -> ProvidedAnswer:
    default = questionnaire.default(question, values)
    if question.name in RULES:
        return _by_rules(question, facts, default)
    shown = _identity(question.name, project)
    if shown is None:
        return ProvidedAnswer(default, "default")
    if problem := questionnaire.problem(question, shown.value, values):
        return ProvidedAnswer(default, f"default, not {shown.origin}: {problem}")
    return shown


def _by_rules(question: Question, facts: Facts, default: object) -> ProvidedAnswer:
    found = [evidence for rule in RULES[question.name] if (evidence := facts.evidence(rule))]
    fitting = [item for item in found if not question.outside_choices(item.rule.choice)]
    if question.multiselect and fitting:
        taken = {item.rule.choice for item in fitting}
        values = [choice for choice in question.choices if choice in taken]
        return ProvidedAnswer(values, "; ".join(item.shown for item in fitting))
    if fitting:
        first, *others = fitting
        rivals = [
            f"; also {item.rule.choice}: {item.shown}"
            for item in others
            if item.rule.choice != first.rule.choice and not item.rule.general
        ]
        return ProvidedAnswer(first.rule.choice, "".join([first.shown, *rivals]))
    absent: object = False if question.kind is bool else "none"
    has_absent = not question.multiselect and not question.outside_choices(absent)
    reason = "nothing shows it"
    if near := found[0].shown if found else facts.near(question.name):
        reason = f"{'unclear' if question.kind is bool else 'no choice matches'}: {near}"
    return ProvidedAnswer(*(absent, reason) if has_absent else (default, f"default; {reason}"))


def _identity(name: str, project: Project) -> ProvidedAnswer | None:
    """The service's name and description as its configuration has them."""
    manifest, wrangler = project.manifest, project.wrangler
    candidates: list[tuple[object, Place]] = []
    if name == "service_name" and wrangler:
        candidates.append((wrangler.data.get("name"), wrangler.place("name")))
    if manifest and (key := {"service_name": "name", "description": "description"}.get(name)):
        metadata = table(manifest.data, "project")
        candidates.append((metadata.get(key), manifest.place("project", key)))
    for value, place in candidates:
        if isinstance(value, str) and value:
            return ProvidedAnswer(value, f"{place.path}:{place.line}")
    return None
