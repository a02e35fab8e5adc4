"""copier.yml as typed questions, a strict pydantic model of the answers, and its JSON Schema.

Works for the copier.yml of any fork that keeps to the question features read here: type, help,
default, choices, multiselect, validator and when.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import cached_property
from math import isfinite
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Self

import yaml

from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment
    from pydantic import BaseModel, ValidationInfo

NOUNS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}

JSON_TYPES: Mapping[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}

SHOWN_CHARACTERS = 60

TYPES: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "path": str}

# Settings with which a template runs programs, or reads files outside of itself.
REFUSED = ("_tasks", "_migrations", "_jinja_extensions", "_external_data")


@dataclass(frozen=True)
class Question:
    """One question of copier.yml.

    Attributes:
        name: the key under which the answer is given and stored.
        kind: the Python type of an answer, or of each item of a multiselect answer.
        help: what is asked, for people.
        choices: value -> label; empty when any value of the type will do.
        multiselect: the answer is a list of choices.
        default: the default as copier.yml has it: a value, or a Jinja template of one.
        validator: a Jinja template that renders what is wrong with an answer, or nothing.
        when: whether to ask: a bool, or a Jinja template of one.
    """

    name: str
    kind: type
    help: str
    choices: Mapping[str, str]
    multiselect: bool
    default: object
    validator: str
    when: bool | str

    @classmethod
    def read(cls, name: str, entry: object) -> Self:
        """One entry of copier.yml, which may be just its default.

        Raises:
            UserError: the type is not one of `TYPES`, or the choices are no list or mapping.
        """
        details: dict[str, Any] = entry if isinstance(entry, dict) else {"default": entry}
        default = details.get("default")
        type_name = details.get("type", type(default).__name__)
        if type_name not in TYPES:
            raise UserError(f"copier.yml: {name}: type {type_name!r} is not one of {list(TYPES)}")
        return cls(
            name=name,
            kind=TYPES[type_name],
            help=str(details.get("help", name)),
            choices=_choices(name, details.get("choices", [])),
            multiselect=bool(details.get("multiselect", False)),
            default=default,
            validator=str(details.get("validator", "")),
            when=details.get("when", True),
        )

    @property
    def answer_type(self) -> type | GenericAlias:
        """The type of the whole answer: a list for multiselect."""
        return GenericAlias(list, (self.kind,)) if self.multiselect else self.kind

    def type_problem(self, answer: object) -> str | None:
        """What is wrong with an answer's type; None when it is right."""
        if answer is None:
            return "has no value"
        if not self.multiselect:
            return None if self._is_one(answer) else f"{_shown(answer)} is not {NOUNS[self.kind]}"
        if not isinstance(answer, list):
            return f"{_shown(answer)} is not a list"
        wrong = [item for item in answer if not self._is_one(item)]
        return f"{_shown(wrong[0])} is not {NOUNS[self.kind]}" if wrong else None

    def _is_one(self, answer: object) -> bool:
        if self.kind is float:
            return type(answer) is int or (isinstance(answer, float) and isfinite(answer))
        return type(answer) is self.kind

    def outside_choices(self, answer: object) -> list[object]:
        """The parts of an answer that are not among the choices."""
        if not self.choices:
            return []
        items = answer if isinstance(answer, list) else [answer]
        return [item for item in items if item not in self.choices]


