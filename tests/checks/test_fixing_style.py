"""What `--fix` writes looks like what is there, and one call is enough."""

import json
from pathlib import Path

import pytest

from forge_scaffold.checks import Project
from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.checks.fixing import apply
from tests.checks.support import checked

PLAIN = {name: text for name, text in BASE.items() if name != "wrangler.toml"}
KEYS = (
    '"name": "example", "main": "src/entry.py", "compatibility_date": "2026-11-01", '
    '"compatibility_flags": ["python_workers"]'
)
ONE_LINE = f"// {{ a Worker }}\n{{{KEYS}}}\n"
FOUR_SPACES = "{\n    " + KEYS.replace(', "c', ',\n    "c').replace(', "m', ',\n    "m') + "\n}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ONE_LINE, ONE_LINE.replace('{"name', '{"observability": { "enabled": true },"name')),
        (
            FOUR_SPACES,
            FOUR_SPACES.replace("{\n    ", '{\n    "observability": { "enabled": true },\n    ', 1),
        ),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_json_keeps_its_style(tmp_path: Path, before: str, after: str, ends: str) -> None:
    checked(tmp_path, PLAIN)
    file = tmp_path / "wrangler.jsonc"
    file.write_bytes(before.replace("\n", ends).encode())
    assert apply(checked(tmp_path, {}, "WRA012"), Project.read(tmp_path)) == 1
    assert file.read_bytes().decode() == after.replace("\n", ends)
    assert json.loads(after.partition("\n")[2] if after.startswith("//") else after)
    assert checked(tmp_path, {}) == []


def test_an_appended_table_has_the_line_ends_of_the_file(tmp_path: Path) -> None:
    toml = BASE["wrangler.toml"].replace("\n[observability]\nenabled = true\n", "")
    checked(tmp_path, files({}))
    (tmp_path / "wrangler.toml").write_bytes(toml.replace("\n", "\r\n").encode())
    assert apply(checked(tmp_path, {}), Project.read(tmp_path)) == 1
    content = (tmp_path / "wrangler.toml").read_bytes()
    assert content.endswith(b"\r\n[observability]\r\nenabled = true\r\n")
    assert content.count(b"\n") == content.count(b"\r\n")
