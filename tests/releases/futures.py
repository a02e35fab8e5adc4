"""Releases that the template does not have yet: edits of a copy of the real one.

Each kind of change that a release may bring is here once, in the form that an update can follow.
The names of questions and files that exist today are used where any would do.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Answers = Mapping[str, object]


@dataclass(frozen=True)
class Future:
    """A release to come.

    Attributes:
        edit: makes it, from the folder of the release before.
        carry: what an update to it makes of the answers.
        choices: answers to its new questions other than the defaults.
    """

    edit: Callable[[Path], None]
    carry: Callable[[Answers], Answers]
    choices: Answers


def _add(template: Path) -> None:
    """New questions and files, a bumped version, a changed text."""
    copier = _Questions(template)
    copier.add(
        {
            "audit_log": {"type": "bool", "default": False, "help": "Keep an audit log?"},
            "motto": {"type": "str", "default": "onward"},
            "tier": {"type": "str", "choices": ["free", "pro", "legacy"], "default": "free"},
            "region": {"type": "str", "choices": ["eu", "us"], "default": "eu"},
        }
    )
    copier.exclude("{% if not audit_log %}\n/src/service/audit_log.py\n{% endif %}")
    copier.save()
    files = template / "template"
    _write(files / "src/service/audit_log.py", '"""The audit log."""\n')
    _write(files / "src/service/regions.py.jinja", 'REGION = "{{ region }}"\nTIER = "{{ tier }}"\n')
    _write(files / "docs/motto.md.jinja", "# {{ service_name }}\n\n{{ motto }}\n\nMore to come.\n")
    _write(files / "docs/choices.md", "What was chosen.\n")
    bump_a_version(template)
    _append(files / "README.md.jinja", "\n## Added later\n\nA section.\n")


def _rename(template: Path) -> None:
    """A question under another name, one more choice, files moved, renamed and deleted."""
    copier = _Questions(template)
    # An answer that no question asks for can be read in a default. Of a computed question (when:
    # false) Copier forgets the answer first.
    copier.replace(
        "audit_log",
        "audit",
        {
            "type": "str",
            "choices": ["log", "none"],
            "default": "{{ 'log' if audit_log is defined and audit_log else 'none' }}",
        },
    )
    copier.excluded = copier.excluded.replace(
        "{% if not audit_log %}\n/src/service/audit_log.py\n",
        "{% if audit == 'none' %}\n/src/service/audit\n",
    ).replace("/dev/standins", "/dev/fakes")
    copier.questions["region"]["choices"].append("apac")
    copier.save()
    files = template / "template"
    _move(files / "src/service/audit_log.py", files / "src/service/audit/log.py")
    _move(files / "docs/motto.md.jinja", files / "docs/about.md.jinja")
    _move(files / "dev/standins", files / "dev/fakes")
    next(iter(sorted(files.glob("scripts/*.mjs")))).unlink()
    _edit(files / "docs/about.md.jinja", "More to come.", "Nothing more to come.")
    _append(files / "src/service/regions.py.jinja", 'REGIONS = ["eu", "us", "apac"]\n')


def _remove(template: Path) -> None:
    """A question removed, one computed from others, a choice retired, a file made conditional."""
    copier = _Questions(template)
    del copier.questions["motto"]
    copier.questions["region"] = {
        "type": "str",
        "when": False,
        "default": "{{ 'us' if auth == 'none' else 'eu' }}",
    }
    # A retired choice stays in the list: taken out, the next update would silently replace it.
    copier.questions["tier"]["choices"] = {
        "free": "free",
        "pro": "pro",
        "legacy (retired: use pro)": "legacy",
    }
    copier.exclude("{% if database == 'none' %}\n/docs/choices.md\n{% endif %}")
    copier.save()
    files = template / "template"
    _edit(files / "docs/about.md.jinja", "{{ motto }}\n", "onward\n")
    bump_a_version(template)
    _edit(files / "README.md.jinja", "\nA section.\n", "\nA section, rewritten.\n")


def _carry_added(answers: Answers) -> Answers:
    return {"audit_log": False, "motto": "onward", "tier": "free", "region": "eu", **answers}


def _carry_renamed(answers: Answers) -> Answers:
    kept = {name: value for name, value in answers.items() if name != "audit_log"}
    return {**kept, "audit": "log" if answers["audit_log"] else "none"}


def _carry_removed(answers: Answers) -> Answers:
    return {name: value for name, value in answers.items() if name not in {"motto", "region"}}


FUTURES = (
    Future(
        _add,
        _carry_added,
        {"audit_log": True, "motto": "go: on\n'then'", "tier": "legacy", "region": "us"},
    ),
    Future(_rename, _carry_renamed, {}),
    Future(_remove, _carry_removed, {}),
)


def bump_a_version(template: Path) -> None:
    """Raise the first version that is pinned in package.json."""
    package = template / "template" / "package.json.jinja"
    dependencies = package.read_text(encoding="utf-8").partition('"devDependencies"')
    bumped = re.sub(
        r'"(\d+\.\d+)\.(\d+)"',
        lambda match: f'"{match[1]}.{int(match[2]) + 1}"',
        dependencies[2],
        count=1,
    )
    assert bumped != dependencies[2]
    package.write_text("".join([*dependencies[:2], bumped]), encoding="utf-8")


class _Questions:
    """A copier.yml to edit."""

    def __init__(self, template: Path) -> None:
        self._file = template / "copier.yml"
        self.questions: dict[str, Any] = yaml.safe_load(self._file.read_text(encoding="utf-8"))

    @property
    def excluded(self) -> str:
        """The template of the paths that answers exclude."""
        return str(self.questions["excluded"]["default"])

    @excluded.setter
    def excluded(self, paths: str) -> None:
        assert paths != self.excluded
        self.questions["excluded"]["default"] = paths

    def exclude(self, paths: str) -> None:
        self.excluded = f"{self.excluded}\n{paths}\n"

    def add(self, entries: Mapping[str, Any]) -> None:
        """Add questions above the computed values."""
        facts = list(self.questions).index("provider_facts")
        listed = list(self.questions.items())
        self.questions = dict([*listed[:facts], *entries.items(), *listed[facts:]])

    def replace(self, old: str, new: str, entry: object) -> None:
        """Put another question where one is."""
        self.questions = {
            (new if name == old else name): (entry if name == old else value)
            for name, value in self.questions.items()
        }

    def save(self) -> None:
        text = yaml.safe_dump(self.questions, sort_keys=False, allow_unicode=True)
        self._file.write_text(text, encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
