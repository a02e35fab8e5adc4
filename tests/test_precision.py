"""The corpus of planted faults: that it is whole, and that a run of it is counted right."""

import ast
import tomllib
from collections import Counter

import pytest

from benchmarks.precision.__main__ import BEGIN, END, Result, page, result, table
from benchmarks.precision.corpus import Entry, entries
from forge_scaffold.checks import RULES

CORPUS = entries()
FAULTS = [entry for entry in CORPUS if entry.rules]


def named(entries: list[Entry]) -> list[tuple[str, Entry]]:
    return [(f"{entry.family}: {entry.title}", entry) for entry in entries]


def test_there_are_enough_faults_and_each_is_named_once() -> None:
    assert len(FAULTS) >= 250
    titles = Counter(name for name, _ in named(CORPUS))
    assert [name for name, count in titles.items() if count > 1] == []


def test_every_fault_differs_from_its_twin_and_says_where_it_is() -> None:
    assert [name for name, entry in named(FAULTS) if entry.faulty == entry.clean] == []
    assert [name for name, entry in named(FAULTS) if not entry.anywhere and not entry.lines] == []
    assert [name for name, entry in named(CORPUS) if not entry.rules and entry.lines] == []


def test_the_expected_rules_exist() -> None:
    expected = {rule for entry in FAULTS for rule in entry.rules}
    assert [rule for rule in expected if not any(each.startswith(rule) for each in RULES)] == []


def test_all_sources_parse() -> None:
    for name, entry in named(CORPUS):
        for path, text in (*entry.faulty.items(), *entry.clean.items()):
            if path.endswith(".py"):
                compile(text, f"{name}: {path}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            elif path.endswith(".toml"):
                tomllib.loads(text)


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [result(entry) for entry in CORPUS]


def test_no_error_or_warning_is_false(results: list[Result]) -> None:
    assert [text for one in results for text in (*one.errors, *one.warnings)] == []


def test_most_faults_are_found(results: list[Result]) -> None:
    faults = [one for one in results if one.rules]
    assert sum(one.found for one in faults) >= 0.95 * len(faults)


def entry(rules: tuple[str, ...], *diff: str) -> Entry:
    made = Entry("import_time", "of this test", rules, anywhere=False)
    made.add("src/service.py", list(diff))
    return made


def test_a_fault_counts_in_its_line_under_its_rule() -> None:
    lines = (" import uuid", "", "-ID = uuid.uuid4()")
    assert result(entry(("RUN101",), *lines)).found
    assert not result(entry(("RUN102",), *lines)).found
    elsewhere = result(entry(("RUN101",), "-X = 1", " import uuid", "", " ID = uuid.uuid4()"))
    assert not elsewhere.found
    assert [text.split(": ")[1][:6] for text in elsewhere.errors] == ["RUN101", "RUN101"]


def test_the_table_counts_by_family_and_replaces_the_one_in_the_page() -> None:
    results = [
        Result("import_time", "a", ("RUN101",), found=True, errors=(), warnings=()),
        Result("import_time", "b", ("RUN101",), found=False, errors=("x",), warnings=()),
        Result("import_time", "c", (), found=False, errors=(), warnings=("y",)),
    ]
    assert "| Import time | 2 | 1 | 50% | 5 | 1 | 1 |" in table(results)
    text = page(f"before\n{BEGIN}\nold\n{END}\nafter\n", results)
    assert (text.count("| **All** |"), "old" in text, text.endswith("after\n")) == (1, False, True)
    with pytest.raises(ValueError, match="precision: begin"):
        page("no marks", results)
