"""Answers from a config file, --set, prompts and defaults.

Each value keeps its origin; all problems are reported at once.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from forge_scaffold.errors import UserError
from forge_scaffold.questions import Question, Questionnaire

PARSERS: Mapping[str, Callable[[str], object]] = {
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
    ".toml": tomllib.loads,
    ".json": json.loads,
}

SHOWN_CHARACTERS = 60

Asker = Callable[[Question, object, Mapping[str, object]], object]


@dataclass(frozen=True)
class ProvidedAnswer:
    """One value and the place it came from: `--set auth=none`, `team.yaml:3`."""

    value: object
    origin: str


@dataclass(frozen=True)
class Answers:
    """A complete, valid set of answers.

    Attributes:
        values: an instance of the questionnaire's model.
        origins: name -> the place the value came from.
    """

    values: BaseModel
    origins: Mapping[str, str]

    def as_dict(self) -> dict[str, object]:
        """The answers by name, without the questions that did not apply."""
        return self.values.model_dump(exclude_unset=True)


def read_file(path: Path) -> dict[str, ProvidedAnswer]:
    """The answers in a YAML, TOML or JSON file, chosen by its suffix.

    Raises:
        UserError: unreadable, unparsable (with the line), or not a table of answers.
    """
    parse = PARSERS.get(path.suffix.lower())
    if parse is None:
        raise UserError(f"--config {path}: the name must end in {', '.join(PARSERS)}")
    try:
        text = path.read_text(encoding="utf-8")
        content = parse(text)
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--config {path}: not UTF-8 text") from error
    except RecursionError as error:
        raise UserError(f"--config {path}: nested too deep") from error
    except (yaml.YAMLError, ValueError) as error:
        line, reason = _where_and_why(error)
        raise UserError(f"{path}:{line}: cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}:1: expected answers by name, such as  auth: none")
    return {
        str(name): ProvidedAnswer(value, _place(path, text, str(name)))
        for name, value in content.items()
    }


def _where_and_why(error: Exception) -> tuple[int, str]:
    """The line and the reason of a parser's error, for all three parsers."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return (mark.line + 1 if mark else 1), (error.problem or "not YAML")
    if isinstance(error, json.JSONDecodeError):
        return error.lineno, error.msg
    reason = str(error).splitlines()[0]
    line = re.search(r"line (\d+)", reason)  # all that tomllib tells before Python 3.14
    return (int(line[1]) if line else 1), reason


def _place(path: Path, text: str, name: str) -> str:
    """`file:line` of a top-level key."""
    key = re.search(rf"""(?m)(?:^|[{{,])\s*["']?{re.escape(name)}["']?\s*[:=]""", text)
    # the match may begin on the line before, with the brace or the white space
    line = text.count("\n", 0, text.index(name, key.start())) + 1 if key else 1
    return f"{path}:{line}"


def provided_answers(
    config_file: Path | None, settings: Sequence[str], questionnaire: Questionnaire
) -> tuple[dict[str, ProvidedAnswer], list[str]]:
    """Everything the user provided, --set over the file, and everything that is wrong with it.

    Args:
        config_file: see `read_file`.
        settings: the values of --set, as `KEY=VALUE`; the last one of a key counts.
        questionnaire: what can be answered.
    """
    provided: dict[str, ProvidedAnswer] = {}
    problems: list[str] = []
    if config_file:
        try:
            provided.update(read_file(config_file))
        except UserError as error:
            problems.extend(error.problems)
    from_settings, unreadable = read_settings(settings, questionnaire)
    provided.update(from_settings)
    return provided, [*problems, *unreadable, *problems_with(provided, questionnaire)]


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
            problems.append(f"{origin}: write it as --set KEY=VALUE")
            continue
        try:
            provided[name] = ProvidedAnswer(_parse(questionnaire.questions.get(name), text), origin)
        except (yaml.YAMLError, ValueError):
            problems.append(
                f"{origin}: {text!r} cannot be read as {_kind(questionnaire.questions[name])}"
            )
    return provided, problems


def _parse(question: Question | None, text: str) -> object:
    """A --set value as the question's type; lists as `a,b` or as YAML `[a, b]`."""
    if question is None or (question.kind is str and not question.multiselect):
        return text
    if question.multiselect and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    return yaml.safe_load(text)


def _kind(question: Question) -> str:
    return "a list" if question.multiselect else f"a {question.kind.__name__}"


def problems_with(
    provided: Mapping[str, ProvidedAnswer], questionnaire: Questionnaire
) -> list[str]:
    """What is wrong with what was provided, the rest taken as the defaults have it."""
    values = {name: item.value for name, item in provided.items()}
    idle: list[str] = []
    for question in questionnaire:
        name = question.name
        if not questionnaire.applies(question, values):
            if name in provided and values.pop(name) != questionnaire.default(question, values):
                idle.append(
                    f"{provided[name].origin}: {name}: is asked only {_condition(question)}"
                )
        elif name not in values:
            values[name] = questionnaire.default(question, values)
    try:
        questionnaire.validated(values)
    except ValidationError as error:
        origins = {name: item.origin for name, item in provided.items()}
        return [*_explained(error, origins, questionnaire), *idle]
    return idle


def unanswered(provided: Mapping[str, ProvidedAnswer], questionnaire: Questionnaire) -> list[str]:
    """The questions that were not provided, of those that apply with the defaults for the rest."""
    values: dict[str, object] = {}
    names: list[str] = []
    for question in questionnaire:
        name = question.name
        if not questionnaire.applies(question, values):
            continue
        if name in provided:
            values[name] = provided[name].value
        else:
            values[name] = questionnaire.default(question, values)
            names.append(name)
    return names


def _condition(question: Question) -> str:
    """When the question is asked, as copier.yml says it."""
    return f"when {str(question.when).strip('{} ')}"


def _explained(
    error: ValidationError, origins: Mapping[str, str], questionnaire: Questionnaire
) -> list[str]:
    """The problems with the values whose origins are given, one line each."""
    return [
        f"{origins[name]}: {_explain(name, details, questionnaire)}"
        for details in error.errors()
        if (name := str(details["loc"][0])) in origins
    ]


def _explain(name: str, details: Mapping[str, object], questionnaire: Questionnaire) -> str:
    reason = str(details["msg"])
    match details["type"]:
        case "extra_forbidden":
            names = list(questionnaire.questions)
            near = difflib.get_close_matches(name, names, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"the questions are {', '.join(names)}"
            return f'there is no question "{name}"; {hint}'
        case "value_error":
            return f"{name}: {reason.removeprefix('Value error, ')}"
        case _:
            reason = f"{reason[:1].lower()}{reason[1:]}"
            return f"{name}: {details['input']!r} will not do: {reason}"


def complete(
    provided: Mapping[str, ProvidedAnswer], questionnaire: Questionnaire, ask: Asker | None
) -> Answers:
    """What was provided, completed by asking, or by the defaults when there is no one to ask.

    Args:
        provided: valid answers; see `problems_with`.
        questionnaire: what can be answered.
        ask: asks one question, given its default and the answers before it.

    Raises:
        UserError: a question has neither been provided nor has a default.
    """
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for question in questionnaire:
        name = question.name
        if not questionnaire.applies(question, values):
            continue
        if name in provided:
            values[name], origins[name] = provided[name].value, provided[name].origin
        else:
            default = questionnaire.default(question, values)
            values[name] = ask(question, default, values) if ask else default
            origins[name] = "asked" if ask else "default"
    try:
        return Answers(questionnaire.validated(values), origins)
    except ValidationError as error:
        raise UserError(*_explained(error, origins, questionnaire)) from error
