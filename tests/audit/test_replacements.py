"""What replaces what: the data is whole, points at what is there, and its claims are true today."""

from collections.abc import Collection
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pip._internal.models.target_python import TargetPython
from pip._vendor.packaging import markers
from pip._vendor.packaging.tags import Tag
from pip._vendor.packaging.utils import parse_wheel_filename

from forge_scaffold.audit.replacements import AREAS, Replacement, facts, replacements
from forge_scaffold.organisation import Organisation
from forge_scaffold.packages.pip_resolver import Resolver
from forge_scaffold.packages.pyodide import ENVIRONMENT, known_to_pyodide
from forge_scaffold.packages.resolve import SERVER_PLATFORMS
from forge_scaffold.policy import Policy
from forge_scaffold.project import Project
from forge_scaffold.questions import Questionnaire
from tests.support import REPOSITORY

FOUNDING = {
    "aiohttp", "httpx", "langchain", "langfuse", "langgraph", "langsmith", "litellm", "passlib",
    "pydantic", "pydantic-settings", "python-dotenv", "python-jose", "sqlalchemy", "tenacity",
    "typing-extensions",
}  # fmt: skip

EVERY = pytest.mark.parametrize("known", replacements().values(), ids=list(replacements()))


def test_the_founding_documents_packages_and_sixty_more_are_known() -> None:
    assert replacements().keys() >= FOUNDING
    assert len(replacements()) >= len(FOUNDING) + 60


@EVERY
def test_an_entry_is_whole(known: Replacement) -> None:
    assert known.area in AREAS
    assert known.policy in {"keep", "replace", "decide"}
    assert known.reason
    assert bool(known.by) == (known.policy != "keep")
    assert bool(known.code) == (known.policy == "replace")
    assert known.facts
    assert {*known.lacks, *known.facts} <= facts().keys()
    assert known.reason[0] != known.reason[0].upper() or known.reason.split()[0] in NAMES


NAMES = {"Core", "RS256", "WSGI", "Google", "Cloudflare", "SQL", "TLS"}


def test_every_fact_is_used_and_has_a_day_and_a_source() -> None:
    used = {name for known in replacements().values() for name in (*known.lacks, *known.facts)}
    assert used == facts().keys()
    today = datetime.now(UTC).date()
    for fact in facts().values():
        assert (
            fact.says[0] == fact.says[0].lower()
            or fact.says.split()[0].removesuffix("'s") in SUBJECTS
        )
        assert date(2025, 1, 1) < fact.date <= today
        assert fact.source


SUBJECTS = {"Cloudflare", "Python", "Pyodide", "SQLAlchemy", "Workers"}


@EVERY
def test_the_code_that_an_entry_points_at_is_in_the_template(known: Replacement) -> None:
    template = REPOSITORY / "template"
    there = {path for path in known.code if (template / path).is_file()}
    rendered = {path for path in known.code if (template / f"{path}.jinja").is_file()}
    missing = set(known.code) - there - rendered
    assert missing == set()


def test_what_is_kept_is_what_the_policy_allows(tmp_path: Path) -> None:
    allowed = Policy.of(Project.read(tmp_path), Organisation()).direct
    assert {name for name, known in replacements().items() if known.policy == "keep"} == set(
        allowed
    )
    used = {name for known in replacements().values() for name in known.uses}
    assert used <= set(allowed)


def test_the_answers_are_those_that_the_questions_take() -> None:
    questionnaire = Questionnaire.load(REPOSITORY / "copier.yml")
    questions = {question.name: question for question in questionnaire}
    for known in replacements().values():
        for answer in known.answers:
            name, _, value = answer.partition("=")
            assert value in questions[name].choices, answer


# pip leaves the pages of an index that lies on a disk open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "blocker", sorted({name for known in replacements().values() for name in known.blocked_by})
)
def test_what_is_said_to_block_has_no_wheel_for_workers_today(
    blocker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of the real index: none of the files of the newest release fits."""
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    # A resolver replaces this for the whole process.
    monkeypatch.setattr(markers, "default_environment", markers.default_environment)
    platforms = [known_to_pyodide()["platform"]]
    resolver = Resolver(
        {
            "environment": ENVIRONMENT,
            "python": ENVIRONMENT["python_version"],
            "platforms": platforms,
            "server": SERVER_PLATFORMS,
            "find_links": str(tmp_path),
            "cache": str(tmp_path),
            "timeout": 30,
        }
    )
    files = resolver.finder([*platforms, *SERVER_PLATFORMS]).find_all_candidates(blocker)
    newest = max(file.version for file in files if not file.version.is_prerelease)
    names = [file.link.filename for file in files if file.version == newest]
    worker = TargetPython(
        platforms=platforms, py_version_info=(3, 14), implementation="cp"
    ).get_unsorted_tags()
    assert names
    assert [name for name in names if name.endswith(".whl") and fits(name, worker)] == []
    assert blocker not in known_to_pyodide()["packages"]


def fits(wheel: str, tags: Collection[Tag]) -> bool:
    return not parse_wheel_filename(wheel)[3].isdisjoint(tags)
