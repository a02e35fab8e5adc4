"""What resolves for Workers: pip's resolver, against an index on this machine and the real one."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.version import Version

from forge_scaffold.packages import resolve
from forge_scaffold.packages.cache import cache_folder
from forge_scaffold.packages.process import environment
from forge_scaffold.packages.pyodide import ENVIRONMENT, known_to_pyodide
from forge_scaffold.packages.resolve import Index
from tests.audit import index
from tests.audit.conftest import Audited, forge
from tests.support import REPOSITORY, write


@pytest.fixture
def today(real: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The index that pip is configured for here."""
    monkeypatch.setenv("XDG_CACHE_HOME", real["XDG_CACHE_HOME"])
    with Index(cache_folder("audit")) as asked:
        yield asked


def test_pydantic_of_today_resolves_and_not_the_pure_one_of_2023(today: Index) -> None:
    probe = today.probe("pydantic")
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


def test_sqlalchemy_needs_no_greenlet_on_workers(today: Index) -> None:
    probe = today.probe("sqlalchemy>=2.0,<2.1")
    assert probe.ready, probe
    assert "greenlet" not in {package.name for package in probe.ready}


def test_what_pyodide_builds_is_taken_from_there(today: Index) -> None:
    probe = today.probe("orjson")
    tree = probe.ready or probe.older
    assert tree, probe
    assert [(package.name, package.from_pyodide) for package in tree] == [("orjson", True)]


def test_one_of_several_that_has_no_wheel_is_the_blocker(today: Index) -> None:
    probe = today.probe("redis[hiredis]>=5")
    assert probe.ready is None
    assert set(probe.blockers) == {"hiredis"}


def test_langgraph_is_blocked_by_ormsgpack_down_its_tree(today: Index) -> None:
    """By every release of the last years: those which need no ormsgpack end with 0.x."""
    probe = today.probe("langgraph>=1")
    assert probe.ready is None
    assert probe.older is None
    assert probe.undecided == ""
    assert set(probe.blockers) == {"ormsgpack"}
    assert probe.wanted
    needs = {package.name: package.needs for package in probe.wanted}
    assert "langgraph-checkpoint" in needs["langgraph"]
    assert "ormsgpack" in needs["langgraph-checkpoint"]


def test_the_list_of_pyodides_builds_is_no_older_than_the_template() -> None:
    """It follows pywrangler's index, which may be ahead of what projects run their tests on."""
    package = (REPOSITORY / "template" / "package.json.jinja").read_text(encoding="utf-8")
    pinned = re.search(r'"pyodide": "([\d.]+)"', package)
    assert pinned
    listed, tested = Version(known_to_pyodide()["pyodide"]), Version(pinned[1])
    assert (listed.major, listed >= tested) == (tested.major, True)


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


