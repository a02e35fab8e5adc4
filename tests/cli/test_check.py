"""`forge check` and `forge rule` at the terminal."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.cli.commands import app
from tests.support import tree, write

Forge = Callable[..., Result]

REQUESTS = {
    "src/service.py": "import httpx\n\nimport requests\n\n\nasync def answer(env):\n"
    "    return httpx.__version__ + requests.__version__\n"
}


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """Run forge in a folder with a Worker."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    (tmp_path / "worker").mkdir()
    monkeypatch.chdir(tmp_path / "worker")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def put(changes: Mapping[str, str]) -> None:
    write(Path(), files(changes))


# So that no module is taken for one that nothing imports.
LOADER = {"src/loader.py": "import importlib\n\nLOAD = importlib.import_module\n"}


def test_a_worker_without_a_flaw(forge: Forge) -> None:
    put({})
    run = forge("check")
    assert (run.exit_code, run.stdout, run.stderr) == (0, "No findings.\n", "")


def test_a_finding_shows_its_line_with_a_caret(forge: Forge) -> None:
    put(REQUESTS)
    run = forge("check")
    assert run.exit_code == 1
    assert run.stdout == (
        "error[IMP003]: requests: imported but not on the allow-list; remove the import, or "
        "declare and allow the package\n"
        " --> src/service.py:3:1\n"
        "  |\n"
        "3 | import requests\n"
        "  | ^^^^^^^^^^^^^^^\n"
        "\n"
        "Found 1 error.\n"
    )


def test_what_could_steer_a_terminal_is_not_printed(forge: Forge) -> None:
    steering = "\x1b[2J\x1b]0;t\x07\x9b8m"
    put({"src/service.py": f"import requests  # {steering}\n"})
    write(Path(), {f"src/{steering[:4]}.py": "import requests\n"})
    run = forge("check")
    assert run.exit_code == 1
    assert "import requests  # \ufffd[2J\ufffd]0;t\ufffd\ufffd8m\n" in run.stdout
    assert "--> src/\\x1b[2J.py:1:1\n" in run.stdout
    assert run.stdout.replace("\n", "").isprintable()


def test_no_message_repeats_the_credentials_of_a_url(forge: Forge) -> None:
    bad = "httpx @@ https://me:s3cr3t-7f1c2b9e@example.org/x"
    put({"pyproject.toml": BASE["pyproject.toml"].replace("httpx>=0.28,<1", bad)})
    for form in ("text", "json", "sarif", "github"):
        told = json.loads(forge("check", "--format", "json").stdout)["findings"]
        assert any("https://***@example.org" in each["message"] for each in told)
        assert "s3cr3t" not in forge("check", "--format", form).stdout


def test_no_report_shows_the_secret_that_it_is_about(forge: Forge) -> None:
    token = "sk-ant-api03-" + "R4nD0mL00k1ngT0k3nQ7"
    key, password = "u8Zk2Qx7Wm4Rt9Lp3Vn6Hs1B", "9f8c2b7e41d05a63"
    put(
        {
            "src/service.py": BASE["src/service.py"] + f'KEY = "{token}"\nAPI_KEY = "{key}"\n',
            "wrangler.toml": BASE["wrangler.toml"] + f'\n[vars]\nMAIL_API_KEY = "{password}"\n',
        }
    )
    for form in ("text", "json", "sarif", "github"):
        said = forge("check", "--format", form).stdout
        assert {rule for rule in ("SEC002", "SEC003", "WRA009") if rule in said} == {
            "SEC002",
            "SEC003",
            "WRA009",
        }
        assert not any(secret in said for secret in (token, key, password))


def test_another_folder_can_be_named(forge: Forge, tmp_path: Path) -> None:
    put(REQUESTS)
    write(tmp_path / "other", BASE)
    assert forge("check", "../other").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--select", "IMP"], 1),
        (["--select", "IMP003,DEP"], 1),
        (["--select", "DEP", "--select", "IMP003"], 1),
        (["--select", "DEP"], 0),
        (["--ignore", "IMP003"], 0),
        (["--ignore", "I"], 0),
        (["--select", "IMP", "--ignore", "IMP003"], 0),
    ],
)
def test_rules_are_chosen_by_id_or_prefix(forge: Forge, arguments: list[str], code: int) -> None:
    put(REQUESTS)
    assert forge("check", *arguments).exit_code == code


