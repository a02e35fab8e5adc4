"""The first chat on one's own machine: what `npm run local` prints, typed into a shell."""

import json
import re
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.runtime.conftest import Make, environment, press_ctrl_c, read_to, run
from tests.template.combinations import Combination

COMBINATIONS: dict[str, Combination] = {
    "defaults": {},
    "access": {"auth": "cloudflare-access"},
    "oidc": {"auth": "oidc"},
    "least": {"providers": ["anthropic"], "auth": "none", "database": "none", "telemetry": "none"},
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_printed_commands_work(make: Make, name: str) -> None:
    project = make(COMBINATIONS[name])
    with started(project, "local") as printed:
        assert "[WARNING]" not in printed
        commands = re.search(r"In another terminal:\n\n(.*)\n\nCtrl-C", printed, re.DOTALL)
        assert commands
        answers = run(project, "sh", "-ec", commands[1].replace("curl ", "curl -sS --fail "))
    assert '"status":"ok"' in answers
    assert '"text":"You said: Hello!"' in answers
    assert "event: done" in answers
    assert ('"subject":"user_dev"' in answers) == (name != "least")
    assert ('"chats":[{' in answers) == (name != "least")


@pytest.mark.parametrize("database", ["d1", "turso"])
def test_chats_are_still_there_the_next_time(make: Make, database: str) -> None:
    project = make({"database": database})
    for times in (1, 2):
        with started(project, "local") as printed:
            token = re.search(r"^TOKEN=.*$", printed, re.MULTILINE)
            chat, *_, chats = re.findall(r"^curl .*/v1/chats?\b.*$", printed, re.MULTILINE)
            assert token
            run(project, "sh", "-ec", f"{token[0]}\n{chat}")
            assert run(project, "sh", "-ec", f"{token[0]}\n{chats}").count('"id":') == times


def test_nothing_is_fetched_after_npm_install(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make({})
    command = "node scripts/cli.mjs prepare"
    manifest = json.loads((project / "package.json").read_text())
    assert manifest["scripts"]["postinstall"].endswith(f"&& {command}")
    for name in ("python_modules", ".cache/test_modules", ".venv"):
        (project / name).unlink()  # a link to what other projects have
    run(project, "sh", "-ec", f'PATH="$PWD/node_modules/.bin:$PATH" {command}')
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path))
    with started(project, "local") as printed:
        assert "filling" not in printed
        health = re.search(r"^curl .*/healthz$", printed, re.MULTILINE)
        assert health
        assert '"status":"ok"' in run(project, "sh", "-ec", health[0])
    run(project, "npm", "test", "--", "--collect-only", "-q", "tests/test_health.py")


def test_what_a_stream_logs_has_its_request_s_id(make: Make) -> None:
    log: list[str] = []
    with started(make(COMBINATIONS["least"]), "local", log) as printed:
        message = {"role": "user", "content": "Hello!"}
        body = {"messages": [message], "model": "standin-stream-error", "stream": True}
        answer = httpx.post(f"{address(printed)}/v1/chat", json=body, timeout=20)
        assert "event: error" in answer.text
    told = [json.loads(line) for line in log if line.startswith("{")]
    assert {line["event"] for line in told} == {"request", "provider_failed", "provider_call"}
    assert {line["request_id"] for line in told} == {answer.headers["x-request-id"]}


def test_the_stand_ins_never_replace_a_dev_vars(make: Make) -> None:
    project = make({})
    with started(project, "standins"):
        pass
    dev_vars = project / ".dev.vars"
    written = dev_vars.read_text()
    assert 'ENVIRONMENT="local"' in written
    assert 'OPENAI_API_KEY="standin-key"' in written
    dev_vars.write_text("MINE=1\n")
    with started(project, "standins") as printed:
        assert 'OPENAI_API_KEY="standin-key"' in printed
    assert dev_vars.read_text() == "MINE=1\n"


def test_a_change_is_answered_and_a_mistake_is_shown_until_it_is_corrected(make: Make) -> None:
    project = make(COMBINATIONS["least"])
    module = project / "src" / "service" / "about.py"
    source = module.read_text()
    log: list[str] = []
    with started(project, "local", log) as printed:
        url = f"{address(printed)}/healthz"
        for text, status, answer in (
            (f'{source}VERSION = "changed"\n', 200, '"version":"changed"'),
            (f"{source}VERSION = = 2\n", 500, "SyntaxError"),
            (source, 200, '"version":"0.1.0"'),
        ):
            module.write_text(text)
            deadline = time.monotonic() + 120
            while answer not in (told := ask(url)).text or told.status_code != status:
                assert time.monotonic() < deadline, told.text
                time.sleep(0.1)
    assert [line for line in log if "src/service/about.py changed: reloaded in" in line]
    mistakes = "".join(log).split("SyntaxError")
    assert len(mistakes) == 2
    assert 'File "src/service/about.py", line' in mistakes[0]


def ask(url: str) -> httpx.Response:
    """While the Worker changes, connections may be refused."""
    try:
        return httpx.get(url, timeout=60)
    except httpx.TransportError as error:
        return httpx.Response(503, text=str(error))


def test_the_scheduled_handler_is_triggered(make: Make) -> None:
    project = make({**COMBINATIONS["least"], "cron": True})
    (path,) = set(
        re.findall(r"localhost:8787(/cdn-cgi/\S+?)`", (project / "README.md").read_text())
    )
    log: list[str] = []
    with started(project, "local", log) as printed:
        assert httpx.get(address(printed) + path, timeout=60).text == "ok"
    events = [json.loads(line)["event"] for line in log if line.startswith("{")]
    assert "maintenance" in events


@pytest.mark.parametrize(
    "combination",
    [{"ai_gateway": True}, {"auth": "oidc", "revocation": "upstash-redis", "database": "turso"}],
    ids=["gateway", "turso"],
)
def test_wrangler_dev_reads_every_address_from_dev_vars(
    make: Make, combination: Combination
) -> None:
    project = make(combination)
    with started(project, "standins"):
        pass
    written = set(re.findall(r"^\w+", (project / ".dev.vars").read_text(), re.MULTILINE))
    config = tomllib.loads((project / "wrangler.toml").read_text())
    # `secrets.required` makes wrangler ignore every other name, and use the setting's default.
    assert written - {*config["vars"], *config["secrets"]["required"]} <= {"RETRY_DELAY"}


def address(printed: str, of: str = "Worker") -> str:
    """Where the Worker or the stand-ins are, as `npm run local` says."""
    found = re.search(rf"^{of} +(\S+)", printed, re.MULTILINE)
    assert found
    return found[1]


@contextmanager
def started(project: Path, script: str, log: list[str] | None = None) -> Iterator[str]:
    """Run an npm script on free ports until the block ends; what it printed until it was ready.

    What it prints later is added to `log`, at once.
    """
    process = subprocess.Popen(
        ["npm", "run", script, "--", "--port", "0", "--standins-port", "0"],
        cwd=project,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    later = [] if log is None else log
    reader = Thread(target=later.extend, args=[process.stdout])
    try:
        printed = read_to(process.stdout, "Ctrl-C ends it.")
        reader.start()
        yield printed
    finally:
        press_ctrl_c(process, project)
        if reader.ident:
            reader.join()
        process.stdout.close()
