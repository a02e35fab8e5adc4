"""`forge adopt`: bring an existing Worker under the template."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from forge_scaffold.cli import options, terminal
from forge_scaffold.errors import UserError


def adopt(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The Worker's folder.", show_default=False)
    ] = Path(),
    settings: options.Settings = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add",
            metavar="FILE|FOLDER",
            help="Also write these files of the template that the project lacks; . for all.",
        ),
    ] = None,
    template: options.Template = None,
    ref: options.Ref = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Bring an existing Python Worker under the template.

    Works out the answers that code and wrangler configuration show, prints them with their
    evidence and the diff to the template's files, and writes .copier-answers.yml. No existing
    file is changed.

    \b
    Examples:
      forge adopt --dry-run
      forge adopt services/chat --set auth=clerk
      forge adopt --add .github --add tests/support
    """
    with ExitStack() as stack:
        from forge_scaffold import adopt, config, inference
        from forge_scaffold.cli import adopt_report
        from forge_scaffold.cli.template import opened
        from forge_scaffold.organisation import Organisation
        from forge_scaffold.project import Project
        from forge_scaffold.questions import Questionnaire
        from forge_scaffold.worktree import WorkTree

        try:
            project = Project.read(path.resolve())
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
        problems = adopt.problems(project)
        if not dry_run:
            try:
                WorkTree.of(project.root).require_clean()
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(*problems)
        organisation = Organisation.of(project.root)
        source = stack.enter_context(opened(organisation, template, ref))
        questionnaire = Questionnaire.load(source.root / "copier.yml", project.root.name)
        provided, problems = config.read_settings(settings or (), questionnaire)
        with terminal.progress("Reading the project ..."):
            inferred = inference.infer(project, questionnaire, provided)
        if problems := [*problems, *config.problems_with(inferred, questionnaire)]:
            raise UserError(*problems)
        answers = config.complete(inferred, questionnaire, None)
        with terminal.progress("Rendering the template ..."):
            comparison = stack.enter_context(adopt.compared(project, source, answers))
        added = comparison.chosen(add or ())
        if not dry_run:
            adopt.write(comparison, added)
        report = adopt_report.as_json if as_json else adopt_report.as_text
        adopted = adopt_report.Adopted(project, answers, source, comparison, added, dry_run)
        # Lines of the patch may be in any encoding: they are handed on as they are.
        typer.echo(report(adopted).encode("utf-8", "surrogateescape"))
