"""TPL004: what the template says is its own."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import told

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
SUMS = "scripts/SHA256SUMS"
OWNED = {
    name: (TEMPLATE / name).read_text(encoding="utf-8")
    for name in (line.split()[1] for line in (TEMPLATE / SUMS).read_text().splitlines())
}


def found(folder: Path, owned: dict[str, str]) -> list[str]:
    sums = {SUMS: (TEMPLATE / SUMS).read_text(encoding="utf-8")}
    return told(folder, {**files(BASE), **owned, **sums}, "TPL")


def test_as_the_template_made_them(tmp_path: Path) -> None:
    assert found(tmp_path, OWNED) == []


def test_a_project_need_not_have_them_all(tmp_path: Path) -> None:
    assert found(tmp_path, {name: OWNED[name] for name in list(OWNED)[::2]}) == []


def test_ends_of_lines_do_not_count(tmp_path: Path) -> None:
    assert found(tmp_path, {name: text.replace("\n", "\r\n") for name, text in OWNED.items()}) == []


@pytest.mark.parametrize(
    "name", ["dev/standins/server.py", "migrations/0001_chats.sql", "scripts/serve.mjs"]
)
def test_a_change_is_noted(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, {**OWNED, name: OWNED[name] + "\n"}) == [
        f"{name}:1: TPL004 {name}: the template's own, and changed here"
    ]


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "src/service/app.py", "src/prompts/assistant.txt", "wrangler.toml"]
)
def test_what_people_are_expected_to_change_is_theirs(name: str) -> None:
    assert name not in OWNED
