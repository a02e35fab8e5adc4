"""Answers from a file, --set and defaults."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.config import (
    ProvidedAnswer,
    complete,
    problems_with,
    provided_answers,
    read_file,
)
from forge_scaffold.errors import UserError
from forge_scaffold.questions import Questionnaire, either
from tests.support import REPOSITORY

QUESTIONS = Questionnaire.load(REPOSITORY / "copier.yml", folder="my-service")


def config(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "auth: none\nproviders:\n  - openai\n"),
        ("a.yml", "{auth: none, providers: [openai]}"),
        ("a.toml", 'auth = "none"\nproviders = ["openai"]\n'),
        ("a.JSON", '{"auth": "none", "providers": ["openai"]}'),
    ],
)
def test_a_config_file_answers_in_yaml_toml_or_json(tmp_path: Path, name: str, text: str) -> None:
    provided, problems = provided_answers(config(tmp_path, name, text), (), QUESTIONS)
    assert not problems
    assert {key: item.value for key, item in provided.items()} == {
        "auth": "none",
        "providers": ["openai"],
    }


def test_every_answer_knows_where_it_comes_from(tmp_path: Path) -> None:
    path = config(tmp_path, "team.yaml", "# ours\nauth: none\ndatabase: none\n")
    provided, _ = provided_answers(path, ["database=d1"], QUESTIONS)
    answers = complete(provided, QUESTIONS, None)
    assert answers.origins["auth"] == f"{path}:2"
    assert answers.origins["database"] == "--set database=d1"
    assert answers.origins["telemetry"] == "default"
    assert answers.as_dict()["database"] == "d1"


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.json", '{\n  "auth": "none",\n  "auht": "none"\n}', ":3"),
        ("a.json", '{"auth": "none", "auht": "none"}', ":1"),
        ("a.toml", 'auth = "none"\n\n"auht" = "none"\n', ":3"),
        ("a.yaml", "auth: none\nauht: none\n", ":2"),
    ],
)
def test_a_wrong_key_is_found_at_its_line(tmp_path: Path, name: str, text: str, place: str) -> None:
    path = config(tmp_path, name, text)
    _, problems = provided_answers(path, (), QUESTIONS)
    assert problems == [f'{path}{place}: there is no question "auht"; did you mean "auth"?']


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "auth: [none\nx: y", "a.yaml:2: not YAML"),
        ("a.toml", "auth = none", "a.toml:1: not TOML"),
        ("a.json", '{"auth": "none",\n"x"}', "a.json:2: not JSON"),
        ("a.yaml", "just text", "a.yaml:1: expected answers by name"),
        ("a.json", "[]", "a.json:1: not JSON: not an object"),
        ("a.json", "[" * 50_000, "nested more than 100 deep"),
        ("a.yaml", b"\xff\xfe\x00", "not UTF-8 text"),
        ("a.yaml", "x: y\na: b\0", "a.yaml:2: not YAML: the character"),
        ("a.ini", "auth=none", "must end in .yaml, .yml, .toml, .json"),
    ],
)
def test_a_config_that_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_file(config(tmp_path, name, text))


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.yaml: No such file or directory"):
        read_file(tmp_path / "gone.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(UserError, match=r"folder\.yaml: Is a directory"):
        read_file(tmp_path / "folder.yaml")


@given(text=st.text(), suffix=st.sampled_from([".yaml", ".toml", ".json"]))
def test_any_text_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = config(tmp_path_factory.getbasetemp(), f"any{suffix}", text.encode("utf-8", "replace"))
    _, problems = provided_answers(path, (), QUESTIONS)
    assert all(str(path) in problem for problem in problems)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
KEYS = st.sampled_from(list(QUESTIONS.questions)) | st.text()


@given(st.dictionaries(KEYS, JSON_VALUES))
def test_whatever_is_told_is_an_answer_or_a_named_problem(values: Mapping[str, object]) -> None:
    provided = {name: ProvidedAnswer(value, f"place of {name!r}") for name, value in values.items()}
    problems = problems_with(provided, QUESTIONS)
    if problems:
        assert all(problem.startswith("place of ") for problem in problems)
    else:
        answers = complete(provided, QUESTIONS, None).as_dict()
        assert json.loads(json.dumps(answers)) == answers


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("providers=openai", "providers", ["openai"]),
        ("providers=openai, anthropic", "providers", ["openai", "anthropic"]),
        ("providers=[openai, 'anthropic']", "providers", ["openai", "anthropic"]),
        ("description=a=b: {c}", "description", "a=b: {c}"),
        ("description=", "description", ""),
        ("description=12", "description", "12"),
        ("auth=none", "auth", "none"),
    ],
)
def test_set_takes_text_as_it_is_and_lists_with_commas(
    setting: str, name: str, value: object
) -> None:
    provided, problems = provided_answers(None, [setting], QUESTIONS)
    assert not problems
    assert provided[name].value == value


NUMBERS = "size: {type: int, default: 1}\nflag: {type: bool, default: true}\n"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("size=12", 12), ("size=0x10", 16), ("flag=no", False), ("flag=true", True)],
)
def test_set_takes_numbers_and_booleans(tmp_path: Path, setting: str, value: object) -> None:
    provided, problems = provided_answers(None, [setting], questionnaire(tmp_path, NUMBERS))
    assert not problems
    assert provided[setting.partition("=")[0]].value == value


@pytest.mark.parametrize(
    "setting",
    ["size=010", "size=1:30", "size=1.0", "size=", "size=!!int x", "size=[", "flag=1", "flag=&a b",
     f"size={'[' * 1000}", "size=\x00", "flag=!!python/name:os.system"],
)  # fmt: skip
def test_set_never_guesses_a_value(tmp_path: Path, setting: str) -> None:
    _, problems = provided_answers(None, [setting], questionnaire(tmp_path, NUMBERS))
    (problem,) = problems
    assert problem.startswith(f"--set {setting[:60]}")


CONDITIONAL = """\
auth: {type: str, choices: [clerk, none], default: clerk}
revocation: {type: str, choices: [none, kv], default: none, when: "{{ auth != 'none' }}"}
"""


def test_an_answer_that_could_have_no_effect_is_refused(tmp_path: Path) -> None:
    questions = questionnaire(tmp_path, CONDITIONAL)
    _, problems = provided_answers(None, ["auth=none", "revocation=kv"], questions)
    assert problems == ["--set revocation=kv: revocation: is asked only when auth != 'none'"]
    assert not provided_answers(None, ["revocation=kv"], questions)[1]


def test_the_default_of_a_question_that_is_not_asked_may_be_told(tmp_path: Path) -> None:
    questions = questionnaire(tmp_path, CONDITIONAL)
    provided, problems = provided_answers(None, ["auth=none", "revocation=none"], questions)
    assert not problems
    assert complete(provided, questions, None).as_dict() == {"auth": "none"}


def test_what_could_have_no_effect_is_refused_once() -> None:
    for setting in ("revocation=kv", "bucket=true", "search=true", "quota=true"):
        _, problems = provided_answers(None, ["auth=none", setting], QUESTIONS)
        name = setting.partition("=")[0]
        assert problems == [f"--set {setting}: {name}: is asked only when auth != 'none'"]


def test_a_rule_may_name_an_answer_that_is_itself_refused(tmp_path: Path) -> None:
    questions = questionnaire(
        tmp_path,
        """\
