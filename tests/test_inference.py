"""The answers that an existing Worker shows, each with the line that shows it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.config import ProvidedAnswer, complete, problems_with
from forge_scaffold.inference import NEAR, RULES, TABLES, Facts, infer
from forge_scaffold.project import Project
from forge_scaffold.questions import Questionnaire
from tests.support import REPOSITORY, write
from tests.template import variants
from tests.template.combinations import Combination, completed, every_pair, label

QUESTIONS = Questionnaire.load(REPOSITORY / "copier.yml", folder="worker")

CONFIGURATION = 'name = "worker"\nmain = "src/main.py"\n'

# The answers of a Worker that has none of what the questions are about.
NOTHING: Mapping[str, object] = complete(
    {
        question.name: ProvidedAnswer("none", "a test")
        for question in QUESTIONS
        if question.when is True and "none" in question.choices
    },
    QUESTIONS,
    None,
).as_dict()


def inferred(
    folder: Path, files: Mapping[str, str], provided: Mapping[str, object] | None = None
) -> dict[str, ProvidedAnswer]:
    write(folder, files)
    own = {name: ProvidedAnswer(value, f"--set {name}") for name, value in (provided or {}).items()}
    return infer(Project.read(folder), QUESTIONS, own)


def values(answers: Mapping[str, ProvidedAnswer]) -> dict[str, object]:
    return {name: answer.value for name, answer in answers.items()}


def origins(answers: Mapping[str, ProvidedAnswer]) -> dict[str, str]:
    return {name: answer.origin for name, answer in answers.items()}


@pytest.mark.parametrize("combination", every_pair(), ids=label)
def test_a_generated_project_shows_exactly_the_answers_it_was_made_from(
    tmp_path: Path, combination: Combination
) -> None:
    wanted = {"service_name": "my-service", "description": 'Ours: "é" \\ #', **combination}
    files = {
        file.path: file.text(wanted)
        for file in variants.files()
        if variants.exists(file.path, combination)
    }
    answers = inferred(tmp_path, files)
    assert values(answers) == wanted
    assert all(":" in answers[name].origin for name, value in combination.items() if value is True)


def test_a_worker_on_an_sdk_with_d1(tmp_path: Path) -> None:
    answers = inferred(
        tmp_path,
        {
            "wrangler.toml": """\
name = "chat-api"
main = "src/main.py"

[[d1_databases]]
binding = "DB"
database_name = "chats"
""",
            "pyproject.toml": """\
[project]
name = "another-name"
description = "Answers questions about invoices"
dependencies = [
  "Mistral_AI>=2",
  "mistralai>=2",
]
""",
            "src/main.py": """\
from openai import AsyncOpenAI
from workers import WorkerEntrypoint
""",
        },
    )
    assert values(answers) == {
        **NOTHING,
        "service_name": "chat-api",
        "description": "Answers questions about invoices",
        "providers": ["openai", "mistral"],
        "database": "d1",
    }
    assert origins(answers) == {
        **dict.fromkeys(NOTHING, "nothing shows it"),
        "service_name": "wrangler.toml:1",
        "description": "pyproject.toml:3",
        "providers": "src/main.py:1 imports openai; pyproject.toml:6 depends on mistralai",
        "database": "wrangler.toml:4 d1_databases DB",
    }


def test_a_worker_that_calls_anthropic_through_a_gateway_for_clerks_users(tmp_path: Path) -> None:
    answers = inferred(
        tmp_path,
        {
            "wrangler.toml": CONFIGURATION,
            "src/main.py": '''\
"""Nothing here calls https://api.openai.com."""
URL = f"https://gateway.ai.cloudflare.com/v1/{ACCOUNT}/{GATEWAY}/anthropic/v1/messages"


async def verify(env, token):
    keys = await fetch(f"{env.CLERK_FRONTEND_API}/.well-known/jwks.json")
