"""copier.yml's `_exclude` survives later releases: new, renamed, removed and computed questions.

`copier update` renders the new release's `_exclude` twice: with the new answers, and with those of
the release that the project is at, strictly. A name that the older release does not know ends the
update with an UndefinedError.
"""

from collections.abc import Mapping
from pathlib import Path

import copier
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import meta

from tests.support import REPOSITORY, commit, repository, small_template, tree, write
from tests.template import variants
from tests.template.combinations import completed, every_combination, every_pair

EXCLUDED = "{{ excluded | default('') }}"
COPIER_YML = (REPOSITORY / "copier.yml").read_text("utf-8")
DOCUMENT = yaml.safe_load(COPIER_YML)

LESSON = f"""\
copier.yml: the _exclude entry {{entry!r}} contains Jinja.

`copier update` renders this entry with the answers of the *older* release, too. A question that is
new in this release is undefined there, and the update ends with an UndefinedError. Only
{EXCLUDED!r} is safe. Move the paths into the computed value `excluded`:

    {{{{% if not audit_log %}}}}
    /src/service/audit_log.py
    {{{{% endif %}}}}
"""


def test_only_the_computed_value_depends_on_answers() -> None:
    for entry in DOCUMENT["_exclude"]:
        assert entry == EXCLUDED or "{" not in entry, LESSON.format(entry=entry)
    assert EXCLUDED in DOCUMENT["_exclude"]


def test_the_computed_value_names_only_questions_above_it() -> None:
    names = [*DOCUMENT]
    above = {name for name in names[: names.index("excluded")] if not name.startswith("_")}
    text = DOCUMENT["excluded"]["default"]
    unknown = meta.find_undeclared_variables(variants.JINJA.parse(text)) - above
    assert not unknown, "Copier computes values in order: define these above `excluded`"


@given(st.sets(st.sampled_from([name for name in DOCUMENT if not name.startswith("_")])))
def test_with_any_answers_undefined_every_entry_renders(known: set[str]) -> None:
    answers = {**completed({}), **{name: DOCUMENT[name]["default"] for name in known}}
    context = {name: answers[name] for name in known}
    for entry in DOCUMENT["_exclude"]:
        rendered = variants.JINJA.from_string(entry).render(context)
        if entry == EXCLUDED:
            assert rendered == context.get("excluded", "")
        else:
            assert rendered == entry


def test_paragraphs_are_independent() -> None:
    whole = variants.JINJA.from_string(DOCUMENT["excluded"]["default"])
    parts = [variants.JINJA.from_string(part) for part in variants.paragraphs()]
    facts = DOCUMENT["provider_facts"]["default"]
    for combination in every_pair():
        context = {**completed(combination), "provider_facts": facts}
        together = [part.render(context).split() for part in parts]
        assert whole.render(context).split() == [path for paths in together for path in paths]


def test_every_excluded_path_is_in_the_template() -> None:
    paths = {
        path.strip("/")
        for part in variants.paragraphs()
        for combination in every_combination(variants.mentioned(part))
        for path in variants.excluded_by(part, combination)
    }
    names = {file.path for file in variants.files()}
    folders = {parent.as_posix() for name in names for parent in Path(name).parents}
    assert paths <= names | folders


# A future of this template, by release: what is replaced in copier.yml, and the files that
# are written (None deletes). Each release includes those before it.
Change = Mapping[str, str | None]
QUESTION = """\
{name}:
  type: bool
  help: Keep an audit log?
  default: false

provider_facts:
"""
RELEASES: Mapping[str, tuple[Mapping[str, str], Change]] = {
    "v1.0.0": ({}, {}),
    # A question and the file that depends on it; the smallest input that used to end an update.
    "v1.1.0": (
        {
            "provider_facts:\n": QUESTION.format(name="audit_log"),
            "  default: |\n": "  default: |\n    {% if not audit_log %}\n"
            "    /src/service/audit_log.py\n    {% endif %}\n",
        },
        {"src/service/audit_log.py": "AUDIT = 1\n", "src/service/both.py": "BOTH = 1\n"},
    ),
    # The question has another name and a computed value beside it; files are moved and deleted. A
    # file that every project had depends on an answer that every project has.
    "v1.2.0": (
        {
            QUESTION.format(name="audit_log"): QUESTION.format(name="audit")
            .replace("default: false", 'default: "{{ audit_log | default(false) }}"')
            .replace(
                "provider_facts:", "is_audited:\n  type: bool\n  when: false\n"
                '  default: "{{ audit }}"\n\nprovider_facts:'
            ),
            "{% if not audit_log %}\n    /src/service/audit_log.py": "{% if not cron %}\n"
            "    /src/service/both.py\n    {% endif %}\n    {% if not is_audited %}\n"
            "    /src/service/audit/log.py",
        },
        {"src/service/audit_log.py": None, "src/service/audit/log.py": "AUDIT = 2\n"},
    ),
    # A provider and a question are retired, with what depends on them.
    "v1.3.0": (
        {
            "    Mistral: mistral\n": "",
            QUESTION.format(name="audit")
            .replace("default: false", 'default: "{{ audit_log | default(false) }}"')
            .removesuffix("provider_facts:\n"): "",
            'default: "{{ audit }}"': "default: true",
        },
        {"src/service/auth/keys.py": None},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a tag for each of the releases."""
    template = repository(small_template(tmp_path_factory.mktemp("series")))
    for version, (replacements, files) in RELEASES.items():
        text = (template / "copier.yml").read_text("utf-8")
        for old, new in replacements.items():
            assert old in text, f"{version}: copier.yml no longer has {old!r}"
            text = text.replace(old, new, 1)
        write(template, {"copier.yml": text, "template/version.txt": f"{version}\n"})
        for name, content in files.items():
            if content is None:
                (template / "template" / name).unlink()
            else:
                write(template / "template", {name: content})
        commit(template, version)
    return template


@pytest.mark.parametrize("answers", [{}, {"cron": True, "auth": "none"}], ids=["defaults", "other"])
@pytest.mark.parametrize("old", [*RELEASES][:-1])
def test_an_update_from_every_release_equals_a_fresh_project(
    tmp_path: Path, series: Path, old: str, answers: Mapping[str, object]
) -> None:
    data = {"service_name": "same", **answers}
    address, updated = f"git+{series.as_uri()}", tmp_path / "updated"
    for folder, version in ((updated, old), (tmp_path / "fresh", "v1.3.0")):
        copier.run_copy(address, folder, data, vcs_ref=version, defaults=True, quiet=True)
    repository(updated)
    copier.run_update(updated, vcs_ref="v1.3.0", defaults=True, overwrite=True, quiet=True)
    assert tree(updated) == tree(tmp_path / "fresh")


def test_a_renamed_question_can_take_over_the_old_answer(tmp_path: Path, series: Path) -> None:
    address, data = f"git+{series.as_uri()}", {"service_name": "same"}
    updated, fresh = tmp_path / "updated", tmp_path / "fresh"
    for folder, version, answer in ((updated, "v1.1.0", "audit_log"), (fresh, "v1.2.0", "audit")):
        answers = {**data, answer: True}
        copier.run_copy(address, folder, answers, vcs_ref=version, defaults=True, quiet=True)
    repository(updated)
    copier.run_update(updated, vcs_ref="v1.2.0", defaults=True, overwrite=True, quiet=True)
    assert (updated / "src/service/audit/log.py").is_file()
    assert tree(updated) == tree(fresh)
