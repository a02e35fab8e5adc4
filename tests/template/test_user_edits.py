"""An update keeps what people changed, and conflicts where docs/explanation/updates.md says.

Copier's own update changes answers, and the template's version, of a project with all of the edits
in `user_edits`. What comes out is a fresh project with the same edits.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.support import REPOSITORY, commit, repository, tree, whole_template, write
from tests.template import variants
from tests.template.combinations import everything
from tests.template.conftest import Make, run_module
from tests.template.user_edits import AT_NAMED_PLACES, ELSEWHERE, FILES, edit

UPDATES = REPOSITORY / "docs" / "explanation" / "updates.md"
ANSWERS = ".copier-answers.yml"
OWN = ("src/service/custom/", "tests/custom/")
TESTED = ("tests/custom", "tests/test_prompts.py", "tests/test_health.py")
CONFLICT = re.compile(rb"^<<<<<<< (?:before updating|HEAD)$", re.MULTILINE)

NOTHING: Mapping[str, object] = {
    "providers": ["google"],
    "auth": "none",
    "database": "none",
    "telemetry": "none",
}
EVERYTHING: Mapping[str, object] = {**everything()[0], "providers": ["openai", "anthropic"]}


@dataclass(frozen=True)
class Change:
    """What an update changes: answers, from `before`, or the template's version."""

    answers: Mapping[str, object] = field(default_factory=dict)
    before: Mapping[str, object] = field(default_factory=dict)
    version: str = ":current:"


CHANGES: Mapping[str, Change] = {
    "cron": Change({"cron": True}),
    "turso": Change({"database": "turso"}),
    "no database": Change({"database": "none"}),
    "a provider more": Change({"providers": ["openai", "anthropic", "mistral"]}),
    "a provider less": Change({"providers": ["anthropic"]}),
    "no authentication": Change({"auth": "none"}),
    "OpenID Connect": Change({"auth": "oidc", "revocation": "kv"}),
    "the gateway": Change({"ai_gateway": True, "telemetry": "otlp"}),
    "queue and workflow": Change({"queue": True, "workflow": True}),
    "bucket, search and quota": Change({"bucket": True, "search": True, "quota": True}),
    "everything off": Change(
        {"auth": "none", "revocation": "none", "database": "none", "telemetry": "none"}
        | dict.fromkeys(
            ["ai_gateway", "bucket", "search", "quota", "queue", "cron", "workflow"], False
        ),
        before=EVERYTHING,
    ),
    "a release": Change(version="v2.0.0"),
}


def replaced(old: str, new: str) -> Callable[[str], str]:
    def replace(text: str) -> str:
        assert text.count(old) == 1, old
        return text.replace(old, new)

    return replace


RELEASE: Mapping[str, list[Callable[[str], str]]] = {
    "pyproject.toml.jinja": [
        replaced('"httpx>=0.28.1,<1"', '"httpx>=0.28.2,<1",\n  "anyio>=4"'),
        replaced('typing-extensions = ">=4.12"', 'typing-extensions = ">=4.13"\nanyio = ">=4"'),
    ],
    "src/service/features.py.jinja": [
        replaced('  "chat": true,\n', '  "chat": true,\n  "log": true,\n')
    ],
    "src/service/log.py": [lambda text: f"{text}\n\nfeature = ()\n"],
    "src/service/chat.py": [
        replaced(
            "        claim = await self._keys.claim",
            "        # Fixed in v2.\n        claim = await self._keys.claim",
        )
    ],
    "src/service/custom/routes.py": [replaced("Your own routes.", "Your own routes, as of v2.")],
    "tests/custom/environment.py": [lambda text: f"{text}\nADDED = 1\n"],
    "tests/conftest.py": [
        replaced(
            '"RETRY_DELAY": "0.001",\n', '"RETRY_DELAY": "0.001",\n        "RETRY_BUDGET": "20",\n'
        )
    ],
    "README.md.jinja": [replaced("## Settings\n", "## Settings\n\nThese are all of them.\n")],
}
"""A version more: by file, what it changes. It also changes files that are the user's."""


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a repository with two versions."""
    folder = repository(whole_template(tmp_path_factory.mktemp("releases") / "template"), "v1.0.0")
    for name, changes in RELEASE.items():
        path = folder / "template" / name
        text = path.read_text(encoding="utf-8")
        for change in changes:
            text = change(text)
        path.write_text(text, encoding="utf-8")
    return commit(folder, "v2.0.0")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, releases: Path) -> Callable[[str], Path]:
    """Makes a project by Copier, with all of the edits, committed; one for the same answers."""

    @cache
    def made(*answers: str) -> Path:
        project = tmp_path_factory.mktemp("base") / "my-service"
        copier("copy", "--defaults", "--vcs-ref=v1.0.0", *answers, str(releases), str(project))
        edit(project)
        return repository(project)

    return made


def data(answers: Mapping[str, object]) -> Iterator[str]:
    """Answers as Copier's command line takes them."""
    for name, value in answers.items():
        yield from ("--data", f"{name}={value}")


