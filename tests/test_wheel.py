"""What is built: complete, and the same as the checkout on every supported Python."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from zipfile import ZipFile

import pytest

from scripts.release import add_release
from tests.audit import index
from tests.releases.futures import FUTURES
from tests.releases.series import RELEASED
from tests.support import (
    GIT_ENVIRONMENT,
    REPOSITORY,
    UV,
    alone,
    commit,
    git,
    repository,
    shared_folder,
    tree,
    whole_template,
    write,
)

PYTHONS = ("3.11", "3.12", "3.13")
SOURCES = (
    *("README.md", "LICENSE", "copier.yml", "hatch_build.py", "pyproject.toml"),
    *("releases", "src", "template"),
)
BUNDLE = "forge_scaffold/releases/template.bundle"
ADDRESS = "forge_scaffold/releases/address"


def build(folder: Path, *options: str | Path, source: Path = REPOSITORY, address: str = "") -> None:
    """Build below a folder, with the hatchling that is installed here."""
    own = ("--no-build-isolation", "--python", sys.executable, "--out-dir", folder)
    process = subprocess.run(
        [UV, "build", *own, *options, source],
        env={**os.environ, "FORGE_TEMPLATE_ADDRESS": address},
        check=False,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr


def contents(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all of this run's workers share."""
    return shared_folder(tmp_path_factory, worker_id, "wheel")


@pytest.fixture(scope="session")
def wheel(shared: Path) -> Path:
    """The wheel, built from the sdist as `uv build` and PyPI's users do."""
    with alone(shared / "build.lock"):
        if not (shared / "dist").exists():
            build(shared / "dist")
    (built,) = (shared / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_the_package_its_template_and_its_releases(wheel: Path) -> None:
    listed = ("ls-files", "--cached", "--others", "--exclude-standard", "-z")
    sources = git(REPOSITORY, *listed, "--", "src").split("\0")
    template = git(REPOSITORY, *listed, "--", "copier.yml", "template").split("\0")
    expected = {name.removeprefix("src/") for name in sources if name} | {BUNDLE}
    expected |= {f"forge_scaffold/template/{name}" for name in template if name}
    held = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert held - {ADDRESS} == expected
    assert "forge_scaffold/py.typed" in held
    assert contents(wheel)[BUNDLE] == (REPOSITORY / "releases" / "template.bundle").read_bytes()


def test_the_checkout_and_the_sdist_build_the_same_wheel(tmp_path: Path, wheel: Path) -> None:
    build(tmp_path, "--wheel")
    assert contents(tmp_path / wheel.name) == contents(wheel)


def test_the_metadata_says_what_it_is(wheel: Path) -> None:
    folder = next(name for name in contents(wheel) if name.endswith("METADATA")).rpartition("/")[0]
    assert folder.startswith("forge_workers-")
    metadata = contents(wheel)[f"{folder}/METADATA"].decode()
    assert "\nName: forge-workers\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "\nDescription-Content-Type: text/markdown\n" in metadata
    for python in PYTHONS:
        assert f"\nClassifier: Programming Language :: Python :: {python}\n" in metadata
    assert contents(wheel)[f"{folder}/licenses/LICENSE"] == (REPOSITORY / "LICENSE").read_bytes()
    assert contents(wheel)[f"{folder}/entry_points.txt"].decode() == (
        "[console_scripts]\n"
        "forge = forge_scaffold.cli:main\n"
        "forge-workers = forge_scaffold.cli:main\n"
    )


def test_the_address_of_the_build_is_kept_without_credentials(tmp_path: Path) -> None:
    build(tmp_path, address="https://me:correct-horse@example.org/team/forge")
    (built,) = tmp_path.glob("*.whl")
    held = contents(built)
    assert held[ADDRESS] == b"https://example.org/team/forge.git\n"
    metadata = next(text for name, text in held.items() if name.endswith("METADATA")).decode()
    assert "\nProject-URL: Repository, https://example.org/team/forge\n" in metadata
    assert not any(b"correct-horse" in text for name, text in held.items() if name != BUNDLE)


def test_an_address_of_one_machine_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="FORGE_TEMPLATE_ADDRESS: use https:"):
        build(tmp_path, "--wheel", address="/home/me/forge")


