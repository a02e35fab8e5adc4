"""SEC: secrets where others can read them. No message ever shows one."""

import ast
import base64
import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.code.scope import Scope
from forge_scaffold.checks.code.walk import ENV, is_env
from forge_scaffold.checks.configuration import every, python_worker
from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.finding import Edit, Finding, Severity
from forge_scaffold.checks.git import ignore_lines, ignored, tracked
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.checks.tokens import tokens
from forge_scaffold.checks.words import SECRET_NAME, is_secret
from forge_scaffold.documents import Place, Text
from forge_scaffold.project import Project

# Files of secrets, and the examples of them that are there to be copied.
_SECRETS = re.compile(r"\.(?:dev\.vars|env)(?:\.[\w.-]+)?")
_EXAMPLE = re.compile(r"\.(?:example|sample|template|dist|tpl)$|\.example\.")
_ASSIGNED = re.compile(r"^\s*(?:export\s+)?\w+\s*=\s*[\"']?[^\s\"'#]", re.MULTILINE)

# What holds no text that people write: pictures, archives, what a program has made.
_OPAQUE = frozenset(
    {
        ".7z", ".a", ".avif", ".bin", ".bmp", ".br", ".bz2", ".class", ".db", ".dll", ".doc",
        ".docx", ".dylib", ".eot", ".exe", ".flac", ".gguf", ".gif", ".gz", ".heic", ".icns",
        ".ico", ".jar", ".jpeg", ".jpg", ".lock", ".m4a", ".map", ".mkv", ".mov", ".mp3", ".mp4",
        ".npy", ".npz", ".o", ".odt", ".ogg", ".onnx", ".otf", ".parquet", ".pdf", ".pkl", ".png",
        ".ppt", ".pptx", ".psd", ".pyc", ".pyd", ".rar", ".safetensors", ".so", ".sqlite",
        ".sqlite3", ".sum", ".svg", ".tar", ".tgz", ".tif", ".tiff", ".ttf", ".wasm", ".wav",
        ".webm", ".webp", ".whl", ".woff", ".woff2", ".xls", ".xlsx", ".xz", ".zip", ".zst",
    }
)  # fmt: skip
_LOCKS = frozenset({"npm-shrinkwrap.json", "package-lock.json", "pnpm-lock.yaml", "pylock.toml"})

# So much of a file shows that it is no text.
_HEAD = 8_192


# A long word in quotes, and before it on its line a name that says it is secret.
_WORD = re.compile(r"""["']([A-Za-z0-9+/_=-]{20,})["']""")
_PASSWORD = re.compile(r"""://[^\s:/@"']{0,60}:([A-Za-z0-9+_=-]{12,100})@""")
_NAMED = re.compile(
    r"(?i)(?:api_?key|secret|token|passwd|password|private_?key|access_?key)"
    r"""\w*["']?(?:\s*[:=,]|\s*:[\w\s.\[\]|]{1,40}=)\s*$"""
)
# A line of a format that needs no quotes; a Dockerfile has no suffix.
_UNQUOTED = frozenset(
    {
        "", ".bash", ".bat", ".conf", ".env", ".ini", ".properties", ".ps1", ".sh", ".tfvars",
        ".yaml", ".yml", ".zsh",
    }
)  # fmt: skip
_VALUE = re.compile(
    r"(?im)^[\s-]*(?:(?:export|ENV|ARG|set)\s+|\$env:)?[\w./:-]*"
    r"(?:api_?key|secret|token|passwd|password|private_?key|access_?key)"
    r"\w*\s*[:=][ \t]*([A-Za-z0-9+/_=-]{20,})[ \t]*(?:#.*)?$"
)
# What needs no name before it.
_TELL = frozenset({_PASSWORD, _VALUE})
_PUBLIC = re.compile(
    r"(?i)(?:^|[^a-z])(?:public|publishable|anon|site)_?-?(?:[a-z]{1,10}_?-?){0,2}(?:key|token)"
)
# What was made of a secret, and does not give it back: a baseline of detect-secrets is full of it.
_HASHED = re.compile(r"(?i)hashed_|[_-](?:checksum|digest|fingerprint|hash)\b")

# So much of a line before a word says what it is: a whole file may be one line.
_BEFORE = 200
_FAKE = re.compile(
    r"(?i)example|fake|dummy|sample|mock|test|placeholder|changeme|your|xxxx|1234567"
)


