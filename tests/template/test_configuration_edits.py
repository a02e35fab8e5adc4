"""Users' edits of configuration files survive changed answers and new releases of the template.

The edits are those at the places that a project's README names, and of every value that somebody
has to set. Each is merged with each change of the template: alone with `git merge-file`, all at
once with `git merge`, and by Copier's own update. docs/explanation/updates.md lists the places, and
the edits elsewhere that conflict.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import copy

import copier
import pytest

from tests.support import REPOSITORY, commit, git, repository, write
from tests.template import variants
from tests.template.combinations import Combination

WRANGLER = "wrangler.toml"
WORKFLOW = ".github/workflows/ci.yml"
HOOKS = ".pre-commit-config.yaml"
FILES = (
    WRANGLER,
    "package.json",
    WORKFLOW,
    HOOKS,
    ".gitignore",
    ".dev.vars.example",
    "renovate.json5",
)

ENVIRONMENTS = ("preview", "staging", "production")


@dataclass(frozen=True)
class Edit:
    """A user's edit: text inserted after each match of a pattern, or replacing its group.

    Attributes:
        path: the file.
        place: a regular expression.
        text: the new text; {n} is the number of the match.
        needs: answers that the place depends on.
    """

    path: str
    place: str
    text: str
    needs: Combination = field(default_factory=dict)

    def places(self, text: str) -> Sequence[re.Match[str]]:
        return [*re.finditer(self.place, text, re.MULTILINE)]

    def __call__(self, text: str) -> str:
        for n, match in reversed([*enumerate(self.places(text))]):
            start, end = match.span(1) if match.re.groups else (match.end(), match.end())
            text = text[:start] + self.text.replace("{n}", str(n)) + text[end:]
        return text


def below(path: str, marker: str, text: str) -> Edit:
    """Lines at a place that the template reserves: below the comment that names it."""
    return Edit(path, rf"{marker}.*\n", text)


def setting(name: str, value: str, needs: Combination | None = None, path: str = WRANGLER) -> Edit:
    """Another value of a setting, in every environment."""
    return Edit(path, rf'^{name} ?= ?"(.*)"$', value, needs or {})


CLERK: Combination = {"auth": "clerk"}
OIDC: Combination = {"auth": "oidc"}
TURSO: Combination = {"database": "turso"}
COMPATIBLE: Combination = {"providers": ["openai", "openai-compatible"]}

EDITS: Mapping[str, Edit] = {
    "a top-level setting": below(WRANGLER, "# Your own settings of all", 'account_id = "abc"\n'),
    "a setting of an environment": below(
        WRANGLER, "# Your own settings of (?:staging|production)", "workers_dev = false\n"
    ),
    "a variable": below(WRANGLER, "# Your own variables of", 'GREETING = "Hello {n}"\n'),
    "two variables": below(
        WRANGLER, "# Your own variables of", '# Our names\nTEAM = "chat"\nREGION = "eu"\n'
    ),
    "a secret": below(WRANGLER, "# Your own secrets of", '  "MAIL_KEY",\n'),
    "a custom domain": Edit(
        WRANGLER,
        r"# Your own bindings and routes of production.*\n",
        '[[env.production.routes]]\npattern = "chat.example.org"\ncustom_domain = true\n',
    ),
    "a binding": Edit(
        WRANGLER,
        r"# Your own bindings and routes of staging.*\n",
        '[[env.staging.kv_namespaces]]\nbinding = "CACHE"\nid = "0123"\n',
    ),
    "AUTH_ISSUER, Clerk": setting("AUTH_ISSUER", "https://clerk.acme.com", CLERK),
    "AUTH_ISSUER, OIDC": setting("AUTH_ISSUER", "https://login.acme.com", OIDC),
    "CORS_ORIGINS": setting("CORS_ORIGINS", "https://acme.com"),
    "AUTH_AUTHORIZED_PARTIES": setting("AUTH_AUTHORIZED_PARTIES", "https://acme.com", CLERK),
    "AUTH_AUDIENCE": setting("AUTH_AUDIENCE", "https://api.acme.com", OIDC),
    "AUTH_REQUIRED_SCOPES": setting("AUTH_REQUIRED_SCOPES", "POST /v1/chat=chat", OIDC),
    "AUTH_DEFAULT_SCOPE": setting("AUTH_DEFAULT_SCOPE", "api", CLERK),
    "DEFAULT_PROVIDER": setting("DEFAULT_PROVIDER", "anthropic"),
    "FALLBACK_PROVIDERS": setting("FALLBACK_PROVIDERS", "anthropic"),
    "both models": setting("(?:OPENAI|ANTHROPIC)_MODEL", "our-model"),
    "OPENAI_MODEL": setting("OPENAI_MODEL", "gpt-6.1-sol"),
    "ANTHROPIC_MODEL": setting("ANTHROPIC_MODEL", "claude-sonnet-5-5"),
    "OPENAI_BASE_URL": setting("OPENAI_BASE_URL", "https://proxy.acme.com/v1"),
    "OPENAI_COMPATIBLE_BASE_URL": setting(
        "OPENAI_COMPATIBLE_BASE_URL", "https://api.acme.com/v1", COMPATIBLE
    ),
    "OPENAI_COMPATIBLE_GATEWAY_PATH": setting(
        "OPENAI_COMPATIBLE_GATEWAY_PATH", "custom-acme/v1", {**COMPATIBLE, "ai_gateway": True}
    ),
    "RETRY_BUDGET": below(WRANGLER, "# Your own variables of", 'RETRY_BUDGET = "60"\n'),
    "AI_GATEWAY_ID": setting("AI_GATEWAY_ID", "chat", {"ai_gateway": True}),
    "AI_GATEWAY_ACCOUNT_ID": setting("AI_GATEWAY_ACCOUNT_ID", "0a1b", {"ai_gateway": True}),
    "TURSO_DATABASE_URL": setting("TURSO_DATABASE_URL", "libsql://acme.turso.io", TURSO),
    "UPSTASH_REDIS_REST_URL": setting(
        "UPSTASH_REDIS_REST_URL", "https://acme.upstash.io", {"revocation": "upstash-redis"}
    ),
    "QUOTA_REQUESTS_PER_DAY": setting("QUOTA_REQUESTS_PER_DAY", "50", {"quota": True}),
    "QUOTA_TOKENS_PER_DAY": setting("QUOTA_TOKENS_PER_DAY", "9000", {"quota": True}),
    "CHATS_KEEP_DAYS": setting("CHATS_KEEP_DAYS", "7", {"cron": True}),
    "database_id": Edit(WRANGLER, r'^database_name = ".*"\n', 'database_id = "0f1e{n}"\n'),
    "database_id, below": Edit(WRANGLER, r'^migrations_dir = ".*"\n', 'database_id = "0f1e{n}"\n'),
    "a KV id": Edit(
        WRANGLER, r'^binding = "REVOKED"\n', 'id = "0f1e{n}"\n', {"revocation": "kv"}
    ),
    "the rate limit": Edit(WRANGLER, r"^simple = \{ limit = (\d+)", "10"),
    "the crons": Edit(WRANGLER, r'^crons = \["(.*)"\]', "*/5 * * * *", {"cron": True}),
    "the queue's retries": Edit(WRANGLER, r"^max_retries = (\d+)", "9", {"queue": True}),
    "observability off": Edit(WRANGLER, r"^\[observability\]\nenabled = (true)", "false"),
    "logs sampled": Edit(WRANGLER, r"^\[observability\]\nenabled = true\n", "logpush = true\n"),
    "traces sampled": Edit(
        WRANGLER, r"^head_sampling_rate = (1)", "0.1", {"telemetry": "otlp"}
    ),
    "a vendored file excluded": below(WRANGLER, "  # Your own: below", '  "unused/**",\n'),
    "a vendored file used": Edit(WRANGLER, r'^(  "pydantic/v1/\*\*",\n)', ""),
    "a compatibility flag": Edit(WRANGLER, r'^  "enable_request_signal".*\n', '  "new_flag",\n'),
    "a package": Edit(
        "package.json", r'^  "dependencies": (\{\})', '{\n    "prettier": "^3.0.0"\n  }'
    ),
    "a script": Edit(
        "package.json", r'^    "deploy:production": ".*"', ',\n    "format": "prettier --write ."'
    ),
    "a package's version": Edit("package.json", r'^  "version": "(.*)"', "1.4.0"),
    "a step": below(WORKFLOW, "      # Your own steps: ", "      - run: ./audit.sh\n"),
    "pytest -q": Edit(WORKFLOW, r"^      - run: uv run pytest()$", " -q"),
    "coverage in CI": Edit(WORKFLOW, r"^      - run: npm (test)$", "run coverage"),
    "a branch": Edit(WORKFLOW, r"^    branches: \[(main)\]", "main, next"),
    "a hook": below(
        HOOKS, "  # Your own hooks: ", "  - repo: local\n    hooks: [{ id: typos }]\n"
    ),
    "an ignored file": below(".gitignore", "# Your own: ", "*.sqlite\n"),
    "a development variable": below(".dev.vars.example", "# Your own: ", 'GREETING="Hi"\n'),
    "a development issuer": setting("AUTH_ISSUER", "https://dev", CLERK, ".dev.vars.example"),
    "a Renovate preset": below("renovate.json5", "    // Your own presets: ", '    "group:all",\n'),
    "a Renovate rule": below(
        "renovate.json5", "    // Your own rules: ", '    { "automerge": true },\n'
    ),
}  # fmt: skip

BASE: Combination = {"cron": True, "quota": True}
CHANGES: Mapping[str, Combination] = {
    "nothing": {},
    "+mistral": {"providers": ["openai", "anthropic", "mistral"]},
    "+openai-compatible": {"providers": ["openai", "anthropic", "openai-compatible"]},
    "+cohere, google, mistral": {
        "providers": ["openai", "anthropic", "cohere", "google", "mistral"]
    },
    "-anthropic": {"providers": ["openai"]},
    "-openai": {"providers": ["anthropic"]},
    "openai -> mistral": {"providers": ["anthropic", "mistral"]},
    "auth: clerk": CLERK,
    "auth: oidc": OIDC,
    "auth: cloudflare-access": {"auth": "cloudflare-access"},
    "auth: none": {"auth": "none", "revocation": "none", "quota": False},
    "database: turso": TURSO,
    "database: none": {"database": "none"},
    "ai_gateway": {"ai_gateway": True},
    "no ai_gateway": {"ai_gateway": False},
    "quota": {"quota": True},
    "no quota": {"quota": False},
    "cron": {"cron": True},
    "no cron": {"cron": False},
    "queue": {"queue": True},
    "workflow": {"workflow": True},
    "bucket": {"bucket": True},
    "search": {"search": True},
    "telemetry: otlp": {"telemetry": "otlp"},
    "telemetry: none": {"telemetry": "none"},
    "revocation: kv": {"revocation": "kv"},
    "revocation: upstash-redis": {"revocation": "upstash-redis"},
    "everything": {
        "providers": ["openai", "anthropic", "mistral"],
        "ai_gateway": True,
        "database": "turso",
        "queue": True,
        "workflow": True,
        "bucket": True,
        "search": True,
        "telemetry": "otlp",
        "revocation": "kv",
    },
}


def released(path: str, text: str) -> str:
    """The file as a later release has it: with newer versions of whatever it pins."""
    bumped = {
        "package.json": r'(?<=: ")\^?\d+(\.\d+)*(?=["-])|(?<=@)\d+\.\d+\.\d+',
        WORKFLOW: r"(?<=@v)\d+|(?<=node-version: )\d+",
        WRANGLER: r"(?<=^compatibility_date = \")[\d-]+",
    }
    if path == "package.json":
        head, marker, pins = text.partition('"devDependencies"')
        return head + marker + re.sub(bumped[path], "999.0.0", pins)
    return re.sub(bumped[path], "2099", text, flags=re.MULTILINE) if path in bumped else text


RELEASES: Mapping[str, Callable[[str, str], str]] = {
    "same release": lambda _, text: text,
    "newer pins": released,
}


def rendered(path: str, answers: Combination) -> str:
    """A file of the template, with the answers that are not given as in BASE."""
    return _rendered(path, json.dumps({**BASE, **answers}, sort_keys=True))


@cache
def _rendered(path: str, answers: str) -> str:
    file = next(file for file in variants.files() if file.path == path)
    combination: Combination = json.loads(answers)
    return file.text(combination)


def merged(folder: Path, ours: str, base: str, theirs: str) -> tuple[str, int]:
    """The merge of two changes, and the number of conflicts in it."""
    write(folder, {"ours": ours, "base": base, "theirs": theirs})
    process = subprocess.run(
        ["git", "merge-file", "-p", "ours", "base", "theirs"],
        cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    return process.stdout, process.returncode


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_conflicts_only_with_the_removal_of_its_own_line(tmp_path: Path, name: str) -> None:
    edit = EDITS[name]
    base = rendered(edit.path, edit.needs)
    ours = edit(base)
    assert ours != base, "the edit has no place"
    for changed, change in CHANGES.items():
        for version, release in RELEASES.items():
            theirs = release(edit.path, rendered(edit.path, {**edit.needs, **change}))
            text, conflicts = merged(tmp_path, ours, base, theirs)
            removed = len(edit.places(base)) - len(edit.places(theirs))
            assert conflicts == removed, f"{changed}, {version}\n{text}"
            assert conflicts or text == edit(theirs), f"{changed}, {version}"


# Edits elsewhere, as docs/explanation/updates.md names them: what they conflict with, how often.
ELSEWHERE: Mapping[str, tuple[Edit, Mapping[str, int]]] = {
    "npm install --save-dev": (
        Edit("package.json", r'^  "devDependencies": \{\n', '    "prettier": "^3.0.0",\n'),
        {"newer pins": 1},
    ),
    "another version of a pinned tool": (
        Edit("package.json", r'^    "wrangler": "(.*)"', "4.170.0"),
        {"newer pins": 1},
    ),
    "another compatibility date": (
        Edit(WRANGLER, r'^compatibility_date = "(.*)"', "2026-12-01"),
        {"newer pins": 1},
    ),
    "another version of an action": (
        Edit(WORKFLOW, r"actions/checkout@(v\d+)", "v4"),
        {"newer pins": 1},
    ),
    "a step between the pinned actions": (
        Edit(WORKFLOW, r"^      - uses: astral-sh/setup-uv.*\n", "      - uses: acme/sign-in@v1\n"),
        {"newer pins": 1},
    ),
    "a binding below the database's": (
        Edit(WRANGLER, r'^migrations_dir = ".*"\n', '\n[[services]]\nbinding = "OTHER"\n'),
        {
            "database: turso": 3,
            "database: none": 3,
            "telemetry: otlp": 3,
            "telemetry: none": 3,
            "everything": 3,
        },
    ),
    "a secret among the template's": (
        Edit(WRANGLER, r'^  "ANTHROPIC_API_KEY",\n', '  "MAIL_KEY",\n'),
        {
            "+mistral": 3,
            "+openai-compatible": 3,
            "+cohere, google, mistral": 3,
            "-anthropic": 3,
            "openai -> mistral": 3,
            "auth: none": 3,
            "telemetry: none": 3,
            "everything": 3,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_edits_elsewhere_conflict_with_what_the_documentation_lists(
    tmp_path: Path, name: str
) -> None:
    edit, expected = ELSEWHERE[name]
    base = rendered(edit.path, edit.needs)
    texts = {changed: rendered(edit.path, change) for changed, change in CHANGES.items()}
    texts["newer pins"] = released(edit.path, base)
    found = {case: merged(tmp_path, edit(base), base, text)[1] for case, text in texts.items()}
    assert {case: count for case, count in found.items() if count} == expected


def test_the_documentation_lists_the_edits_elsewhere_with_their_conflicts() -> None:
    page = (REPOSITORY / "docs" / "explanation" / "updates.md").read_text(encoding="utf-8")
    table = page.partition("### Configuration files\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| .+? \| (\d+) \|", table, re.MULTILINE)
    assert {name.replace("`", ""): {int(count)} for name, count in rows} == {
        name: set(conflicts.values()) for name, (_, conflicts) in ELSEWHERE.items()
    }


# Two projects that have, together, every place.
PROJECTS: Mapping[str, Combination] = {
    "clerk, d1": {**CLERK, "revocation": "kv", "telemetry": "otlp", "queue": True},
    "oidc, turso": {**OIDC, **TURSO, "revocation": "upstash-redis", "ai_gateway": True},
}


def edited(files: Mapping[str, str], edits: Iterable[Edit]) -> Mapping[str, str]:
    """Files with edits made in them one after the other."""
    texts = dict(files)
    for edit in edits:
        texts[edit.path] = edit(texts[edit.path])
    return texts


@pytest.mark.parametrize("project", PROJECTS)
def test_all_edits_at_once_merge_cleanly(tmp_path: Path, project: str) -> None:
    answers = PROJECTS[project]
    base = {path: rendered(path, answers) for path in FILES}
    write(tmp_path, base)
    repository(tmp_path)
    for changed, change in CHANGES.items():
        theirs = {path: released(path, rendered(path, {**answers, **change})) for path in FILES}
        edits = [edit for edit in EDITS.values() if edit.places(base[edit.path])]
        kept = [
            edit
            for edit in edits
            if len(edit.places(base[edit.path])) == len(edit.places(theirs[edit.path]))
        ]
        states = {"ours": edited(base, kept), "theirs": theirs, "both": edited(theirs, kept)}
        for branch, files in states.items():
            git(tmp_path, "checkout", "--quiet", "-B", branch, "main")
            write(tmp_path, files)
            git(tmp_path, "commit", "--quiet", "--all", "--allow-empty", f"--message={branch}")
        merge = subprocess.run(
            ["git", "merge-tree", "--write-tree", "ours", "theirs"],
            cwd=tmp_path, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert merge.returncode == 0, f"{changed}\n{merge.stdout}"
        assert merge.stdout.strip() == git(tmp_path, "rev-parse", "both^{tree}"), changed


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """These files of the template as a repository with two releases, the second with newer pins."""
    folder = tmp_path_factory.mktemp("template")
    copy(REPOSITORY / "copier.yml", folder)
    answers = "{{_copier_conf.answers_file}}.jinja"
    for path in (*FILES, answers):
        (source,) = variants.TEMPLATE.glob(f"{path}*")
        write(folder / source.parent.relative_to(REPOSITORY), {source.name: source.read_text()})
    repository(folder, "v1.0.0")
    for source in [*(folder / "template").rglob("*")]:
        if source.is_file():
            path = source.relative_to(folder / "template").as_posix().removesuffix(".jinja")
            source.write_text(released(path, source.read_text("utf-8")), "utf-8")
    return commit(folder, "v2.0.0")


@pytest.mark.parametrize("changed", ["nothing", "+cohere, google, mistral", "everything"])
def test_copiers_own_update_keeps_all_edits(tmp_path: Path, template: Path, changed: str) -> None:
    answers = {**BASE, **PROJECTS["oidc, turso"], "service_name": "my-service"}
    change = {**CHANGES[changed], "ai_gateway": True, "revocation": "upstash-redis"}
    project, address = tmp_path / "my-service", f"git+{template.as_uri()}"
    copier.run_copy(address, project, answers, vcs_ref="v1.0.0", defaults=True, quiet=True)
    before = {path: (project / path).read_text("utf-8") for path in FILES}
    edits = [edit for edit in EDITS.values() if edit.places(before[edit.path])]
    write(project, edited(before, edits))
    repository(project)
    copier.run_update(project, change, defaults=True, overwrite=True, quiet=True)
    for path in FILES:
        fresh = released(path, rendered(path, {**answers, **change}))
        assert (project / path).read_text("utf-8") == edited(
            {path: fresh}, [edit for edit in edits if edit.path == path]
        )[path]