def copier(*arguments: str, folder: Path | None = None) -> None:
    run_module(folder or Path.cwd(), "copier", *arguments)


@cache
def documented() -> Mapping[str, Mapping[str, int]]:
    """The conflicts of each edit, by what is changed, that the page of updates tells."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", UPDATES.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        name: {change: int(count) for change, count in re.findall(r"(\w[^:;]*): (\d+)", cell)}
        for name, cell in rows
    }


def by_copier(project: Path, change: Change) -> None:
    copier(
        "update", "--defaults", f"--vcs-ref={change.version}", *data(change.answers), folder=project
    )


def by_forge(project: Path, change: Change) -> None:
    answers = [f"{name}={value}" for name, value in change.answers.items()]
    command = ["set", *answers] if answers else ["update", "--to", change.version]
    # It exits with 1 on conflicts.
    run_module(project, "forge_scaffold", *command, codes={0, 1})


@pytest.mark.parametrize(
    ("name", "update"),
    [
        *((name, by_copier) for name in CHANGES),
        # Both merge the same: a few show it.
        *((name, by_forge) for name in ("a release", "everything off")),
    ],
)
def test_an_update_keeps_the_edits(  # noqa: PLR0917 - fixtures
    name: str,
    update: Callable[[Path, Change], None],
    base: Callable[..., Path],
    releases: Path,
    make: Make,
    tmp_path: Path,
) -> None:
    change = CHANGES[name]
    project = shutil.copytree(base(*data(change.before)), tmp_path / "my-service")
    before = tree(project)
    update(project, change)
    updated = tree(project)
    counted = {file: len(CONFLICT.findall(text)) for file, text in updated.items()}
    conflicts = {file: count for file, count in counted.items() if count}
    told = {each.file: documented()[each.name].get(name, 0) for each in ELSEWHERE}
    assert conflicts == {file: count for file, count in told.items() if count}

    fresh = tmp_path / "fresh" / "my-service"
    if change.version == ":current:":
        make(fresh, {**change.before, **change.answers})
    else:
        copier("copy", "--defaults", f"--vcs-ref={change.version}", str(releases), str(fresh))
    edit(fresh)
    expected = tree(fresh) | {file: text for file, text in before.items() if file.startswith(OWN)}
    for text in (updated, expected):
        for file in (ANSWERS, *conflicts):
            text.pop(file)
    assert updated == expected


def test_the_users_files_depend_on_no_answer() -> None:
    owned = [file for file in variants.files() if file.path.startswith(OWN)]
    assert len(owned) > 2
    for file in owned:
        assert not file.is_jinja, file.path
        assert not variants.presence(file.path), file.path


def test_every_edit_is_at_a_place_that_the_readme_or_the_page_of_updates_names() -> None:
    readme = (REPOSITORY / "template" / "README.md.jinja").read_text(encoding="utf-8")
    table = readme.partition("## Where your code goes")[2].partition("\n## ")[0]
    places = set(re.findall(r"`([\w./]+)`", table))
    for file in [*FILES, *(each.file for each in AT_NAMED_PLACES)]:
        assert {file, f"{Path(file).parent}/"} & places or file.startswith(OWN), file
    assert {each.name for each in ELSEWHERE} <= documented().keys()
    assert {change for row in documented().values() for change in row} <= CHANGES.keys()


@pytest.mark.parametrize("answers", [NOTHING, EVERYTHING], ids=["nothing", "everything"])
def test_the_edits_at_the_named_places_work(
    answers: Mapping[str, object], make: Make, tmp_path: Path, worker_id: str
) -> None:
    project = make(tmp_path / "my-service", answers)
    write(project, {file: text for file, text in FILES.items() if "migrations" not in file})
    run_module(project, "ruff", "check", "--no-cache", ".")
    run_module(project, "ruff", "format", "--no-cache", "--check", ".")
    run_module(project, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTED)
    if answers is EVERYTHING:
        cache_folder = REPOSITORY / ".mypy_cache" / "template" / worker_id
        run_module(project, "mypy", f"--cache-dir={cache_folder}")
