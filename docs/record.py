"""Record a first chat and an edit on real workerd, without a network after `npm install`.

    python docs/record.py FOLDER

FOLDER is a project that `forge new --defaults` made, before its first `npm install`. Writes
docs/recordings/local.cast, and its text into docs/how-to/run-and-test-a-worker.md. Needs Linux and
the right to make a network namespace.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

DOCS = Path(__file__).parent
CAST = DOCS / "recordings" / "local.cast"
PAGE = DOCS / "how-to" / "run-and-test-a-worker.md"
BEGIN, END = "<!-- transcript: begin -->", "<!-- transcript: end -->"
WIDTH, HEIGHT = 110, 36
PROMPT = "\x1b]133;A\x07"  # what terminals use to find prompts; invisible
LONGEST = 300  # seconds that a step may take
TYPING, READING = 0.03, 1.5  # seconds for a letter, and before the next command
TOGETHER = 0.1  # output within so many seconds is one event
TOKEN = re.compile(r"(eyJ[\w-]{24})[\w-]*\.[\w-]+\.[\w-]+")
WRAPPED = " \r"  # what bash writes where a long command goes on in the next line
CONTROL = re.compile(r"\x1b\][^\x07]*\x07|\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")

HEADER = '-H "Authorization: Bearer $TOKEN"'
CHAT = f"curl -N localhost:8787/v1/chat {HEADER} --json"
ROUTES = "src/service/custom/routes.py"
ROUTE = f"""cat > {ROUTES} <<'END'
from service.web import Route, json_response


def routes(context):
    async def greet(request):
        return json_response({{"text": f"Hello, {{request.caller}}!"}})

    return [Route("GET", "/v1/greeting", greet)]
END"""
GREETING = f"curl localhost:8787/v1/greeting {HEADER}; echo"

# What is typed, and what to wait for.
STEPS = [
    ("npm install", PROMPT),
    ("# Cut the network: from here on there is only this machine.", PROMPT),
    ("unshare --net bash --norc", PROMPT),
    ("ip link set lo up && curl https://pypi.org", PROMPT),
    ("npm run local &", "Ctrl-C ends it."),
    ("", PROMPT),
    ("read -rs TOKEN  # and paste it", ""),
    ("TOKEN", PROMPT),
    (
        f"""{CHAT} '{{"messages":[{{"role":"user","content":"Hello!"}}],"stream":true}}'""",
        PROMPT,
    ),
    (f"curl localhost:8787/v1/chats {HEADER}; echo", PROMPT),
    ("# A route of your own.", PROMPT),
    (ROUTE, "reloaded in"),
    ("", PROMPT),
    (GREETING, PROMPT),
    (f"sed -i 's/Hello/Good morning/' {ROUTES}", "reloaded in"),
    ("", PROMPT),
    (GREETING, PROMPT),
    ("# A mistake.", PROMPT),
    (f'sed -i \'s/f"Good/f"Good"/\' {ROUTES}', "SyntaxError"),
    ("", PROMPT),
    (GREETING, PROMPT),
    (f'sed -i \'s/f"Good"/f"Good/\' {ROUTES}', "reloaded in"),
    ("", PROMPT),
    (GREETING, PROMPT),
]


class Terminal:
    """A shell, and all that its terminal shows."""

    def __init__(self, folder: Path) -> None:
        self.events: list[tuple[float, str]] = []
        env = {**os.environ, "PS1": "$ ", "PROMPT_COMMAND": f"sleep 0.3; printf '{PROMPT}'"}
        env |= {"TERM": "xterm-256color", "NPM_CONFIG_PROGRESS": "false"}
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--norc"], env)  # noqa: S606
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("4H", HEIGHT, WIDTH, 0, 0))
        self._started = time.monotonic()

    @property
    def text(self) -> str:
        """All of it, up to now."""
        return "".join(data for _, data in self.events)

    def type(self, text: str) -> None:
        """Press a key for each letter."""
        for letter in text:
            os.write(self._terminal, letter.encode())
            self.watch(TYPING)

    def paste(self, text: str) -> None:
        """Enter all of it at once."""
        os.write(self._terminal, text.encode())

    def watch(self, seconds: float, awaited: str = "") -> None:
        """Take what is shown for so long, or until something awaited is shown."""
        seen = len(self.text)
        deadline = time.monotonic() + seconds
        while not awaited or awaited not in self.text[seen:]:
            left = deadline - time.monotonic()
            if left <= 0 and awaited:
                sys.exit(f"{awaited!r} did not appear:\n{self.text[seen:]}")
            if left <= 0:
                return
            if select.select([self._terminal], [], [], left)[0]:
                data = os.read(self._terminal, 65536).decode(errors="replace")
                self.events.append((time.monotonic() - self._started, data))


def record(folder: Path) -> Terminal:
    """Type the steps into a shell in the folder."""
    terminal = Terminal(folder)
    terminal.watch(LONGEST, PROMPT)
    terminal.watch(READING)
    for command, awaited in STEPS:
        if command == "TOKEN":
            token = re.search(TOKEN, terminal.text)
            terminal.paste(f"{token[0] if token else ''}\n")
        elif "\n" in command:
            terminal.paste(f"{command}\n")
        else:
            terminal.type(command)
            terminal.paste("\n")
        terminal.watch(LONGEST if awaited else 0.5, awaited)
        terminal.watch(READING if command else 0)
    terminal.type("fg\n")
    terminal.watch(READING)
    terminal.paste("\x03")
    terminal.watch(LONGEST, PROMPT)
    os.kill(terminal.pid, signal.SIGHUP)
    return terminal


def together(events: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """The events, those that belong together as one, with the token cut short."""
    joined: list[tuple[float, str]] = []
    last = -TOGETHER
    for moment, data in events:
        if moment - last < TOGETHER:
            start, before = joined.pop()
            joined.append((start, before + data))
        else:
            joined.append((moment, data))
        last = moment
    return [(moment, TOKEN.sub(r"\1...", data)) for moment, data in joined]


def main() -> None:
    """Write the recording and its text."""
    events = together(record(Path(sys.argv[1])).events)
    header = {
        "version": 2,
        "width": WIDTH,
        "height": HEIGHT,
        "idle_time_limit": 2,
        "title": "npm install, then npm run local without a network",
    }
    lines = [
        header,
        *([round(moment, 3), "o", data.replace(PROMPT, "")] for moment, data in events),
    ]
    text = "".join(data for _, data in events)
    if TOKEN.search(text):
        sys.exit("the token would be in the recording: raise TOGETHER")
    CAST.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    shown = CONTROL.sub("", text).replace("\r\n", "\n").replace(WRAPPED, "")
    shown = re.sub(r"[ \t]+\n", "\n", shown).strip()
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    page = f"{before}{BEGIN}\n\n```text\n{shown}\n```\n\n{END}{after}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
