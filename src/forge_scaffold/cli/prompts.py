"""Ask a question on the terminal. Prompts go to stderr: stdout is for the result."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import questionary
from prompt_toolkit.output import create_output

from forge_scaffold.config import Asker
from forge_scaffold.questions import Question, Questionnaire

Verdict = Callable[[object], bool | str]


def asker(questionnaire: Questionnaire) -> Asker:
    """A function that asks one question until the answer is valid.

    Raises (the function): KeyboardInterrupt: Ctrl-C.
    """
    output = create_output(sys.stderr)

    def ask(question: Question, default: object, answers: Mapping[str, object]) -> object:
        def verdict(answer: object) -> bool | str:
            try:
                value = question.kind(answer) if isinstance(answer, str) else answer
            except ValueError:
                return f"not {question.kind.__name__}"
            return questionnaire.problem(question, value, answers) or True

        prompt = _prompt(question, default, {"output": output}, verdict)
        answer = prompt.unsafe_ask()
        return question.kind(answer) if isinstance(answer, str) else answer

    return ask


def _prompt(
    question: Question, default: object, how: dict[str, Any], verdict: Verdict
) -> questionary.Question:
    message = question.help if question.help.endswith("?") else f"{question.help}:"
    if question.multiselect:
        chosen = default if isinstance(default, list) else []
        choices = [
            questionary.Choice(label, value, checked=value in chosen)
            for value, label in question.choices.items()
        ]
        return questionary.checkbox(message, choices, validate=verdict, **how)
    if question.choices:
        choices = [questionary.Choice(label, value) for value, label in question.choices.items()]
        return questionary.select(message, choices, default=str(default), **how)
    if question.kind is bool:
        return questionary.confirm(message, default=bool(default), **how)
    return questionary.text(
        message, default="" if default is None else str(default), validate=verdict, **how
    )
