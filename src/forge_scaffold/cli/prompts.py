"""Ask questions on the terminal. Prompts go to stderr: stdout is for the result."""

import sys
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import questionary
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.output import create_output

from forge_scaffold.cli.terminal import shown
from forge_scaffold.config import ProvidedAnswer
from forge_scaffold.interview import Interview
from forge_scaffold.questions import Question

Verdict = Callable[[object], bool | str]


class Wish(Enum):
    """What somebody may want instead of answering."""

    BACK = "s-tab"
    HELP = "?"
    GO_ON = "enter"


def ask(interview: Interview) -> Mapping[str, ProvidedAnswer]:
    """Ask what is open, then show all answers for confirmation.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    how = {"output": create_output(sys.stderr)}
    while True:
        question = interview.pending()
        reply = _ask(interview, question, how) if question else _confirm(interview, how)
        match reply:
            case Wish.BACK:
                interview.back(question)
            case Wish.HELP if question:
                print(_help(question), file=sys.stderr)
            case Wish.GO_ON:
                return interview.answers
            case _ if question:
                interview.answer(question, reply)
            case _:
                interview.reopen(str(reply))


def _ask(interview: Interview, question: Question, how: dict[str, Any]) -> object:
    """An answer that is valid, or a wish."""
    before = interview.before(question)

    def value(typed: object) -> object:
        return question.kind(typed) if isinstance(typed, str) else typed

    def verdict(typed: object) -> bool | str:
        if typed == Wish.HELP.value:
            return True
        try:
            answer = value(typed)
        except ValueError:
            return f"not {question.kind.__name__}"
        problem = question.type_problem(answer)
        return problem or interview.questionnaire.problem(question, answer, before) or True

    keys = "?: help"
    if interview.previous(question):
        keys = f"Shift-Tab: back, {keys}"
    prompt = _prompt(question, interview.default(question), keys, verdict, how)
    reply = _run(prompt, interruptible=bool(question.choices) or question.kind is bool)
    if reply == Wish.HELP.value:
        return Wish.HELP
    return reply if isinstance(reply, Wish) else value(reply)


def _prompt(
    question: Question, default: object, keys: str, verdict: Verdict, how: dict[str, Any]
) -> questionary.Question:
    message = question.help if question.help.endswith("?") else f"{question.help}:"
    if question.multiselect:
        chosen = default if isinstance(default, list) else []
        choices = [
            questionary.Choice(label, value, checked=value in chosen)
            for value, label in question.choices.items()
        ]
        instruction = f"(space: select, {keys})"
        return questionary.checkbox(
            message, choices, validate=verdict, instruction=instruction, **how
        )
    if question.choices:
        choices = [questionary.Choice(label, value) for value, label in question.choices.items()]
        instruction = f"(arrow keys, {keys})"
        return questionary.select(
            message, choices, default=str(default), instruction=instruction, **how
        )
    if question.kind is bool:
        instruction = f"({'Y/n' if default else 'y/N'}, {keys}) "
        return questionary.confirm(message, default=bool(default), instruction=instruction, **how)
    text = "" if default is None else str(default)
    return questionary.text(message, default=text, validate=verdict, instruction=f"({keys})", **how)


def _confirm(interview: Interview, how: dict[str, Any]) -> object:
    """The name of a question to answer again, or a wish."""
    answers = interview.answers
    width = max(map(len, answers), default=0)
    choices = [questionary.Choice("Continue with these answers", Wish.GO_ON)]
    choices += [
        questionary.Choice(f"change {name:<{width}}  {shown(answer.value)}", name)
        for name, answer in answers.items()
    ]
    instruction = "(arrow keys, Shift-Tab: back)"
    return _run(
        questionary.select("All set?", choices, instruction=instruction, **how),
        interruptible=False,
    )


def _run(prompt: questionary.Question, *, interruptible: bool) -> object:
    """Run a prompt in which keys express wishes.

    Args:
        prompt: what is asked.
        interruptible: "?" asks for help at once; where text is typed, it is text until Enter.
    """
    bindings = KeyBindings()

    def bind(wish: Wish) -> None:
        def leave(event: KeyPressEvent) -> None:
            event.app.erase_when_done = True
            event.app.exit(result=wish)

        bindings.add(wish.value, eager=True)(leave)

    bind(Wish.BACK)
    if interruptible:
        bind(Wish.HELP)
    application = prompt.application
    own = application.key_bindings
    application.key_bindings = merge_key_bindings([own, bindings] if own else [bindings])
    return prompt.unsafe_ask()


def _help(question: Question) -> str:
    """What is known about a question, between two prompts."""
    lines = [f"  {question.help}"]
    if question.choices:
        width = max(map(len, question.choices))
        lines += [f"    {value:<{width}}  {label}" for value, label in question.choices.items()]
    lines.append(f"  On the command line: --set {question.name}=...")
    return "\n".join(lines)
