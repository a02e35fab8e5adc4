"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from forge_scaffold.cli import suggested

Template = Annotated[
    str | None,
    typer.Option(
        "--template", metavar="PATH|URL", help="The template: a folder or a git repository's URL."
    ),
]

Ref = Annotated[
    str | None,
    typer.Option("--ref", metavar="REF", help="The template's tag, branch or commit."),
]

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An answer; repeatable. Write lists as a,b.",
        autocompletion=suggested.answers,
    ),
]

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Read answers from a YAML, TOML or JSON file, or - for YAML on standard input.",
    ),
]

Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Take the answers of a preset from your organisation's forge.toml.",
        autocompletion=suggested.presets,
    ),
]

Defaults = Annotated[
    bool, typer.Option("--defaults", help="Ask nothing: take the defaults of open questions.")
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
]

Json = Annotated[bool, typer.Option("--json", help="Print the result, or the error, as JSON.")]

Offline = Annotated[
    bool, typer.Option("--offline", help="Use the releases that Forge brings; ask no address.")
]

Project = Annotated[
    Path, typer.Option("--project", metavar="PATH", help="The project's folder (default: .).")
]