def test_the_origin_of_a_checkout_is_the_address(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "clone")
    for name in SOURCES:
        subprocess.run(["cp", "-R", REPOSITORY / name, clone], check=True)
    git(clone, "remote", "add", "origin", "git@example.org:team/forge.git")
    build(tmp_path / "dist", "--wheel", source=clone)
    (built,) = (tmp_path / "dist").glob("*.whl")
    assert contents(built)[ADDRESS] == b"git@example.org:team/forge.git\n"


def test_no_wheel_is_built_without_releases(tmp_path: Path) -> None:
    for name in {*SOURCES} - {"releases"}:
        subprocess.run(["cp", "-R", REPOSITORY / name, tmp_path], check=True)
    with pytest.raises(AssertionError, match="bundle is missing; scripts/release"):
        build(tmp_path / "dist", "--wheel", source=tmp_path)


FROM_SOURCES = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from forge_scaffold.cli import main
main()
"""

WITHOUT_NETWORK = {
    **{name: value for name, value in GIT_ENVIRONMENT.items() if name.startswith("GIT_")},
    "GIT_ALLOW_PROTOCOL": "file",
}


@dataclass(frozen=True)
class Machine:
    """A machine with a Python and the wheel, and with another home than ours.

    Attributes:
        folder: its home is below.
        index: variables that name a package index on this machine.
    """

    folder: Path
    index: Mapping[str, str]

    def run(self, program: tuple[str | Path, ...], *arguments: str, work: Path) -> tuple[str, ...]:
        """What a command does there: exit code, results and messages."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        process = subprocess.run(
            [*program, *arguments],
            cwd=work,
            env={
                **{name: value for name, value in self.index.items() if name != "VIRTUAL_ENV"},
                **WITHOUT_NETWORK,
                "HOME": str(home),
                "XDG_CACHE_HOME": str(home / "cache"),
                "COLUMNS": "80",
            },
            stdin=subprocess.DEVNULL,
            check=False,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in process.stderr
        return str(process.returncode), process.stdout, process.stderr

    def wheel(self, *arguments: str, work: Path) -> tuple[str, ...]:
        return self.run((self.folder / "bin" / "forge",), *arguments, work=work)

    def checkout(self, *arguments: str, work: Path) -> tuple[str, ...]:
        """The same command on the same Python, from the sources here."""
        program = (self.folder / "bin" / "python", "-c", FROM_SOURCES, REPOSITORY / "src")
        return self.run(program, *arguments, work=work)


@pytest.fixture(scope="session", params=PYTHONS)
def machine(request: pytest.FixtureRequest, shared: Path, wheel: Path) -> Machine:
    """The wheel on a Python: installed once for all workers."""
    folder = shared / request.param
    with alone(shared / f"{request.param}.lock"):
        if not (folder / "bin" / "forge").exists():
            rmtree(folder, ignore_errors=True)
            install(folder, request.param, wheel)
    return Machine(folder, os.environ)


