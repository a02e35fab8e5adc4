"""Prompt templates: what they take, what they refuse, and that a value is never more than text."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.assistant import AssistantVariables
from service.prompts import FOLDER, Prompt, PromptError, Variables
from tests.support.choices import PROMPTS

TEXT = st.text() | st.text("{}ab\n")


class Greeting(Variables):
    user: str
    count: int = 1


class Nothing(Variables):
    pass


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def refused(text: str, variables: type[Variables] = Greeting) -> str:
    with pytest.raises(PromptError) as caught:
        Prompt(text, variables)
    return str(caught.value)


def test_a_value_goes_where_its_name_stands() -> None:
    prompt = Prompt("{user}, you have {count}; {user}!", Greeting)
    assert prompt.render(Greeting(user="Ada", count=2)) == "Ada, you have 2; Ada!"


def test_double_braces_are_braces() -> None:
    prompt = Prompt('{{"user": "{user}", "n": {count}}}', Greeting)
    assert prompt.render(Greeting(user="Ada")) == '{"user": "Ada", "n": 1}'


@given(before=TEXT, between=TEXT, after=TEXT, user=TEXT, count=st.integers())
def test_text_and_values_come_out_as_they_went_in(
    before: str, between: str, after: str, user: str, count: int
) -> None:
    text = f"{escaped(before)}{{user}}{escaped(between)}{{count}}{escaped(after)}"
    rendered = Prompt(text, Greeting).render(Greeting(user=user, count=count))
    assert rendered == f"{before}{user}{between}{count}{after}"


@given(text=TEXT)
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    try:
        rendered = Prompt(text, Nothing).render(Nothing())
    except PromptError:
        assert "{" in text or "}" in text
    else:
        assert escaped(rendered) == text


@pytest.mark.parametrize(
    "text",
    [
        "{user.__class__}",
        "{user!r}",
        "{user:>10000000000}",
        "{user[0]}",
        "{0}",
        "{}",
        "{ user }",
        "{User}",
        "{user",
        "user}",
        "{{user}",
        "{%user%}",
        "${user",
    ],
)
def test_a_brace_that_is_nothing_else_is_refused(text: str) -> None:
    assert "a single " in refused(f"{{user}} {{count}} {text}")


def test_an_unknown_variable_is_named_with_its_line_and_with_those_there_are() -> None:
    message = refused("{user}\n\n{count} {nmae}")
    assert message == "the prompt:3: {nmae} is no variable; there are count, user"


def test_a_variable_that_is_nowhere_in_the_text_is_named() -> None:
    assert refused("hello {user}") == "the prompt: {count} is nowhere in it"


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert refused("{a}\n{b} }", Nothing).count("the prompt:") == 3


@pytest.mark.parametrize("values", [{}, {"user": "Ada", "colour": "red"}, {"user": 7}])
def test_missing_unknown_and_wrong_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Greeting(**values)


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "greeting.txt").write_bytes("Grüß dich, {user}!\r\n{count}\n".encode())
    prompt = Prompt.load("greeting", Greeting, tmp_path)
    assert prompt.render(Greeting(user="Ada")) == "Grüß dich, Ada!\n1"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, ": there is no such file"),
        (b"\xff", ": is not UTF-8"),
        (b"{user} {count}\n{colour}\n", ":2: {colour} is no variable; there are count, user"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "greeting.txt").write_bytes(content)
    with pytest.raises(PromptError) as caught:
        Prompt.load("greeting", Greeting, tmp_path)
    assert str(caught.value) == f"{tmp_path.name}/greeting.txt{problem}"


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.txt")])
def test_every_prompt_is_registered_and_fits_its_variables(name: str) -> None:
    if name not in PROMPTS:
        pytest.fail(
            f"src/prompts/{name}.txt is not registered: add it to PROMPTS in "
            f'tests/custom/environment.py as "{name}", with the class of its variables',
            pytrace=False,
        )
    Prompt.load(name, PROMPTS[name])


def test_a_prompt_is_read_without_the_newline_at_its_end() -> None:
    prompt = Prompt.load("assistant", AssistantVariables)
    rendered = prompt.render(AssistantVariables(service="{today}", today="2026-11-24"))
    assert "{today}" in rendered
    assert not rendered.endswith("\n")
