"""Nothing of anybody's is replaced, whenever it appeared; a failure removes only its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold import staging
from forge_scaffold.errors import UserError
from tests.support import tree, write

FILES = {
    "README.md": "ours\n",
    "src/a.py": "ours\n",
    "src/deep/b.py": "ours\n",
    ".hidden": "ours\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def build(target: Path, *before: object) -> None:
    """Build a folder; `before` are called when it is about to be moved into place."""
    with staging.staged(target) as folder:
        write(folder, FILES)
        for step in before:
            assert callable(step)
            step()


def everything(folder: Path) -> dict[str, bytes]:
    assert not list(folder.rglob(".forge-*"))
    return tree(folder)


def ours(prefix: str = "") -> dict[str, bytes]:
    return {f"{prefix}{name}": text.encode() for name, text in FILES.items()}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("existing", [False, True])
def test_a_file_that_appears_before_the_move_stays(
    home: Path, name: str, *, existing: bool
) -> None:
    target = home / "a" / "made"
    if existing:
        target.mkdir(parents=True)
    before = sorted(home.rglob("*"))

    def appear() -> None:
        write(target, {name: "theirs\n", "other": "theirs\n"})

    with pytest.raises(UserError, match="appeared while the project was made"):
        build(target, appear)
    assert everything(home) == {f"a/made/{name}": b"theirs\n", "a/made/other": b"theirs\n"}
    assert set(before) <= set(home.rglob("*"))


@pytest.mark.parametrize("where", ["src", "src/deep"])
def test_a_link_that_appears_is_not_written_through(home: Path, where: str) -> None:
    (home / "made" / where).parent.mkdir(parents=True)
    (home / "elsewhere").mkdir()

    def appear() -> None:
        (home / "made" / where).symlink_to(home / "elsewhere")

    with pytest.raises(UserError, match=f"made/{where}: appeared"):
        build(home / "made", appear)
    assert everything(home) == {}


def test_a_file_in_the_way_of_a_folder_stays(home: Path) -> None:
    (home / "made").mkdir()
    with pytest.raises(UserError, match="made/src: appeared"):
        build(home / "made", lambda: (home / "made" / "src").write_text("theirs\n"))
    assert everything(home) == {"made/src": b"theirs\n"}


def test_what_does_not_collide_stays(home: Path) -> None:
    write(home / "made", {"LICENSE": "theirs\n", "src/theirs.py": "theirs\n"})
    build(home / "made")
    assert everything(home) == {
        **ours("made/"),
        "made/LICENSE": b"theirs\n",
        "made/src/theirs.py": b"theirs\n",
    }


def test_a_repository_is_not_merged_into_another(home: Path) -> None:
    (home / "made" / ".git").mkdir(parents=True)
    with (
        pytest.raises(UserError, match=r"made/\.git: appeared"),
        staging.staged(home / "made") as folder,
    ):
        write(folder, {".git/HEAD": "ref: refs/heads/main\n", "a": ""})
    assert not list((home / "made" / ".git").iterdir())
    assert [path.name for path in (home / "made").iterdir()] == [".git"]


def test_a_folder_that_appears_and_is_filled_by_others_stays(home: Path) -> None:
    """A rename would replace an empty folder; one that another program has just made is theirs."""
    with pytest.raises(UserError, match="appeared"):
        build(home / "made", (home / "made").mkdir)
    assert (home / "made").is_dir()
    assert everything(home) == {}


@pytest.mark.parametrize("edit", ["replaced", "changed"])
def test_a_roll_back_removes_only_what_is_still_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch, edit: str
) -> None:
    (home / "made").mkdir()
    put = staging._put  # noqa: SLF001 - a hook between two steps of the move

    def interfere(path: Path, place: Path) -> None:
        if path.name == "b.py":  # the last one: the others are in place
            readme = home / "made" / "README.md"
            if edit == "replaced":
                readme.unlink()
            with readme.open("a") as file:
                file.write("theirs\n")
            write(home / "made", {"src/theirs.py": "theirs\n", "src/deep/b.py": "theirs\n"})
        put(path, place)

    monkeypatch.setattr(staging, "_put", interfere)
    with pytest.raises(UserError, match=r"src/deep/b\.py: appeared"):
        build(home / "made")
    assert everything(home) == {
        "made/README.md": b"theirs\n" if edit == "replaced" else b"ours\ntheirs\n",
        "made/src/deep/b.py": b"theirs\n",
        "made/src/theirs.py": b"theirs\n",
    }


def test_a_file_system_without_hard_links_is_written_by_copies(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (home / "made").mkdir()
    before = os.umask(0o022)
    try:
        with staging.staged(home / "made") as folder:
            write(folder, FILES)
            (folder / "README.md").chmod(0o755)
    finally:
        os.umask(before)
    assert everything(home) == ours("made/")
    assert (home / "made" / "README.md").stat().st_mode & 0o777 == 0o755
    with pytest.raises(UserError, match="appeared"):
        build(home / "made")
    assert everything(home) == ours("made/")


@pytest.mark.parametrize("target", ["made", "a/made", "empty"])
def test_of_many_runs_at_one_target_one_wins_whole(home: Path, target: str) -> None:
    program = """
