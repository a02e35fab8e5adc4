"""The documentation is true."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from forge_scaffold.cli.commands import app
from forge_scaffold.config import from_organisation, problems_with, provided_answers
from forge_scaffold.organisation import Organisation
from forge_scaffold.policy import Policy
from forge_scaffold.project import Project
from forge_scaffold.questions import Questionnaire
from tests.support import REPOSITORY, whole_template

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def test_the_reference_pages_are_what_the_source_says() -> None:
    check = subprocess.run(
        [sys.executable, REPOSITORY / "docs" / "generate.py", "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stderr


def test_the_readme_shows_what_its_first_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = whole_template(tmp_path / "template")
    monkeypatch.chdir(tmp_path)
    arguments = ["new", "my-service", "--defaults", "--template", str(template)]
    printed = CliRunner().invoke(app, arguments).stdout
    note = r"  Note: .* is not a git repository: update needs one\.\n"
    shown = re.sub(note, "", printed)
    assert f"$ ./uvw run forge new my-service --defaults\n{shown}```" in README


ANSWERING = REPOSITORY / "docs" / "how-to" / "answer-without-being-asked.md"
CONFIG_FILES = re.findall(
    r"(?ms)^```(yaml|toml|json)\n(.*?)^```", ANSWERING.read_text(encoding="utf-8")
)


def test_all_formats_are_shown() -> None:
    assert {kind for kind, _ in CONFIG_FILES} == {"yaml", "toml", "json"}


@pytest.mark.parametrize(("kind", "text"), CONFIG_FILES)
def test_the_config_files_shown_are_valid_for_forge_and_for_editors(
    tmp_path: Path, kind: str, text: str
) -> None:
    (tmp_path / f"team.{kind}").write_text(text)
    questions = Questionnaire.load(REPOSITORY / "copier.yml")
    provided, problems = provided_answers(tmp_path / f"team.{kind}", (), questions)
    assert (bool(provided), problems) == (True, [])
    schema = REPOSITORY / "docs" / "reference" / "answers.schema.json"
    answers = {name: answer.value for name, answer in provided.items()}
    Draft202012Validator(json.loads(schema.read_text(encoding="utf-8"))).validate(answers)


FORGE_TOML = [
    text
    for page in ("how-to/set-up-an-organisation.md", "reference/forge-toml.md")
    for text in re.findall(
        r"(?ms)^```toml\n(.*?)^```", (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    )
]


@pytest.mark.parametrize("text", FORGE_TOML)
def test_the_organisations_shown_are_valid(tmp_path: Path, text: str) -> None:
    (tmp_path / "forge.toml").write_text(text)
    organisation = Organisation.of(tmp_path)
    questions = Questionnaire.load(REPOSITORY / "copier.yml")
    for answers in (organisation.defaults, *organisation.presets.values()):
        assert not problems_with(from_organisation(answers, "forge.toml"), questions)


RECORDINGS = sorted(REPOSITORY.glob("docs/recordings/*.cast"))


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_a_recording_can_be_played_and_has_no_token(recording: Path) -> None:
    text = recording.read_text(encoding="utf-8")
    header, *events = map(json.loads, text.splitlines())
    assert header["version"] == 2
    moments = [moment for moment, kind, data in events if kind == "o" and data is not None]
    assert moments == sorted(moments)
    assert len(moments) == len(events)
    assert not re.search(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", text)


LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def links(page: Path) -> list[tuple[Path, str]]:
    """The files and anchors that a page links to."""
    text = page.read_text(encoding="utf-8")
    return [
        ((page.parent / target).resolve() if target else page, anchor)
        for target, anchor in LINK.findall(text)
    ]


def anchors(page: Path) -> set[str]:
    """What can follow the # in a link to a page: its headings, as GitHub names them, and ids."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    headings = re.findall(r"(?m)^#+ (.+)$", prose)
    named = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    return {*named, *re.findall(r'<a id="(.+?)">', text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    missing = [
        (target, anchor)
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert missing == []


def test_every_link_of_a_generated_readme_leads_somewhere() -> None:
    readme = REPOSITORY / "template" / "README.md.jinja"
    missing = [
        target
        for target, _ in links(readme)
        if not target.exists() and not target.with_name(f"{target.name}.jinja").exists()
    ]
    assert missing == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        waiting += [
            target
            for target, _ in links(page)
            if target.suffix == ".md" and target not in reached and target.exists()
        ]
    assert {*PAGES} <= reached


def test_the_page_on_dependencies_names_each_allowed_package(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    table = page.partition("| Allowed | Why |\n| --- | --- |\n")[2].partition("\n\n")[0]
    named = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()]
    allowed = Policy.of(Project.read(tmp_path), Organisation()).direct
    assert named == sorted(allowed)
