"""Answers from the command line, a config file, an organisation and defaults.

Each value keeps its origin; all problems are reported at once. What wins over what: `--set`, the
config file, the preset, what is answered at the prompt, the organisation's defaults, the
template's.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forge_scaffold import config_files
from forge_scaffold.errors import UserError
from forge_scaffold.organisation import Setting
from forge_scaffold.questions import SHOWN_CHARACTERS, Question, Questionnaire, either
from forge_scaffold.suggestions import hint

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class ProvidedAnswer:
    """One value and the place it came from: `--set auth=none`, `team.yaml:3`.

    Attributes:
        value: the answer.
        origin: its place, as the start of an error.
        written: the text in YAML that became a value of another type.
    """

    value: object
    origin: str
    written: str = ""


Provided = Mapping[str, ProvidedAnswer]


@dataclass(frozen=True)
class Answers:
    """A complete, valid set of answers.

    Attributes:
        values: an instance of the questionnaire's model.
        origins: name -> the place the value came from.
    """

    values: "BaseModel"
    origins: Mapping[str, str]

    def as_dict(self) -> dict[str, object]:
        """The answers by name, without the questions that did not apply."""
        return self.values.model_dump(exclude_unset=True)


def read_file(path: Path) -> dict[str, ProvidedAnswer]:
    """The answers in a YAML, TOML or JSON file, or on standard input for `-`.

    Raises:
        UserError: it cannot be read, with the line and the reason.
    """
    return {
        name: ProvidedAnswer(entry.value, f"{path}:{entry.line}", entry.written)
        for name, entry in config_files.read(path).items()
    }


def from_organisation(settings: Mapping[str, Setting], source: str) -> dict[str, ProvidedAnswer]:
    """Answers of a forge.toml, whose origin names `source` and the line."""
    return {
        name: ProvidedAnswer(setting.value, f"{source} ({setting.place})")
        for name, setting in settings.items()
    }


def provided_answers(
    config_file: Path | None,
    settings: Sequence[str],
    questionnaire: Questionnaire,
    preset: Provided | None = None,
    defaults: Provided | None = None,
) -> tuple[dict[str, ProvidedAnswer], list[str]]:
    """Everything the user provided, and everything that is wrong with it.

    Args:
        config_file: see `read_file`; wins over the preset.
        settings: the values of --set, as `KEY=VALUE`; win over the file; the last of a key counts.
        questionnaire: what can be answered.
        preset: the answers of an organisation's preset.
        defaults: the organisation's defaults, which are checked but not part of the result.
    """
    provided: dict[str, ProvidedAnswer] = {**(preset or {})}
    problems: list[str] = []
    if config_file:
        try:
            provided.update(read_file(config_file))
        except UserError as error:
            problems.extend(error.problems)
    from_settings, unreadable = read_settings(settings, questionnaire)
    provided.update(from_settings)
    return provided, [*problems, *unreadable, *problems_with(provided, questionnaire, defaults)]


def read_settings(
    settings: Sequence[str], questionnaire: Questionnaire
) -> tuple[dict[str, ProvidedAnswer], list[str]]:
    """The answers in `KEY=VALUE` texts, and those that cannot be read."""
    provided: dict[str, ProvidedAnswer] = {}
    problems: list[str] = []
    for setting in settings:
        name, equals, text = setting.partition("=")
        more = "..." if len(setting) > SHOWN_CHARACTERS else ""
        origin = f"--set {setting[:SHOWN_CHARACTERS]}{more}"
        if not equals:
            problems.append(f"{origin}: write it as KEY=VALUE")
            continue
        try:
            value = _parse(questionnaire.questions.get(name), text)
        except ValueError:
            kind = _kind(questionnaire.questions[name])
            problems.append(f"{origin}: {text[:SHOWN_CHARACTERS]!r} cannot be read as {kind}")
            continue
        provided[name] = ProvidedAnswer(value, origin)
    return provided, problems


def _parse(question: Question | None, text: str) -> object:
    """A --set value as the question's type; lists as `a,b` or as YAML `[a, b]`."""
    if question is None or (question.kind is str and not question.multiselect):
        return text
    if question.multiselect and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    return config_files.value(text)


def _kind(question: Question) -> str:
    return "a list" if question.multiselect else f"a {question.kind.__name__}"


def problems_with(
    provided: Provided, questionnaire: Questionnaire, defaults: Provided | None = None
) -> list[str]:
    """What is wrong with these answers, when defaults are taken for the rest."""
    return list(_problems(provided, questionnaire, defaults or {}))