import sys
from pathlib import Path
from forge_scaffold.errors import UserError
from forge_scaffold.staging import staged
target, name = Path(sys.argv[1]), sys.argv[2]
try:
    with staged(target) as folder:
        for number in range(20):
            path = folder / f"{number % 3}" / f"file-{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)
        print("ready", flush=True)
        sys.stdin.readline()
except UserError:
    sys.exit(2)
"""
    for number in range(8):
        root = home / str(number)
        (root / "empty").mkdir(parents=True)
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", program, root / target, str(run)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for run in range(3)
        ]
        for run in runs:  # all are ready before any moves
            assert run.stdout
            run.stdout.readline()
        for run in runs:
            assert run.stdin
            run.stdin.write("\n")
            run.stdin.flush()
        for run in runs:
            run.communicate(timeout=60)
        (winner,) = [index for index, run in enumerate(runs) if run.returncode == 0]
        assert [run.returncode for run in runs].count(2) == 2
        assert everything(root) == {
            f"{target}/{number % 3}/file-{number}": str(winner).encode() for number in range(20)
        }


def test_a_parent_that_a_failed_run_takes_away_is_made_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = staging._make_parents  # noqa: SLF001 - a hook after the parents are there
    calls: list[Path] = []

    def vanish(path: Path, made: list[staging._Made]) -> None:
        make(path, made)
        if not calls:
            (home / "a").rmdir()
        calls.append(path)

    monkeypatch.setattr(staging, "_make_parents", vanish)
    build(home / "a" / "made")
    assert everything(home) == ours("a/made/")


def test_what_a_dead_run_left_is_swept_and_a_live_one_is_not(home: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from forge_scaffold.staging import staged
with staged(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("half")
    print("ready", flush=True)
    sys.stdin.readline()
"""
    command = [sys.executable, "-c", program, str(home / "made")]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout
    run.stdout.readline()
    (left,) = home.glob(".forge-*")
    (home / ".forge-00000000").mkdir()  # stopped before it had its lock
    write(home, {".forge-deadbeef/mine": "not forge's\n", ".forge-mine/lock": "", "file": ""})
    assert staging.sweep(home) == [home / ".forge-00000000"]
    run.kill()
    run.communicate()
    assert staging.sweep(home) == [left]
    assert set(tree(home)) == {".forge-deadbeef/mine", ".forge-mine/lock", "file"}


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (["README.md"], ["readme.MD"], ["readme.MD"]),
        (["src/a.py"], ["SRC/b.py"], ["SRC"]),
        (["src/a.py"], ["src/b.py"], []),
        (["src/a.py"], ["src/A.py"], ["src/A.py"]),
        (["src/a.py"], ["src"], ["src"]),
        (["src"], ["src/a.py"], ["src"]),
        (["u\u0308.md"], ["\u00fc.md"], ["\u00fc.md"]),
        ([".git/HEAD"], [".git/config"], [".git"]),
    ],
)
def test_collisions_are_found_as_any_file_system_sees_them(
    tmp_path: Path, source: list[str], target: list[str], expected: list[str]
) -> None:
    write(tmp_path / "source", dict.fromkeys(source, ""))
    write(tmp_path / "target", dict.fromkeys(target, ""))
    assert staging.collisions(tmp_path / "source", tmp_path / "target") == expected


@given(st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=300))
def test_a_message_names_any_path_shortly(name: str) -> None:
    assert len(staging.shortened(Path(name * 20))) <= staging.LONGEST + 10
