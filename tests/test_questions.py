"""copier.yml as typed questions."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from forge_scaffold.config import ProvidedAnswer, problems_with
from forge_scaffold.errors import UserError
from forge_scaffold.questions import Questionnaire
from tests.support import REPOSITORY

QUESTIONS = Questionnaire.load(REPOSITORY / "copier.yml", folder="my-service")
GOOD = {question.name: QUESTIONS.default(question, {}) for question in QUESTIONS}


def load(tmp_path: Path, text: str) -> Questionnaire:
    (tmp_path / "copier.yml").write_text(text)
    return Questionnaire.load(tmp_path / "copier.yml", folder="Some Folder")


def accepted(**changes: object) -> bool:
    try:
        QUESTIONS.validated({**GOOD, **changes})
    except ValidationError:
        return False
    return True


def test_the_defaults_are_valid_answers() -> None:
    assert QUESTIONS.validated(GOOD).model_dump() == GOOD


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my-service", "my-service"),
        ("My Service_2", "my-service-2"),
        ("--a--", "a"),
        ("étude", "tude"),
        ("日本", "my-service"),
        ("", "my-service"),
        ("a" * 80, "a" * 63),
        ("a" * 62 + "-b", "a" * 62),
    ],
)
def test_the_service_is_named_after_its_folder(folder: str, name: str) -> None:
    questions = Questionnaire.load(REPOSITORY / "copier.yml", folder=folder)
    assert questions.default(questions.questions["service_name"], {}) == name


@given(st.text())
def test_any_folder_gives_a_valid_service_name(folder: str) -> None:
    questions = Questionnaire.load(REPOSITORY / "copier.yml", folder=folder)
    question = questions.questions["service_name"]
    assert questions.problem(question, questions.default(question, {}), {}) is None


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True))
def test_a_name_cloudflare_accepts_is_accepted(name: str) -> None:
    assert accepted(service_name=name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "a\n", "ä", " a"])
def test_a_name_cloudflare_refuses_is_refused(name: str) -> None:
    assert not accepted(service_name=name)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from("\n\t")))
def test_a_description_may_be_any_text(text: str) -> None:
    assert accepted(description=text[:500])


@pytest.mark.parametrize(
    "text", ["bell\a", "escape\x1b[31m", "nul\0", "return\r", "c1\x9b", "lone\udc80", "x" * 501]
)
def test_a_description_that_is_no_text_or_too_long_is_refused(text: str) -> None:
    assert not accepted(description=text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"providers": []},
        {"providers": ["openai", "acme"]},
        {"providers": "openai"},
        {"auth": "okta"},
        {"auth": None},
        {"auth": True},
        {"service_name": 5},
        {"unknown": "x"},
    ],
)
def test_the_model_is_strict(wrong: dict[str, object]) -> None:
    assert not accepted(**wrong)


def test_a_choice_of_many_keeps_the_order_of_the_questions() -> None:
    answers = QUESTIONS.validated({**GOOD, "providers": ["anthropic", "openai", "openai"]})
    assert answers.model_dump()["providers"] == ["openai", "anthropic"]


SCHEMA = Draft202012Validator(QUESTIONS.schema)

# What JSON Schema cannot say, because only copier.yml's own expressions do.
BEYOND_SCHEMA = ("is asked only when", "remove control characters", "start and end with")

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
)


def nearly_valid() -> st.SearchStrategy[dict[str, object]]:
    """Answers, most of which are right."""
    right: dict[str, st.SearchStrategy[object]] = {}
    for question in QUESTIONS:
        one: st.SearchStrategy[object] = st.sampled_from(
            sorted(question.choices) or ["text", "", "a-b"]
        )
        if question.kind is bool:
            one = st.booleans()
        right[question.name] = st.lists(one, max_size=3) if question.multiselect else one
    wrong = st.dictionaries(st.sampled_from(list(right)) | st.text(), ANYTHING, max_size=1)
    return st.builds(
        lambda answers, more: {**answers, **more}, st.fixed_dictionaries({}, optional=right), wrong
    )


@given(nearly_valid())
def test_the_schema_accepts_what_a_config_file_may_hold(answers: dict[str, object]) -> None:
    provided = {name: ProvidedAnswer(value, "file") for name, value in answers.items()}
    provided.pop("$schema", None)
    problems = problems_with(provided, QUESTIONS)
    refused = [error.message for error in SCHEMA.iter_errors(answers)]
    if not problems:
        assert refused == []
    elif any(not any(words in problem for words in BEYOND_SCHEMA) for problem in problems):
        assert refused


def test_the_schema_is_a_schema_of_partial_answers() -> None:
    Draft202012Validator.check_schema(QUESTIONS.schema)
    assert SCHEMA.is_valid({})
    for question in QUESTIONS:
        assert SCHEMA.is_valid({question.name: GOOD[question.name]})
        assert not SCHEMA.is_valid({question.name: None})
        assert QUESTIONS.schema["properties"][question.name]["description"] == question.help


def test_the_schema_says_what_common_validators_say(tmp_path: Path) -> None:
    questions = load(
        tmp_path,
        r"""
