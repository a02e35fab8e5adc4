"""The answers of a project for another version of its template."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from forge_scaffold.config import read_settings
from forge_scaffold.errors import UserError
from forge_scaffold.questions import Question, Questionnaire
from forge_scaffold.suggestions import hint


def migrated(
    recorded: Mapping[str, object],
    questionnaire: Questionnaire,
    settings: Sequence[str],
    version: str,
) -> dict[str, object]:
    """The answers for a version of the template: those recorded, changed as told.

    Raises:
        UserError: a setting is wrong, or a recorded answer is not valid any more: nothing is
            decided for its owner.
    """
    provided, problems = read_settings(_whole(settings, recorded, questionnaire), questionnaire)
    unknown = [name for name in provided if name not in questionnaire.questions]
    problems += [
        f'{provided[name].origin}: there is no question "{name}"; '
        f"{hint(name, questionnaire.questions, 'questions')}"
        for name in unknown
    ]
    values: dict[str, object] = {}
    for question in questionnaire:
        name, context = question.name, {**recorded, **values}
        if not questionnaire.applies(question, context):
            given = provided.get(name)
            if given and given.value != questionnaire.default(question, context):
                problems.append(f"{given.origin}: not asked with these answers")
            continue
        if name in provided:
            values[name] = provided[name].value
        elif name in recorded:
            values[name] = recorded[name]
        else:
            values[name] = questionnaire.default(question, context)
    try:
        valid = questionnaire.validated(values)
    except ValidationError as error:
        for details in error.errors():
            name = str(details["loc"][0])
            reason = str(details["msg"]).removeprefix("Value error, ")
            problems.append(
                f"{provided[name].origin}: {reason}"
                if name in provided
                else f"{name}: {_plain(values[name])} is not valid in {version}: {reason}; "
                f"decide with --set {name}=..."
            )
    if problems:
        raise UserError(*problems)
    return valid.model_dump(exclude_unset=True)


def _whole(
    settings: Sequence[str], recorded: Mapping[str, object], questionnaire: Questionnaire
) -> list[str]:
    """KEY+=VALUE and KEY-=VALUE as the KEY=VALUE that they amount to."""
    lists: dict[str, list[str]] = {}
    whole: list[str] = []
    problems: list[str] = []
    for setting in settings:
        key, equals, value = setting.partition("=")
        name, sign = key[:-1], key[-1:]
        if not equals or sign not in "+-" or not sign:
            whole.append(setting)
            continue
        question = questionnaire.questions.get(name)
        if not question or not question.multiselect:
            problems.append(f"{setting}: {name} is not a list; write {name}=VALUE")
            continue
        chosen = lists.setdefault(name, _items(question, recorded, questionnaire))
        for item in filter(None, map(str.strip, value.split(","))):
            if sign == "+" and question.choices and item not in question.choices:
                problems.append(
                    f"{setting}: {item!r} is not a choice; choose {', '.join(question.choices)}"
                )
            elif sign == "+" and item not in chosen:
                chosen.append(item)
            elif sign == "-" and item not in chosen:
                problems.append(f"{setting}: {item!r} is not among {', '.join(chosen)}")
            elif sign == "-":
                chosen.remove(item)
    if problems:
        raise UserError(*problems)
    return [*whole, *(f"{name}={','.join(chosen)}" for name, chosen in lists.items())]


def _items(
    question: Question, recorded: Mapping[str, object], questionnaire: Questionnaire
) -> list[str]:
    value = recorded.get(question.name, questionnaire.default(question, recorded))
    return list(map(str, value)) if isinstance(value, list) else []


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
