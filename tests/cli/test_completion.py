"""Shell completion: the candidates, the protocol of each shell, and bash itself."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from forge_scaffold.checks import RULES
from forge_scaffold.cli.commands import app
from forge_scaffold.cli.completion import FILES, SCRIPTS, candidates
from forge_scaffold.questions import Questionnaire
from forge_scaffold.sources import own_template
from tests.support import small_template, write

FORGE = Path(sys.executable).with_name("forge")

# What is completed are the questions of the template that `forge new` uses: the newest release's.
with own_template() as newest:
    QUESTIONS = Questionnaire.load(newest / "copier.yml").questions


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    return tmp_path


def suggested(line: str) -> set[str]:
    """What the last word of a line may become; an empty word after a space."""
    return {value for value, _ in candidates(line.split(" ")[1:])}


def test_commands_and_options() -> None:
    groups = {group.name for group in app.registered_groups}
    commands = {command.name for command in app.registered_commands} | groups
    assert suggested("forge ") == commands
    assert suggested("forge ch") == {"check"}
    assert suggested("forge --") == {"--version", "--help"}
    assert suggested("forge new --d") == {"--defaults", "--dry-run"}
    assert suggested("forge check x --f") == {"--fix", "--format"}
    assert suggested("forge nonsense ") == commands


def test_keys_and_choices_of_answers() -> None:
    assert suggested("forge new x --set ") == {f"{name}=" for name in QUESTIONS}
    assert suggested("forge new x --set au") == {"auth="}
    assert suggested("forge new x --set auth=") == {
        f"auth={choice}" for choice in QUESTIONS["auth"].choices
    }
    assert suggested("forge new x --set=auth=o") == {"--set=auth=oidc"}
    assert suggested("forge new x --set bucket=") == {"bucket=true", "bucket=false"}
    assert suggested("forge new x --set providers=openai,a") == {"providers=openai,anthropic"}
    assert "providers=openai,openai" not in suggested("forge new x --set providers=openai,")
    assert suggested("forge new x --set auht=") == set()


def test_keys_of_another_template(folder: Path) -> None:
    template = small_template(folder / "template")
    (template / "copier.yml").write_text("region: {type: str, choices: [eu, us]}")
    assert suggested("forge new x --template template --set ") == {"region="}
    assert suggested("forge new x --template nowhere --set ") == set()


def test_rules_formats_presets_shells_and_files(folder: Path) -> None:
    write(folder, {"forge.toml": "[presets.a]\n[presets.b]"})
    assert suggested("forge new x --preset ") == {"a", "b"}
    write(folder, {"forge.toml": "["})
    assert suggested("forge new x --preset ") == set()
    assert suggested("forge rule RUN10") == {name for name in RULES if name.startswith("RUN10")}
    assert "WRA,SEC001" in suggested("forge check --select WRA,SEC")
    assert suggested("forge check --format s") == {"sarif"}
    assert suggested("forge completion ") == set(SCRIPTS)
    for line in ("new x --config ", "new x --template ../", "check ", "audit --html ", "new "):
        assert suggested(f"forge {line}") == {FILES}
    assert suggested("forge new x --ref ") == set()


def run(arguments: list[str], environment: Mapping[str, str]) -> list[str]:
    process = subprocess.run(
        [FORGE, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
        text=True,
    )
    assert process.stderr == ""
    return process.stdout.splitlines()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_hand_over_words(shell: str) -> None:
    environment = {"_FORGE_COMPLETE": shell}
    (line,) = run(["new", "x", "--set", "auth=o"], environment)
    assert line == f"auth=oidc\t{QUESTIONS['auth'].choices['oidc']}"
    assert run(["check", ""], environment) == [FILES]


def test_bash_hands_over_a_line_and_breaks_words() -> None:
    line = "forge new 'my service' --set auth=o"
    breaking = {"_FORGE_COMPLETE": "bash", "_FORGE_WORDBREAKS": "=:"}
    assert run([line], breaking)[0].startswith("oidc\t")
    whole = {"_FORGE_COMPLETE": "bash", "_FORGE_WORDBREAKS": " "}
    assert run([line], whole)[0].startswith("auth=oidc\t")
    assert run(["forge new 'x --set"], breaking) == [FILES]


BASH = """
eval "$(forge completion bash)"
compopt() { echo "compopt $1 $2"; }
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=(forge)
_forge_completion
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("forge ch", ["check"]),
        ("forge new x --set au", ["compopt -o nospace", "auth="]),
        ("forge new x --set auth=cl", ["clerk", "cloudflare-access"]),
        ("forge new x --config te", ["compopt -o default", ""]),
        ("forge new x --nonsense=", [""]),
    ],
)
def test_bash_completes(line: str, replies: list[str]) -> None:
    path = f"{FORGE.parent}:{os.environ['PATH']}"
    process = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", line],
        env={**os.environ, "PATH": path},
        capture_output=True,
        check=True,
        text=True,
    )
    assert (process.stdout.splitlines(), process.stderr) == (replies, "")
