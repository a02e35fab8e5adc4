"""`forge` as a process: terminals, signals, odd bytes, start-up."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from forge_scaffold.questions import Questionnaire
from tests.support import REPOSITORY, opened_by_its_reader

QUESTIONS = Questionnaire.load(REPOSITORY / "copier.yml")

# The questions about one thing more, which are asked whatever the other answers.
EXTRAS = [each.name for each in QUESTIONS if each.kind is bool and each.when is True]

FORGE = [sys.executable, "-m", "forge_scaffold"]


def test_an_argument_that_is_no_text_is_refused(home: Path, template: Path) -> None:
    run = subprocess.run(
        [*FORGE, "new", "x", "--defaults", "--template", template, b"--set=description=\xff"],
        cwd=home,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert run.returncode == 2
    assert b"Traceback" not in run.stderr
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    "arguments", [["new", "", "--defaults"], ["status", "--project", ""], ["check", ""]]
)
def test_an_empty_argument_is_not_the_current_folder(home: Path, arguments: list[str]) -> None:
    run = subprocess.run(
        [*FORGE, *arguments], cwd=home, capture_output=True, check=False, text=True
    )
    assert run.returncode == 2
    assert run.stderr == "error: an argument is empty; is a variable of your shell not set?\n"
    assert not list(home.iterdir())


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("command", ["schema", "check .", "status"])
def test_closed_output_is_no_failure_of_its_own(home: Path, command: str, closed: str) -> None:
    line = f'"{sys.executable}" -m forge_scaffold {command}'
    runs = [
        subprocess.run(
            ["sh", "-c", f"{line} {redirected}"], cwd=home, capture_output=True, check=False
        )
        for redirected in ("", closed)
    ]
    assert runs[0].returncode == runs[1].returncode
    assert b"Traceback" not in runs[1].stdout + runs[1].stderr


def test_a_terminal_without_unicode_is_enough(home: Path, template: Path) -> None:
    run = subprocess.run(
        [*FORGE, "new", "x", "--defaults", "--template", template],
        cwd=home,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert run.returncode == 0
    assert b"x is a Worker" in run.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_half_way_leaves_no_trace(
    tmp_path: Path, home: Path, template: Path, number: signal.Signals
) -> None:
    endless = template / "template" / "a-file-that-never-ends"
    os.mkfifo(endless)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [*FORGE, "new", "a/x", "--defaults", "--template", str(template)],
        cwd=home,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with opened_by_its_reader(endless):
        assert list(home.glob("a/.forge-*"))
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert output == ""
    assert "Traceback" not in errors
    assert not list(home.iterdir())
    assert not list(temporary.iterdir())


def test_a_reader_who_has_had_enough_is_no_failure() -> None:
    process = subprocess.Popen(
        [*FORGE, "rule", "--all"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (128 + signal.SIGPIPE, "")


class Terminal:
    """A person at a terminal who runs forge."""

    def __init__(self, home: Path, *arguments: str | Path) -> None:
        self.descriptor, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.process = subprocess.Popen(
            [*FORGE, *map(str, arguments)],
            cwd=home,
            env={**os.environ, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""

    def expect(self, text: str) -> None:
        """Read until the text has appeared."""
        limit = time.monotonic() + 30
        while text not in self.seen:
            ready, _, _ = select.select([self.descriptor], [], [], limit - time.monotonic())
            assert ready, f"{text!r} did not come after {self.seen!r}"
            try:
                chunk = os.read(self.descriptor, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                chunk = b""
            assert chunk, f"{text!r} did not come after {self.seen!r}"
            self.seen += chunk.decode("utf-8", "replace")
            if chunk.endswith(b"\x1b[6n"):  # "where is the cursor?", which a terminal answers
                os.write(self.descriptor, b"\x1b[1;1R")
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def exit_code(self) -> int:
        """Read to the end and wait for the process."""
        with suppress(OSError):  # as above
            while os.read(self.descriptor, 65536):
                pass
        os.close(self.descriptor)
        return self.process.wait(timeout=60)


def test_only_what_was_not_told_is_asked(home: Path, template: Path) -> None:
    terminal = Terminal(home, "new", "asked", "--set", "database=none", "--template", template)
    terminal.expect("Service name")
    terminal.type("\x15-bad\r")
    terminal.expect("start and end with a letter or digit")
    terminal.type("\x15named\r")
    terminal.expect("What does the service do")
    terminal.type("\r")
    terminal.expect("language model providers")
    terminal.type(" \r")  # takes the first choice out
    terminal.expect("AI Gateway?")
    terminal.type("y")
    terminal.expect("How should callers authenticate")
    terminal.type("\x1b[B\x1b[B\x1b[B\r")  # three down
    terminal.expect("Where should provider calls")
    terminal.type("\r")
    for extra in EXTRAS[1:]:
        terminal.expect(QUESTIONS.questions[extra].help[:20])
        terminal.type("\r")
    terminal.expect("Continue with these answers")
    terminal.type("\r")
    terminal.expect("\x1b[1mnamed\x1b[0m is a Worker")
    assert terminal.exit_code() == 0
    stored = yaml.safe_load((home / "asked" / ".copier-answers.yml").read_text())
    assert stored == {
        "_src_path": str(template),
        "service_name": "named",
        "description": "A language model service on Cloudflare Workers",
        "providers": ["anthropic"],
        "ai_gateway": True,
        "auth": "none",
        "database": "none",
        "telemetry": "analytics-engine",
        **dict.fromkeys(EXTRAS[1:], False),
    }


BACK = "\x1b[Z"  # Shift-Tab
DOWN = "\x1b[B"
ASKED = ("--set=description=x", "--set=providers=openai", "--set=telemetry=none")


def test_one_can_go_back_change_an_answer_and_see_help(home: Path, template: Path) -> None:
    extras = [f"--set={extra}=false" for extra in (*EXTRAS, "bucket", "search")]
    terminal = Terminal(home, "new", "asked", *ASKED, *extras, "--template", template)
    terminal.expect("Service name")
    terminal.type("\x15?\r")
    terminal.expect("--set service_name=")
    terminal.expect("Service name")
    terminal.type("\x15first\r")
    terminal.expect("How should callers authenticate")
    terminal.expect("Shift-Tab: back")
    terminal.type(BACK)
    terminal.expect("Service name")
    terminal.expect("first")  # the answer that was given is suggested
    terminal.type("\x15second\r")
    terminal.expect("How should callers authenticate")
    terminal.type("?")
    terminal.expect("--set auth=")
    terminal.expect("How should callers authenticate")
    terminal.type("\r")
    terminal.expect("Where should revoked tokens")
    terminal.type("\r")
    terminal.expect("Where should chats be stored")
    terminal.type("\r")
    terminal.expect("Limit each caller")
    terminal.type("y")
    terminal.expect("Continue with these answers")
    terminal.expect("quota")
    terminal.type(DOWN * 5 + "\r")  # service_name, description, providers, ai_gateway, auth
    terminal.expect("How should callers authenticate")
    terminal.type(DOWN * 3 + "\r")  # none: there is nothing to revoke and nobody to limit
    terminal.expect("Continue with these answers")
    terminal.type(BACK)
    terminal.expect("Where should chats be stored")
    terminal.type(DOWN * 2 + "\r")
    terminal.expect("Continue with these answers")
    terminal.type("\r")
    terminal.expect("is a Worker")
    assert terminal.exit_code() == 0
    stored = yaml.safe_load((home / "asked" / ".copier-answers.yml").read_text())
    assert (stored["service_name"], stored["auth"], stored["database"]) == (
        "second",
        "none",
        "none",
    )
    assert not {"revocation", "quota"} & stored.keys()


def test_a_stop_at_the_confirmation_leaves_no_trace(home: Path, template: Path) -> None:
    answers = [f"--set={extra}=false" for extra in EXTRAS]
    answers += ["--set=auth=none", "--set=database=none", "--set=service_name=x"]
    terminal = Terminal(home, "new", "asked", *ASKED[1:], *answers, "--template", template)
    terminal.expect("What does the service do")
    terminal.type("\r")
    terminal.expect("Continue with these answers")
    terminal.type("\x03")
    terminal.expect("stopped; nothing was left behind")
    assert terminal.exit_code() == 130
    assert not list(home.iterdir())


def test_a_stop_at_a_question_leaves_no_trace(home: Path, template: Path) -> None:
    terminal = Terminal(home, "new", "asked", "--template", template)
    terminal.expect("Service name")
    terminal.type("\x03")
    terminal.expect("stopped; nothing was left behind")
    assert terminal.exit_code() == 130
    assert not list(home.iterdir())


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["new", "--help"]])
def test_what_needs_no_template_engine_loads_none(arguments: list[str]) -> None:
    assert not loaded(arguments) & {"copier", "jinja2", "pydantic", "questionary"}


@pytest.mark.parametrize("arguments", [["--version"], ["rule", "RUN101"], ["check", "nowhere"]])
def test_what_must_be_fast_loads_neither_typer_nor_pydantic(arguments: list[str]) -> None:
    assert not loaded(arguments) & {"typer", "pydantic", "yaml", "copier", "jinja2", "rich"}


def loaded(arguments: list[str]) -> set[str]:
    """The packages that a command imports."""
    program = """
import sys
from forge_scaffold.cli import run
try:
    run(sys.argv[1:])
except SystemExit:
    pass
print(*{name.partition(".")[0] for name in sys.modules})
"""
    command = [sys.executable, "-c", program, *arguments]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return set(printed.splitlines()[-1].split())


def test_python_m_is_forge(home: Path) -> None:
    run = subprocess.run(
        [*FORGE, "--version"], capture_output=True, check=True, text=True, cwd=home
    )
    assert run.stdout == f"forge {version('forge-workers')}\n"
