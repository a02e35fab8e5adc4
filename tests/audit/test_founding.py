"""The founding document's project, audited: what the documentation says of it is what comes out."""

import json
import re
import tomllib
from collections.abc import Mapping

from tests.audit.conftest import forge
from tests.support import REPOSITORY

FOUNDING = REPOSITORY / "tests" / "audit" / "fixtures" / "founding"
PAGE = REPOSITORY / "docs" / "explanation" / "founding-audit.md"


def declared() -> list[str]:
    manifest = tomllib.loads((FOUNDING / "pyproject.toml").read_text(encoding="utf-8"))
    return [str(requirement) for requirement in manifest["project"]["dependencies"]]


def written() -> dict[str, str]:
    """Package -> verdict, from the page's first table."""
    table = PAGE.read_text(encoding="utf-8").partition("## Where the two differ")[0]
    return dict(re.findall(r"(?m)^\| ([a-z-]+) \| ([a-z ]+) \|", table))


def name(requirement: str) -> str:
    return re.split(r"[<>=]", requirement)[0]


def test_the_page_has_a_verdict_on_each_of_the_fifteen() -> None:
    assert written().keys() == set(map(name, declared()))
    assert len(written()) == 15


def test_the_verdicts_on_the_page_are_those_of_today(real: Mapping[str, str]) -> None:
    run = forge(real, "audit", FOUNDING, "--format", "json")
    assert run.returncode == 1, run.stderr  # aiohttp
    told = {row["name"]: row["verdict"] for row in json.loads(run.stdout)["dependencies"]}
    assert told == written()
