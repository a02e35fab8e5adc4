"""Every rule objects to its failing example, and nothing objects to its passing one."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from forge_scaffold.checks import FAMILIES, RULES, Rule, rules
from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import checked
from tests.support import repository, write

EVERY = pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)


@EVERY
def test_a_rule_says_since_when_it_is_there(rule: Rule) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", rule.since)


@EVERY
def test_a_rule_objects_to_its_failing_example(rule: Rule, tmp_path: Path) -> None:
    _commit(rule, tmp_path)
    found = [each for each in checked(tmp_path, files(rule.failing)) if each.rule == rule.id]
    assert found
    for finding in found:
        place = finding.place
        lines = (tmp_path / place.path).read_text(encoding="utf-8").split("\n")
        assert 1 <= place.line <= len(lines)
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1
        assert place.end == 0 or place.column <= place.end <= len(lines[place.line - 1]) + 1


@EVERY
def test_nothing_objects_to_a_passing_example(rule: Rule, tmp_path: Path) -> None:
    _commit(rule, tmp_path)
    assert checked(tmp_path, files(rule.passing)) == []


def _commit(rule: Rule, folder: Path) -> None:
    if rule.committed:
        write(folder, files(rule.committed))
        repository(folder)


def test_nothing_objects_to_the_project_that_examples_change(tmp_path: Path) -> None:
    assert checked(tmp_path, BASE) == []


@EVERY
def test_a_rule_is_documented(rule: Rule) -> None:
    assert re.fullmatch(r"[A-Z].{10,90}", rule.title)
    assert len(rule.reason) > 60
    assert len(rule.fix) > 10
    assert not (inspect.getdoc(type(rule)) or "").startswith("One thing that can be wrong")


def test_ids_are_unique_and_begin_with_their_family() -> None:
    rules = [rule for _, family in FAMILIES.values() for rule in family]
    assert len({rule.id for rule in rules}) == len(rules)
    for prefix, (_, family) in FAMILIES.items():
        assert all(re.fullmatch(rf"{prefix}\d{{3}}", rule.id) for rule in family)


def test_every_class_in_the_rules_folder_counts() -> None:
    folder = Path(rules.__path__[0])
    written = {
        node.name
        for file in folder.glob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Rule" for base in node.bases)
    }
    assert written == {type(rule).__name__ for rule in RULES.values()}
