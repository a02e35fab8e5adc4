"""`forge audit` as a whole: verdicts, places, totals, the plan, formats, exit codes."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.audit.conftest import Audited, forge
from tests.support import write


def test_verdicts_say_what_is_ready_replaced_and_blocked(audited: Audited) -> None:
    assert audited.row("httpx")["verdict"] == "ready"
    assert audited.row("tenacity")["verdict"] == "replaced"
    assert audited.row("tenacity")["why"] == "by the retry decorator"
    assert audited.row("plain")["verdict"] == "outside the policy"
    assert audited.row("redis")["verdict"] == "blocked"
    assert audited.row("redis")["why"].startswith(
        "it opens TLS connections, and Python in a Worker"
    )
    (fact,) = audited.row("redis")["facts"]
    assert (fact["date"], fact["says"]) == ("2026-11-25", audited.row("redis")["why"])
    assert fact["source"]


def test_a_requirement_by_its_address_is_blocked_by_that(audited: Audited) -> None:
    row = audited.row("elsewhere")
    assert (row["verdict"], row["resolves"]) == ("blocked", None)
    assert "no release that an index has" in row["why"]


def test_a_folder_of_ones_own_is_built_and_not_asked_for(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    toml = (
        '[project]\nname = "x"\ndependencies = ["ours"]\n'
        "[tool.uv.sources]\nours = { workspace = true }\n"
    )
    write(tmp_path, {"pyproject.toml": toml, "app.py": "import ours\n"})
    run = forge(local, "audit", tmp_path, "--format", "json")
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(run.stdout)
    (row,) = told["dependencies"]
    assert row["verdict"] == "outside the policy"
    assert row["why"].startswith("a folder of your own")
    assert "ours" not in told["after"]["direct"]


def test_places_of_imports_are_named_and_nothing_is_run(audited: Audited) -> None:
    assert audited.row("plain")["imported"] == [
        {"path": "src/<img src=x onerror=alert(1)>.py", "line": 1},
        {"path": "src/app.py", "line": 1},
    ]
    assert audited.row("tenacity")["imported"] == [{"path": "src/tenacious.py", "line": 2}]
    assert audited.row("pillow")["imported"] == [{"path": "src/picture.py", "line": 1}]
    assert audited.row("compiled")["imported"] == []


def test_the_totals_are_of_one_environment_each(audited: Audited) -> None:
    after = audited.told["after"]
    assert "workers-runtime-sdk" in after["direct"]
    assert "plain" in after["direct"]
    assert "tenacity" not in after["direct"]
    assert "chained" not in after["direct"]
    assert after["failure"] is None
    assert after["packages"] == len(after["direct"]) + len(["leaf"])
    assert audited.told["limit"] == 64 * 1024 * 1024


def test_what_a_server_cannot_resolve_together_is_added_up_and_noted(audited: Audited) -> None:
    assert audited.told["before"]["failure"]
    assert audited.told["before"]["raw"] > 0
    assert any(note.startswith("before: ") for note in audited.told["notes"])


def test_the_plan_deletes_then_swaps_then_decides_then_makes_the_worker(audited: Audited) -> None:
    titles = [step["title"] for step in audited.told["plan"]]
    assert titles == [
        "Delete what nothing imports",
        "Swap: Retries",
        "Find another way for what is blocked",
        "Decide on what is outside the policy",
        "Make the Worker and move the code in",
    ]
    moves = {step["title"]: step["moves"] for step in audited.told["plan"]}
    (retry,) = moves["Swap: Retries"]
    assert retry["code"] == ["src/service/retry.py"]
    assert retry["places"] == ["src/tenacious.py:2"]
    blocked = {move["package"] for move in moves["Find another way for what is blocked"]}
    assert blocked == {"chained", "redis"}
    assert "compiled" in {move["package"] for move in moves["Delete what nothing imports"]}


def test_files_that_are_no_python_and_groups_left_out_are_noted(audited: Audited) -> None:
    notes = "\n".join(audited.told["notes"])
    assert "group dev was left out (1): --group dev takes it in." in notes
    assert "1 files are no Python that can be read: broken.py" in notes


def test_text_and_markdown_say_the_same_as_json(audited: Audited) -> None:
    text = audited.run(audited.project, "--offline")
    markdown = audited.run(audited.project, "--offline", "--format", "markdown")
    assert "chained -> middle -> compiled" in text.stdout
    assert "imported in src/tenacious.py:2" in text.stdout
    assert (
        "| chained | blocked | compiled: compiled, and no wheel for WebAssembly "
        "(chained → middle → compiled) | - | 3 |"
    ) in markdown.stdout
    assert "\\<b\\>project" in markdown.stdout
    assert {text.returncode, markdown.returncode} == {1}


def test_nothing_that_blocks_is_exit_code_0(local: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": "httpx==0.28.1\nplain\n"})
    run = forge(local, "audit", tmp_path, "--format", "json")
    assert run.returncode == 0, run.stdout
    assert json.loads(run.stdout)["before"]["failure"] is None


def test_modules_in_the_current_folder_are_not_imported(
    local: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"requirements.txt": "httpx==0.28.1\n"})
    touch = f"from pathlib import Path\nPath({str(tmp_path / 'imported')!r}).touch()\n"
    for name in ("pip", "packaging", "json", "forge_scaffold"):
        write(tmp_path, {f"{name}/__init__.py": touch})
    monkeypatch.chdir(tmp_path)
    command = Path(sys.executable).parent / "forge"
    for arguments in (["audit"], ["check", "--index"]):
        run = subprocess.run(
            [command, *arguments], env=local, check=False, capture_output=True, text=True
        )
        assert "Traceback" not in run.stderr
    assert not (tmp_path / "imported").exists()


def test_what_works_without_an_import_is_not_to_be_deleted(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    settings = 'INSTALLED_APPS = ["plain.apps.PlainConfig"]\n'
    write(tmp_path, {"requirements.txt": "plain\ntzdata\nleaf\n", "src/settings.py": settings})
    run = forge(local, "audit", tmp_path, "--format", "json")
    steps = {step["title"]: step["moves"] for step in json.loads(run.stdout)["plan"]}
    assert [move["package"] for move in steps["Delete what nothing imports"]] == ["leaf"]
    decided = {move["package"] for move in steps["Decide on what is outside the policy"]}
    assert decided == {"plain", "tzdata"}


def test_an_older_dependency_does_not_hold_a_package_back(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    write(tmp_path, {"requirements.txt": "loose\n"})
    run = forge(local, "audit", tmp_path, "--format", "json")
    (row,) = json.loads(run.stdout)["dependencies"]
    assert row["resolves"] == row["newest"] == "1.0"
    assert row["cautions"] == [
        "with older releases of what it needs: compiled: compiled, and no wheel for WebAssembly"
    ]


def test_a_project_without_dependencies_is_ready(local: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": '[project]\nname = "x"\ndependencies = []\n'})
    run = forge(local, "audit", tmp_path)
    assert run.returncode == 0
    assert "0 direct dependencies" in run.stdout


def test_an_organisations_ban_is_a_verdict_with_its_reason(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    write(
        tmp_path,
        {
            "forge.toml": '[ban]\nplain = { reason = "we had an incident with it" }\n',
            "x/requirements.txt": "plain\n",
        },
    )
    run = forge(local, "audit", tmp_path / "x")
    assert run.returncode == 1, run.stderr
    assert "we had an incident with it" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        ([".", "--html", "no/such/page.html"], "no such folder: no/such"),
        ([".", "--html", "."], "it is no file"),
        (["--format", "yaml"], "see  forge audit --help"),
    ],
)
def test_what_cannot_be_done_is_exit_code_2(
    local: Mapping[str, str], arguments: list[str], message: str
) -> None:
    run = forge(local, "audit", *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert message in run.stderr


def test_what_could_steer_a_terminal_is_not_printed(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    steering = "\x1b[2J\x1b]0;t\x07"
    write(tmp_path, {"requirements.txt": f"plain\n--find-links {steering}\n"})
    write(tmp_path, {f"{steering[:4]}.py": "import plain\n"})
    run = forge(local, "audit", tmp_path)
    assert "\\x1b[2J.py:1" in run.stdout
    assert run.stdout.replace("\n", "").isprintable()


SECRET = "s3cr3t-7f1c2b9e"  # noqa: S105 - of nobody

LEAKS = {
    "a direct URL": f"x @ https://me:{SECRET}@example.org/x-1-py3-none-any.whl\n",
    "a token": f"x @ git+https://{SECRET}@example.org/x.git\n",
    "a token as a password": f"git+https://oauth2:{SECRET}@example.org/x.git@main#egg=x\n",
    "an editable": f"-e git+https://{SECRET}@example.org\n",
    "an address and nothing else": f"https://{SECRET}@example.org\n",
    "a parameter": f"x @ https://example.org/x-1-py3-none-any.whl?access_token={SECRET}\n",
    "an option": f"-ihttps://{SECRET}@example.org/simple\n",
    "an index": f"--index-url https://me:{SECRET}@example.org/simple\nplain\n",
    "what is no requirement": f"x y z https://me:{SECRET}@example.org/x\n",
    "what is cut off": f"x y z https://{'m' * 45}:{SECRET}{SECRET}@example.org/x\n",
}


@pytest.mark.parametrize("leak", LEAKS)
def test_no_output_has_the_credentials_of_a_url(
    local: Mapping[str, str], tmp_path: Path, leak: str
) -> None:
    write(tmp_path, {"requirements.txt": LEAKS[leak]})
    page = tmp_path / "page.html"
    for form in ("text", "json", "markdown"):
        run = forge(local, "audit", tmp_path, "--format", form, "--html", page, "--force")
        assert "Traceback" not in run.stderr
        said = run.stdout + run.stderr + (page.read_text("utf-8") if page.exists() else "")
        assert said
        assert SECRET[:6] not in said


def test_a_poetry_or_lock_url_has_no_credentials_either(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    bad = f'[tool.poetry.dependencies]\nx = {{ version = "https://me:{SECRET}@example.org" }}\n'
    write(tmp_path, {"pyproject.toml": bad})
    run = forge(local, "audit", tmp_path)
    assert run.returncode == 2
    assert "not a constraint" in run.stderr
    assert SECRET not in run.stderr


DRIVERS = ("aiomysql", "asyncpg", "pg8000", "psycopg", "pymysql")


def test_drivers_that_hyperdrive_serves_are_to_be_decided_on(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    write(tmp_path, {"requirements.txt": "\n".join(DRIVERS), "app.py": "import asyncpg\n"})
    run = forge(local, "audit", tmp_path, "--format", "json")
    assert run.returncode == 0, run.stdout
    told = json.loads(run.stdout)
    for row in told["dependencies"]:
        assert row["verdict"] == "outside the policy"
        assert "[[hyperdrive]]" in row["replacement"]
        assert "hyperdrive/examples/python-workers" in row["facts"][0]["source"]
    text = forge(local, "audit", tmp_path).stdout
    assert "decide: Hyperdrive: keep it over a [[hyperdrive]] binding, or move to D1" in text
    assert "a Worker has none" not in text


@pytest.mark.parametrize(
    ("files", "migration"),
    [
        (
            {"requirements.txt": "pydantic==1.10.13\n"},
            "declared ==1.10.13, what runs is 2.14.4: a new major version; migrate first",
        ),
        (
            {"requirements.txt": "early==0.4.2\n"},
            (
                "declared ==0.4.2, what runs is 0.5.0: before 1.0 each minor one may break; "
                "migrate first"
            ),
        ),
        (
            {"requirements.txt": "pydantic<2\n"},
            "declared <2, what runs is 1.10.13: the allow-list has >=2.10,<3; migrate first",
        ),
        (
            {
                "pyproject.toml": '[project]\nname = "x"\ndependencies = ["pydantic"]\n',
                "uv.lock": '[[package]]\nname = "pydantic"\nversion = "1.10.13"\n',
            },
            "locked 1.10.13, what runs is 2.14.4: a new major version; migrate first",
        ),
        ({"requirements.txt": "pydantic==2.11.0\n"}, None),
        ({"requirements.txt": "tzdata==2025.2\n"}, None),
        ({"requirements.txt": "tenacity==8.0\n"}, None),
    ],
)
def test_an_older_major_version_is_a_caution_and_a_step(
    local: Mapping[str, str], tmp_path: Path, files: Mapping[str, str], migration: str | None
) -> None:
    source = {"models.py": "import early, pydantic, tenacity, tzdata\n"}
    write(tmp_path, {**files, **source})
    run = forge(local, "audit", tmp_path, "--format", "json")
    told = json.loads(run.stdout)
    (row,) = told["dependencies"]
    assert row["migration"] == migration
    assert [each for each in row["cautions"] if "migrate" in each] == (
        [migration] if migration else []
    )
    steps = {step["title"]: step["moves"] for step in told["plan"]}
    moves = steps.get("Migrate to the versions that run", [])
    assert [move["action"] for move in moves] == (
        [f"{row['name']}: {migration}"] if migration else []
    )
    if migration and row["verdict"] == "ready":
        assert moves[0]["places"] == ["models.py:1"]
