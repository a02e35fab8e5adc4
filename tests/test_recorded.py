"""The answers file of a project, which a stranger may have written."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.errors import UserError
from forge_scaffold.recorded import FILE, Recorded

HEAD = "_commit: v1.0.0\n_src_path: https://example.org/team/forge.git\n"
BOMB = "_src_path: https://example.org/x.git\na: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi")
)


def project(tmp_path: Path, text: str | bytes) -> Path:
    (tmp_path / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


def test_it_is_read_as_copier_writes_it(tmp_path: Path) -> None:
    recorded = Recorded.read(project(tmp_path, f"# A comment\n{HEAD}auth: none\nn: 3\nl:\n- a\n"))
    assert recorded.address == "https://example.org/team/forge.git"
    assert recorded.version == "v1.0.0"
    assert recorded.answers == {"auth": "none", "n": 3, "l": ["a"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "yml:1: _src_path: None is not an address"),
        ("- a\n", "yml:1: expected answers by name"),
        ("? [a]\n: b\n", "yml:1: a key must be text"),
        (
            f"{HEAD}a: !!python/object/apply:os.system [touch pwned]\n",
            "yml:3: the tag .*os.system is not allowed",
        ),
        (f"{HEAD}a: !include /etc/passwd\n", "yml:3: the tag !include is not allowed"),
        (BOMB, "yml:3: not YAML: the alias .* is not allowed"),
        (f"{HEAD}a: [\n", "yml:4: not YAML"),
        (f"{HEAD}a: {'[' * 5000}", "nested more than"),
        (f"{HEAD}a: {'9' * 6000}\n", "yml:3: .* cannot be read as int"),
        (f"{HEAD}auth: none\nauth: clerk\n", "yml:4: auth: given twice, first in line 3"),
        (f"{HEAD}<<<<<<< ours\na: b\n=======\na: c\n>>>>>>> theirs\n", "yml:[34]: not YAML"),
        (f"{HEAD}a: {'x' * 300_000}\n", "larger than 256 KiB"),
        (b"\xff\xfe", "yml:1: not UTF-8 text"),
        (f"{HEAD}---\n{HEAD}", "yml:3: not YAML"),
        ("auth: none\n", "_src_path: None is not an address"),
        ("_src_path: ext::sh -c 'touch pwned'\n", "is not an address"),
        ("_src_path: --upload-pack=touch pwned\n", "is not an address"),
        ("_src_path: ../../forge\n", "is not an address"),
        ('_src_path: "https://example.org/x.git\\e[2J"\n', "is not an address"),
        (f"_src_path: {'x' * 9999}\n", r"x\.\.\. is not an address"),
        ("_src_path: https://example.org/x.git\n_commit: --all\n", "'--all' is not a version"),
        ("_src_path: https://example.org/x.git\n_commit: a..b\n", "is not a version"),
        ("_src_path: https://example.org/x.git\n_commit: 1.0\n", "1.0 is not a version"),
        ("_src_path: https://example.org/x.git\n_commit: [v1]\n", "is not a version"),
    ],
)
def test_what_copier_would_not_write_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        Recorded.read(project(tmp_path, text))
    (problem,) = raised.value.problems
    assert "\n" not in problem
    assert len(problem) < 1000


def test_it_is_neither_a_link_nor_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(HEAD)
    (tmp_path / FILE).symlink_to("elsewhere")
    with pytest.raises(UserError, match=FILE):
        Recorded.read(tmp_path)
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(UserError, match=FILE):
        Recorded.read(tmp_path)


def test_a_project_without_one_was_made_from_no_template(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no template made this project; forge adopt"):
        Recorded.read(tmp_path)


@pytest.mark.parametrize(
    "before",
    [
        f"# Why\n{HEAD}auth: none # mine\n",
        "_src_path: /home/me/forge\n_commit: v1.0.0\n",
        "_src_path:\n    a very long address that\n    yaml folded\n_commit: v1.0.0\n",
        '_src_path: "gh:team/forge"\n',
    ],
)
def test_another_address_changes_that_line_only(tmp_path: Path, before: str) -> None:
    recorded = Recorded.read(project(tmp_path, before), any_address=True)
    after = recorded.relinked("git@example.org:team/forge.git").decode()
    kept = yaml.safe_load(before)
    kept["_src_path"] = "git@example.org:team/forge.git"
    assert yaml.safe_load(after) == kept
    assert [line for line in after.splitlines() if "_src_path" not in line] == [
        line for line in before.splitlines() if "_src_path" not in line and "    " not in line
    ]


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"{HEAD}{text}".encode()))
def test_whatever_is_in_it_there_is_no_traceback(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "anything"
    folder.mkdir(exist_ok=True)
    try:
        Recorded.read(project(folder, content))
    except UserError as error:
        problems = str(error)
    else:
        return
    assert FILE in problems


@given(
    st.text(max_size=30)
    | st.from_regex(r"[-+]?[0-9._:xobeE]{1,8}", fullmatch=True)
    | st.sampled_from(["1e3", "0o17", "on", "~", "=", "<<", "2026-11-27", "1:30", "-", "y", "NaN"])
)
def test_text_that_copier_wrote_is_read_as_that_text(
    tmp_path_factory: pytest.TempPathFactory, answer: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "text"
    folder.mkdir(exist_ok=True)
    written = yaml.dump({"answer": answer, "answers": [answer]}, allow_unicode=True, indent=4)
    recorded = Recorded.read(project(folder, f"{HEAD}{written}"))
    assert recorded.answers == {"answer": answer, "answers": [answer]}