''',
        },
    )
    assert values(answers) == {
        **NOTHING,
        "providers": ["anthropic"],
        "ai_gateway": True,
        "auth": "clerk",
        "revocation": "none",
        "bucket": False,
        "search": False,
        "quota": False,
    }
    assert answers["auth"].origin == "src/main.py:6 CLERK_FRONTEND_API"
    assert answers["ai_gateway"].origin == "src/main.py:2 gateway.ai.cloudflare.com"


def test_a_worker_configured_in_json_with_comments(tmp_path: Path) -> None:
    answers = inferred(
        tmp_path,
        {
            "wrangler.jsonc": """\
{
  // production only
  "name": "worker", "main": "src/main.py",
  "env": {
    "production": {
      "r2_buckets": [{"binding": "FILES", "bucket_name": "files"}],
      "queues": {
        "producers": [{"binding": "JOBS", "queue": "jobs"}],
        "consumers": [{"queue": "jobs"}],
      },
      "triggers": {"crons": ["0 0 * * *"]},
      "observability": {"traces": {"destinations": ["honeycomb"]}},
      "vars": {"ISSUER": "https://team.cloudflareaccess.com"},
    },
  },
}
""",
            "src/main.py": "",
        },
    )
    assert values(answers) == {
        **NOTHING,
        "auth": "cloudflare-access",
        "revocation": "none",
        "quota": False,
        "telemetry": "otlp",
        "bucket": True,
        "search": False,
        "queue": True,
        "cron": True,
    }
    assert answers["bucket"].origin == "wrangler.jsonc:6 r2_buckets FILES"
    assert answers["auth"].origin == "wrangler.jsonc:13 .cloudflareaccess.com"


def test_a_worker_with_nothing_has_nothing(tmp_path: Path) -> None:
    answers = inferred(
        tmp_path,
        {
            "wrangler.toml": CONFIGURATION,
            "src/main.py": "import asgi\nfrom fastapi import FastAPI\n\napp = FastAPI()\n",
        },
    )
    assert values(answers) == NOTHING
    assert answers["providers"].origin == "default; nothing shows it"
    assert answers["description"].origin == "default"


@pytest.mark.parametrize(
    ("source", "providers"),
    [
        ("import anthropic.types", ["anthropic"]),
        ("from google import genai", ["google"]),
        ("from langchain_mistralai import ChatMistralAI", ["mistral"]),
        ('URL = "https://api.cohere.com/v2/chat"', ["cohere"]),
        ("def call(env):\n    return env.GEMINI_API_KEY", ["google"]),
        ('KEY = getattr(env, "OPENAI_API_KEY")', ["openai"]),
        ("from groq import AsyncGroq", ["openai-compatible"]),
        ('BASE_URL = "https://openrouter.ai/api/v1"', ["openai-compatible"]),
        ("def call(env):\n    return env.OPENAI_COMPATIBLE_API_KEY", ["openai-compatible"]),
        ("class Settings:\n    openai_api_key: str", ["openai"]),
        # No provider of the template: somebody's own module, Google Maps, a word in a text.
        ("from .openai import client", ["openai", "anthropic"]),
        ("import cohere", ["openai", "anthropic"]),
        ("def call(env):\n    return env.GOOGLE_API_KEY", ["openai", "anthropic"]),
        ('TEXT = "mistral and openai are providers"', ["openai", "anthropic"]),
        ('"""Talks to api.mistral.ai."""', ["openai", "anthropic"]),
    ],
)
def test_providers_show_by_imports_hosts_and_variables(
    tmp_path: Path, source: str, providers: list[str]
) -> None:
    files = {"wrangler.toml": CONFIGURATION, "src/main.py": source, "src/cohere.py": ""}
    assert inferred(tmp_path, files)["providers"].value == providers


@pytest.mark.parametrize(
    "case",
    [
        (
            '[[kv_namespaces]]\nbinding = "REVOKED"',
            "CLERK_ISSUER = 1",
            "revocation",
            "kv",
            "wrangler.toml:3 kv_namespaces REVOKED",
        ),
        (
            '[[kv_namespaces]]\nbinding = "CACHE"',
            "CLERK_ISSUER = 1",
            "revocation",
            "none",
            "nothing shows it",
        ),
        (
            '[vars]\nUPSTASH_REDIS_REST_URL = "x"',
            "def is_revoked(token): return CLERK_ISSUER",
            "revocation",
            "upstash-redis",
            "wrangler.toml:4 UPSTASH_REDIS_REST_URL, src/main.py:1 is_revoked",
        ),
        ("", "import libsql_client", "database", "turso", "src/main.py:1 imports libsql_client"),
        (
            '[[hyperdrive]]\nbinding = "PG"',
            "",
            "database",
            "none",
            "no choice matches: wrangler.toml:3 hyperdrive PG",
        ),
        (
            '[[d1_databases]]\nbinding = "DB"\n[vars]\nTURSO_DATABASE_URL = "x"',
            "",
            "database",
            "d1",
            "wrangler.toml:3 d1_databases DB; also turso: wrangler.toml:6 TURSO_DATABASE_URL",
        ),
        ("", "import jwt", "auth", "none", "no choice matches: src/main.py:1 imports jwt"),
        (
            '[[queues.producers]]\nbinding = "JOBS"\nqueue = "jobs"',
            "",
            "queue",
            False,
            "unclear: wrangler.toml:3 queues.producers JOBS jobs",
        ),
        (
            '[[vectorize]]\nbinding = "V"\nindex_name = "i"',
            "CLERK_ISSUER = 1",
            "search",
            False,
            "unclear: wrangler.toml:3 vectorize V",
        ),
        ("[triggers]\ncrons = []", "", "cron", False, "nothing shows it"),
        (
            '[[workflows]]\nbinding = "W"\nscript_name = "other"',
            "",
            "workflow",
            False,
            "nothing shows it",
        ),
        (
            '[[durable_objects.bindings]]\nname = "ROOM"\nclass_name = "ChatRoom"',
            "CLERK_ISSUER = 1",
            "quota",
            False,
            "nothing shows it",
        ),
    ],
)
def test_an_answer_needs_evidence(tmp_path: Path, case: tuple[str, str, str, object, str]) -> None:
    configuration, source, question, value, origin = case
    files = {"wrangler.toml": f"{CONFIGURATION}{configuration}\n", "src/main.py": source}
    assert inferred(tmp_path, files)[question] == ProvidedAnswer(value, origin)


def test_the_users_own_answers_win(tmp_path: Path) -> None:
    files = {"wrangler.toml": CONFIGURATION, "src/main.py": "CLERK_ISSUER = REVOKED = 1"}
    answers = inferred(tmp_path, files, {"auth": "none", "database": "turso"})
    assert values(answers) == {**NOTHING, "database": "turso"}
    assert answers["auth"].origin == "--set auth"


def test_a_value_of_a_variable_is_never_shown(tmp_path: Path) -> None:
    url = "https://user:hunter2@api.openai.com/v1?key=hunter2"
    files = {
        "wrangler.toml": f'{CONFIGURATION}[vars]\nBASE = "{url}"\nOPENAI_API_KEY = "hunter2"\n',
        "src/main.py": f'URL = "{url}"\nOPENAI_KEY = "hunter2"\n',
        ".dev.vars": "OPENAI_API_KEY=hunter2\n",
    }
    answers = inferred(tmp_path, files)
    assert answers["providers"].value == ["openai"]
    assert "hunter2" not in repr(answers)


def test_a_name_or_a_description_that_the_template_refuses_is_not_taken(tmp_path: Path) -> None:
    files = {
        "wrangler.toml": 'name = "Bad_Name"\nmain = "src/main.py"\n',
        "pyproject.toml": f'[project]\nname = "x"\ndescription = "\\u001b[2J{"x" * 600}"\n',
        "src/main.py": "",
    }
    answers = inferred(tmp_path, files)
    assert answers["service_name"].value == "worker"
    assert answers["service_name"].origin.startswith("default, not wrangler.toml:1: use ")
    assert answers["description"].value == NOTHING["description"]
    assert answers["description"].origin.startswith("default, not pyproject.toml:3: use at most")


def test_a_template_without_the_choice_says_so(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "copier.yml": """\
database: {type: str, choices: [turso, none], default: turso}
telemetry: {type: str, choices: [otlp, analytics-engine], default: otlp}
audit_log: {type: bool, default: true}
""",
            "worker/wrangler.toml": f'{CONFIGURATION}[[d1_databases]]\nbinding = "DB"\n',
        },
    )
    questions = Questionnaire.load(tmp_path / "copier.yml")
    answers = infer(Project.read(tmp_path / "worker"), questions, {})
    assert answers == {
        "database": ProvidedAnswer("none", "no choice matches: wrangler.toml:3 d1_databases DB"),
        "telemetry": ProvidedAnswer("otlp", "default; nothing shows it"),
        "audit_log": ProvidedAnswer(value=True, origin="default"),
    }


def test_what_cannot_be_read_shows_nothing_and_is_listed(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "wrangler.toml": CONFIGURATION,
            "pyproject.toml": "[project\n",
            "src/main.py": "import (\n",
            "src/deep.py": f"x = {'(' * 5000}{')' * 5000}\n",
            "src/huge.py": f"import openai\n#{'x' * 2_100_000}\n",
            "src/nul.py": "import openai\0\n",
            "src/names.py": f"{'quota' * 20_000} = 1\nURL = '{'api.openai' * 100_000}'\n",
        },
    )
    (tmp_path / "src" / "loop").symlink_to(tmp_path / "src", target_is_directory=True)
    (tmp_path / "src" / "self.py").symlink_to(tmp_path / "src" / "self.py")
    project = Project.read(tmp_path)
    assert values(infer(project, QUESTIONS, {})) == NOTHING
    unread = {str(each.place.path) for each in project.broken}
    assert {"pyproject.toml", "src/main.py", "src/deep.py", "src/huge.py", "src/nul.py"} == unread


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | st.text(max_size=20) | st.just("binding"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["binding", "name", "vars", "env"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    tables=st.dictionaries(
        st.sampled_from([*(address[0] for address in TABLES), "vars", "secrets", "env", "name"]),
        JSON,
    ),
    source=st.text(max_size=50),
)
def test_whatever_a_configuration_holds_gives_valid_answers(
    tmp_path_factory: pytest.TempPathFactory, tables: Mapping[str, object], source: str
) -> None:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "wrangler.json").write_text(json.dumps({**tables, "main": "main.py"}))
    (folder / "main.py").write_text(source, encoding="utf-8", errors="replace")
    answers = infer(Project.read(folder), QUESTIONS, {})
    assert problems_with(answers, QUESTIONS) == []
    assert complete(answers, QUESTIONS, None).as_dict() == values(answers)


def test_every_question_but_the_texts_is_inferred() -> None:
    texts = {"service_name", "description"}
    assert {question.name for question in QUESTIONS} == texts | set(RULES)
    assert set(NEAR) <= set(RULES)
    assert set(completed({})) == texts | set(RULES)


def test_a_fact_keeps_its_first_place(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"wrangler.toml": CONFIGURATION, "src/main.py": "x\n\nx\n", "src/z.py": "x\n"},
    )
    place = Facts.of(Project.read(tmp_path)).seen["name"]["x"]
    assert (os.fspath(place.path), place.line) == ("src/main.py", 1)
