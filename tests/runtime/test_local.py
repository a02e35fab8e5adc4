"""The first chat on one's own machine: what `npm run local` prints, typed into a shell."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.runtime.conftest import Make, environment, nothing_left, press_ctrl_c, read_to, run
from tests.template.combinations import Combination, everything

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


@pytest.fixture(scope="module")
def turso(make: Make) -> Path:
    """A project whose stand-ins have a child of their own: libSQL's server."""
    return make({"auth": "none", "database": "turso"})


@pytest.mark.parametrize(
    ("ended", "by"),
    [
        ("npm", signal.SIGTERM),
        ("npm", signal.SIGHUP),
        ("npm", signal.SIGKILL),
        ("node", signal.SIGTERM),
        ("node", signal.SIGKILL),
        ("all", signal.SIGINT),
        ("all", signal.SIGHUP),
        ("all", signal.SIGKILL),
    ],
)
def test_nothing_is_left_of_npm_run_local_however_it_ends(
    turso: Path, ended: str, by: signal.Signals
) -> None:
    process = start(turso, "local")
    assert process.stdout
    read_to(process.stdout, "Ctrl-C ends it.")
    running = {name: pid for pid, name in processes(turso)}
    assert {"npm", "node", "uv", "python", "sqld", "workerd"} <= {*running}
    if ended == "all":
        os.killpg(process.pid, by)
    else:
        os.kill(running[ended], by)
    process.communicate(timeout=60)
    nothing_left(process.pid, turso)


def test_libsql_s_server_ends_with_stand_ins_that_are_killed(turso: Path) -> None:
    process = start(turso, "standins")
    assert process.stdout
    read_to(process.stdout, "Ctrl-C ends it.")
    (turso / ".dev.vars").unlink()
    running = {name: pid for pid, name in processes(turso)}
    os.kill(running["python"], signal.SIGKILL)
    process.communicate(timeout=60)
    nothing_left(process.pid, turso)


@pytest.mark.parametrize("option", ["--port", "--standins-port"])
def test_who_holds_a_port_is_said_and_nothing_is_left(turso: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        process = start(turso, "local", option, port)
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"error: port {port} is in use by " in printed
    assert f" (process {os.getpid()}); stop it, or choose another port with {option}" in printed
    nothing_left(process.pid, turso)


def test_a_main_module_that_is_not_there_is_named(make: Make) -> None:
    project = make(COMBINATIONS["least"])
    config = project / "wrangler.toml"
    text = config.read_text().replace("src/entry.py", "src/none.py")
    config.write_text(text)
    line = text.splitlines().index('main = "src/none.py"') + 1
    process = start(project, "local")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    (error,) = [each for each in printed.splitlines() if "error" in each.lower()]
    assert error == (
        f'error: wrangler.toml:{line}: main = "src/none.py": no such file; '
        "name the main module of the Worker, such as src/entry.py"
    )
    nothing_left(process.pid, project)


def test_only_variables_of_the_chosen_providers_are_theirs(make: Make) -> None:
    project = make({**COMBINATIONS["least"], "database": "d1"})
    config = project / "wrangler.toml"
    own = {
        "CRM_BASE_URL": "",
        "CRM_MODEL": "own",
        "OPENAI_BASE_URL": "none",
        "AI_GATEWAY_ID": "own",
    }
    lines = "".join(f'{name} = "{value}"\n' for name, value in own.items())
    mark = "# Your own variables of preview: below this line.\n"
    config.write_text(config.read_text().replace(mark, mark + lines))
    replaced = local_vars(project)
    assert not own.keys() & replaced.keys()
    assert replaced["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:1/anthropic/v1"
    assert replaced["ANTHROPIC_MODEL"] == "standin-echo"


def test_a_compatible_endpoint_is_called_as_it_is_deployed_with_or_past_the_gateway(
    make: Make,
) -> None:
    least = {**COMBINATIONS["least"], "database": "d1"}
    project = make({**least, "providers": ["openai-compatible"], "ai_gateway": True})
    past = local_vars(project)
    config = project / "wrangler.toml"
    unset, groq = 'COMPATIBLE_GATEWAY_PATH = ""', 'COMPATIBLE_GATEWAY_PATH = "groq"'
    config.write_text(config.read_text().replace(unset, groq))
    address = "http://127.0.0.1:1/openai_compatible/v1"
    path = {"OPENAI_COMPATIBLE_GATEWAY_PATH": "standin/v1"}
    assert past["OPENAI_COMPATIBLE_BASE_URL"] == address
    assert local_vars(project) == past | path != past


def local_vars(project: Path) -> dict[str, str]:
    """The variables that point the project's Worker at stand-ins."""
    script = (
        "import('./scripts/standins.mjs').then(({ localVars }) => "
        "console.log(JSON.stringify(localVars('http://127.0.0.1:1'))))"
    )
    printed: dict[str, str] = json.loads(run(project, "node_modules/.bin/node", "--eval", script))
    return printed


@pytest.mark.parametrize("turn", range(len(everything())))
def test_five_chats_at_a_time_are_answered_with_everything_switched_on(
    make: Make, turn: int
) -> None:
    with started(make(everything()[turn]), "local") as printed:
        token = re.search(r"^TOKEN=(.*)$", printed, re.MULTILINE)
        chat = re.search(r"^curl \S+/v1/chat .*$", printed, re.MULTILINE)
        assert chat
        command = chat[0].replace("$TOKEN", token[1] if token else "")
        headers = dict(each.split(": ", 1) for each in re.findall(r'-H "([^"]*)"', command))
        body = {"messages": [{"role": "user", "content": "Hello!"}]}
        url = f"{address(printed)}/v1/chat"

        def ask_once(_: int) -> int:
            return httpx.post(url, json=body, headers=headers, timeout=120).status_code

        with ThreadPoolExecutor(5) as callers:
            assert [*callers.map(ask_once, range(20))] == [200] * 20


def address(printed: str, of: str = "Worker") -> str:
    """Where the Worker or the stand-ins are, as `npm run local` says."""
    found = re.search(rf"^{of} +(\S+)", printed, re.MULTILINE)
    assert found
    return found[1]


def start(project: Path, script: str, *options: str) -> subprocess.Popen[str]:
    """Run an npm script, on free ports but for those of the options, in a group of its own."""
    return subprocess.Popen(
        ["npm", "run", script, "--", "--port", "0", "--standins-port", "0", *options],
        cwd=project,
        env=environment(),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes(folder: Path) -> Iterator[tuple[int, str]]:
    """The processes whose current folder this is, by the names of their programs."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == folder:
                program, *_ = (process / "cmdline").read_text().split("\0")
                yield int(process.name), Path(program.split(" ")[0]).name


@contextmanager
def started(project: Path, script: str, log: list[str] | None = None) -> Iterator[str]:
    """Run an npm script on free ports until the block ends; what it printed until it was ready.

    What it prints later is added to `log`, at once.
    """
    process = start(project, script)
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