def _shown(answer: object) -> str:
    """An answer in an error, as YAML and JSON write it, and no longer than a line."""
    word = {True: "true", False: "false"}.get(answer) if isinstance(answer, bool) else None
    text = word or (str(answer) if isinstance(answer, date | time) else repr(answer))
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def _limit(question: Question, test: object) -> dict[str, Any]:
    """The JSON Schema of a test for a wrong answer, if it has one of three common forms."""
    from jinja2.nodes import Compare, Const, Filter, Name, Not, Operand

    unit = "Items" if question.multiselect else "Length"
    own = question.name
    match test:
        case Not(node=Name(name=name)) if name == own and question.kind is str:
            return {f"min{unit}": 1}
        case Not(
            node=Filter(node=Name(name=name), name="regex_search", args=[Const(value=pattern)])
        ) if name == own:
            return {"pattern": str(pattern).replace(r"\A", "^").replace(r"\Z", "$")}
        case Compare(
            expr=Filter(node=Name(name=name), name="length"),
            ops=[Operand(op="gt", expr=Const(value=most))],
        ) if name == own:
            return {f"max{unit}": most}
        case _:
            return {}


def _is_computed(entry: object) -> bool:
    """Whether copier.yml has a value for the template alone, of whatever type."""
    return isinstance(entry, dict) and entry.get("when") is False


def _choices(name: str, entry: object) -> dict[str, str]:
    """Copier's ways to write choices (a mapping, a list, a list of pairs) as value -> label."""
    if isinstance(entry, dict):
        return {str(value): str(label) for label, value in entry.items()}
    if not isinstance(entry, list):
        raise UserError(f"copier.yml: {name}: choices must be a list or a mapping")
    pairs = (item if isinstance(item, list) else [item, item] for item in entry)
    return {str(value): str(label) for label, value in pairs}


def either(choices: Iterable[str]) -> str:
    """The choices as English lists them: a, b or c."""
    *first, last = choices
    return f"{', '.join(first)} or {last}" if first else last