@pytest.mark.parametrize(
    ("configuration", "code"),
    [
        ('select = ["DEP"]', 0),
        ('select = ["IMP003"]', 1),
        ('ignore = ["IMP003"]', 0),
        ('ignore = ["IMP001"]', 1),
        ('per-file-ignores = { "src/*" = ["IMP"] }', 0),
        ('per-file-ignores = { "src/*" = ["DEP"] }', 1),
        ('per-file-ignores = { "test/*" = ["IMP"] }', 1),
    ],
)
def test_rules_are_chosen_in_pyproject(forge: Forge, configuration: str, code: int) -> None:
    pyproject = f"{BASE['pyproject.toml']}\n[tool.forge.check]\n{configuration}\n"
    put({**REQUESTS, "pyproject.toml": pyproject})
    assert forge("check").exit_code == code


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        ("# forge: ignore[IMP003]", 0),
        ("# forge: ignore[DEP001, IMP003]", 0),
        ("# forge:ignore[IMP] - it is vendored", 0),
        ("# forge: ignore", 0),
        ("# noqa: F401  # forge: ignore[IMP003]", 0),
        ("# forge: ignore[IMP001]", 1),
        ("# forge: ignore[]", 1),
        ("# forged: ignore", 1),
    ],
)
def test_a_comment_ignores_a_finding_on_its_line(forge: Forge, comment: str, code: int) -> None:
    source = REQUESTS["src/service.py"].replace(
        "import requests\n", f"import requests  {comment}\n"
    )
    put({"src/service.py": source})
    assert forge("check").exit_code == code


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({}, ["nowhere"], "nowhere: no such folder"),
        ({"README.md": ""}, [], ".: no pyproject.toml and no wrangler configuration here"),
        ({"a/wrangler.toml": ""}, [], "configuration here; name one of a"),
        (
            BASE,
            ["--select", "XYZ"],
            "--select: XYZ: no rule begins like that; list them with  forge rule",
        ),
        (BASE, ["--ignore", "DEP9"], "--ignore: DEP9: no rule begins like that"),
        (
            {"pyproject.toml": "[tool.forge.check]\nselct = []"},
            [],
            "pyproject.toml: [tool.forge.check]: selct: did you mean select?",
        ),
        (
            {"pyproject.toml": "[tool.forge.check]\nselect = 'DEP'"},
            [],
            'select: not a list of rules, such as ["DEP", "RUN101"]',
        ),
        (
            {"pyproject.toml": "[tool.forge.check]\nbudget = 'much'"},
            [],
            'budget: not a size, such as "20 MiB"',
        ),
        (
            {"pyproject.toml": "[tool.forge.check]\nper-file-ignores = 1"},
            [],
            "per-file-ignores: not a table of patterns and lists of rules",
        ),
    ],
)
def test_what_cannot_run_ends_with_2_and_says_why(
    forge: Forge, files: Mapping[str, str], arguments: list[str], message: str
) -> None:
    write(Path(), files)
    run = forge("check", *arguments)
    assert (run.exit_code, run.stdout) == (2, "")
    assert message in run.stderr


def test_an_unknown_format_is_refused(forge: Forge) -> None:
    put({})
    assert forge("check", "--format", "xml").exit_code == 2


def test_json_lists_the_findings(forge: Forge) -> None:
    put(REQUESTS)
    run = forge("check", "--format", "json")
    assert run.exit_code == 1
    (finding,) = json.loads(run.stdout)["findings"]
    assert finding["path"] == "src/service.py"
    assert (finding["line"], finding["column"], finding["end"]) == (3, 1, 16)
    assert (finding["rule"], finding["severity"], finding["fixable"]) == ("IMP003", "error", False)


def test_github_shows_the_findings_beside_the_lines(forge: Forge) -> None:
    put(REQUESTS)
    run = forge("check", "--format", "github")
    head = "::error file=src/service.py,line=3,col=1,endColumn=16,title=IMP003::requests: imported"
    assert run.stdout.startswith(head)
    put({})
    assert forge("check", "--format", "github").stdout == ""


def test_sarif_points_at_the_same_places(forge: Forge) -> None:
    put({**REQUESTS, **LOADER, "src/größe mit.py": "import resource\n"})
    run = forge("check", "--format", "sarif")
    (analysis,) = json.loads(run.stdout)["runs"]
    rules = [rule["id"] for rule in analysis["tool"]["driver"]["rules"]]
    assert rules == ["IMP003", "IMP005"]
    found = {result["ruleId"]: result for result in analysis["results"]}
    assert all(rules[each["ruleIndex"]] == each["ruleId"] for each in found.values())
    location = found["IMP003"]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "src/service.py", "uriBaseId": "%SRCROOT%"}
    assert location["region"] == {"startLine": 3, "startColumn": 1, "endColumn": 16}
    place = found["IMP005"]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == "src/gr%C3%B6%C3%9Fe%20mit.py"


def test_an_organisation_bans_and_allows_with_a_reason(forge: Forge, tmp_path: Path) -> None:
    put(REQUESTS)
    (tmp_path / "forge.toml").write_text(
        '[ban]\nrequests = { reason = "it blocks", instead = "httpx" }'
    )
    run = forge("check")
    assert f"requests: banned by {tmp_path}/forge.toml: it blocks; use httpx instead" in run.stdout
    (tmp_path / "forge.toml").write_text(
        '[allow]\nrequests = { versions = ">=2", reason = "it is known" }'
    )
    assert "requests: imported but not declared" in forge("check").stdout


