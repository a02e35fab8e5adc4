"""`forge new`: from answers to a Worker."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge_scaffold.cli import terminal
from forge_scaffold.cli.help import ForgeCommand
from forge_scaffold.cli.options import (
    Config,
    Defaults,
    DryRun,
    Json,
    Preset,
    Ref,
    Settings,
    Template,
)
from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    from forge_scaffold.config import Provided
    from forge_scaffold.interview import Interview


class NewCommand(ForgeCommand):
    """Its help ends with the questions, as copier.yml has them now."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - as Typer has it
        """The questions."""
        from forge_scaffold.cli import questions_help

        formatter.write(f"\n{questions_help.text()}\n")


def new(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The folder to create, or an empty one.")
    ],
    defaults: Defaults = False,
    settings: Settings = None,
    config_file: Config = None,
    preset: Preset = None,
    template: Template = None,
    ref: Ref = None,
    no_git: Annotated[bool, typer.Option("--no-git", help="Do not make a git repository.")] = False,
    dry_run: DryRun = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show where each answer comes from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create a Cloudflare Python Worker in PATH.

    Forge asks what --set, --config and --preset leave open. Where it cannot ask, in CI for
    example, add --defaults.

    \b
    Examples:
      forge new my-service
      forge new my-service --defaults --set providers=openai --set auth=none
      forge new my-service --config team.yaml --json
      forge new my-service --preset team-chat --dry-run --explain
    """
    with ExitStack() as stack:
        from forge_scaffold import config, generate
        from forge_scaffold.cli import summary
        from forge_scaffold.cli.template import opened
        from forge_scaffold.interview import Interview
        from forge_scaffold.organisation import Organisation
        from forge_scaffold.questions import Questionnaire

        organisation = Organisation.of(path)
        source = stack.enter_context(opened(organisation, template, ref))
        questionnaire = Questionnaire.load(
            source.root / "copier.yml", Path(os.path.realpath(path)).name
        )
        suggested = config.from_organisation(organisation.defaults, "organisation")
        from_preset = (
            config.from_organisation(organisation.preset(preset), f"preset {preset}")
            if preset
            else {}
        )
        provided, problems = config.provided_answers(
            config_file, settings or (), questionnaire, from_preset, suggested
        )
        written = generate.always_written(source)
        if problems := [*generate.target_problems(path, written), *problems]:
            raise UserError(*problems)
        if not defaults:
            provided = dict(_asked(Interview(questionnaire, provided, suggested)))
        answers = config.complete(provided, questionnaire, suggested)
        with terminal.progress("Rendering and checking the project ..."):
            if dry_run:
                created = stack.enter_context(generate.preview(source, answers, path))
            else:
                created = generate.create(source, answers, path, repository=not no_git)
        made = summary.Made(created, answers, source, path, dry_run=dry_run)
        print(summary.as_json(made) if as_json else summary.as_text(made, explain=explain))


def _asked(interview: "Interview") -> "Provided":
    """The answers, after the person at the terminal has given those that are open.

    Raises:
        UserError: answers are open, and there is no terminal.
    """
    from forge_scaffold.config import unanswered

    provided = interview.answers
    open_questions = unanswered(provided, interview.questionnaire, interview.defaults)
    if not open_questions:
        return provided
    if not terminal.interactive():
        raise UserError(
            f"not answered: {', '.join(open_questions)}; there is no terminal to ask on, so take "
            "their defaults with --defaults, or answer with --set KEY=VALUE or --config FILE"
        )
    from forge_scaffold.cli import prompts

    return prompts.ask(interview)
