"""What a shell suggests as the value of an argument or an option.

Each function takes what is typed so far and returns the values that it may become, some with a
description. They run while somebody waits for the Tab key: mistakes suggest nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_scaffold.errors import ForgeError

if TYPE_CHECKING:
    from forge_scaffold.questions import Question, Questionnaire

Suggestions = Sequence[str | tuple[str, str]]


def rule_ids(incomplete: str) -> Suggestions:
    """The ids of the rules, of the last one in a list."""
    from forge_scaffold.checks import RULES

    before, comma, _ = incomplete.rpartition(",")
    return [(f"{before}{comma}{name}", rule.title) for name, rule in RULES.items()]


def presets(incomplete: str) -> Suggestions:  # noqa: ARG001 - the shell's contract
    """The organisation's presets."""
    from forge_scaffold.organisation import Organisation

    with suppress(ForgeError, OSError):
        return list(Organisation.of(Path()).presets)
    return []


def answers(ctx: Any, incomplete: str) -> Suggestions:  # noqa: ANN401 - a typer.Context
    """The questions as `KEY=`, and the answers to the one that is typed."""
    with suppress(ForgeError, OSError):
        return list(_answers(_questionnaire(ctx.params.get("template")), incomplete))
    return []


def _questionnaire(template: object) -> "Questionnaire":
    from forge_scaffold.questions import Questionnaire
    from forge_scaffold.sources import own_template

    if isinstance(template, str):
        return Questionnaire.load(Path(template).expanduser() / "copier.yml")
    with own_template() as root:
        return Questionnaire.load(root / "copier.yml")


def _answers(questionnaire: "Questionnaire", typed: str) -> Iterator[tuple[str, str]]:
    key, equals, value = typed.partition("=")
    question = questionnaire.questions.get(key.rstrip("+-"))
    if not equals:
        for each in questionnaire:
            yield f"{each.name}=", each.help
    elif question:
        for text, label in _values(question, value):
            yield f"{key}={text}", label


def _values(question: "Question", typed: str) -> Iterator[tuple[str, str]]:
    if question.kind is bool:
        yield from (("true", question.help), ("false", question.help))
    before, comma, _ = typed.rpartition(",") if question.multiselect else ("", "", "")
    chosen = before.split(",")
    for choice, label in question.choices.items():
        if choice not in chosen:
            yield f"{before}{comma}{choice}", label