def install(folder: Path, python: str, wheel: Path) -> None:
    """Install the wheel on a Python that is on PATH, that pyenv has, or that uv can fetch."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    folders = [str(path / "bin") for path in sorted(pyenv.glob(f"{python}.*"))]
    environment = {**os.environ, "PATH": os.pathsep.join([*folders, os.environ["PATH"]])}
    steps: list[list[str | Path]] = [
        [UV, "venv", "--quiet", "--no-project", "--python", python, folder],
        [UV, "pip", "install", "--quiet", "--python", folder, wheel],
    ]
    for step in steps:
        process = subprocess.run(step, env=environment, check=False, capture_output=True, text=True)
        assert process.returncode == 0, f"Python {python} is needed here\n{process.stderr}"


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "--version",
        "new -h",
        "check --help",
        "audit --help",
        "schema",
        "rule --all",
        "rule RUN101",
        "rule NONE",
        "new",
        "new x --set auth=x --set y=z",
        "new x --defaults --ref v9.9.9",
    ],
)
def test_the_wheel_says_what_the_checkout_says(
    tmp_path: Path, machine: Machine, arguments: str
) -> None:
    words = arguments.split()
    assert machine.wheel(*words, work=tmp_path) == machine.checkout(*words, work=tmp_path)


@pytest.mark.parametrize(
    "answers",
    ["", "auth=oidc providers=[mistral,google] database=turso telemetry=otlp queue=true"],
)
def test_the_wheel_makes_the_project_that_the_checkout_makes(
    tmp_path: Path, machine: Machine, answers: str
) -> None:
    told = [word for answer in answers.split() for word in ("--set", answer)]
    arguments = ("new", "my-service", "--defaults", *told)
    code, *said = machine.wheel(*arguments, work=tmp_path / "wheel")
    assert code == "0", said
    assert [code, *said] == list(machine.checkout(*arguments, work=tmp_path / "checkout"))
    made = tree(tmp_path / "wheel")
    assert "my-service/.copier-answers.yml" in made
    assert made == tree(tmp_path / "checkout")
    project = tmp_path / "wheel" / "my-service"
    for command in (("check", "--format", "sarif"), ("status",), ("diff",)):
        assert machine.wheel(*command, work=project) == machine.checkout(*command, work=project)


def test_the_wheels_audit_has_the_examples_of_the_checkouts(
    tmp_path: Path, machine: Machine
) -> None:
    index.build(tmp_path / "index")
    dependencies = "httpx\nredis\ntenacity\nplain\n"
    write(tmp_path / "project", {"requirements.txt": dependencies, "app.py": "import tenacity\n"})
    with index.served(tmp_path / "index") as address:
        asked = Machine(machine.folder, index.environment(address, tmp_path / "cache"))
        audit = ("audit", "../project", "--html", "page.html")
        by_wheel = asked.wheel(*audit, work=tmp_path / "wheel")
        by_checkout = asked.checkout(*audit, work=tmp_path / "checkout")
    assert by_wheel == by_checkout
    page = (tmp_path / "wheel" / "page.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "checkout" / "page.html").read_text(encoding="utf-8")
    assert "The code that replaces it" in page


def test_a_project_goes_on_where_only_a_newer_wheel_is(tmp_path: Path) -> None:
    template = repository(whole_template(tmp_path / "template"))
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in SOURCES:
        subprocess.run(["cp", "-R", REPOSITORY / name, sources], check=True)
    (sources / "releases" / "template.bundle").unlink()
    machines: list[Machine] = []
    for tag, python in (("v1.0.0", PYTHONS[0]), ("v1.1.0", PYTHONS[-1])):
        if machines:
            FUTURES[0].edit(template)
            commit(template)
        add_release(sources / "releases" / "template.bundle", template, "HEAD", tag, RELEASED)
        built, machine = tmp_path / f"dist-{tag}", Machine(tmp_path / tag, os.environ)
        build(built, "--wheel", source=sources, address="https://example.org/team/forge.git")
        install(machine.folder, python, next(built.glob("*.whl")))
        machines.append(machine)
    rmtree(template)
    rmtree(sources)
    first, second = machines

    def run(machine: Machine, *arguments: str, work: Path, code: str = "0") -> str:
        ended, said, errors = machine.wheel(*arguments, work=work)
        assert ended == code, said + errors
        return said

    run(first, "new", "my-service", "--defaults", work=tmp_path / "first")
    (tmp_path / "second").mkdir()
    project = (tmp_path / "first" / "my-service").rename(tmp_path / "second" / "my-service")
    shown = run(second, "status", "--check", work=project, code="1")
    assert "v1.0.0; v1.1.0 is available: forge update" in shown
    assert "\n+_commit: v1.1.0\n" in run(second, "diff", work=project)
    assert "Template  v1.0.0 -> v1.1.0\n" in run(second, "update", work=project)
    run(second, "check", work=project)
    commit(project)
    run(second, "set", "cron=true", "database=turso", work=project)
    settings = ("--set", "cron=true", "--set", "database=turso")
    run(second, "new", "my-service", "--defaults", *settings, work=tmp_path / "fresh")
    assert tree(project) == tree(tmp_path / "fresh" / "my-service")


def test_the_second_command_is_the_first(tmp_path: Path, machine: Machine) -> None:
    second = (machine.folder / "bin" / "forge-workers",)
    assert machine.run(second, "--help", work=tmp_path) == machine.wheel("--help", work=tmp_path)