def test_the_users_own_configuration_counts_too(forge: Forge, tmp_path: Path) -> None:
    put(REQUESTS)
    write(tmp_path / "configuration", {"forge/forge.toml": '[ban]\nrequests = { reason = "no" }'})
    assert "/configuration/forge/forge.toml: no" in forge("check").stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ban]\nrequests = {}", 'forge.toml:2: [ban] requests: say why: { reason = "..." }'),
        ("[ban]\nrequests = 'no'", "[ban] requests: say why"),
        ("[bann]", 'forge.toml:1: bann: no such key; did you mean "ban"?'),
        ("[forbid]", "forge.toml:1: forbid: no such key; the keys are template, ref, defaults,"),
        (
            "[allow]\nx = { reason = 'r', versions = 'new' }",
            "forge.toml:2: [allow] x: Invalid specifier: 'new'",
        ),
        (
            "[allow]\nx = { reason = 'r', version = '>1' }",
            'forge.toml:2: allow.x.version: no such key; did you mean "versions"?',
        ),
        ("[", "forge.toml:1: not TOML"),
    ],
)
def test_an_organisations_file_that_is_none_is_refused(
    forge: Forge, tmp_path: Path, text: str, message: str
) -> None:
    put({})
    (tmp_path / "forge.toml").write_text(text)
    run = forge("check")
    assert run.exit_code == 2
    assert message in run.stderr


def test_a_check_writes_nothing(forge: Forge) -> None:
    put(REQUESTS)
    before = tree(Path())
    forge("check")
    assert tree(Path()) == before


def test_a_rule_is_explained(forge: Forge) -> None:
    run = forge("rule", "imp003")
    assert run.exit_code == 0
    assert run.stdout.startswith("IMP003  An import of a package that is not on the allow-list")
    assert "\n    | import requests\n" in run.stdout
    assert "\nFix: remove the import" in run.stdout


def test_rules_are_listed(forge: Forge) -> None:
    everything = forge("rule").stdout.splitlines()
    assert forge("rule", "--all").stdout.splitlines() == everything
    assert everything[0] == "PRJ001  A file that cannot be read"
    family = forge("rule", "DEP").stdout.splitlines()
    assert set(family) < set(everything)
    assert all(line.startswith("DEP") for line in family)


def test_a_rule_that_is_none_is_refused(forge: Forge) -> None:
    run = forge("rule", "XYZ999")
    assert run.exit_code == 2
    assert "list them with  forge rule" in run.stderr


def test_checking_imports_neither_copier_nor_jinja_nor_pydantic(tmp_path: Path) -> None:
    write(tmp_path, BASE)
    script = (
        "import sys; sys.argv = ['forge', 'check', sys.argv[1]]\n"
        "from forge_scaffold.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True
    )
    loaded = set(run.stdout.split("\n")[1].split())
    heavy = {"copier", "jinja2", "plumbum", "prompt_toolkit", "pydantic", "questionary", "rich"}
    assert "forge_scaffold" in loaded
    assert loaded.isdisjoint(heavy | {"yaml", "ssl", "urllib3", "asyncio"})


def test_one_call_fixes_all(forge: Forge) -> None:
    line = 'MAIL_API_KEY="9f8c2b7e41d05a63"\n'
    put({".dev.vars": line, ".env": line, ".gitignore": "dist"})
    run = forge("check", "--fix")
    assert (run.exit_code, run.stdout) == (0, "No findings.\n")
    assert Path(".gitignore").read_text() == "dist\n.dev.vars\n.env\n"


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, {**files({}), ".dev.vars": 'MAIL_API_KEY="9f8c2b7e41d05a63"\n'})
    for name in (".gitignore", "src/pipe.py", "requirements.txt"):
        (tmp_path / name).unlink(missing_ok=True)
        os.mkfifo(tmp_path / name)
    command = [sys.executable, "-m", "forge_scaffold", "check", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "SEC001" in run.stdout


def test_a_mistake_of_ours_is_no_finding(
    forge: Forge, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    put({})
    monkeypatch.setattr("forge_scaffold.checks.findings", {}.__getitem__)
    run = forge("check", "--format", "json")
    assert run.exit_code == 2
    told = run.stderr + capfd.readouterr().err
    assert "Forge failed (" in told
    assert "Traceback" in told


@pytest.mark.parametrize("form", ["text", "github"])
def test_a_files_name_steers_no_terminal(forge: Forge, form: str) -> None:
    put({**LOADER, "src/a\x1b[31m.py": "import os\n\nSEED = os.urandom(8)\n"})
    run = forge("check", "--format", form)
    assert "RUN101" in run.stdout
    assert "\x1b" not in run.stdout


def test_what_looks_like_a_comment_in_a_string_hides_nothing(forge: Forge) -> None:
    put({**LOADER, "src/a.py": 'import os\n\nSEED = os.urandom(8), "# forge: ignore"\n'})
    assert "RUN101" in forge("check").stdout
    put({**LOADER, "src/a.py": "import os\n\nSEED = os.urandom(8)  # forge: ignore\n"})
    assert forge("check").stdout == "No findings.\n"


def test_requirements_as_powershell_writes_them(forge: Forge) -> None:
    put({})
    Path("requirements").mkdir()
    Path("requirements/worker.txt").write_text("httpx==0.28.1\n", encoding="utf-16")
    assert "not UTF-8" not in forge("check").stdout
