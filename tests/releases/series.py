"""The template's releases in a row: those of the past, today's, and those of futures.py."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path
from shutil import copy
from typing import Any

import yaml
from packaging.version import Version

from scripts.release import BUNDLE, Releases, add_release, release_commits
from tests.releases.futures import FUTURES, Answers, Future
from tests.support import (
    GIT_ENVIRONMENT,
    REPOSITORY,
    UV,
    alone,
    git,
    repository,
    whole_template,
)
from tests.template.combinations import closed_questions, everything

ADDRESS = "https://example.org/team/template.git"
"""Where the projects of the tests find the series; git reads it from a bundle."""

NEWEST = (sys.executable, "-m", "copier")
OLDEST = (UV, "tool", "run", "--from", "copier==9.19.0", "copier")
"""The releases of Copier that we support, as programs."""
FORGE = (sys.executable, "-m", "forge_scaffold")

FIRST = Version("0.1.0")

RELEASED = date(2030, 1, 1)


@cache
def past() -> Sequence[str]:
    """The tags of the releases so far."""
    released = release_commits(REPOSITORY)
    with Releases.of(REPOSITORY / BUNDLE, REPOSITORY) as releases:
        return [tag for tag in releases.tags() if Version(tag) in released]


@cache
def tags() -> Sequence[str]:
    """The tags of the whole series: the past, today's template, the futures."""
    newest = Version(past()[-1]) if past() else FIRST
    minors = range(newest.minor + bool(past()), newest.minor + bool(past()) + 1 + len(FUTURES))
    return [*past(), *(f"v{newest.major}.{minor}.0" for minor in minors)]


def _presets() -> Mapping[str, Answers]:
    least: dict[str, object] = {}
    for question in closed_questions():
        last = list(question.choices)[-1:]
        least[question.name] = last if question.multiselect else last[0] if last else False
    most = {f"everything {n}": answers for n, answers in enumerate(everything(), start=1)}
    return {"defaults": {}, "least": least, **most}


PRESETS = _presets()
"""Few sets of answers, which together have every choice."""


@dataclass(frozen=True)
class Series:
    """The releases as a repository.

    Attributes:
        folder: holds it, and whatever else several tests share.
    """

    folder: Path

    @property
    def bundle(self) -> Path:
        """What git reads at ADDRESS."""
        return self.folder / "template.bundle"

    @classmethod
    def write(cls, folder: Path) -> "Series":
        """Write the whole series into a new folder."""
        series = cls(folder)
        work = repository(whole_template(folder / "template"))
        if past():
            copy(REPOSITORY / BUNDLE, series.bundle)
        edits = [lambda _: None, *(future.edit for future in FUTURES)]
        for tag, edit in zip(tags()[len(past()) :], edits, strict=True):
            edit(work)
            git(work, "add", "--all")
            git(work, "commit", "--quiet", "--allow-empty", f"--message={tag}")
            add_release(series.bundle, work, "HEAD", tag, RELEASED)
        git(folder, "clone", "--quiet", "--bare", str(series.bundle), "template.git")
        return series

    def copier(self, *arguments: str | Path, folder: Path, program: Sequence[str] = NEWEST) -> None:
        """Run Copier in a folder, as its users do; fail with its own words when it fails."""
        self.run(*program, *arguments, folder=folder)

    def run(self, *command: str | Path, folder: Path) -> str:
        """Run a program in a folder; what it prints on stdout."""
        process = subprocess.run(
            [*map(str, command)],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            check=False,
            capture_output=True,
            text=True,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    def made(self, tag: str, answers: Answers) -> Path:
        """A project made at a release from these answers, committed; to look at, not to change."""
        name = sha256(repr((tag, sorted(answers.items()))).encode()).hexdigest()
        project = self.folder / name / "my-service"
        with alone(self.folder / f"{name}.lock"):
            if not project.exists():
                project.parent.mkdir(exist_ok=True)
                data = project.with_suffix(".yml")
                data.write_text(json.dumps(answers), encoding="utf-8")
                options = ("--quiet", "--defaults", "--vcs-ref", tag, "--data-file", data)
                self.copier("copy", *options, ADDRESS, project, folder=self.folder)
                repository(project)
        return project

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables under which git reads ADDRESS without a network."""
        return {
            **GIT_ENVIRONMENT,
            "COPIER_CACHE_DIR": str(self.folder / f"cache-{os.getpid()}"),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{self.bundle}.insteadOf",
            "GIT_CONFIG_VALUE_0": ADDRESS,
        }

    def answers(self, preset: str, tag: str) -> Answers:
        """The answers of a preset, of those that a release asks for."""
        questions = yaml.safe_load(git(self.folder / "template.git", "show", f"{tag}:copier.yml"))
        answers: Answers = {
            name: fitting
            for name, value in PRESETS[preset].items()
            if (fitting := _fitting(value, questions.get(name))) is not None
        }
        for future in _futures("", tag):
            answers = future.carry({**answers, **(future.choices if preset != "defaults" else {})})
        return answers

    def updated_answers(self, preset: str, tag: str) -> Answers:
        """What an update from that release to the newest makes of them."""
        answers = self.answers(preset, tag)
        for future in _futures(tag, tags()[-1]):
            answers = future.carry(answers)
        return answers


def _futures(after: str, until: str) -> Iterator[Future]:
    """The futures among the releases after one and up to another."""
    begun = tags().index(after) + 1 if after else 0
    wanted = tags()[begun : tags().index(until) + 1]
    return (
        future
        for tag, future in zip(tags()[-len(FUTURES) :], FUTURES, strict=True)
        if tag in wanted
    )


def _fitting(value: object, question: Mapping[str, Any] | None) -> object:
    """As much of an answer as a release has the question and the choices for; None for nothing."""
    if question is None:
        return None
    choices = question.get("choices")
    listed = choices.values() if isinstance(choices, dict) else choices
    if listed is None:
        return value
    if isinstance(value, list):
        return [item for item in value if item in listed] or None
    return value if value in listed else None
