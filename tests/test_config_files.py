"""Config files: three formats that are read alike, and hostile ones."""

import io
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from forge_scaffold.config import problems_with, provided_answers, read_file
from forge_scaffold.config_files import MAX_BYTES, STANDARD_INPUT, read
from forge_scaffold.errors import UserError
from forge_scaffold.questions import Questionnaire
from tests.support import REPOSITORY

QUESTIONS = Questionnaire.load(REPOSITORY / "copier.yml", folder="my-service")

SUFFIXES = (".yaml", ".toml", ".json")


def config(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def values(path: Path) -> dict[str, object]:
    return {name: entry.value for name, entry in read(path).items()}


def problem(path: Path) -> str:
    """The one line that is wrong with a file."""
    with pytest.raises(UserError) as caught:
        read(path)
    (line,) = caught.value.problems
    assert "\n" not in line
    return line


def toml(value: object) -> str:
    if isinstance(value, dict):
        members = (f"{toml(str(key))} = {toml(item)}" for key, item in value.items())
        return f"{{ {', '.join(members)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


WRITERS: Mapping[str, Callable[[dict[str, object]], str]] = {
    ".json": json.dumps,
    ".yaml": yaml.safe_dump,
    ".toml": lambda answers: "".join(f"{toml(k)} = {toml(v)}\n" for k, v in answers.items()),
}

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)


@given(
    st.dictionaries(TEXT, PLAIN, max_size=5),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["\n", "\r\n"]),
)
@example({"on": "x", "1": "no", "null": True, "~": "2026-01-01", "y": "010"}, "", "\n")
def test_the_same_answers_are_read_alike_in_all_formats(
    tmp_path_factory: pytest.TempPathFactory,
    answers: dict[str, object],
    mark: str,
    line_end: str,
) -> None:
    answers.pop("$schema", None)
    folder = tmp_path_factory.getbasetemp()
    for suffix, write in WRITERS.items():
        text = mark + (write(answers) if answers else "").replace("\n", line_end)
        assert values(config(folder, f"alike{suffix}", text)) == answers


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("text", ["", "\n", "\ufeff", "\ufeff\r\n  \r\n"])
def test_an_empty_file_has_no_answers(tmp_path: Path, suffix: str, text: str) -> None:
    assert values(config(tmp_path, f"empty{suffix}", text)) == {}


@pytest.mark.parametrize("text", ["# nothing yet\n", "---\n", "--- # nothing\n...\n"])
def test_yaml_without_content_has_no_answers(tmp_path: Path, text: str) -> None:
    assert values(config(tmp_path, "empty.yaml", text)) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", 'auth: none\r\n\r\nproviders: []\r\n"auth": clerk\r\n'),
        ("a.toml", 'auth = "none"\r\n\r\nproviders = []\r\n"auth" = "clerk"\r\n'),
        ("a.json", '{"auth": "none",\r\n\r\n"providers": [],\r\n"auth": "clerk"}\r\n'),
    ],
)
def test_a_key_given_twice_is_refused_with_both_lines(tmp_path: Path, name: str, text: str) -> None:
    path = config(tmp_path, name, text)
    assert problem(path) == f"{path}:4: auth: given twice, first in line 1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "$schema: x\nauth: none"),
        ("a.toml", '"$schema" = "x"\nauth = "none"'),
        ("a.json", '{"$schema": "x", "auth": "none"}'),
    ],
)
def test_the_editors_key_is_no_answer(tmp_path: Path, name: str, text: str) -> None:
    assert values(config(tmp_path, name, text)) == {"auth": "none"}


@pytest.mark.parametrize("key", ["on", "off", "yes", "no", "1", "null", "~", "true", "2026-01-01"])
def test_a_key_is_what_is_written(tmp_path: Path, key: str) -> None:
    path = config(tmp_path, "a.yaml", f"auth: none\n{key}: x\n")
    (line,) = provided_answers(path, (), QUESTIONS)[1]
    assert line.startswith(f'{path}:2: there is no question "{key}"; ')


