"""`forge new` as it is typed, where nobody is at the terminal."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from forge_scaffold.cli.commands import app
from forge_scaffold.config import complete, provided_answers
from forge_scaffold.questions import Questionnaire, either
from forge_scaffold.sources import own_template
from tests.support import REPOSITORY, SMALL_TEMPLATE, small_template, tree

Forge = Callable[..., Result]

COMMANDS = [command.name or "" for command in app.registered_commands]

QUESTIONS = Questionnaire.load(REPOSITORY / "copier.yml", folder="x")


def asked(*settings: str) -> list[str]:
    """The questions that these answers leave or lead to, theirs included."""
    return [*complete(provided_answers(None, settings, QUESTIONS)[0], QUESTIONS, None).as_dict()]


@pytest.fixture
def forge(home: Path, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """Run forge in `home`, without a terminal."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.parent / "configuration"))
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_first_sentence(forge: Forge, template: Path) -> None:
    run = forge("new", "my-service", "--defaults", "--template", template)
    assert run.exit_code == 0
    title, answers, rest = run.stdout.split("\n\n", 2)
    assert title == "✓ my-service is a Worker, ready to run."
    assert [line.split()[0] for line in answers.splitlines()] == asked()
    for shown in (
        "service_name  my-service",
        "providers     openai, anthropic",
        "cron          no",
    ):
        assert f"\n  {shown}\n" in f"\n{answers}\n"
    assert (
        rest
        == f"""\
  my-service/
  ├─ src/entry.py       where Cloudflare enters
  └─ src/service/auth/  callers' tokens, verified on Web Crypto

  Checked: every dependency, locked version and import is on the allow-list.
  Git: a new repository with one commit.
  Note: {template} is not a git repository: update needs one.

Next
  1. cd my-service
  2. npm install    workerd, its Python and every package
  3. npm test       every test inside workerd, and the Worker over HTTP
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


ORGANISATION = """\
[defaults]
auth = "none"
telemetry = "none"
quota = true

[presets.team-chat]
providers = ["mistral"]
database = "none"
"""


def test_what_wins_over_what(forge: Forge, home: Path, template: Path) -> None:
    (home / "forge.toml").write_text(ORGANISATION)
    (home / "team.yaml").write_text("database: turso\nproviders: [openai]\nworkflow: true\n")
    run = forge(
        "new", "a/x", "--defaults", "--json", "--template", template, "--preset", "team-chat",
        "--config", "team.yaml", "--set", "workflow=false",
    )  # fmt: skip
    assert run.exit_code == 0, run.stderr
    answers = json.loads(run.stdout)["answers"]
    told = {name: (answer["value"], answer["origin"]) for name, answer in answers.items()}
    assert told["workflow"] == (False, "--set workflow=false")
    assert told["database"] == ("turso", "team.yaml:1")
    assert told["auth"] == ("none", f"organisation ({home}/forge.toml:2)")
    assert told["queue"] == (False, "default")
    assert "quota" not in told  # the organisation's default is for those who are asked
    run = forge(
        "new", "y", "--defaults", "--explain", "--template", template, "--preset", "team-chat"
    )
    assert (
        f"mistral  {'':<40} preset team-chat ({home}/forge.toml:7)".split()
        == (next(line for line in run.stdout.splitlines() if "providers " in line).split()[1:])
    )


def test_the_organisations_defaults_are_still_open_questions(
    forge: Forge, home: Path, template: Path
) -> None:
    (home / "forge.toml").write_text(ORGANISATION)
    run = forge("new", "x", "--preset", "team-chat", "--template", template)
    assert run.exit_code == 2
    assert "not answered: service_name, description, ai_gateway, auth, telemetry, " in run.stderr


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("[defaults]\nauht = 'x'", (), 'organisation ({}:2): there is no question "auht"; did you'),
        ("[defaults]\nauth = 'x'", (), "organisation ({}:2): auth: 'x' is not a choice"),
        ("[defaults]\nauth = 5", (), "organisation ({}:2): auth: 5 is not text"),
        ("[presets.p]\ncron = 1", ("--preset", "p"), "preset p ({}:2): cron: 1 is not true or"),
        ("[presets.p]\ncorn = 1", ("--preset", "p"), "preset p ({}:2): there is no question"),
        ("[presets.p]", ("--preset", "q"), "--preset q: no such preset; the presets are p"),
        ("[presets.p]\n[preset.q]", (), '{}:2: preset: no such key; did you mean "presets"?'),
    ],
)
def test_a_mistake_of_the_organisations_is_refused_at_its_line(
    forge: Forge, template: Path, text: str, arguments: tuple[str, ...], message: str
) -> None:
    home = Path.cwd()
    (home / "forge.toml").write_text(text)
    run = forge("new", "x", "--defaults", "--template", template, *arguments)
    assert run.exit_code == 2
    assert f"error: {message.format(home / 'forge.toml')}" in run.stderr
    assert not (home / "x").exists()


def test_the_organisations_template_is_used(forge: Forge, home: Path, template: Path) -> None:
    (home / "forge.toml").write_text("template = '../template'")
    run = forge("new", "a/x", "--defaults", "--json")
    assert run.exit_code == 0, run.stderr
    assert json.loads(run.stdout)["template"]["address"] == str(template)
    assert f"Reading the template of {home}/forge.toml:1 ..." in run.stderr
    run = forge("schema")
    assert json.loads(run.stdout) == Questionnaire.load(template / "copier.yml").schema


def test_a_dry_run_shows_everything_and_writes_nothing(
    forge: Forge, home: Path, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    arguments = ("new", "a/b/x", "--defaults", "--set", "auth=none", "--template", template)
    shown = forge(*arguments, "--dry-run")
    report = forge(*arguments, "--dry-run", "--json")
    assert (shown.exit_code, report.exit_code) == (0, 0)
    assert not list(home.iterdir())
    assert not list((tmp_path / "scratch").iterdir())
    planned = json.loads(report.stdout)
    assert planned["written"] is False
    assert "  auth          none\n" in shown.stdout
    assert "  ├─ src/\n" in shown.stdout
    written = json.loads(forge(*arguments, "--json").stdout)
    differing = {"written": False, "repository": None}
    assert planned == {**written, **differing}
    assert (written["written"], written["repository"]) == (True, "a new repository with one commit")
    names = {path.rpartition("/")[2] for path in tree(home / "a" / "b" / "x")}
    assert all(f"─ {name}\n" in f"{shown.stdout}\n" for name in names)


def test_a_dry_run_finds_what_the_run_would(forge: Forge, home: Path, tmp_path: Path) -> None:
    changes = {"src/service/extra.py": "import requests\n"}
    template = small_template(tmp_path / "changed", changes)
    (home / "forge.toml").write_text("[ban]\nrequests = { reason = 'it blocks' }")
    run = forge("new", "x", "--defaults", "--dry-run", "--template", template)
    assert run.exit_code == 1
    assert "it blocks" in run.stderr
    (home / "x").mkdir()
    (home / "x" / "README.md").touch()
    assert forge("new", "x", "--defaults", "--dry-run", "--template", template).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "problems"),
    [
        ("new x --json --set a --set auth=no", 2, ["--set a: write it", "--set auth=no: auth: "]),
        ("new x --json --preset p", 2, ["--preset p: no such preset"]),
        ("new --json", 2, ["missing argument: PATH"]),
        ("new x --nonsense --json", 2, ["no such option: --nonsense"]),
        ("nwe --json", 2, ["no such command: nwe"]),
        ("check nowhere --format json", 2, ["nowhere: no such folder"]),
        ("audit --nonsense --format=json", 2, ["no such option: --nonsense"]),
    ],
)
def test_failures_are_reported_as_json_too(
    forge: Forge, template: Path, arguments: str, code: int, problems: list[str]
) -> None:
    more = ("--template", template) if arguments.startswith("new x --json") else ()
    run = forge(*arguments.split(), *more)
    assert run.exit_code == code
    error = json.loads(run.stdout)["error"]
    assert error["exit_code"] == code
    assert len(error["problems"]) == len(problems)
    assert all(map(str.startswith, error["problems"], problems))
    assert error["message"] in run.stderr or len(problems) > 1


def test_a_rejected_template_is_reported_as_json(forge: Forge, tmp_path: Path) -> None:
    template = small_template(tmp_path / "bad", {"src/service/extra.py": "import requests\n"})
    run = forge("new", "x", "--defaults", "--json", "--template", template)
    assert run.exit_code == 1
    assert "IMP003" in json.loads(run.stdout)["error"]["problems"][1]


def test_answers_come_from_standard_input(
    home: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    arguments = ["new", "x", "--defaults", "--config", "-", "--template", str(template), "--json"]
    run = CliRunner().invoke(app, arguments, input='{"auth": "none"}')
    assert run.exit_code == 0
    answer = json.loads(run.stdout)["answers"]["auth"]
    assert answer == {"value": "none", "origin": "-:1"}


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
    questions = QUESTIONS.questions
    assert run.stderr == (
        f"""\
Reading the template ...
error: 5 problems, nothing was written
  taken: README.md: the template writes that too; move it away, or name a new or an empty folder
  team.yaml:2: not YAML: expected the node content, but found '<stream end>'
  --set provider=openai: there is no question "provider"; did you mean "providers"?
  --set service_name=No: service_name: {QUESTIONS.problem(questions["service_name"], "No", {})}
  --set database=mysql: database: 'mysql' is not a choice; \
choose {either(questions["database"].choices)}
"""
    )
    assert set(tree(home)) == {"taken/README.md", "team.yaml"}


def test_without_a_terminal_open_questions_are_named(
    forge: Forge, home: Path, template: Path
) -> None:
    run = forge("new", "x", "--set", "auth=none", "--template", template)
    assert run.exit_code == 2
    unanswered = ", ".join(name for name in asked("auth=none") if name != "auth")
    assert f"error: not answered: {unanswered};" in run.stderr
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
    heading = "error: the template makes a project that fails forge check; nothing was written"
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
        ("fleet status --jbos", "no such option: --jbos; did you mean --jobs?; see  forge fleet s"),
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


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_the_same_shape(forge: Forge, command: str) -> None:
    run = forge(command, "-h")
    assert (run.exit_code, run.stderr) == (0, "")
    assert forge(command, "--help").stdout == run.stdout
    assert run.stdout.startswith(f"Usage: forge {command} [OPTIONS]")
    sections = [line for line in run.stdout.splitlines() if line and not line.startswith(" ")]
    assert "Options:" in sections
    assert re.search(r"\n  -h, --help +Show this message and exit\.\n", run.stdout)
    questions = "Questions"  # whose lines are the template's
    assert all(len(line) <= 80 for line in run.stdout.partition(questions)[0].splitlines())
    summary = run.stdout.splitlines()[2].strip()
    everything = " ".join(forge("--help").stdout.split())
    assert f"{command} {summary}" in everything


@pytest.mark.parametrize("command", ["fleet status", "fleet update"])
def test_a_command_of_a_group_has_help_of_its_own(forge: Forge, command: str) -> None:
    run = forge(*command.split(), "--help")
    assert (run.exit_code, run.stderr) == (0, "")
    assert run.stdout.startswith(f"Usage: forge {command} [OPTIONS] PATH...\n")
    assert "--jobs" in run.stdout


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
    with own_template() as template:
        questions = Questionnaire.load(template / "copier.yml")
    for question in questions:
        assert f"\n  {question.name} " in run.stdout
        assert ", ".join(question.choices) in run.stdout
