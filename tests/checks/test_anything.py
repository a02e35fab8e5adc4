"""Whatever lies in a project, a check runs none of it and ends in findings or one sentence."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_scaffold.checks import Finding, Options, Subject, findings
from forge_scaffold.checks.examples import BASE
from forge_scaffold.errors import UserError
from forge_scaffold.policy import Policy
from forge_scaffold.project import Project
from forge_scaffold.reports import FORMATS, reporter
from tests.checks.support import checked
from tests.support import write

FILES = [
    ".copier-answers.yml", ".dev.vars", ".gitignore", "forge.toml", "package.json", "pylock.toml",
    "pyproject.toml", "requirements.txt", "requirements/worker.txt", "scripts/SHA256SUMS",
    "src/entry.py", "src/service.py", "tests/test_x.py", "uv.lock", "wrangler.jsonc",
    "wrangler.toml", ".git", ".git/index",
]  # fmt: skip


def look_at(folder: Path, files: Mapping[str, bytes]) -> list[Finding]:
    """Check the example with some files as they are; findings must have a place that is there."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in {**{name: text.encode() for name, text in BASE.items()}, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        found = checked(folder, {})
    except UserError:
        return []
    project = Project.read(folder)
    for finding in found:
        assert finding.place.line >= 1
        assert finding.place.column >= 1
        assert finding.message
    for form in FORMATS:
        assert isinstance(reporter(form)(found, project), str)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("anything") / "project"


@settings(max_examples=100)
@given(name=st.sampled_from(FILES), content=st.binary(max_size=300))
def test_any_bytes_in_any_file(folder: Path, name: str, content: bytes) -> None:
    look_at(folder, {name: content})


@settings(max_examples=100)
@given(
    name=st.sampled_from([name for name in FILES if name in BASE]),
    start=st.integers(0, 400),
    length=st.integers(0, 40),
    content=st.binary(max_size=20),
)
def test_a_good_file_with_a_damage(
    folder: Path, name: str, start: int, length: int, content: bytes
) -> None:
    whole = BASE[name].encode()
    look_at(folder, {name: whole[:start] + content + whole[start + length :]})


