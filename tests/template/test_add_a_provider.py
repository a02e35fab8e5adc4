"""A new provider is the four files of docs/how-to/add-a-provider.md, and no other.

A project that is generated with it passes its own tests of providers, its linter and its types.
"""

import re
from pathlib import Path

import pytest

from tests.support import REPOSITORY, whole_template, write
from tests.template.combinations import Combination, everything
from tests.template.conftest import made, run_module

PAGE = (REPOSITORY / "docs" / "how-to" / "add-a-provider.md").read_text("utf-8")
CHOICE, ROW, *MODULES = re.findall(
    r"^```(?:yaml|python)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
PATHS: list[str] = re.findall(r"^`(template/\S+\.py)`", PAGE, re.MULTILINE)

# The tests that are of one provider, or run for each.
TESTS = [
    "tests/providers/test_acme.py",
    "tests/providers/test_gateway.py",
    "tests/providers/test_patience.py",
    "tests/telemetry",
    "tests/test_chat.py",
    "tests/test_fallback.py",
    "tests/test_http.py",
    "tests/test_standins.py",
]

# Of those that run for each provider, acme's: the others' are run elsewhere.
SELECTED = "acme or not (openai or anthropic or cohere or google or mistral)"

PROJECTS: dict[str, Combination] = {
    "everything": {**everything()[0], "telemetry": "otlp"},
    "acme alone": {"auth": "none", "database": "none", "telemetry": "none"},
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template with the page's provider in it."""
    folder = whole_template(tmp_path_factory.mktemp("template"))
    questions = (folder / "copier.yml").read_text("utf-8")
    for before, added in {
        "  default: [openai, anthropic]\n": CHOICE,
        "\n# Files that belong": ROW,
    }.items():
        assert questions.count(before) == 1
        questions = questions.replace(before, f"{added}{before}")
    write(folder, {"copier.yml": questions, **dict(zip(PATHS, MODULES, strict=True))})
    return folder


@pytest.fixture(scope="module", params=PROJECTS)
def project(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    answers = PROJECTS[request.param]
    providers = [*answers.get("providers", []), "acme"]  # type: ignore[misc]
    folder = tmp_path_factory.mktemp("made") / "my-service"
    return made(template, folder, {**answers, "providers": providers})


def test_it_is_one_row_and_three_modules() -> None:
    assert [path.replace("acme", "*") for path in PATHS] == [
        "template/src/service/providers/*.py",
        "template/dev/standins/apis/*.py",
        "template/tests/providers/test_*.py",
    ]


def test_the_projects_tests_of_providers_pass(project: Path) -> None:
    tests = [test for test in TESTS if (project / test).exists()]
    passed = run_module(project, "pytest", "-q", "-p", "no:xdist", "-k", SELECTED, *tests)
    assert " passed" in passed


def test_the_linter_and_the_types_have_nothing_to_say(project: Path, worker_id: str) -> None:
    run_module(project, "ruff", "check", "--no-cache", ".")
    run_module(project, "ruff", "format", "--no-cache", "--check", ".")
    run_module(
        project, "mypy", f"--cache-dir={REPOSITORY / '.mypy_cache' / 'template' / worker_id}"
    )


def test_each_of_its_settings_is_in_the_configuration_and_the_readme(project: Path) -> None:
    for path in ("wrangler.toml", "README.md"):
        text = (project / path).read_text("utf-8")
        for setting in ("ACME_API_KEY", "ACME_MODEL", "ACME_MODELS"):
            assert setting in text
    assert 'ACME_API_KEY=""' in (project / ".dev.vars.example").read_text("utf-8")