def _problems(
    provided: Provided, questionnaire: Questionnaire, defaults: Provided
) -> Iterator[str]:
    for answers in (provided, defaults):
        for name, answer in answers.items():
            if problem := _type_problem(name, answer, questionnaire):
                yield f"{answer.origin}: {problem}"
    # No other rule can judge by an answer of the wrong type.
    provided = _without_type_problems(provided, questionnaire)
    defaults = _without_type_problems(defaults, questionnaire)
    values = {name: answer.value for name, answer in provided.items()}
    judged: dict[str, ProvidedAnswer] = {}
    for question in questionnaire:
        name = question.name
        if questionnaire.applies(question, values):
            answer = provided.get(name) or _default(question, values, questionnaire, defaults)
            values[name] = answer.value
            if name in provided or name in defaults:
                judged[name] = answer
        elif name in provided and values.pop(name) != questionnaire.default(question, values):
            yield f"{provided[name].origin}: {name}: is asked only {_condition(question)}"
    for name, answer in judged.items():
        question = questionnaire.questions[name]
        if problem := questionnaire.problem(question, answer.value, values):
            yield f"{answer.origin}: {name}: {problem}"


def _without_type_problems(
    answers: Provided, questionnaire: Questionnaire
) -> dict[str, ProvidedAnswer]:
    return {
        name: answer
        for name, answer in answers.items()
        if not _type_problem(name, answer, questionnaire)
    }


def _type_problem(name: str, answer: ProvidedAnswer, questionnaire: Questionnaire) -> str | None:
    question = questionnaire.questions.get(name)
    if question is None:
        known = hint(name, questionnaire.questions, "questions")
        return f'there is no question "{name}"; {known}'
    problem = question.type_problem(answer.value)
    if question.kind is str and not question.multiselect and answer.written:
        problem = problem and _unquoted(question, answer)
    return f"{name}: {problem}" if problem else None


def _unquoted(question: Question, answer: ProvidedAnswer) -> str | None:
    """Why text without quotes is no text in YAML."""
    if answer.value is None:
        return "has no value"
    kind = "a boolean" if isinstance(answer.value, bool) else "a number"
    if question.choices:
        advice = f"choose {either(json.dumps(each) for each in question.choices)}"
    else:
        advice = f'put text in quotes: "{answer.written}"'
    return f"{answer.written[:SHOWN_CHARACTERS]} is {kind} in YAML; {advice}"


def _default(
    question: Question,
    values: Mapping[str, object],
    questionnaire: Questionnaire,
    defaults: Provided,
) -> ProvidedAnswer:
    """The organisation's default of a question, or else the template's."""
    if question.name in defaults:
        return defaults[question.name]
    return ProvidedAnswer(questionnaire.default(question, values), "default")


def unanswered(
    provided: Provided, questionnaire: Questionnaire, defaults: Provided | None = None
) -> list[str]:
    """The questions without an answer, of those that apply when defaults are taken for them."""
    answers = _completed(provided, questionnaire, defaults or {})
    return [name for name in answers if name not in provided]


def _condition(question: Question) -> str:
    """When the question is asked, as copier.yml says it."""
    return f"when {re.sub(r'^{{ *| *}}$', '', str(question.when).strip())}"


def complete(
    provided: Provided, questionnaire: Questionnaire, defaults: Provided | None = None
) -> Answers:
    """The answers provided, completed by defaults.

    Args:
        provided: valid answers; see `problems_with`. Those to questions that do not apply are left
            out.
        questionnaire: what can be answered.
        defaults: the organisation's defaults, which win over the template's.

    Raises:
        UserError: an answer is invalid after all, or a question has neither answer nor default.
    """
    answers = _completed(provided, questionnaire, defaults or {})
    if problems := problems_with(answers, questionnaire):
        raise UserError(*problems)
    values = {name: answer.value for name, answer in answers.items()}
    origins = {name: answer.origin for name, answer in answers.items()}
    return Answers(questionnaire.validated(values), origins)


def _completed(
    provided: Provided, questionnaire: Questionnaire, defaults: Provided
) -> dict[str, ProvidedAnswer]:
    """The answers to all questions that apply, in their order."""
    answers: dict[str, ProvidedAnswer] = {}
    values: dict[str, object] = {}
    for question in questionnaire:
        name = question.name
        if questionnaire.applies(question, values):
            answer = provided.get(name) or _default(question, values, questionnaire, defaults)
            answers[name], values[name] = answer, answer.value
    return answers
