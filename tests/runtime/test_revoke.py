"""The command that takes tokens back, beside the Worker that is to heed it."""

import json
import re
import subprocess
from base64 import urlsafe_b64decode
from pathlib import Path

import httpx
import pytest

from tests.runtime.conftest import Make, environment
from tests.runtime.test_local import started

STORES = ["kv", "upstash-redis"]


def revoke(project: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["npm", "run", "--silent", "revoke", "--", *arguments],
        cwd=project,
        env={**environment(), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def ids(token: str) -> dict[str, str]:
    """The claims of a token, which nobody verifies here."""
    claims: dict[str, str] = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


@pytest.mark.parametrize("store", STORES)
def test_the_worker_refuses_what_the_command_revoked_until_that_is_undone(
    make: Make, store: str
) -> None:
    project = make({"revocation": store})
    with started(project, "local") as printed:
        found = re.search(r"Worker +(\S+).*Stand-ins +\S+:(\d+)\n.*TOKEN=(\S+)", printed, re.DOTALL)
        assert found
        worker, port, token = found.groups()
        headers = {"authorization": f"Bearer {token}"}

        def status() -> int:
            return httpx.get(f"{worker}/v1/me", headers=headers).status_code

        assert status() == 200
        for kind in ("jti", "sid"):
            command = (f"--{kind}", ids(token)[kind], "--local", "--standins-port", port)
            revoked = revoke(project, *command, "--ttl", "600")
            assert (revoked.returncode, revoked.stderr) == (0, "")
            assert revoked.stdout.endswith("for 600 seconds\n")
            assert status() == 401
            assert revoke(project, *command, "--undo").returncode == 0
            assert status() == 200


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "name one: --jti ID, a token, or --sid ID, a session"),
        (("--jti", "a", "--sid", "b"), "name one"),
        (("--jti", ""), "--jti needs to be 1 to 1024 visible ASCII characters without spaces"),
        (("--sid", "a b"), "--sid needs to be"),
        (("--sid", "x" * 1025), "--sid needs to be"),
        (("--jti", "a", "--ttl", "59"), "--ttl needs to be 60 to 315360000 seconds"),
        (("--jti", "a", "--ttl", "soon"), "--ttl needs to be"),
        (("--jti", "a", "--env", "prod"), "--env needs to be staging or production"),
        (("--jti", "a", "--env", "staging", "--local"), "give --env or --local, not both"),
        (("--jti", "a", "--why", "b"), "Unknown option '--why'"),
        (("--jti", "a"), "set UPSTASH_REDIS_REST_TOKEN in the environment of this command"),
        (
            ("--jti", "a", "--local", "--standins-port", "9"),
            "http://127.0.0.1:9/upstash cannot be reached",
        ),
    ],
    ids=str,
)
def test_what_it_is_told_wrongly_it_says(
    upstash_project: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    process = revoke(upstash_project, *arguments)
    assert process.returncode == 1
    assert process.stderr.startswith("error: ")
    assert complaint in process.stderr


@pytest.fixture(scope="module")
def upstash_project(make: Make) -> Path:
    return make({"revocation": "upstash-redis"})


def test_a_secret_that_is_wrong_is_not_told(upstash_project: Path) -> None:
    secret = {"UPSTASH_REDIS_REST_TOKEN": "hush-hush"}
    process = revoke(upstash_project, "--jti", "a", **secret)
    assert process.returncode == 1
    assert "hush" not in process.stdout + process.stderr