@pytest.mark.parametrize(
    "value", ["2026-01-01", "010", "1:30", "1_000", "2026-01-01 10:00:00", "y"]
)
def test_text_without_quotes_stays_text(tmp_path: Path, value: str) -> None:
    path = config(tmp_path, "a.yaml", f"description: {value}\n")
    assert values(path) == {"description": value}
    assert not provided_answers(path, (), QUESTIONS)[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auth: no", 'auth: no is a boolean in YAML; choose "clerk", "cloudflare-access", '),
        ("auth: off", "auth: off is a boolean in YAML; choose"),
        ("description: On", 'description: On is a boolean in YAML; put text in quotes: "On"'),
        ("description: 12", 'description: 12 is a number in YAML; put text in quotes: "12"'),
        ("description: .nan", "description: .nan is a number in YAML"),
        ("auth:", "auth: has no value"),
        ("auth: ~", "auth: has no value"),
        ("revocation: null", "revocation: has no value"),
        ("auth: {a: b}", "auth: {'a': 'b'} is not text"),
        ("providers: openai", "providers: 'openai' is not a list"),
        ("providers: [openai, 5]", "providers: 5 is not text"),
        ("bucket: maybe", "bucket: 'maybe' is not true or false"),
        ("bucket: 1", "bucket: 1 is not true or false"),
    ],
)
def test_a_value_of_another_type_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = config(tmp_path, "a.yaml", text)
    (line,) = provided_answers(path, (), QUESTIONS)[1]
    assert line.startswith(f"{path}:1: {message}")


def test_a_date_is_no_text_in_toml(tmp_path: Path) -> None:
    path = config(tmp_path, "a.toml", "\ndescription = 2026-01-01\n")
    (line,) = provided_answers(path, (), QUESTIONS)[1]
    assert line == f"{path}:2: description: 2026-01-01 is not text"


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("a.yaml", "x: y\na: !!python/object/apply:os.system [ls]", 2, "the tag !!python/object"),
        ("a.yaml", "a: !!timestamp 2026-01-01", 1, "the tag !!timestamp is not allowed"),
        ("a.yaml", "a: !!int x", 1, "'x' cannot be read as int"),
        ("a.yaml", "a: &a [1]\nb: [*a, *a, *a]", 2, "the alias *a is not allowed"),
        ("a.yaml", "a: 1\n---\nb: 2", 2, "not YAML: found another document"),
        ("a.yaml", "? [a]\n: b", 1, "a key must be text"),
        ("a.yaml", f"a: {'9' * 50_000}", 1, "cannot be read as int"),
        ("a.yaml", f"x:\n  {'[' * 50_000}", 2, "nested more than 100 deep"),
        ("a.yaml", "null", 1, "expected answers by name"),
        ("a.yaml", "a: b\n c: d", 2, "not YAML"),
        ("a.toml", f"x = 1\na = {'9' * 50_000}", 2, "a number with too many digits"),
        ("a.toml", f"x = 1\na = {'[' * 50_000}", 2, "nested too deep"),
        ("a.toml", f"x = 1\na = {'{ a = ' * 9_000}", 2, "nested too deep"),
        ("a.toml", f"a = 1\n{'b.' * 30_000}c = 1", 2, "nested more than 100 deep"),
        ("a.toml", f"a = 1\n[{'b.' * 30_000}c]", 2, "nested more than 100 deep"),
        ("a.json", f'{{"a": {"9" * 50_000}}}', 1, "a number with too many digits"),
        ("a.json", f'{{"a": {"[" * 50_000}', 1, "nested more than 100 deep"),
        ("a.json", '{"a": NaN}', 1, "not JSON"),
        ("a.json", '{"a": 1,\n"b": Infinity}', 2, "not JSON"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_in_one_line(
    tmp_path: Path, name: str, text: str, line: int, reason: str
) -> None:
    path = config(tmp_path, name, text)
    refused = problem(path)
    assert refused.startswith(f"{path}:{line}: ")
    assert reason in refused


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, suffix: str) -> None:
    path = config(tmp_path, f"a{suffix}", " " * (MAX_BYTES + 1))
    assert problem(path) == f"--config {path}: larger than 64 KiB"


def test_a_device_that_never_ends_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("/dev/zero")
    assert "larger than 64 KiB" in problem(tmp_path / "a.yaml")


def test_standard_input_is_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("auth: none\nbucket: yes\n", '{"auth": "none", "bucket": true}'):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        provided = read_file(STANDARD_INPUT)
        assert {name: answer.value for name, answer in provided.items()} == {
            "auth": "none",
            "bucket": True,
        }
        assert provided["auth"].origin == "-:1"


@given(
    st.text(st.sampled_from("ab:{}[]\"'\n\r\t -?!&*|>%@`#,=.\\0159~<\0\ufeff\u2028é"))
    | st.text()
    | st.binary(),
    st.sampled_from(SUFFIXES),
)
def test_any_file_is_read_or_refused_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes, suffix: str
) -> None:
    content = text.encode("utf-8", "replace") if isinstance(text, str) else text
    path = config(tmp_path_factory.getbasetemp(), f"any{suffix}", content)
    try:
        provided = read_file(path)
    except UserError as error:
        (line,) = error.problems
        assert re.match(rf"{re.escape(str(path))}:\d+: .", line)
    else:
        assert all(line.startswith(f"{path}:") for line in problems_with(provided, QUESTIONS))