KEYS = st.sampled_from(
    [
        "ai", "allow", "analytics_engine_datasets", "base_dir", "binding", "bindings", "budget",
        "check", "class_name", "compatibility_date", "compatibility_flags", "consumers", "crons",
        "d1_databases", "dependencies", "durable_objects", "enabled", "env", "exclude", "exports",
        "forge", "ignore", "kv_namespaces", "limit", "limits", "logs", "main", "migrations", "name",
        "new_classes", "new_sqlite_classes", "observability", "optional-dependencies", "package",
        "packages", "per-file-ignores", "period", "platform", "production", "project",
        "python_modules", "queues", "ratelimits", "renamed_classes", "required",
        "requires-python", "secrets", "select", "simple", "source", "sources", "tool",
        "transitive", "triggers", "uv", "vars", "version", "virtual", "wheels", "workflows",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["src/entry.py", "python_workers", "2026-11-01", "httpx>=1", "*", "../x.py"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=100)
@given(data=st.dictionaries(KEYS, VALUES, max_size=6))
def test_known_keys_with_values_of_any_kind(folder: Path, data: Mapping[str, object]) -> None:
    files = {"wrangler.jsonc": json.dumps(data).encode(), "package.json": json.dumps(data).encode()}
    look_at(folder, {**files, "wrangler.toml": b"["})
    shutil.rmtree(folder)
    plain = {name: text for name, text in BASE.items() if name != "wrangler.toml"}
    write(folder, plain)
    (folder / "wrangler.jsonc").write_text(json.dumps(data))
    checked(folder, {})


def toml(data: object) -> str:
    """A value as TOML has it; null, which TOML lacks, as false."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(data[key])}" for key in data) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(toml, data)) + "]"
    if isinstance(data, float):
        return f"{data:f}"
    return json.dumps(data) if data is not None else "false"


@settings(max_examples=100)
@given(
    name=st.sampled_from(
        ["pyproject.toml", "wrangler.toml", "uv.lock", "pylock.toml", "forge.toml"]
    ),
    data=st.dictionaries(KEYS, VALUES, max_size=6),
)
def test_toml_with_values_of_any_kind(folder: Path, name: str, data: Mapping[str, object]) -> None:
    text = "".join(f"{json.dumps(key)} = {toml(data[key])}\n" for key in data)
    look_at(folder, {name: text.encode()})


@pytest.mark.parametrize(
    "source",
    [
        "(" * 5000 + ")" * 5000,
        "-" * 5000 + "1",
        "x = " + "+".join(["1"] * 20000),
        "x = " + ".a" * 5000,
        "x = y" + ".a" * 20000,
        "f" + "()" * 5000,
        "if x:\n" + "".join(f"{' ' * depth}if x:\n" for depth in range(1, 99)) + " " * 99 + "pass",
        "\0",
        "x = '\\ud800'",
        "# coding: no-such-codec\n",
        "# coding: utf-16\n",
        "x = 1" + "0" * 5000,
    ],
    ids=range(12),
)
def test_python_that_is_nested_without_end(tmp_path: Path, source: str) -> None:
    look_at(tmp_path / "project", {"src/service.py": source.encode()})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wrangler.toml", "a = " + "[" * 5000 + "]" * 5000),
        ("wrangler.toml", "a = " + "[" * 150 + "]" * 150),
        ("pyproject.toml", "a" + ".a" * 3000 + " = 1"),
        ("package.json", "[" * 100_000),
        ("uv.lock", "x = " + "9" * 5000),
    ],
)
def test_data_that_is_nested_without_end(tmp_path: Path, name: str, content: str) -> None:
    found = look_at(tmp_path / "project", {name: content.encode()})
    assert name in {str(each.place.path) for each in found if each.rule == "PRJ001"}


def test_json_that_is_nested_without_end(tmp_path: Path) -> None:
    plain = {name: text for name, text in BASE.items() if name != "wrangler.toml"}
    write(tmp_path, {**plain, "wrangler.jsonc": '{"a":' * 100_000})
    assert "nested more than" in checked(tmp_path, {}, "PRJ")[0].message


def test_a_byte_order_mark_is_no_flaw(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    files = {name: mark + text.encode() for name, text in BASE.items()}
    assert look_at(tmp_path / "project", files) == []


def test_other_encodings_are_told(tmp_path: Path) -> None:
    latin = BASE["wrangler.toml"].replace("example", "exämple").encode("latin-1")
    (found,) = look_at(tmp_path / "project", {"wrangler.toml": latin})
    assert found.message == "not UTF-8 text (byte 0xe4)"
    assert found.place.line == 1


def test_windows_line_ends_are_no_flaw(tmp_path: Path) -> None:
    files = {name: text.replace("\n", "\r\n").encode() for name, text in BASE.items()}
    assert look_at(tmp_path / "project", files) == []


def test_a_huge_file_is_not_looked_into(tmp_path: Path) -> None:
    (found,) = look_at(tmp_path / "project", {"src/service.py": b"#" * 2_000_001})
    assert "larger than 2,000,000 bytes" in found.message


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "outside", {"secret.py": "import requests\n", "folder/more.py": "def"})
    write(tmp_path / "project", BASE)
    (tmp_path / "project" / "src" / "out.py").symlink_to(tmp_path / "outside" / "secret.py")
    (tmp_path / "project" / "src" / "more").symlink_to(tmp_path / "outside" / "folder")
    (tmp_path / "project" / "src" / "loop").symlink_to(tmp_path / "project")
    (tmp_path / "project" / "src" / "nowhere.py").symlink_to("nowhere")
    assert checked(tmp_path / "project", {}) == []


def test_what_is_no_file_is_passed_by(tmp_path: Path) -> None:
    write(tmp_path, BASE)
    os.mkfifo(tmp_path / "src" / "pipe.py")
    (tmp_path / "src" / "folder.py").mkdir()
    assert checked(tmp_path, {}) == []


def test_a_file_that_cannot_be_read_any_more_is_told(tmp_path: Path) -> None:
    write(tmp_path, BASE)
    project = Project.read(tmp_path)
    (tmp_path / "src" / "service.py").unlink()
    subject = Subject(project, Policy.of(project))
    (found,) = findings(subject, Options(select=("PRJ",)))
    assert found.message == "cannot be read: No such file or directory"


def test_nothing_of_the_project_is_imported_or_run(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w')\n"
    write(
        tmp_path / "project",
        {
            **BASE,
            "src/service.py": trap + BASE["src/service.py"],
            "src/packaging/__init__.py": trap,
            "conftest.py": trap,
            "sitecustomize.py": trap,
            ".git/config": f"[core]\nfsmonitor = touch {tmp_path / 'sprung'}\n",
            ".git/index": "DIRC",
        },
    )
    checked(tmp_path / "project", {})
    assert not (tmp_path / "sprung").exists()
