"""Secrets, however they are written down or logged."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

import pytest

from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.checks.tokens import SHAPES, tokens
from tests.checks.support import checked
from tests.support import git, repository, write

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
UPPER = ascii_uppercase + digits


def jwt(claims: Mapping[str, object]) -> str:
    """A signed token; of a random key, so its signature is random, too."""
    parts = [{"alg": "EdDSA", "typ": "JWT"}, claims]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return f"{'.'.join(text.rstrip('=') for text in texts)}.{drawn(WORD, 86)}"


TURSO = jwt({"a": "rw", "iat": 1_790_000_000, "id": drawn(HEX, 32)})

# Put together here, so that no scanner of repositories takes this file for a leak.
TOKENS = (
    f"cfut_{drawn(WORD, 40)}{drawn(HEX, 8)}",
    f"cfat_{drawn(WORD, 40)}{drawn(HEX, 8)}",
    f"cfk_{drawn(WORD, 40)}{drawn(HEX, 8)}",
    f"v1.0-{drawn(HEX, 24)}-{drawn(HEX, 146)}",
    f"0x4AAAAAA{drawn(WORD, 26)}",
    f"CLOUDFLARE_API_TOKEN={drawn(WORD, 40)}",
    f"sk-ant-api03-{drawn(WORD, 93)}AA",
    f"sk-proj-{drawn(WORD, 74)}T3BlbkFJ{drawn(WORD, 74)}",
    f"sk-or-v1-{drawn(HEX, 64)}",
    f"sk-lf-{drawn(HEX, 8)}-{drawn(HEX, 4)}-4{drawn(HEX, 3)}-a{drawn(HEX, 3)}-{drawn(HEX, 12)}",
    f"csk-{drawn(ascii_lowercase + digits, 48)}",
    f'COHERE_API_KEY = "{drawn(WORD, 40)}',
    f'"CO_API_KEY": "{drawn(WORD, 40)}',
    f'["MISTRAL_API_KEY"] = "{drawn(WORD, 32)}',
    f"AIza{drawn(WORD, 35)}",
    f"AQ.Ab{drawn(WORD, 48)}",
    f"GOCSPX-{drawn(WORD, 28)}",
    f"1//0{drawn(WORD, 100)}",
    f"gsk_{drawn(WORD, 52)}",
    f"hf_{drawn(WORD, 34)}",
    f"lsv2_pt_{drawn(HEX, 32)}_{drawn(HEX, 10)}",
    f"pplx-{drawn(WORD, 48)}",
    f"pcsk_{drawn(WORD, 5)}_{drawn(WORD, 63)}",
    f"r8_{drawn(WORD, 37)}",
    f"tvly-dev-{drawn(WORD, 32)}",
    f"xai-{drawn(WORD, 80)}",
    f"AKIA{drawn(UPPER, 16)}",
    f"ABSK{drawn(WORD, 120)}",
    f"bedrock-api-key-{drawn(WORD, 132)}",
    f"aws_secret_access_key = {drawn(WORD, 40)}",
    f"R2_SECRET_ACCESS_KEY={drawn(HEX, 64)}",
    f"{drawn(WORD, 3)}8Q~{drawn(WORD, 34)}",
    f"{drawn(WORD, 52)}JQQJ99{drawn(WORD, 26)}",
    f"ghp_{drawn(WORD, 36)}",
    f"ghs_1234_{jwt({'iss': 'github'})}",
    f"github_pat_{drawn(WORD, 22)}_{drawn(WORD, 59)}",
    f"glpat-{drawn(WORD, 20)}",
    f"glrt-t1_{drawn(WORD, 27)}",
    f"xoxb-{drawn(digits, 12)}-{drawn(WORD, 24)}",
    f"xapp-1-A{drawn(UPPER, 10)}-{drawn(digits, 13)}-{drawn(HEX, 64)}",
    f"https://hooks.slack.com/services/T{drawn(UPPER, 9)}/B{drawn(UPPER, 10)}/{drawn(WORD, 24)}",
    f"sk_live_{drawn(WORD, 24)}",
    f"whsec_{drawn(WORD, 32)}",
    f"npm_{drawn(WORD, 36)}",
    f"pypi-AgEIcHlwaS5vcmc{drawn(WORD, 150)}",
    f"ops_eyJ{drawn(WORD, 260)}",
    f"ATATT3{drawn(WORD, 186)}",
    f"xkeysib-{drawn(HEX, 64)}-{drawn(WORD, 16)}",
    f"dapi{drawn(HEX, 32)}",
    f"dop_v1_{drawn(HEX, 64)}",
    f"https://discord.com/api/webhooks/{drawn(digits, 18)}/{drawn(WORD, 68)}",
    f"dckr_pat_{drawn(WORD, 27)}",
    f"dp.pt.{drawn(WORD, 43)}",
    f"figd_{drawn(WORD, 40)}",
    f"fm2_{drawn(WORD, 120)}",
    f"glsa_{drawn(WORD, 32)}_{drawn(HEX, 8)}",
    f"{drawn(WORD, 14)}.atlasv1.{drawn(WORD, 67)}",
    f"hvs.{drawn(WORD, 95)}",
    f"HRKU-AA{drawn(WORD, 58)}",
    f"lin_api_{drawn(WORD, 40)}",
    f"napi_{drawn(ascii_lowercase + digits, 64)}",
    f"nfp_{drawn(WORD, 36)}",
    f"NRAK-{drawn(UPPER, 27)}",
    f"ntn_{drawn(WORD, 46)}",
    f"pscale_tkn_{drawn(WORD, 43)}",
    f"PMAK-{drawn(HEX, 24)}-{drawn(HEX, 34)}",
    f"SG.{drawn(WORD, 22)}.{drawn(WORD, 43)}",
    f"sntryu_{drawn(HEX, 64)}",
    f"shpat_{drawn(HEX, 32)}",
    f"sbp_{drawn(HEX, 40)}",
    f"sb_secret_{drawn(WORD, 31)}",
    f"{drawn(digits, 10)}:AA{drawn(WORD, 33)}",
    f"AGE-SECRET-KEY-1{drawn(UPPER, 58)}",
    f"-----BEGIN RSA PRIVATE KEY-----\\n{drawn(WORD, 64)}",
    TURSO,
)


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:12])
def test_tokens_of_many_makers(tmp_path: Path, token: str) -> None:
    project = files({"deploy.txt": f'"{token}"\n'})
    assert {each.rule for each in checked(tmp_path, project)} == {"SEC002"}


def test_every_shape_has_a_token_that_has_it() -> None:
    known = {next(number for number, each in enumerate(SHAPES) if each.maker == found.maker
                  and re.match(each.pattern, found.text))
             for token in TOKENS for found in tokens(f'"{token}')}  # fmt: skip
    assert [each for number, each in enumerate(SHAPES) if number not in known] == []


@pytest.mark.parametrize(
    "token",
    [
        f"sk_test_{drawn(WORD, 24)}",
        f"sk-ant-api03-{'x' * 93}AA",
        f"AKIA{drawn(UPPER, 9)}EXAMPLE",
        f"AKIA{'A' * 16}",
        jwt({"role": "anon", "ref": drawn(HEX, 20)}),
        jwt({"sub": drawn(HEX, 20), "exp": 1_600_000_000}),
        jwt({"sub": "1234567890", "name": "John Doe"}),
        "MISTRAL_API_KEY=${{ secrets.MISTRAL_API_KEY }}",
        f"CHECKSUM_COHERE_API_KEYS={drawn(WORD, 40)}",
        f"0x4AAAAAA{drawn(WORD, 15)}",
        f"class Handler{drawn(WORD, 40)}",
    ],
)
def test_what_is_no_token_or_opens_nothing(tmp_path: Path, token: str) -> None:
    assert checked(tmp_path, files({"notes.txt": f'"{token}"\n'})) == []


@pytest.mark.parametrize(
    "name",
    [
        "Dockerfile", "Makefile", "prod.env", ".npmrc", "config.mts", "main.c", "infra.bicep",
        "notes.adoc", "id_ed25519", "data.jsonl", ".env.example", "app.dart", "x.YAML",
    ],
)  # fmt: skip
def test_every_text_is_looked_into(tmp_path: Path, name: str) -> None:
    project = files({name: f'"{TURSO}"\n'})
    assert {each.rule for each in checked(tmp_path, project)} == {"SEC002"}


@pytest.mark.parametrize(
    "name", ["uv.lock", "package-lock.json", "go.sum", "app.min.js", "app.map"]
)
def test_what_tools_write_is_not(tmp_path: Path, name: str) -> None:
    assert checked(tmp_path, files({name: f'# "{TURSO}"\n'}), "SEC") == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_text_with_a_mark_is_looked_into(tmp_path: Path, encoding: str) -> None:
    checked(tmp_path, files({}))
    (tmp_path / "keys.txt").write_bytes(f"token: {TURSO}\r\n".encode(encoding))
    assert {each.rule for each in checked(tmp_path, {})} == {"SEC002"}


def test_a_file_that_is_no_text_is_not(tmp_path: Path) -> None:
    checked(tmp_path, files({}))
    (tmp_path / "memory.dump").write_bytes(b"\0\1" + TURSO.encode())
    assert checked(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("deploy.sh", f"export API_KEY={RANDOM}"),
        ("Dockerfile", f"ENV MAIL_API_KEY={RANDOM}"),
        (".dev.vars.example", f"MAIL_API_KEY={RANDOM}"),
        ("prod.env", f"SESSION_SECRET={RANDOM}"),
        (".npmrc", f"//npm.corp.net/:_authToken={RANDOM}"),
        ("setup.ps1", f"$env:API_TOKEN={RANDOM}"),
    ],
)
def test_a_random_value_without_quotes(tmp_path: Path, name: str, line: str) -> None:
    assert {each.rule for each in checked(tmp_path, files({name: f"{line}\n"}))} == {"SEC003"}


@pytest.mark.parametrize(
    ("head", "before"),
    [
        ("PRIVATE KEY", ""),
        ("ENCRYPTED PRIVATE KEY", ""),
        ("OPENSSH PRIVATE KEY", ""),
        ("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n"),
        ("PGP PRIVATE KEY BLOCK", "\n"),
    ],
)
@pytest.mark.parametrize("name", ["signing.key", "signing.p8", "id_rsa"])
def test_every_kind_of_private_key(tmp_path: Path, head: str, before: str, name: str) -> None:
    key = f"-----BEGIN {head}-----\n{before}{drawn(WORD, 64)}\n-----END {head}-----\n"
    assert {each.rule for each in checked(tmp_path, files({name: key}))} == {"SEC002"}


def test_a_private_key_in_code(tmp_path: Path) -> None:
    code = f'KEY = (\n    "-----BEGIN PRIVATE KEY-----\\n"\n    "{drawn(WORD, 64)}\\n"\n)\n'
    assert {each.rule for each in checked(tmp_path, files({"src/keys.py": code}))} == {"SEC002"}


def test_a_key_file_that_git_would_take(tmp_path: Path) -> None:
    lines = "\n".join(drawn(WORD, 64) for _ in range(3))
    key = f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n"
    assert {each.rule for each in checked(tmp_path, files({"signing.pem": key}))} == {"SEC002"}
    assert checked(tmp_path, {".gitignore": ".dev.vars\n.env\n*.pem\n"}) == []


def test_what_git_leaves_out_is_not_shared(tmp_path: Path) -> None:
    project = files({"notes.txt": f"{TURSO}\napi_key: '{RANDOM}'\n"})
    project[".gitignore"] += "notes.txt\n"
    assert checked(tmp_path / "left out", project) == []
    write(tmp_path / "taken", project)
    repository(tmp_path / "taken")
    git(tmp_path / "taken", "add", "--force", "notes.txt")
    found = checked(tmp_path / "taken", {})
    assert [each.rule for each in found] == ["SEC002", "SEC003"]


@pytest.mark.parametrize("name", ["PUBLIC_KEY", "STRIPE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY"])
def test_what_is_public_by_its_name(tmp_path: Path, name: str) -> None:
    value = "u8Zk2Qx7Wm4Rt9Lp3Vn6Hs1B"
    toml = BASE["wrangler.toml"] + f'\n[vars]\n{name} = "{value}"\n'
    service = f'import httpx\n\n{name} = "{value}"\n\n\nasync def answer(env):\n'
    service += f"    return httpx.__version__ + {name} + env.{name}\n"
    assert checked(tmp_path, files({"wrangler.toml": toml, "src/service.py": service})) == []
