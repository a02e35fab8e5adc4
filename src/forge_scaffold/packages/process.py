"""pip, run as a process of its own that answers in lines of JSON."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

CONNECTION = 15  # until a connection is given up, in s

# uv's names for what pip's variables say, for those who have configured only uv.
UV_NAMES: Mapping[str, tuple[str, ...]] = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
}


def start(program: str, *, errors: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start a module of ours that has pip do something, in lines of JSON; `stop` is to end it."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", program],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,  # Ctrl-C is for us: we end it
    )


def tell(process: subprocess.Popen[str], message: Mapping[str, Any]) -> None:
    """Write a line to a process; whether it is there to read it is seen from its answer."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), file=process.stdin, flush=True)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def unheard(message: str) -> str | None:
    """The server that gave no answer, from a line of pip's log; None: that is about something else.

    pip takes it for an empty page; that there is no such page (404) is an answer. Not the address:
    that may hold a password.
    """
    if not message.startswith("Could not fetch URL ") or " 404 " in message:
        return None
    address = urlsplit(message.removeprefix("Could not fetch URL ").split(": ")[0])
    return address.hostname or "the index"


def environment() -> dict[str, str]:
    """This process's variables for pip, with uv's names where pip's are not set."""
    variables = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}
    for name, uv_names in UV_NAMES.items():
        told = [os.environ[uv_name] for uv_name in uv_names if os.environ.get(uv_name)]
        if told and not os.environ.get(name):
            # uv may name an index: `internal=https://...`
            variables[name] = " ".join(
                part.partition("=")[2] if "=" in part.partition("://")[0] else part
                for part in told[0].split()
            )
    return variables


def configuration() -> str:
    """What pip is configured to. It may hold passwords: to be kept only as part of a hash."""
    listed = subprocess.run(
        [sys.executable, "-P", "-m", "pip", "config", "list"],
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    return listed.stdout
