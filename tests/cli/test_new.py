"""`forge new` as it is typed, where nobody is at the terminal."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from forge_scaffold.cli.commands import app
from forge_scaffold.questions import Questionnaire
from tests.support import REPOSITORY, SMALL_TEMPLATE, small_template, tree

Forge = Callable[..., Result]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return small_template(tmp_path / "template")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def forge(home: Path, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """Run forge in `home`, without a terminal."""
    monkeypatch.chdir(home)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_first_sentence(forge: Forge, template: Path) -> None:
    run = forge("new", "my-service", "--defaults", "--template", template)
    assert run.exit_code == 0
    assert (
        run.stdout
        == f"""\
✓ my-service is a Worker, ready to run.

  service_name  my-service
  description   A language model service on Cloudflare Workers
  providers     openai, anthropic
  ai_gateway    no
  auth          clerk
  revocation    none
  database      d1
  telemetry     analytics-engine
  bucket        no
  search        no
  quota         no
  queue         no
  cron          no
  workflow      no

  my-service/
  ├─ src/entry.py       where Cloudflare enters
  └─ src/service/auth/  callers' tokens, verified on Web Crypto

  Checked: every dependency, locked version and import is on the allow-list.
  Git: a new repository on master, with one commit.
  Note: {template} is not a git repository: update needs one.

Next
  1. cd my-service
  2. npm install    Node's side: Pyodide, wrangler
  3. npm test       every test inside real Pyodide, and the Worker over HTTP
"""
    )
    assert "\x1b" not in run.stdout + run.stderr


def test_the_report_for_programs(forge: Forge, home: Path, template: Path) -> None:
    run = forge("new", "x", "--defaults", "--set", "auth=none", "--template", template, "--json")
    report = json.loads(run.stdout)
    assert report["path"] == str(home / "x")
    assert report["answers"]["auth"] == {"value": "none", "origin": "--set auth=none"}
    assert report["answers"]["service_name"] == {"value": "x", "origin": "default"}
    assert set(report["files"]) == set(tree(home / "x"))
    assert report["next"] == ["cd x", "npm install", "npm test"]


def test_every_mistake_is_in_one_message_and_nothing_is_written(
    forge: Forge, home: Path, template: Path
) -> None:
    (home / "taken").mkdir()
    (home / "taken" / "README.md").touch()
    (home / "team.yaml").write_text("auth: [\n")
    run = forge(
        "new", "taken", "--config", "team.yaml", "--template", template,
        "--set", "service_name=No", "--set", "provider=openai", "--set", "database=mysql",
    )  # fmt: skip
    assert run.exit_code == 2
    assert run.stdout == ""
    assert run.stderr == (
        """\
Reading the template ...
error: 5 problems, nothing was written
  taken: README.md: the template writes that too; move it away, or name a new or an empty folder
  team.yaml:2: not YAML: expected the node content, but found '<stream end>'
  --set provider=openai: there is no question "provider"; did you mean "providers"?
  --set service_name=No: service_name: use 1 to 63 of a-z, 0-9 and hyphens, \
with no hyphen first or last
  --set database=mysql: database: 'mysql' is not a choice; choose d1, turso or none
