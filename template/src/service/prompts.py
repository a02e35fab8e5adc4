"""Prompt templates: text files in which variables have names.

In src/prompts/NAME.txt `{variable}` is where a value goes, `{{` and `}}` are braces. Nothing else
is read into the text, and nothing of it runs. A value goes in as it is: its braces are only text.

    class Greeting(Variables):
        user: str

    greeting = Prompt.load("greeting", Greeting)
    greeting.render(Greeting(user="Ada"))
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from service.settings import SettingsError

FOLDER = Path(__file__).parents[1] / "prompts"
"""Uploaded with the Worker: wrangler takes a .txt below src/ for a module of text."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([a-z_][a-z0-9_]*)\}|[{}]")


class PromptError(SettingsError):
    """A template cannot be used. The message names each place with its file and line."""


class Variables(BaseModel):
    """Base of a template's variables: one field each. Missing and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


V = TypeVar("V", bound=Variables)


class Prompt(Generic[V]):
    """A template whose variables are the fields of `variables`, no more and no fewer.

    `source` is what PromptError calls it.
    """

    def __init__(self, text: str, variables: type[V], source: str = "the prompt") -> None:
        self._parts = list(_parts(text))
        fields = set(variables.model_fields)
        used = {name for _, name in self._parts if name}
        problems = [f"{source}:{line}: {problem}" for line, problem in _problems(text, fields)]
        problems += [f"{source}: {{{name}}} is nowhere in it" for name in sorted(fields - used)]
        if problems:
            raise PromptError(problems)

    @classmethod
    def load(cls, name: str, variables: type[V], folder: Path = FOLDER) -> Self:
        """Read NAME.txt, without the newline at its end.

        Do so on a request, not while importing. Raises PromptError.
        """
        source = f"{folder.name}/{name}.txt"
        try:
            text = (folder / f"{name}.txt").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise PromptError([f"{source}: there is no such file"]) from None
        except UnicodeDecodeError:
            raise PromptError([f"{source}: is not UTF-8"]) from None
        return cls(text.removesuffix("\n"), variables, source)

    def render(self, values: V) -> str:
        """The text with the values in their places."""
        return "".join(
            text + (str(getattr(values, name)) if name else "") for text, name in self._parts
        )


def _parts(text: str) -> Iterator[tuple[str, str | None]]:
    """Pieces of text, each with the name of the variable behind it, if there is one."""
    end = 0
    for token in _TOKEN.finditer(text):
        # Of a double brace one stays.
        yield text[end : token.start()] + ("" if token[1] else token[0][0]), token[1]
        end = token.end()
    yield text[end:], None


def _problems(text: str, fields: set[str]) -> Iterator[tuple[int, str]]:
    """What is wrong with the text, by its line."""
    for token in _TOKEN.finditer(text):
        line = text.count("\n", 0, token.start()) + 1
        if token[0] in ("{", "}"):
            yield line, f"a single {token[0]}: write {token[0] * 2}, or {{name}} for a variable"
        elif token[1] and token[1] not in fields:
            yield (
                line,
                f"{token[0]} is no variable; there are {', '.join(sorted(fields)) or 'none'}",
            )
