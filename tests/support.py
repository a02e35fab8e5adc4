"""What several tests stand on: git repositories, a small template, the whole template."""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import copy, copytree, ignore_patterns, which

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

UV = os.environ.get("UV") or which("uv") or str(REPOSITORY / ".uv" / "uv")
"""The uv that runs the tests, or the one on PATH, or the one that uvw keeps."""

GIT_ENVIRONMENT: Mapping[str, str] = {
    **os.environ,
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}

# A Worker small enough to read at a glance; the questions are the real ones.
SMALL_TEMPLATE: Mapping[str, str] = {
    "pyproject.toml.jinja": """\
[project]
name = "{{ service_name }}"
version = "0.1.0"
description = {{ description | to_json(ensure_ascii=false) }}
dependencies = ["httpx>=0.28,<1"]

[tool.forge]
transitive = ["h11"]
platform = ["workers-runtime-sdk"]

[tool.forge.allow]
httpx = ">=0.27,<1"
pydantic = ">=2.10,<3"
""",
    "requirements/worker.txt": """\
# made by: npm run lock
h11==0.16.0 \\
    --hash=sha256:aa
    # via httpcore
httpx==0.28.1 --hash=sha256:bb
workers-runtime-sdk==1.9.5 --hash=sha256:cc
""",
    "package.json.jinja": '{"name": "{{ service_name }}", "scripts": {"test": "true"}}\n',
    "src/entry.py": "import httpx\nfrom workers import WorkerEntrypoint\n",
    "src/service/auth/keys.py": "import json\n",
    "README.md": "# A Worker\n",
    "{{_copier_conf.answers_file}}.jinja": "{{ _copier_answers | to_nice_yaml -}}\n",
}

# The configuration of such a Worker, where a test needs one.
CONFIGURATION = """\
name = "{{ service_name }}"
main = "src/entry.py"
compatibility_date = "2026-11-01"
compatibility_flags = ["python_workers"]

[observability]
enabled = true
"""


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Run the block in one process at a time: that which holds the file locked."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def shared_folder(factory: pytest.TempPathFactory, worker_id: str, name: str) -> Path:
    """A folder that all of a run's workers share."""
    base = factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / name
    folder.mkdir(exist_ok=True)
    return folder


def small_template(folder: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the small template and its copier.yml, with some files changed or added."""
    write(folder / "template", {**SMALL_TEMPLATE, **(changes or {})})
    copy(REPOSITORY / "copier.yml", folder)
    return folder


def whole_template(folder: Path) -> Path:
    """Copy the real template with its questions; the folder with its copier.yml."""
    scratch = ignore_patterns(
        "__pycache__",
        "*.pyc",
        ".*_cache",
        ".hypothesis",
        ".venv*",
        "node_modules",
        "python_modules",
    )
    copytree(REPOSITORY / "template", folder / "template", ignore=scratch)
    copy(REPOSITORY / "copier.yml", folder)
    return folder


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    """Run git with an identity and without the user's configuration; what it prints."""
    process = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=GIT_ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    )
    return process.stdout.strip()


def repository(folder: Path, tag: str | None = None) -> Path:
    """Make the folder a git repository with everything in it committed, perhaps tagged."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    return commit(folder, tag)


def commit(folder: Path, tag: str | None = None) -> Path:
    """Commit everything in the repository, perhaps with a tag."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=A state of things")
    if tag:
        git(folder, "tag", tag)
    return folder


def bundle(repository: Path, folder: Path) -> Path:
    """Write a repository's branches and tags to the bundle of a releases folder."""
    folder.mkdir(parents=True, exist_ok=True)
    git(repository, "bundle", "create", "--quiet", str(folder / "template.bundle"), "HEAD", "--all")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by relative path, .git left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


@contextmanager
def opened_by_its_reader(fifo: Path) -> Iterator[None]:
    """Wait until somebody reads the named pipe, and keep them waiting for its content."""
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(fifo.open, "wb", 0)
        try:
            opening.result(timeout=60)
            yield
        finally:
            os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))  # lets a vain opening end
            opening.result().close()
