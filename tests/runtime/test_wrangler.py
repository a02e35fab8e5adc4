"""What wrangler makes of a generated project."""

import re

import pytest

from tests.runtime.conftest import Make, run
from tests.template.combinations import Combination, every_pair, label

ENVIRONMENTS = 3  # preview, staging, production


@pytest.mark.parametrize("combination", every_pair(), ids=label)
def test_a_deploy_is_accepted_without_a_warning(make: Make, combination: Combination) -> None:
    project = make(combination)
    printed = run(project, "npm", "run", "check")
    assert printed.count("--dry-run: exiting now.") == ENVIRONMENTS
    assert not re.search(r"warn|▲|\berrors?\b(?!\.py)", printed, re.IGNORECASE)

    uploads = set(re.findall(r"Total Upload: ([\d.]+) KiB / gzip: ([\d.]+) KiB", printed))
    readme = " ".join((project / "README.md").read_text().split())
    shown = re.search(r"prints ([\d.]+) MiB, ([\d.]+) MiB compressed", readme)
    assert shown
    for upload in uploads:
        for size, said in zip(upload, shown.groups(), strict=True):
            assert float(size) / 1024 == pytest.approx(float(said), abs=0.1)


def test_each_environment_has_resources_of_its_own(make: Make) -> None:
    printed = run(make({}), "npm", "run", "check")
    for name in ("my-service", "my-service-staging", "my-service-production"):
        assert f"env.DB ({name})" in printed
        assert f"env.ANALYTICS ({name.replace('-', '_')}_calls)" in printed


def test_prompts_are_uploaded_as_text(make: Make) -> None:
    printed = run(make({}), "npm", "run", "check")
    assert len(re.findall(r"prompts/assistant\.txt +│ text ", printed)) == ENVIRONMENTS


def test_wrangler_takes_the_migrations(make: Make) -> None:
    project = make({})
    apply = ("npx", "wrangler", "d1", "migrations", "apply", "DB", "--local")
    assert "0001_chats.sql" in run(project, *apply)
    assert "No migrations to apply" in run(project, *apply)


def test_the_locks_are_what_locking_gives(make: Make) -> None:
    for database in ("d1", "none"):
        project = make({"database": database})
        locks = sorted((project / "requirements").iterdir())
        before = [lock.read_text() for lock in locks]
        run(project, "npm", "run", "lock")
        assert [lock.read_text() for lock in locks] == before
