"""What is deployed with, and what that leaves behind."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import told

OLDER = BASE["wrangler.toml"].replace("2026-11-01", "2026-04-01")
BUILT_IN = BASE["wrangler.toml"].replace(
    '["python_workers"]', '["python_workers", "disable_python_external_sdk"]'
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("package.json", '{"scripts": {"deploy": "npx wrangler@4 deploy --env staging"}}'),
        (".github/workflows/deploy.yml", "steps:\n  - uses: cloudflare/wrangler-action@v3\n"),
        ("deploy.sh", "#!/bin/sh\nwrangler versions upload\n"),
    ],
)
def test_wrangler_alone(tmp_path: Path, path: str, text: str) -> None:
    (only,) = told(tmp_path, files({path: text}), "WRA018")
    assert only.startswith(f"{path}:")
    assert "uploads no packages" in only
    assert told(tmp_path, {"wrangler.toml": OLDER}, "WRA018") == []
    assert told(tmp_path, {"wrangler.toml": BUILT_IN}, "WRA018") == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("package.json", '{"scripts": {"deploy": "uv run pywrangler deploy"}}'),
        ("package.json", '{"scripts": {"deploy": "npm run vendor && wrangler deploy"}}'),
        ("package.json", '{"scripts": {"size": "wrangler deploy --dry-run"}}'),
        ("Makefile", "# wrangler deploy\ncheck:\n\tforge check\n"),
        ("wrangler.toml", "# npx wrangler deploy\n" + BASE["wrangler.toml"]),
        ("README.md", "Never run `wrangler deploy`.\n"),
    ],
)
def test_what_brings_packages_or_does_not_deploy(tmp_path: Path, path: str, text: str) -> None:
    assert told(tmp_path, files({path: text}), "WRA018") == []


def test_nothing_that_brings_the_sdk(tmp_path: Path) -> None:
    without = {name: text for name, text in BASE.items() if name != "pyproject.toml"}
    (only,) = told(tmp_path / "worker", without, "WRA018")
    assert "nothing brings the SDK" in only
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    assert told(tmp_path / "worker", {}, "WRA018") == []
