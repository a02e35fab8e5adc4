"""Files beside the code: what wrangler attaches of them, and what the code reads."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.checks.uploads import attached
from forge_scaffold.project import Project
from tests.checks.support import told
from tests.support import write

RULES = '\n[[rules]]\ntype = "{}"\nglobs = {}\nfallthrough = {}\n'


def configured(kind: str, globs: str, fallthrough: str) -> dict[str, str]:
    return {"wrangler.toml": BASE["wrangler.toml"] + RULES.format(kind, globs, fallthrough)}


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({}, ["a.sql", "b.bin", "deep/c.txt"]),
        (configured("Text", '["**/*.json"]', "true"), ["a.sql", "b.bin", "d.json", "deep/c.txt"]),
        # A rule that is complete takes the place of wrangler's own of its type.
        (configured("Text", '["**/*.json"]', "false"), ["b.bin", "d.json"]),
        (configured("Data", '["*.json"]', "true"), ["a.sql", "b.bin", "d.json", "deep/c.txt"]),
    ],
)
def test_what_is_attached(tmp_path: Path, more: dict[str, str], names: list[str]) -> None:
    texts = ("src/a.sql", "src/b.bin", "src/d.json", "src/deep/c.txt", "src/e.md", "out.txt")
    write(tmp_path, files({**dict.fromkeys(texts, "x"), **more}))
    project = Project.read(tmp_path)
    assert [str(path.relative_to("src")) for path in attached(project)] == names


READS = [
    'Path(__file__).with_name("a.json").read_text()',
    '(Path(__file__).parent / "a.json").read_bytes()',
    'open(Path(__file__).resolve().parent.joinpath("a.json"))',
    'open(os.path.join(os.path.dirname(__file__), "a.json"), "r")',
    '(HERE / "a.json").open()',
    'open(f"{HERE}/x") or (Path(__file__).parents[1] / "src/a.json").read_text()',
]
MODULE = """\
import os
from pathlib import Path

import httpx

HERE = Path(__file__).parent


async def answer(env):
    text = {}
    return httpx.__version__
"""


def read(folder: Path, expression: str, name: str) -> list[str]:
    changed = {"src/service.py": MODULE.format(expression), name: "{}"}
    return told(folder, files(changed), "SIZ")


@pytest.mark.parametrize("expression", READS)
def test_what_is_read_and_not_attached(tmp_path: Path, expression: str) -> None:
    (line,) = read(tmp_path, expression, "src/a.json")
    assert line.startswith("src/service.py:10: SIZ004 src/a.json: read here, and wrangler does not")


@pytest.mark.parametrize("expression", READS)
def test_what_is_attached_may_be_read(tmp_path: Path, expression: str) -> None:
    assert read(tmp_path, expression.replace("a.json", "a.txt"), "src/a.txt") == []


@pytest.mark.parametrize(
    "expression",
    [
        '(HERE / "b.json").read_text()',  # not there: something may write it
        '(HERE / "a.json").open("w")',
        '(HERE / os.sep / "a.json").read_text()',
        'Path("a.json").read_text()',
    ],
)
def test_what_is_not_plain_is_silent(tmp_path: Path, expression: str) -> None:
    assert read(tmp_path, expression, "src/a.json") == []


def test_a_file_outside_of_the_upload(tmp_path: Path) -> None:
    (line,) = read(tmp_path, '(HERE.parent / "a.txt").read_text()', "a.txt")
    assert line.endswith("a.txt: read here, and only what is below src/ is uploaded")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('(HERE / "dump.sql").read_text()', False),
        ('[path for path in HERE.glob("*.sql")]', False),
        ("None", True),
    ],
)
def test_a_large_file_that_nothing_names(tmp_path: Path, source: str, found: bool) -> None:  # noqa: FBT001
    changed = {"src/service.py": MODULE.format(source), "src/dump.sql": "-" * 2**20}
    assert bool(told(tmp_path, files(changed), "SIZ005")) == found


def test_a_model_beside_the_code_counts(tmp_path: Path) -> None:
    write(tmp_path, files({"src/service.py": MODULE.format("'model'")}))
    with (tmp_path / "src/model.bin").open("wb") as file:
        file.truncate(70 * 2**20)
    (line,) = told(tmp_path, {}, "SIZ001")
    assert "70.0 MiB to upload" in line
    assert "src/model.bin 70.0 MiB" in line