def _written(project: Project) -> Iterator[tuple[PurePosixPath, str]]:
    """What people wrote, with files of secrets left out: those are not to be shared at all."""
    for path in project.files:
        if _SECRETS.fullmatch(path.name):
            written = _EXAMPLE.search(path.name) is not None
        else:
            written = path.suffix.lower() not in _OPAQUE and path.name not in _LOCKS
            written = written and ".min." not in path.name
        text = project.shown(path) if written else ""
        if "\0" not in text[:_HEAD]:
            yield path, text


def _is_shared(project: Project, path: PurePosixPath) -> bool:
    """Whether others get a file: git has it, or does not leave it out."""
    if str(path) in (tracked(project.root) or ()):
        return True
    return not ignored(str(path), ignore_lines(project.root))


class SecretsCommitted(Rule):
    """A file of secrets that is, or will be, committed.

    `.dev.vars` and `.env` hold the secrets of your own machine. In git they are everybody's, and
    stay so in its history. A file that git does not have yet is a warning, where no .gitignore
    keeps it out.

    Fix: `git rm --cached FILE`, a line in .gitignore, and new secrets in place of those committed.
    `--fix` writes the line.
    """

    id = "SEC001"
    since = "0.1.0"
    fixable = True
    failing: ClassVar[Files] = {".dev.vars": 'MAIL_API_KEY="9f8c2b7e41d05a63"\n', ".gitignore": ""}
    passing: ClassVar[Files] = {
        ".dev.vars": 'MAIL_API_KEY="9f8c2b7e41d05a63"\n',
        ".gitignore": ".dev.vars*\n.env*\n",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Files of secrets with values in them, against git's index and .gitignore."""
        project = subject.project
        found = [path for path in project.files if _SECRETS.fullmatch(path.name)]
        for path in found:
            if _EXAMPLE.search(path.name) or not _ASSIGNED.search(project.shown(path)):
                continue
            known = tracked(project.root)
            if known is not None and str(path) in known:
                yield self.finding(
                    Place(path),
                    f"{path.name} is committed: git rm --cached {path}, and replace what is in it",
                )
            elif not ignored(str(path), ignore_lines(project.root)):
                yield self.finding(
                    Place(path),
                    f"{path.name} holds secrets, and no .gitignore keeps it out of git",
                    severity=Severity.WARNING,
                    edit=_ignore(project, path.name),
                )


def _ignore(project: Project, name: str) -> Edit:
    path = PurePosixPath(".gitignore")
    text = project.shown(path)
    start = len(text)
    gap = "" if not text or text.endswith("\n") else "\n"
    return Edit(path, start, start, f"{gap}{name}\n")


class Token(Rule):
    """A token in a file.

    Keys of Cloudflare, OpenAI, Anthropic, AWS, GitHub, Stripe and many others, private keys and
    signed tokens are known by their shape, or by the name that they are given. Whoever reads the
    repository can use them. Keys of a test mode, expired tokens, and files that git leaves out are
    not reported.

    Fix: take it out, replace it where it came from, and `wrangler secret put` the new one. What is
    public, or made for a test, gets a comment: `# forge: ignore[SEC002]`.
    """

    id = "SEC002"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "src/service.py": 'import httpx\n\nKEY = "sk-ant-api03-'
        "R4nD0mL00k1ngT0k3nQ7"
        '"\n\n\nasync def answer(env):\n    return KEY + httpx.__version__\n'
    }
    passing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\n\nasync def answer(env):\n"
        "    return env.ANTHROPIC_API_KEY + httpx.__version__\n",
        "wrangler.toml": BASE["wrangler.toml"] + '\n[secrets]\nrequired = ["ANTHROPIC_API_KEY"]\n',
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Every text of the project."""
        for path, text in _written(subject.project):
            for token in tokens(text):
                if _is_harmless(token.text) or not _is_shared(subject.project, path):
                    continue
                width = 0 if "\n" in token.text else len(token.text)
                yield self.finding(
                    Text(path, text).place_at(token.start, width),
                    f"a token ({token.maker}) in a file that others read; take it out and replace "
                    "it",
                )


def _is_harmless(token: str) -> bool:
    """Whether what looks like a token is made up, or may be known."""
    # The last part is the secret: of `T000/B000/XXXX` in the maker's own words.
    is_example = len(set(re.split(r"[/._-]", token)[-1])) == 1
    return is_example or bool(_FAKE.search(token)) or _entropy(token[8:]) < 3 or _public(token)


def _entropy(text: str) -> float:
    """Bits a character (Shannon)."""
    counts = Counter(text)
    total = len(text) or 1
    return -sum(count / total * math.log2(count / total) for count in counts.values())


def _public(token: str) -> bool:
    """Whether a JSON Web Token opens nothing: made up, expired, or one that front ends carry."""
    if not token.startswith("eyJ"):
        return False
    payload = token.split(".")[1]
    try:
        text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
        claims = json.loads(text)
    except (RecursionError, ValueError):
        return True
    if not isinstance(claims, dict) or claims.get("role") == "anon" or _FAKE.search(text):
        return True
    expires = claims.get("exp")
    return isinstance(expires, int | float) and expires < time.time()


class RandomValue(Rule):
    """A value that looks random under a name that says it is secret.

    A key of one's own has no known shape, but people call it what it is: `password`, `api_key`,
    `secret`.

    Fix: take it out, replace it where it came from, and `wrangler secret put` the new one. What is
    public, or made for a test, gets a comment: `# forge: ignore[SEC003]`.
    """

    id = "SEC003"
    since = "0.1.0"
    severity = Severity.WARNING
    failing: ClassVar[Files] = {
        "src/service.py": 'import httpx\n\nAPI_KEY = "u8Zk2Qx7Wm4Rt9Lp3Vn6Hs1B"\n\n\n'
        "async def answer(env):\n    return API_KEY + httpx.__version__\n"
    }
    passing: ClassVar[Files] = {
        "src/service.py": 'import httpx\n\nAPI_KEY = "MAIL_API_KEY"\n\n\n'
        "async def answer(env):\n    return getattr(env, API_KEY, httpx.__version__)\n"
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Every text of the project, but for the variables that are WRA009's."""
        worker = python_worker(subject.project)
        named = [each for one in every(worker) for each in one.variables]
        others = {(each.place.path, each.place.line) for each in named if is_secret(each.name)}
        for path, text in _written(subject.project):
            for match in _words(text, path):
                value, start = match[1], match.start(1)
                if not _random(value):
                    continue
                before = text[max(start - _BEFORE, 0) : start - 1].rpartition("\n")[2]
                if _FAKE.search(before + value) or any(tokens(f"{before}{text[start - 1]}{value}")):
                    continue
                if _PUBLIC.search(before) or _HASHED.search(before[-100:]):
                    continue
                if match.re in _TELL or _NAMED.search(before[-100:]):
                    place = Text(path, text).place_at(start, len(value))
                    known = (place.path, place.line) in others
                    if not known and _is_shared(subject.project, path):
                        yield self.finding(
                            place,
                            "what looks like a secret in a file that others read; take it out and "
                            "replace it",
                        )


