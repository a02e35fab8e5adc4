"""Secrets, however they are written down or logged."""

import json
from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import checked

RANDOM = "u8Zk2Qx7Wm4Rt9" + "Lp3Vn6Hs1B"
SHAPED = "sk-ant-api03-" + "R4nD0mL00k1ngT0k3nQ7"
REQUIRED = {"wrangler.toml": BASE["wrangler.toml"] + '\n[secrets]\nrequired = ["MAIL_API_KEY"]\n'}


def logged(folder: Path, line: str) -> list[str]:
    service = (
        "import httpx, json, logging, os, pprint, sys\nfrom js import console\n\n\n"
        f"async def answer(env):\n    {line}\n    return httpx.__version__\n"
    )
    found = checked(folder, files({**REQUIRED, "src/service.py": service}), "SEC")
    return [each.message.partition(" goes")[0] for each in found]


@pytest.mark.parametrize(
    "line",
    [
        "print(env.MAIL_API_KEY)",
        "print('key', repr(env.MAIL_API_KEY))",
        "print('key ' + env.MAIL_API_KEY)",
        "print('key %s' % (env.MAIL_API_KEY,))",
        "print('key {}'.format(env.MAIL_API_KEY))",
        "print(' '.join(['key', env.MAIL_API_KEY]))",
        "print(f'key {env.MAIL_API_KEY!r}')",
        "print(key := env.MAIL_API_KEY)",
        "print(*[env.MAIL_API_KEY])",
        "print({'key': env.MAIL_API_KEY})",
        "print(json.dumps({'key': [env.MAIL_API_KEY]}))",
        "print(getattr(env, 'MAIL_API_KEY', None))",
        "logging.getLogger().warning('key %s', env.MAIL_API_KEY)",
        "sys.stderr.write(env.MAIL_API_KEY)",
        "console.log(env.MAIL_API_KEY)",
        "pprint.pp(env.MAIL_API_KEY)",
    ],
)
def test_a_secret_in_a_log(tmp_path: Path, line: str) -> None:
    assert logged(tmp_path, line) == ["MAIL_API_KEY"]


@pytest.mark.parametrize("line", ["print(env)", "print(vars(env))", "print({**os.environ})"])
def test_the_whole_environment_in_a_log(tmp_path: Path, line: str) -> None:
    assert logged(tmp_path, line) == ["the whole environment"]


@pytest.mark.parametrize(
    "line",
    [
        "print(len(env.MAIL_API_KEY))",
        "print(bool(env.MAIL_API_KEY), 'MAIL_API_KEY')",
        "print(await ask(env.MAIL_API_KEY))",
        "print(env.MAIL_API_KEY is None)",
        "raise ValueError(env.MAIL_API_KEY)",
        "sys.stdout.flush()",
    ],
)
def test_what_shows_no_secret(tmp_path: Path, line: str) -> None:
    assert logged(tmp_path, line) == []


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        ("SEC002", ".dev.vars.example", f"ANTHROPIC={SHAPED}\n"),
        ("SEC002", ".env.example", f"ANTHROPIC={SHAPED}\n"),
        ("SEC002", "src/more.py", f"key = b'{SHAPED}'\n"),
        ("SEC002", "tests/test_more.py", f"# {SHAPED}\n"),
        ("SEC003", "src/more.py", f"API_KEY: str = '{RANDOM}'\n"),
        ("SEC003", "src/more.py", f"API_KEY: Final[str | None] = '{RANDOM}'\n"),
        ("SEC003", "src/more.py", f"call(api_key='{RANDOM}')\n"),
        ("SEC003", "src/more.py", f"URL = 'postgres://me:{RANDOM}@db.corp.net/x'\n"),
        ("SEC003", "docs/x.md", f"redis://:{RANDOM}@cache.corp.net\n"),
    ],
)
def test_a_secret_in_a_file(tmp_path: Path, rule: str, name: str, text: str) -> None:
    (found,) = checked(tmp_path, files({name: text}), "SEC")
    assert (found.rule, str(found.place.path), found.place.line) == (rule, name, 1)
    assert RANDOM not in found.message


@pytest.mark.parametrize(
    "text",
    [
        f"CHECKSUM = '{RANDOM}'\n",
        f"API_KEY: str = 'fake {RANDOM}'\n",
        "URL = 'postgres://me:correct-horse-battery@db.corp.net/x'\n",
        "URL = 'https://example.org:8080/@scope/package'\n",
        "PASSWORD = 'the password of the database'\n",
    ],
)
def test_what_is_no_secret(tmp_path: Path, text: str) -> None:
    assert checked(tmp_path, files({"src/more.py": text}), "SEC") == []


def test_a_large_file_of_one_line(tmp_path: Path) -> None:
    # Minutes, were it work that grows with the square of the line.
    text = json.dumps({f"{number}": f"{number:08}{RANDOM}" for number in range(40_000)})
    assert checked(tmp_path, files({"src/hashes.json": text}), "SEC") == []
