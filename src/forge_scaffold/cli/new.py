"""`forge new`: from answers to a Worker."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forge_scaffold.cli import terminal
from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    from forge_scaffold.config import Asker, ProvidedAnswer
    from forge_scaffold.questions import Questionnaire


def _help(context: typer.Context, wanted: bool) -> None:
    """The usual help, then the questions as copier.yml has them now."""
    if wanted:
        from forge_scaffold.cli import questions_help

        typer.echo(f"{context.get_help()}\n\n{questions_help.text()}")
        raise typer.Exit


def new(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The folder to make: new, or there and empty.")
    ],
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Ask nothing: open questions take their default.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One answer; repeatable; lists as a,b."),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Answers in YAML, TOML or JSON; --set wins."),
    ] = None,
    template: Annotated[
        str | None, typer.Option(metavar="PATH|URL", help="Another template: a folder, a git URL.")
    ] = None,
    ref: Annotated[
        str | None, typer.Option(metavar="REF", help="The template's tag, branch or commit.")
    ] = None,
    no_git: Annotated[bool, typer.Option("--no-git", help="Make no git repository.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report in JSON.")] = False,
    _help: Annotated[
        bool,
        typer.Option(
            "--help", "-h", is_eager=True, callback=_help, help="Show this and the questions."
        ),
    ] = False,
) -> None:
    """Write a Cloudflare Python Worker into PATH, from answers.

    What neither --set nor --config answers is asked. Without a terminal, add --defaults.

    \b
    Examples:
      forge new my-service
      forge new my-service --defaults
      forge new my-service --defaults --set providers=openai --set auth=none
      forge new my-service --config team.yaml --json
    """
    with terminal.outcomes(), ExitStack() as stack:
        from forge_scaffold import config, generate, sources
        from forge_scaffold.cli import summary
        from forge_scaffold.questions import Questionnaire

        with terminal.progress("Reading the template ..."):
            source = stack.enter_context(sources.opened(template, ref))
        questionnaire = Questionnaire.load(
            source.root / "copier.yml", Path(os.path.realpath(path)).name
        )
        provided, problems = config.provided_answers(config_file, settings or (), questionnaire)
        written = generate.always_written(source)
        if problems := [*generate.target_problems(path, written), *problems]:
            raise UserError(*problems)
        answers = config.complete(
            provided, questionnaire, _asker(defaults, provided, questionnaire)
        )
        with terminal.progress("Rendering and checking the project ..."):
            created = generate.create(source, answers, path, repository=not no_git)
        report = summary.as_json if as_json else summary.as_text
        typer.echo(report(summary.Made(created, answers, source, path)))


def _asker(
    defaults: bool, provided: "Mapping[str, ProvidedAnswer]", questionnaire: "Questionnaire"
) -> "Asker | None":
    """Who answers the open questions: the person at the terminal, or the defaults (None).

    Raises:
        UserError: there are neither.
    """
    from forge_scaffold.config import unanswered

    open_questions = unanswered(provided, questionnaire)
    if defaults or not open_questions:
        return None
    if not terminal.interactive():
        raise UserError(
            f"not answered: {', '.join(open_questions)}; there is no terminal to ask on, so take "
            "their defaults with --defaults, or answer with --set KEY=VALUE or --config FILE"
        )
    from forge_scaffold.cli.prompts import asker

    return asker(questionnaire)