def _words(text: str, path: PurePosixPath) -> Iterator[re.Match[str]]:
    """What may be a secret, each in a group: words in quotes, passwords of addresses, values."""
    yield from _WORD.finditer(text)
    if "://" in text:
        yield from _PASSWORD.finditer(text)
    if path.suffix in _UNQUOTED or _SECRETS.fullmatch(path.name):
        yield from _VALUE.finditer(text)


def _random(value: str) -> bool:
    """Whether a string looks random: no words, some digits, and many different characters."""
    digits = sum(character.isdigit() for character in value)
    words = re.split(r"[-_./=+]", value)
    plain = all(not word or word.isalpha() or word.isdigit() for word in words)
    return digits >= 3 and digits < len(value) and not plain and _entropy(value) >= 3.5


_EVERY_HEADER = "every header of the request"


class SecretLogged(Rule):
    """A secret on its way into a log.

    Logs are kept, searched, and sent to others. The whole environment has every secret in it, and
    `get_secret_value()` takes the wrapping off that keeps one out of a log. A request's headers are
    how secrets come: `Authorization`, cookies, keys.

    Fix: log what happened, not what it happened with.
    """

    id = "SEC004"
    since = "0.1.0"
    calls = (
        "js.console.*", "logging.*", "pprint.pp", "pprint.pprint", "print", "sys.stderr.write",
        "sys.stdout.write",
    )  # fmt: skip
    methods = ("critical", "debug", "error", "exception", "info", "log", "warning")
    nodes = (ast.ClassDef,)
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\n\nasync def answer(env):\n"
        '    print(f"started with {env}")\n    return httpx.__version__\n'
    }
    passing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\n\nasync def answer(env):\n"
        '    print("started")\n    return httpx.__version__\n'
    }

    def __init__(self) -> None:
        self._bare = False
        self._logged: list[Place] = []

    def visit(self, node: ast.AST, scope: Scope) -> Iterator[Finding]:
        """What is handed to print and to loggers; settings that do not hide their secrets."""
        if isinstance(node, ast.ClassDef):
            if node.name.endswith("Settings") and any(map(_bare_secret, node.body)):
                self._bare = True
        elif isinstance(node, ast.Call):
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                for part in _logged(argument, scope):
                    if what := _secret(part, scope):
                        # Not every request brings a secret in them.
                        mild = Severity.WARNING if what == _EVERY_HEADER else None
                        message = f"{what} goes into the log"
                        yield self.finding(scope.place(part), message, severity=mild)
                    elif _is_settings(part):
                        self._logged.append(scope.place(part))

    def check(self, subject: Subject) -> Iterator[Finding]:  # noqa: ARG002 - it has seen all
        """Settings that are logged, where their secrets are plain strings."""
        for place in self._logged if self._bare else ():
            yield self.finding(
                place, "settings go into the log, and their secrets are plain strings: SecretStr"
            )


