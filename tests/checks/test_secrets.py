"""Secrets, however they are written down or logged."""

import json
from pathlib import Path
from random import Random
from string import ascii_letters, digits

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


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("key = env.MAIL_API_KEY; print('key', key)", "MAIL_API_KEY"),
        ("print(request.headers['Authorization'])", "Authorization"),
        ("print(self.request.headers.get('cookie', ''))", "cookie"),
        ("print(dict(request.headers))", "every header of the request"),
        ("logging.info('%s', list(request.headers.items()))", "every header of the request"),
    ],
)
def test_a_secret_that_is_on_its_way(tmp_path: Path, line: str, what: str) -> None:
    assert logged(tmp_path, line) == [what]


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
        "key = env.MAIL_API_KEY; print(len(key))",
        "key = env.MAIL_API_KEY; key = 'none'; print(key)",
        "print(request.headers['Accept'], len(request.headers))",
        "print(response.headers)",
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


def drawn(alphabet: str, length: int) -> str:
    """Made up, and the same each time; nothing here is anybody's."""
    draw = Random(length)  # noqa: S311
    return "".join(draw.choice(alphabet) for _ in range(length))


HEX, WORD = "0123456789abcdef", ascii_letters + digits


@pytest.mark.parametrize(
    "token",
    [
        f"whsec_{drawn(WORD, 32)}",
        f"dapi{drawn(HEX, 32)}",
        f"dop_v1_{drawn(HEX, 64)}",
        f"dckr_pat_{drawn(WORD, 27)}",
        f"GOCSPX-{drawn(WORD, 28)}",
        f"glsa_{drawn(WORD, 32)}_{drawn(HEX, 8)}",
        f"hvs.{drawn(WORD, 95)}",
        f"lin_api_{drawn(WORD, 40)}",
        f"ntn_{drawn(WORD, 43)}",
        f"sk-or-v1-{drawn(HEX, 64)}",
        f"pplx-{drawn(WORD, 48)}",
        f"pscale_tkn_{drawn(WORD, 43)}",
        f"r8_{drawn(WORD, 37)}",
        f"shpat_{drawn(HEX, 32)}",
        f"sbp_{drawn(HEX, 40)}",
        f"sb_secret_{drawn(WORD, 31)}",
        f"xai-{drawn(WORD, 80)}",
    ],
)
def test_tokens_of_many_makers(tmp_path: Path, token: str) -> None:
    project = files({"deploy.tfvars": f'value = "{token}"\n'})
    assert {each.rule for each in checked(tmp_path, project)} == {"SEC002"}


def test_a_key_file_that_git_would_take(tmp_path: Path) -> None:
    lines = "\n".join(drawn(WORD, 64) for _ in range(3))
    key = f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n"
    assert {each.rule for each in checked(tmp_path, files({"signing.pem": key}))} == {"SEC002"}
    assert checked(tmp_path, {".gitignore": ".dev.vars\n.env\n*.pem\n"}) == []


@pytest.mark.parametrize("name", ["PUBLIC_KEY", "STRIPE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY"])
def test_what_is_public_by_its_name(tmp_path: Path, name: str) -> None:
    value = "u8Zk2Qx7Wm4Rt9Lp3Vn6Hs1B"
    toml = BASE["wrangler.toml"] + f'\n[vars]\n{name} = "{value}"\n'
    service = f'import httpx\n\n{name} = "{value}"\n\n\nasync def answer(env):\n'
    service += f"    return httpx.__version__ + {name} + env.{name}\n"
    assert checked(tmp_path, files({"wrangler.toml": toml, "src/service.py": service})) == []
