"""What resolves for Workers: pip's resolver, against an index on this machine and the real one."""

import json
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from forge_scaffold.audit.pip_driver import modules
from forge_scaffold.audit.resolve import ENVIRONMENT, Index
from forge_scaffold.index import cache_folder, environment
from forge_scaffold.pyodide import known_to_pyodide
from tests.audit.conftest import Audited, forge
from tests.support import REPOSITORY


@pytest.fixture
def index(real: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Index:
    """The index that pip is configured for here."""
    monkeypatch.setenv("XDG_CACHE_HOME", real["XDG_CACHE_HOME"])
    return Index(cache_folder("audit"))


def test_pydantic_of_today_resolves_and_not_the_pure_one_of_2023(index: Index) -> None:
    probe = index.probe("pydantic")
    assert probe.ready, probe
    versions = {package.name: package.version for package in probe.ready}
    assert versions["pydantic"] == probe.newest
    assert versions["pydantic"].startswith("2.")
    (core,) = (package for package in probe.ready if package.name == "pydantic-core")
    assert not core.native
    assert core.raw
    assert core.gzip
    assert core.gzip < core.raw
    assert core.modules == ("pydantic_core",)


def test_sqlalchemy_needs_no_greenlet_on_workers(index: Index) -> None:
    probe = index.probe("sqlalchemy>=2.0,<2.1")
    assert probe.ready, probe
    assert "greenlet" not in {package.name for package in probe.ready}


def test_what_pyodide_builds_is_taken_from_there(index: Index) -> None:
    probe = index.probe("orjson")
    tree = probe.ready or probe.older
    assert tree, probe
    assert [(package.name, package.from_pyodide) for package in tree] == [("orjson", True)]


def test_one_of_several_that_has_no_wheel_is_the_blocker(index: Index) -> None:
    probe = index.probe("redis[hiredis]>=5")
    assert probe.ready is None
    assert set(probe.blockers) == {"hiredis"}


def test_langgraph_needs_ormsgpack(real: Mapping[str, str], tmp_path: Path) -> None:
    """By the metadata: to resolve it takes a minute. test_replacements asks for ormsgpack."""
    needs = requirements(real, tmp_path, "langgraph", "langgraph-checkpoint")
    assert "langgraph-checkpoint" in needs["langgraph"]
    assert "ormsgpack" in needs["langgraph-checkpoint"]


def requirements(real: Mapping[str, str], folder: Path, *packages: str) -> dict[str, set[str]]:
    """Package -> the names that its newest release requires whatever the platform."""
    options = ["--quiet", "--no-deps", "--only-binary=:all:", f"--dest={folder}"]
    command = [sys.executable, "-m", "pip", "download", *options, *packages]
    run = subprocess.run(command, env=real, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found: dict[str, set[str]] = {}
    for file in folder.glob("*.whl"):
        with ZipFile(file) as wheel:
            path = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            metadata = message_from_bytes(wheel.read(path))
        needed = map(Requirement, metadata.get_all("Requires-Dist", []))
        name = canonicalize_name(metadata["Name"])
        found[name] = {canonicalize_name(one.name) for one in needed if not one.marker}
    return found


def test_the_list_of_pyodides_builds_is_that_of_npms_pyodide() -> None:
    package = (REPOSITORY / "template" / "package.json.jinja").read_text(encoding="utf-8")
    assert f'"pyodide": "{known_to_pyodide()["pyodide"]}"' in package


def test_it_is_what_the_lock_in_that_package_says(tmp_path: Path) -> None:
    version = known_to_pyodide()["pyodide"]
    subprocess.run(
        ["npm", "pack", "--silent", f"pyodide@{version}"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/pyodide-lock.json")
        assert member
        lock = json.load(member)
    assert lock["info"]["python"] == ENVIRONMENT["python_full_version"]
    built = {
        name: (package["version"], not package["file_name"].endswith("-any.whl"))
        for name, package in lock["packages"].items()
        if package["file_name"].endswith(".whl") and not name.endswith("-tests")
    }
    known = {
        name: (package["version"], package["compiled"])
        for name, package in known_to_pyodide()["packages"].items()
    }
    assert known == built


def test_a_marker_of_servers_does_not_count(audited: Audited) -> None:
    assert audited.row("plain")["verdict"] == "outside the policy"
    assert audited.row("plain")["transitive"] == len(["leaf"])


def test_a_build_for_the_platform_wins_over_a_pure_release_of_years_ago(audited: Audited) -> None:
    assert audited.row("two-builds")["resolves"] == "2.0"


def test_a_compiled_package_blocks_itself(audited: Audited) -> None:
    row = audited.row("compiled")
    assert (row["verdict"], row["resolves"]) == ("blocked", None)
    assert row["why"] == "compiled, and no wheel for WebAssembly"


def test_a_blocker_is_named_with_the_way_to_it(audited: Audited) -> None:
    row = audited.row("chained")
    assert row["verdict"] == "blocked"
    assert row["blockers"] == [["chained", "middle", "compiled"]]
    assert row["transitive"] == 3


def test_an_older_release_of_the_same_major_version_counts(audited: Audited) -> None:
    row = audited.row("held-back")
    assert (row["verdict"], row["newest"], row["resolves"]) == ("outside the policy", "2.1", "2.0")
    assert row["cautions"] == [
        "held back at 2.0, the newest is 2.1: compiled: compiled, and no wheel for WebAssembly"
    ]


def test_an_older_major_version_does_not_count_and_is_named(audited: Audited) -> None:
    row = audited.row("ancient")
    assert (row["verdict"], row["resolves"]) == ("blocked", None)
    assert "only 1.0 resolves, and the newest is 2.0" in row["why"]


def test_a_newest_release_that_no_server_could_install_is_held_back(audited: Audited) -> None:
    row = audited.row("too-early")
    assert (row["verdict"], row["newest"], row["resolves"]) == ("outside the policy", "1.2", "1.1")
    assert row["cautions"] == [
        "held back at 1.1, the newest is 1.2: not-yet: no wheel that Python there could install"
    ]


def test_a_release_for_older_pythons_is_blocked_by_that(audited: Audited) -> None:
    row = audited.row("older-python")
    assert (row["verdict"], row["why"]) == ("blocked", "2.0 does not admit Python 3.14")


def test_a_build_of_pyodides_counts_though_it_is_older(audited: Audited) -> None:
    row = audited.row("pillow")
    assert row["resolves"] == known_to_pyodide()["packages"]["pillow"]["version"]
    assert row["unmeasured"] == ["pillow"]


def test_a_package_that_no_index_has_is_blocked_by_that(audited: Audited) -> None:
    assert audited.row("nowhere")["verdict"] == "blocked"
    assert audited.row("nowhere")["why"] == "no release of nowhere fits at all"


def test_sizes_are_those_of_the_files_in_the_wheels(audited: Audited) -> None:
    row = audited.row("plain")
    assert 2 * 1001 < row["raw"] < 2 * 1600
    assert 0 < row["gzip"] < row["raw"]


def test_offline_answers_come_from_earlier_and_say_so(audited: Audited) -> None:
    offline = audited.run(audited.project, "--offline")
    assert offline.returncode == audited.code == 1
    assert "Note: offline: no index was asked" in offline.stdout
    assert "compiled, and no wheel for WebAssembly" in offline.stdout


def test_offline_what_was_never_asked_is_unknown_and_the_audit_incomplete(
    audited: Audited, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("never-asked-for\n")
    run = audited.run(tmp_path, "--offline")
    assert run.returncode == 2
    assert "not known offline" in run.stdout


def test_an_index_that_does_not_answer_is_no_verdict(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("plain\n")
    unheard = {**local, "PIP_INDEX_URL": "http://127.0.0.1:9/simple/"}
    run = forge(unheard, "audit", tmp_path)
    assert run.returncode == 2
    assert "no answer from 127.0.0.1" in run.stdout


def test_uvs_names_of_an_index_count_where_pips_are_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://pip.example.org/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "internal=https://uv.example.org/simple?a=b")
    monkeypatch.setenv("UV_INDEX", "https://uv.example.org/more")
    told = environment()
    assert told["PIP_INDEX_URL"] == "https://uv.example.org/simple?a=b"
    assert told["PIP_EXTRA_INDEX_URL"] == "https://pip.example.org/simple"


def test_a_stop_ends_the_resolvers_too(local: Mapping[str, str], tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")  # of nobody else: the resolvers are told by it
    (tmp_path / "requirements.txt").write_text("plain\npillow\nchained\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple/"
        # Whoever runs the tests in the background may have them ignore Ctrl-C.
        heeding = ["env", "--default-signal=INT", sys.executable]
        process = subprocess.Popen(
            [*heeding, "-m", "forge_scaffold", "audit", str(tmp_path)],
            env={**local, "PIP_INDEX_URL": address, "XDG_CACHE_HOME": cache},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            connection, _ = silent.accept()  # a resolver is waiting for the index
            with connection:
                process.send_signal(signal.SIGINT)
                output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGINT
    assert output == ""
    assert "stopped" in errors
    assert "Traceback" not in errors
    limit = time.monotonic() + 30
    while resolvers_of(process.pid, cache):
        assert time.monotonic() < limit


def resolvers_of(parent: int, cache: str) -> list[str]:
    """The resolvers that a forge has left behind: those whose cache is this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            variables = (folder / "environ").read_bytes()
        except OSError:
            continue
        mine = f"XDG_CACHE_HOME={cache}".encode() in variables.split(b"\0")
        if b"pip_driver" in command and mine and folder.name != str(parent):
            found.append(folder.name)
    return found


@pytest.mark.parametrize(
    ("files", "imported"),
    [
        (["jose/__init__.py", "jose/jwt.py"], ["jose"]),
        (["typing_extensions.py", "x-1.dist-info/METADATA"], ["typing_extensions"]),
        (["google/cloud/storage/__init__.py"], ["google.cloud.storage"]),
        (["yaml/__init__.py", "yaml/_yaml.cpython-314-x86_64-linux-gnu.so"], ["yaml"]),
        (["x-1.data/scripts/run.py", "docs/readme.txt"], []),
    ],
)
def test_what_a_wheel_is_imported_as_is_read_from_its_files(
    files: list[str], imported: list[str]
) -> None:
    assert modules(files) == imported