name: {type: str, validator: "{% if not name | regex_search('\\\\A[a-z]+\\\\Z') %}no{% endif %}"}
text: {type: str, validator: "{% if text | length > 5 %}long{% elif not text %}no{% endif %}"}
many: {type: str, multiselect: true, choices: [a], validator: "{% if not many %}no{% endif %}"}
size: {type: int, default: 1, validator: "{% if size > 5 %}big{% endif %}"}
flag: {type: bool, default: true, validator: "{% if not flag %}must be true{% endif %}"}
other: {type: str, default: x, validator: "{% if not name and other %}no{% endif %}"}
""",
    )
    limits = {
        name: {key: value for key, value in each.items() if key[:3] in {"min", "max", "pat"}}
        for name, each in questions.schema["properties"].items()
    }
    assert limits == {
        "$schema": {},
        "name": {"pattern": "^[a-z]+$"},
        "text": {"maxLength": 5, "minLength": 1},
        "many": {"minItems": 1},
        "size": {},
        "flag": {},
        "other": {},
    }


def test_another_templates_questions_are_read_alike(tmp_path: Path) -> None:
    questions = load(
        tmp_path,
        """
_subdirectory: files
title: "{{ _folder_name }}!"
replicas:
  type: int
  default: "{{ 1 + 2 }}"
  validator: "{% if replicas < 1 %}at least 1{% endif %}"
region: {type: str, choices: [eu, [United States, us]], default: eu}
cache: {type: bool, default: true}
ttl: {type: int, default: 60, when: "{{ cache }}"}
derived: {type: yaml, default: {of: "{{ title }}"}, when: false}
""",
    )
    assert list(questions.questions) == ["title", "replicas", "region", "cache", "ttl"]
    assert questions.subdirectory == "files"
    by_name = questions.questions
    assert questions.default(by_name["title"], {}) == "Some Folder!"
    assert questions.default(by_name["replicas"], {}) == 3
    assert dict(by_name["region"].choices) == {"eu": "eu", "us": "United States"}
    assert not questions.applies(by_name["ttl"], {"cache": False})
    good = {"title": "x", "replicas": 1, "region": "us", "cache": False}
    assert questions.validated(good).model_dump(exclude_unset=True) == good
    with pytest.raises(ValidationError, match="at least 1"):
        questions.validated({**good, "replicas": 0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("- a", "expected questions by name"),
        ("a: {type: uuid}", "type 'uuid' is not one of"),
        ("a: {type: str, choices: x}", "choices must be a list or a mapping"),
        ("on: {type: str}", "True: a question's name must be text; put it in quotes"),
    ],
)
def test_a_broken_template_is_told_as_such(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(tmp_path, text)


def test_a_default_that_cannot_be_rendered_names_itself(tmp_path: Path) -> None:
    questions = load(tmp_path, "a: '{{ missing }}'")
    with pytest.raises(UserError, match="missing"):
        questions.default(questions.questions["a"], {})


def test_no_one_needs_to_trust_the_template() -> None:
    keys = yaml.safe_load((REPOSITORY / "copier.yml").read_text()).keys()
    assert not keys & {"_tasks", "_migrations", "_jinja_extensions"}
