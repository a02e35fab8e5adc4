"""`forge serve`: a Worker on this machine."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from forge_scaffold.cli import terminal
from forge_scaffold.cli.arguments import Command, Parameter
from forge_scaffold.errors import UserError
from forge_scaffold.printable import printable

if TYPE_CHECKING:
    from forge_scaffold.runtime.commands import Run

MOST_PORT = 65_535

SUMMARY = "Serve a Python Worker on this machine, on the runtime that Cloudflare runs."

DETAILS = """\
workerd serves the Worker with its D1, KV, R2, queues, Durable Objects,
Workflows and crons, without an account and without a network. A saved change
is answered after a second or two. Ctrl-C ends it.

The Worker need not be made by Forge: a folder with wrangler.toml or
wrangler.jsonc will do. The first time, npm installs Node and workerd into
your cache folder; nothing is installed in the Worker's folder. A project that
Forge made runs its own `npm run local`.

Examples:
  forge serve
  forge serve services/chat --port 8080
"""


def run(args: Namespace) -> None:
    """Run the command.

    Raises:
        UserError: there is no Python Worker, or it cannot be prepared.
    """
    from forge_scaffold.runtime import commands

    if args.port and not (args.port.isdecimal() and int(args.port) <= MOST_PORT):
        raise UserError(f"--port {args.port}: not a port; use 0 to {MOST_PORT}")
    port = ["--port", args.port] if args.port else []
    become(commands.prepared("local", Path(args.path), [*port, *args.argument], terminal.progress))


def become(command: "Run") -> None:
    """Replace this process by the command, after its notes."""
    for note in command.notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    command.become()


COMMAND = Command(
    name="serve",
    summary=SUMMARY,
    details=DETAILS,
    parameters=(
        Parameter("PATH", "The Worker's folder. [default: .]", default="."),
        Parameter(
            "ARGUMENT", "After --: arguments for the project's own npm run local.", many=True
        ),
        Parameter("--port", "Where to listen; 0 takes a free port. [default: 8787]", "PORT"),
    ),
    run=run,
)