auth: {type: str, choices: [clerk, none], default: clerk}
name: {type: str, default: x, validator: "{% if auth == name %}another name{% endif %}"}
""",
    )
    _, problems = provided_answers(None, ["auth=okta", "name=okta"], questions)
    assert problems == [
        "--set auth=okta: auth: 'okta' is not a choice; choose clerk or none",
        "--set name=okta: name: another name",
    ]


def questionnaire(folder: Path, text: str) -> Questionnaire:
    path = folder / "copier.yml"
    path.write_text(text)
    return Questionnaire.load(path)


def test_the_last_setting_of_a_key_counts() -> None:
    provided, _ = provided_answers(None, ["auth=none", "auth=clerk"], QUESTIONS)
    assert provided["auth"].value == "clerk"


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = config(tmp_path, "team.yaml", "service_name: Nope\nauth: 5\nwhat: ever\n")
    settings = ["providers=acme", "databse=d1", "novalue", "providers=["]
    _, problems = provided_answers(path, settings, QUESTIONS)
    names = ", ".join(QUESTIONS.questions)
    providers = either(QUESTIONS.questions["providers"].choices)
    choices = '"clerk", "cloudflare-access", "oidc" or "none"'
    name_rule = (
        "use a-z, 0-9 and hyphens (1 to 63 characters), and start and end with a letter or digit"
    )
    assert set(problems) == {
        f"{path}:1: service_name: {name_rule}",
        f"{path}:2: auth: 5 is a number in YAML; choose {choices}",
        f'{path}:3: there is no question "what"; the questions are {names}',
        "--set providers=[: '[' cannot be read as a list",
        '--set databse=d1: there is no question "databse"; did you mean "database"?',
        "--set novalue: write it as KEY=VALUE",
        f"--set providers=acme: providers: 'acme' is not a choice; choose {providers}",
    }


def test_a_question_without_a_default_must_be_told(tmp_path: Path) -> None:
    (tmp_path / "copier.yml").write_text(yaml.safe_dump({"region": {"type": "str"}}))
    with pytest.raises(UserError, match="region"):
        complete({}, Questionnaire.load(tmp_path / "copier.yml"), None)


def test_a_question_that_does_not_apply_has_no_answer(tmp_path: Path) -> None:
    (tmp_path / "copier.yml").write_text(
        "cache: {type: bool, default: true}\nttl: {type: int, default: 60, when: '{{ cache }}'}\n"
    )
    questions = Questionnaire.load(tmp_path / "copier.yml")
    provided, problems = provided_answers(None, ["cache=false"], questions)
    assert not problems
    assert complete(provided, questions, None).as_dict() == {"cache": False}
