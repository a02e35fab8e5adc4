"""What is found in wrangler.jsonc with comments and trailing commas, in every environment."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE
from tests.checks.support import checked

JSONC = """\
// a Worker
{
  "name": "example",
  "main": "src/entry.py", /* here */
  "compatibility_date": "2026-11-01",
  "compatibility_flags": ["python_workers",],
  "observability": { "enabled": true, },
  %s
}
"""


def rules(folder: Path, more: str, line: str = "pass") -> list[str]:
    plain = {name: text for name, text in BASE.items() if name != "wrangler.toml"}
    service = (
        f"import httpx\n\n\nasync def answer(env):\n    {line}\n    return httpx.__version__\n"
    )
    entry = (
        BASE["src/entry.py"] + "\n    async def scheduled(self, *_):\n        await answer({})\n"
    )
    files = {**plain, "wrangler.jsonc": JSONC % more, "src/service.py": service}
    files["src/entry.py"] = entry
    return [each.rule for each in checked(folder, files, "WRA")]


@pytest.mark.parametrize(
    ("rule", "table"),
    [
        ("WRA001", '"compatibility_flags": ["nodejs_compat"],'),
        ("WRA002", '"compatibility_date": "2099-01-01", // still to come'),
        ("WRA002", '"compatibility_date": "2026-13-01",'),
        ("WRA003", '"compatibility_date": "2025-01-01",'),
        ("WRA004", '"kv_namespace": [],'),
        ("WRA005", '"main": "src/nope.py",'),
        ("WRA009", '"vars": { "MAIL_API_KEY": "9f8c2b7e41d05a63" },'),
        ("WRA009", '"vars": { "MAIL": { "api_key": ["9f8c2b7e41d05a63"] } },'),
        ("WRA011", '"limits": { "cpu_ms": 900000 },'),
        ("WRA011", '"triggers": { "crons": ["* * *"] },'),
        ("WRA011", '"triggers": { "crons": ["61 * * * *"] },'),
        ("WRA011", '"triggers": { "crons": ["0 0 1-32 * *"] },'),
        ("WRA012", '"observability": { "enabled": false },'),
    ],
)
def test_an_environments_own(tmp_path: Path, rule: str, table: str) -> None:
    assert rules(tmp_path, f'"env": {{ "one": {{ {table}\n }}, }},') == [rule]


@pytest.mark.parametrize(
    "table",
    [
        '"compatibility_flags": ["python_workers_314"],',
        '"compatibility_date": "2025-01-01", "compatibility_flags": ["python_workers_314"],',
        '"compatibility_date": "2026-10-01",',
        '"main": "src/service.py",',
        '"main": "src/index.js",',
        '"vars": { "MAIL": { "api_key": "MAIL_API_KEY" }, "LIST": [1, null, ""] },',
        '"triggers": { "crons": ["*/90 1-3 L * MON-FRI", "0 0 15W JAN 6#3", "59 23 31 12 7"] },',
        '"observability": { "logs": { "enabled": true } },',
    ],
)
def test_an_environments_own_without_a_flaw(tmp_path: Path, table: str) -> None:
    assert rules(tmp_path, f'"env": {{ "one": {{ {table} }} }},') == []


def test_a_period_under_unsafe(tmp_path: Path) -> None:
    limit = '{ "name": "L", "type": "ratelimit", "simple": { "limit": 1, "period": 30 } }'
    line = 'await env.L.limit({"key": "x"})'
    assert rules(tmp_path, f'"unsafe": {{ "bindings": [{limit}] }},', line) == ["WRA011"]


CACHE = '"kv_namespaces": [{ "binding": "CACHE", },],'
USE = "await env.CACHE.get('x')"


@pytest.mark.parametrize(
    ("environments", "found"),
    [
        (f'"one": {{ {CACHE} }}', []),
        (f'"one": {{ {CACHE} }}, "two": {{ {CACHE} }}', []),
        (f'"one": {{ {CACHE} }}, "two": {{}}', ["WRA006"]),
        ('"one": {}', ["WRA006"]),
    ],
)
def test_a_binding_of_some_environments(
    tmp_path: Path, environments: str, found: list[str]
) -> None:
    assert rules(tmp_path, f'"env": {{ {environments} }},', USE) == found


@pytest.mark.parametrize(
    "line",
    [
        "from workers import env as e; await e.CACHE.get('x')",
        "import workers as w; await w.env.CACHE.get('x')",
        "match await env.CACHE.get('x'): case 1: pass",
        "async with env.CACHE.get('x') as y: pass",
        "def inner(): return env.CACHE.get('x')",
        "if (x := await env.CACHE.get('x')): pass",
    ],
)
def test_uses_however_they_are_written(tmp_path: Path, line: str) -> None:
    line = line.replace(": case", ":\n        case")
    assert rules(tmp_path, "", line) == ["WRA006"]