def test_extras_of_what_pyodide_builds_are_those_of_the_release(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    """As `sqlalchemy[asyncio]`, which needs greenlet, which has no wheel."""
    for extra, verdict in (("native", "blocked"), ("pure", "outside the policy")):
        write(tmp_path, {"requirements.txt": f"lxml[{extra}]\n"})
        run = forge(local, "audit", tmp_path, "--format", "json")
        (row,) = json.loads(run.stdout)["dependencies"]
        assert row["verdict"] == verdict
        assert ["lxml", "compiled"] in row["blockers"] or row["tree"] == {
            "lxml": ["leaf"],
            "leaf": [],
        }


def test_the_size_of_what_pyodide_builds_is_estimated_from_the_release(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    write(tmp_path, {"requirements.txt": "lxml\n"})
    run = forge(local, "audit", tmp_path, "--format", "json")
    told = json.loads(run.stdout)
    (row,) = told["dependencies"]
    assert (row["estimated"], row["unmeasured"]) == (["lxml"], [])
    assert 1001 < row["raw"] < 1600  # without its tests
    assert told["after"]["fits"] is True
    assert any("lxml: built by Pyodide; the size is estimated" in note for note in told["notes"])
    text = forge(local, "audit", tmp_path).stdout
    assert "limit of an upload   64.0 MiB uncompressed: by this estimate it fits" in text


def test_a_package_that_no_index_has_is_blocked_by_that(audited: Audited) -> None:
    assert audited.row("nowhere")["verdict"] == "blocked"
    assert audited.row("nowhere")["why"] == "no release of nowhere fits at all"


def test_sizes_are_those_of_the_files_in_the_wheels(audited: Audited) -> None:
    row = audited.row("plain")
    assert 4 * 1001 < row["raw"] < 4 * 1600
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


def test_a_page_is_fetched_once_and_of_a_large_wheel_little(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    index.build(tmp_path / "index")
    large = index.wheel(tmp_path / "index", index.release("large", "1.0", needs=["leaf>=1"]), 10**6)
    write(tmp_path, {"project/requirements.txt": "large\nplain\nchained\nhttpx==0.28.1\n"})
    sent = index.Served()
    with index.served(tmp_path / "index", sent) as address:
        run = forge(
            {**local, "PIP_INDEX_URL": address, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            "audit",
            tmp_path / "project",
            "--format",
            "json",
        )
    (row,) = (row for row in json.loads(run.stdout)["dependencies"] if row["name"] == "large")
    assert row["transitive"] == len(["leaf"])
    with ZipFile(large) as wheel:
        files = sum(file.file_size for file in wheel.infolist())
    leaf = row["raw"] - files
    assert 2 * 1001 < leaf < 2 * 1600
    assert large.stat().st_size < row["gzip"] < large.stat().st_size + leaf
    pages = [path for path in sent.paths if path.endswith("/")]
    assert len(pages) == len(set(pages))
    assert sent.wheels < large.stat().st_size / 2


def test_a_server_that_knows_no_ranges_is_read_whole(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    index.wheel(tmp_path / "index", index.release("large", "1.0"), 10**6)
    write(tmp_path, {"project/requirements.txt": "large\n"})
    with index.served(tmp_path / "index", ranges=False) as address:
        environment = {**local, "PIP_INDEX_URL": address, "XDG_CACHE_HOME": str(tmp_path)}
        run = forge(environment, "audit", tmp_path / "project", "--format", "json")
    (row,) = json.loads(run.stdout)["dependencies"]
    assert row["verdict"] == "outside the policy"
    assert row["raw"] > 10**6


def test_a_wheel_that_cannot_be_read_is_no_verdict(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    index.wheel(tmp_path / "index", index.release("broken", "1.0")).write_bytes(b"no zip")
    write(tmp_path, {"project/requirements.txt": "broken\n"})
    with index.served(tmp_path / "index") as address:
        environment = {**local, "PIP_INDEX_URL": address, "XDG_CACHE_HOME": str(tmp_path)}
        run = forge(environment, "audit", tmp_path / "project")
    assert run.returncode == 2
    assert "broken-1.0-py3-none-any.whl cannot be read (BadZipFile)" in run.stdout


def test_what_takes_too_long_is_undecided_and_says_so(
    local: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(resolve, "BRIEF_PATIENCE", 0)
    with Index(tmp_path) as asked:
        probe = asked.probe("ancient")
    assert set(probe.blockers) == {"compiled"}
    assert probe.undecided == "not decided within 0 s"
    monkeypatch.setattr(resolve, "PATIENCE", 0)
    with Index(tmp_path) as asked:
        assert asked.probe("plain").failure == "not decided within 0 s"
    with Index(tmp_path, offline=True) as kept:
        assert kept.probe("plain").failure == "not decided within 0 s"


def test_a_broken_cache_is_no_cache(local: Mapping[str, str], tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "forge-workers" / "audit" / "wheels-2.sqlite"
    write(tmp_path, {str(kept.relative_to(tmp_path)): "no database", "requirements.txt": "plain\n"})
    run = forge({**local, "XDG_CACHE_HOME": str(tmp_path / "cache")}, "audit", tmp_path)
    assert (run.returncode, "outside the policy (1)" in run.stdout) == (0, True), run.stderr


def test_on_a_terminal_it_says_how_far_it_is_and_forgets_that(
    local: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("plain\nleaf\n")
    screen, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "forge_scaffold", "audit", str(tmp_path)],
        env=local,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        shown = until_closed(screen)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    for done in range(3):
        assert f"\r\x1b[KResolving for Workers: {done} of 2 ..." in shown
    assert shown.endswith("\r\x1b[K")
    assert "Resolving" not in output
    assert output.replace("\n", "").isprintable()


def until_closed(screen: int) -> str:
    """All that comes to a terminal."""
    shown = b""
    with suppress(OSError):  # Linux's way to say that the other end is closed
        while piece := os.read(screen, 65536):
            shown += piece
    os.close(screen)
    return shown.decode()


def test_no_progress_gets_into_a_pipe(local: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("plain\n")
    run = forge(local, "audit", tmp_path)
    assert run.stderr == "Resolving for Workers ...\n"
    assert "Resolving" not in run.stdout


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