def _bare_secret(node: ast.stmt) -> bool:
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
        return False
    kind = ast.unparse(node.annotation)
    return is_secret(node.target.id) and re.search(r"\bstr\b", kind) is not None


# What shows what it is given, as it is.
_SHOWS = frozenset({"dict", "format", "json.dumps", "list", "repr", "str", "tuple", "vars"})


def _logged(node: ast.expr, scope: Scope) -> Iterator[ast.expr]:
    """What an argument shows: itself, or the parts that it is put together of."""
    pending = [node]
    while pending:
        node = pending.pop()
        parts = _parts(node, scope)
        if parts is None:
            yield node
        else:
            pending += reversed(parts)


def _parts(node: ast.expr, scope: Scope) -> list[ast.expr] | None:
    """What is seen of an expression in its place; None for what is seen itself."""
    parts: list[ast.expr] | None = None
    match node:
        case ast.JoinedStr() | ast.Dict():
            parts = node.values
        case ast.FormattedValue() | ast.NamedExpr() | ast.Starred():
            parts = [node.value]
        case ast.BinOp():
            parts = [node.left, node.right]
        case ast.List() | ast.Tuple() | ast.Set():
            parts = node.elts
        case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="format" | "join")):
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        case ast.Call(func=ast.Name() | ast.Attribute()) if scope.name(node.func) in _SHOWS:
            parts = node.args
    return parts


def _secret(node: ast.expr, scope: Scope) -> str | None:
    """What an expression is that must not be logged."""
    if is_env(node, scope) or scope.name(node) == "os.environ":
        return "the whole environment"
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get_secret_value"
    ):
        return "a secret's value"
    name = _variable(node, scope)
    return name if name and SECRET_NAME.search(name) else _header(node)


def _variable(node: ast.expr, scope: Scope) -> str | None:
    """The name in `env.NAME`, `getattr(env, "NAME")`, or of what a name was given from there."""
    match node:
        case ast.Attribute(value=owner, attr=name) if is_env(owner, scope):
            return name
        case ast.Call(func=ast.Name("getattr"), args=[owner, ast.Constant(str(name)), *_]):
            return name if is_env(owner, scope) else None
        case ast.Name(id):
            known = scope.local.get(id) or ""
            return known.removeprefix(f"{ENV}.") if known.startswith(f"{ENV}.") else None
    return None


_SECRET_HEADERS = frozenset(
    {"authorization", "cf-access-jwt-assertion", "cookie", "proxy-authorization", "x-api-key"}
)


def _header(node: ast.expr) -> str | None:
    """The secret header of a request that an expression is; or all of them."""
    match node:
        case (
            ast.Subscript(value=owner, slice=ast.Constant(str(name)))
            | ast.Call(
                func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(str(name)), *_]
            )
        ):
            return name if _is_headers(owner) and name.lower() in _SECRET_HEADERS else None
        case ast.Call(func=ast.Attribute(value=owner, attr="items")):
            return _EVERY_HEADER if _is_headers(owner) else None
    return _EVERY_HEADER if _is_headers(node) else None


def _is_headers(node: ast.expr) -> bool:
    """Whether an expression is the headers of a request."""
    if not isinstance(node, ast.Attribute) or node.attr != "headers":
        return False
    owner = node.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return name in {"req", "request"}


def _is_settings(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
    return name == "settings"
