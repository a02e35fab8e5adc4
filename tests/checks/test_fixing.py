"""`--fix` mends what is plain, and only that; what it mends is found no more."""

import json
import tomllib
from pathlib import Path

import pytest

from forge_scaffold.checks import RULES, Project, Rule
from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.checks.fixing import apply
from tests.checks.support import checked
from tests.support import tree

FIXABLE = [rule for rule in RULES.values() if rule.fixable]


@pytest.mark.parametrize("rule", FIXABLE, ids=lambda rule: rule.id)
def test_a_fix_mends_the_failing_example(rule: Rule, tmp_path: Path) -> None:
    found = checked(tmp_path, files(rule.failing), rule.id)
    assert apply(found, Project.read(tmp_path)) == len(found) == 1
    assert checked(tmp_path, {}) == []
    assert not list(tmp_path.rglob(".forge-*"))


def test_only_rules_that_say_so_bring_fixes(tmp_path: Path) -> None:
    for number, rule in enumerate(RULES.values()):
        found = checked(tmp_path / str(number), files(rule.failing), rule.id)
        assert rule.fixable or not any(finding.edit for finding in found)


def test_several_fixes_of_a_file_and_its_line_ends_and_mark_stay(tmp_path: Path) -> None:
    text = (
        'name = "example"\r\nmain = "src/entry.py"\r\ncompatibility_date = "2026-11-01"\r\n'
        'compatibility_flag = ["python_workers"]\r\n# ümlaut\r\nworkers_devs = true\r\n'
    )
    write = files({})
    write["wrangler.toml"] = ""
    found = checked(tmp_path, write)
    (tmp_path / "wrangler.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = checked(tmp_path, {})
    assert apply(found, Project.read(tmp_path)) == 3
    content = (tmp_path / "wrangler.toml").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfname")
    assert (
        b'compatibility_flags = ["python_workers"]\r\n# \xc3\xbcmlaut\r\nworkers_dev = true'
        in content
    )
    assert checked(tmp_path, {}) == []


WORKER = 'name = "example"\nmain = "src/entry.py"\ncompatibility_date = "2026-11-01"\n'
FLAGS = 'compatibility_flags = ["python_workers"]\n'
SEEN = "[observability]\nenabled = true\n"


@pytest.mark.parametrize(
    "toml",
    [
        f"{WORKER}{FLAGS}workers_devs = true\nworkers_devx = true\n{SEEN}",
        f"{WORKER}{FLAGS}workers_devs = true\nworkers_dev = true\n{SEEN}",
        f"{WORKER}{FLAGS}workers_devs = 'true'\n{SEEN}",
        f"{WORKER}{FLAGS}[[observabilty]]\nenabled = true\n{SEEN}",
        f"{WORKER}{FLAGS}[observabilty]\nenabled = true\n[observabilty.logs]\nenabled = true\n",
        f"{WORKER}{FLAGS}{SEEN}[kv_namespace]\nbinding = 'CACHE'\n",
    ],
)
def test_a_fix_that_would_not_do_is_not_offered(tmp_path: Path, toml: str) -> None:
    found = checked(tmp_path, files({"wrangler.toml": toml}), "WRA")
    while any(finding.edit for finding in found):
        apply(found, Project.read(tmp_path))
        before, found = found, checked(tmp_path, {}, "WRA")
        assert len(found) < len(before)
    assert Project.read(tmp_path).wrangler


def test_a_bracket_in_a_comment_is_none(tmp_path: Path) -> None:
    project = {name: text for name, text in BASE.items() if name != "wrangler.toml"}
    jsonc = json.dumps({**tomllib.loads(f"{WORKER}{SEEN}"), "compatibility_flags": []})
    jsonc = jsonc.replace('_flags": ', '_flags": /* [] */ ')
    found = checked(tmp_path, {**project, "wrangler.jsonc": jsonc}, "WRA001")
    assert [finding.edit for finding in found] == [None]


def test_a_key_given_twice_in_json_is_not_added_again(tmp_path: Path) -> None:
    project = {name: text for name, text in BASE.items() if name != "wrangler.toml"}
    data = {**tomllib.loads(f"{WORKER}{FLAGS}"), "observability": None}
    found = checked(tmp_path, {**project, "wrangler.jsonc": json.dumps(data)}, "WRA012")
    assert [finding.edit for finding in found] == [None]


def test_a_check_alone_changes_nothing(tmp_path: Path) -> None:
    checked(tmp_path, files(FIXABLE[0].failing))
    before = tree(tmp_path)
    checked(tmp_path, {})
    assert tree(tmp_path) == before