"""
    )
    assert set(tree(home)) == {"taken/README.md", "team.yaml"}


def test_without_a_terminal_open_questions_are_named(
    forge: Forge, home: Path, template: Path
) -> None:
    run = forge("new", "x", "--set", "auth=none", "--template", template)
    assert run.exit_code == 2
    first = "service_name, description, providers, ai_gateway, database, telemetry, bucket"
    assert f"error: not answered: {first}, search, queue, cron, workflow;" in run.stderr
    assert "--defaults" in run.stderr
    assert not list(home.iterdir())


def test_a_config_that_answers_everything_needs_no_defaults(
    forge: Forge, home: Path, template: Path
) -> None:
    answers = {
        "service_name": "told",
        "description": 'two\nlines, "quoted" {{ braces }}',
        "providers": ["anthropic"],
        "auth": "none",
        "database": "none",
        "telemetry": "none",
    }
    questions = Questionnaire.load(template / "copier.yml")
    rest = {question.name: questions.default(question, answers) for question in questions}
    (home / "team.json").write_text(json.dumps({**rest, **answers}))
    run = forge("new", "x", "--config", "team.json", "--template", template)
    assert run.exit_code == 0, run.stderr
    assert "  description   two ...\n" in run.stdout
    stored = yaml.safe_load((home / "x" / ".copier-answers.yml").read_text())
    assert {key: stored[key] for key in answers} == answers


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "pyproject.toml.jinja": SMALL_TEMPLATE["pyproject.toml.jinja"].replace(
                    '"httpx>=0.28,<1"', '"httpx>=0.28,<1", "requests>=2"'
                )
            },
            (
                "pyproject.toml:5: DEP001 requests: not on the allow-list; remove it, or allow it "
                "in [tool.forge.allow] (now: httpx, pydantic)"
            ),
        ),
        (
            {"src/service/extra.py": "def get():\n    import requests\n"},
            (
                "src/service/extra.py:2: IMP003 requests: imported but not on the allow-list; "
                "remove the import, or declare and allow the package"
            ),
        ),
        (
            {
                "requirements/worker.txt": SMALL_TEMPLATE["requirements/worker.txt"]
                + "requests==2.32.5 --hash=sha256:dd\n"
            },
            (
                "requirements/worker.txt:7: DEP011 requests: locked for the Worker, but neither "
                "allowed nor brought by what is; remove it and lock again (npm run lock), or "
                "name it in [tool.forge]"
            ),
        ),
    ],
    ids=["declared", "imported", "locked"],
)
def test_a_template_that_adds_requests_makes_nothing(
    tmp_path: Path, home: Path, forge: Forge, changes: Mapping[str, str], message: str
) -> None:
    template = small_template(tmp_path / "changed", changes)
    run = forge("new", "a/b/x", "--defaults", "--template", template)
    assert run.exit_code == 1
    assert run.stdout == ""
    heading = "error: the template makes a project that forge check objects to; nothing was written"
    assert f"{heading}\n  {message}\n" in run.stderr
    assert not list(home.iterdir())


def test_what_could_steer_a_terminal_is_shown_as_escapes(forge: Forge, template: Path) -> None:
    run = forge("new", "x", "--set", "auth=\x1b[2J", "--template", template)
    assert run.exit_code == 2
    assert "\x1b" not in run.stderr
    assert r"\x1b[2J" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("new", "missing argument: PATH; see  forge new --help"),
        ("new x --default", "no such option: --default; did you mean --defaults?; see  forge new"),
        ("new x --nonsense", "no such option: --nonsense; see  forge new --help"),
        ("new x --set", "--set needs a value; see  forge new --help"),
        ("new x y", "unexpected argument: y; see  forge new --help"),
        ("nwe x", "no such command: nwe; did you mean new?; see  forge --help"),
        ("zzz", "no such command: zzz; see  forge --help"),
        ("--versoin", "no such option: --versoin; did you mean --version?; see  forge --help"),
        ("check --selct X", "no such option: --selct; did you mean --select?; see  forge check"),
        ("check --select", "--select needs a value; see  forge check --help"),
        ("check x y", "unexpected argument: y; see  forge check --help"),
        ("check --format xml", "--format: 'xml' is not one of text, json, sarif, github; see  "),
        ("audit --forse", "no such option: --forse; did you mean --force?; see  forge audit"),
        ("rule --al", "no such option: --al; did you mean --all?; see  forge rule --help"),
        ("completion tcsh", "tcsh: choose one of bash, zsh, fish"),
    ],
)
def test_arguments_that_are_not_understood_are_refused_alike(
    forge: Forge, arguments: str, message: str
) -> None:
    run = forge(*arguments.split())
    assert (run.exit_code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: {message}")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["new", "check", "audit", "rule", "schema", "completion"])
def test_every_command_has_help_of_the_same_shape(forge: Forge, command: str) -> None:
    run = forge(command, "-h")
    assert (run.exit_code, run.stderr) == (0, "")
    assert forge(command, "--help").stdout == run.stdout
    assert run.stdout.startswith(f"Usage: forge {command} [OPTIONS]")
    sections = [line for line in run.stdout.splitlines() if line and not line.startswith(" ")]
    assert "Options:" in sections
    summary = run.stdout.splitlines()[2].strip()
    everything = " ".join(forge("--help").stdout.split())
    assert f"{command} {summary}" in everything


def test_forge_alone_shows_the_commands_by_purpose(forge: Forge) -> None:
    run = forge()
    assert run.exit_code == 0
    assert run.stdout == forge("--help").stdout
    sections = [line for line in run.stdout.splitlines() if line and not line.startswith(" ")]
    assert sections[0] == "Usage: forge [OPTIONS] COMMAND ..."
    assert {"Start a project:", "Work with any Worker:", "Set up Forge:"} < set(sections)
    assert "..." not in run.stdout.partition("\n")[2]


def test_the_help_lists_the_questions(forge: Forge) -> None:
    run = forge("new", "--help")
    assert run.exit_code == 0
    for question in Questionnaire.load(REPOSITORY / "copier.yml"):
        assert f"\n  {question.name} " in run.stdout
        assert ", ".join(question.choices) in run.stdout