@dataclass(frozen=True)
class Questionnaire:
    """The questions of one copier.yml, in the order in which they are asked.

    A question with `when: false` is not among them: the template computes it.

    Attributes:
        questions: by name.
        folder: the name of the folder that the project will have; defaults may depend on it.
        subdirectory: the folder of the repository that holds the template's files.
        answers_file: the file that records the answers, in the project.
        user_files: patterns of files that are written once and then belong to the user
            (`_skip_if_exists`).
    """

    questions: Mapping[str, Question]
    folder: str
    subdirectory: str
    answers_file: str = ".copier-answers.yml"
    user_files: Sequence[str] = ()

    @classmethod
    def load(cls, path: Path, folder: str = "") -> Self:
        """The questions of the copier.yml at `path`.

        Raises:
            UserError: it cannot be read, is no copier.yml, or wants more than to be rendered.
        """
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}, so there is no template here") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not YAML: {error}") from error
        if not isinstance(content, dict):
            raise UserError(f"{path}: expected questions by name")
        if wanted := [name for name in REFUSED if content.get(name)]:
            raise UserError(
                f"{path}: {', '.join(wanted)}: Forge only renders templates: it runs no code from "
                "them and reads no other files; use a template without that"
            )
        if unnamed := [key for key in content if not isinstance(key, str)]:
            raise UserError(
                f"{path}: {unnamed[0]}: a question's name must be text; put it in quotes"
            )
        return cls(
            questions={
                name: Question.read(name, entry)
                for name, entry in content.items()
                if not name.startswith("_") and not _is_computed(entry)
            },
            folder=folder,
            subdirectory=str(content.get("_subdirectory", ".")),
            answers_file=str(content.get("_answers_file", ".copier-answers.yml")),
            user_files=tuple(map(str, content.get("_skip_if_exists") or ())),
        )

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a config file: any of the answers, and nothing else."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Answers for forge new",
            "type": "object",
            "properties": {
                "$schema": {"type": "string", "description": "Where this schema is."},
                **{question.name: self._property(question) for question in self},
            },
            "additionalProperties": False,
        }

    def _property(self, question: Question) -> dict[str, Any]:
        one: dict[str, Any] = {"type": JSON_TYPES[question.kind]}
        if question.choices:
            one |= {
                "enum": list(question.choices),
                "enumDescriptions": list(question.choices.values()),
            }
        if question.multiselect:
            one = {"type": "array", "items": one}
        one |= self._limits(question)
        default = question.default
        if default is not None and not (isinstance(default, str) and "{" in default):
            one["default"] = default
        return {"description": question.help, **one}

    def _limits(self, question: Question) -> dict[str, Any]:
        """What JSON Schema can say of the question's validator.

        Each test of an `if` with a message refuses an answer, whatever the other tests say.
        """
        from jinja2 import TemplateError, nodes

        try:
            tree = self._jinja.parse(question.validator)
        except TemplateError:
            return {}
        limits: dict[str, Any] = {}
        for rule in tree.body:
            if isinstance(rule, nodes.If):
                for branch in (rule, *rule.elif_):
                    if any(isinstance(node, nodes.Output) for node in branch.body):
                        limits |= _limit(question, branch.test)
        return limits

    def __iter__(self) -> Iterator[Question]:
        return iter(self.questions.values())

    def default(self, question: Question, answers: Mapping[str, object]) -> object:
        """The default of a question after the given answers; None without a default."""
        if not isinstance(question.default, str):
            return question.default
        text = self._render(question.default, answers)
        return text if question.kind is str and not question.multiselect else yaml.safe_load(text)

    def applies(self, question: Question, answers: Mapping[str, object]) -> bool:
        """Whether the question is to be asked after the given answers."""
        if isinstance(question.when, bool):
            return question.when
        return yaml.safe_load(self._render(question.when, answers)) is True

    def problem(
        self, question: Question, answer: object, answers: Mapping[str, object]
    ) -> str | None:
        """What is wrong with an answer of the right type; None when it will do."""
        if wrong := question.outside_choices(answer):
            listed = ", ".join(map(repr, wrong))
            return f"{listed} is not a choice; choose {either(question.choices)}"
        return self._render(question.validator, {**answers, question.name: answer}).strip() or None

    def validated(self, answers: Mapping[str, object]) -> "BaseModel":
        """The answers as an instance of `model`.

        Raises:
            ValidationError: all that is wrong with them. A rule that names other answers judges by
                what they were, be they refused themselves.
        """
        return self.model.model_validate(answers, context=answers)

    @cached_property
    def model(self) -> "type[BaseModel]":
        """A strict, frozen model of all the answers; unknown names are refused."""
        from pydantic import ConfigDict, Field, create_model

        fields: dict[str, Any] = {
            question.name: (
                question.answer_type if question.when is True else question.answer_type | None,
                Field(default=... if question.when is True else None, description=question.help),
            )
            for question in self
        }
        return create_model(
            "Answers",
            __config__=ConfigDict(strict=True, frozen=True, extra="forbid"),
            __validators__={f"check_{question.name}": self._check(question) for question in self},
            **fields,
        )

    def _check(self, question: Question) -> Callable[..., Any]:
        def check(answer: object, info: "ValidationInfo") -> object:
            if answer is None:
                return None
            if problem := self.problem(question, answer, {**(info.context or {}), **info.data}):
                raise ValueError(problem)
            if isinstance(answer, list):  # in the order of the choices, each once, as Copier has it
                return [choice for choice in question.choices if choice in answer]
            return answer

        from pydantic import field_validator

        return field_validator(question.name)(check)

    def _render(self, template: str, answers: Mapping[str, object]) -> str:
        if "{" not in template:
            return template
        from jinja2 import TemplateError

        try:
            jinja = self._compiled.get(template) or self._jinja.from_string(template)
            self._compiled[template] = jinja
            return jinja.render({"_folder_name": self.folder, **answers})
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise UserError(f"copier.yml: {template.strip()!r}: {error}") from error

    @cached_property
    def _compiled(self) -> dict[str, "Template"]:
        return {}

    @cached_property
    def _jinja(self) -> "SandboxedEnvironment":
        """The environment Copier gives its questions, so that both judge an answer alike."""
        from jinja2 import StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

        return SandboxedEnvironment(
            extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
            undefined=StrictUndefined,
        )
