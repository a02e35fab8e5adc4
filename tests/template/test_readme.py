"""A project's README documents each part that was chosen, and only those."""

import json
import re
import tomllib
from functools import cache

import pytest
import yaml

from tests.support import REPOSITORY
from tests.template import variants
from tests.template.combinations import Combination, completed, every_pair, label

pytestmark = pytest.mark.parametrize("combination", every_pair(), ids=label)

FACTS = yaml.safe_load((REPOSITORY / "copier.yml").read_text("utf-8"))["provider_facts"]["default"]
WORDS = {
    "providers": {provider: facts["name"] for provider, facts in FACTS.items()},
    "ai_gateway": {"True": "AI Gateway"},
    "auth": {"clerk": "Clerk", "cloudflare-access": "Cloudflare Access", "oidc": "OpenID Connect"},
    "revocation": {"kv": "KV", "upstash-redis": "Redis"},
    "database": {"d1": "D1", "turso": "Turso"},
    "telemetry": {"analytics-engine": "Analytics Engine", "otlp": "OTLP"},
    "bucket": {"True": "/v1/files"},
    "search": {"True": "Vectorize"},
    "quota": {"True": "quota"},
    "queue": {"True": "Jobs"},
    "cron": {"True": "crons"},
    "workflow": {"True": "/v1/summaries"},
}
"""By question and answer, what a README calls a part wherever it speaks of it."""


@cache
def file(path: str) -> variants.File:
    return next(file for file in variants.files() if file.path == path)


def readme(combination: Combination) -> str:
    return file("README.md").text(combination)


def section(combination: Combination, title: str) -> str:
    return readme(combination).partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(table: str) -> list[str]:
    """The first cell of each row, without the table's head."""
    return re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)


def code(combination: Combination) -> str:
    """All of src/ in one, but for what belongs to the project's owner."""
    own = "src/service/custom/"
    found = [each for each in variants.files() if each.path.startswith("src/")]
    found = [each for each in found if not each.path.startswith(own)]
    return "\n".join(
        each.text(combination) for each in found if variants.exists(each.path, combination)
    )


def test_each_part_is_spoken_of_where_it_is_chosen(combination: Combination) -> None:
    text, answers = readme(combination), completed(combination)
    for question, words in WORDS.items():
        answer = answers[question]
        chosen = {str(each) for each in (answer if isinstance(answer, list) else [answer])}
        for value, word in words.items():
            found = bool(re.search(rf"(?<!\w){word}(?!\w|-\w)", text))
            assert found == (value in chosen), word


def test_the_settings_are_those_that_the_code_reads(combination: Combination) -> None:
    text = code(combination)
    read = set(re.findall(r'alias="([A-Z_0-9]+)"|binding\(context\.env, "([A-Z_0-9]+)"\)', text))
    names = {one or other for one, other in read} | {"ENVIRONMENT"}
    # A provider's settings are named by their fields.
    shared = re.search(r"^class ApiSettings\(.*?\n\n\n", text, re.MULTILINE | re.DOTALL)
    assert shared
    fields = re.findall(r"^    (\w+): ", shared[0], re.MULTILINE)
    prefixes = re.findall(r'= prefixed\("([A-Z_]+)"\)', text)
    names |= {f"{prefix}_{field.upper()}" for prefix in prefixes for field in fields}
    # What would change nothing.
    answers = completed(combination)
    providers = answers["providers"]
    assert isinstance(providers, list)
    set_paths = {name for name in names if name.endswith("_GATEWAY_PATH")}
    if answers["ai_gateway"]:
        names -= {f"{prefix}_BASE_URL" for prefix in prefixes}
        names |= {name.replace("GATEWAY_PATH", "BASE_URL") for name in set_paths}
    else:
        names -= set_paths
    if len(providers) == 1:
        names -= {"FALLBACK_PROVIDERS"}
    cells = first_cells(section(combination, "Settings"))
    documented = [name for cell in cells for name in re.findall(r"`([A-Z_0-9]+)`", cell)]
    assert sorted(documented) == sorted(names)


def test_each_variable_and_binding_of_wrangler_toml_is_documented(combination: Combination) -> None:
    config = tomllib.loads(file("wrangler.toml").text(combination))
    bindings = re.findall(r'"?(?:binding|name)"?: "([A-Z_]+)"', json.dumps(config))
    names = {*config["vars"], *config["secrets"]["required"], *bindings}
    table = section(combination, "Settings")
    assert {name for name in names if f"`{name}`" not in table} == set()


def test_the_routes_are_those_that_there_are(combination: Combination) -> None:
    routes = set(re.findall(r'Route\("([A-Z]+)", "([^"]+)"', code(combination)))
    documented = [
        (method, path)
        for cell in first_cells(section(combination, "The HTTP face"))
        for path in re.findall(r" (/[\w/{}]+)", cell)
        for method in re.findall(r"[A-Z]{3,}", cell)
    ]
    assert sorted(documented) == sorted(routes)


def test_the_commands_and_files_that_it_names_are_there(combination: Combination) -> None:
    text = readme(combination)
    scripts = json.loads(file("package.json").text(combination))["scripts"]
    named = set(re.findall(r"npm run ([\w:]+)", text))
    assert named <= {*scripts}
    assert {"migrate", "revoke"} & {*scripts} <= named
    for path in re.findall(r"`((?:src|dev|tests|dashboards|\.github)/[\w./]+\.\w+)`", text):
        assert path in {each.path for each in variants.files()}
        assert variants.exists(path, combination), path
