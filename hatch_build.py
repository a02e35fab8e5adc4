"""What a build of Forge adds to its sources: released templates, the questions, and an address.

The address is where templates are published: FORGE_TEMPLATE_ADDRESS, or else the checkout's origin.
The wheel and the sdist carry it as releases/address, so that a wheel built from the sdist has the
same one.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

BUNDLE = "releases/template.bundle"
QUESTIONS = "copier.yml"
PACKAGE = "forge_scaffold"


class CustomBuildHook(BuildHookInterface[BuilderConfig]):
    """Adds the released templates, their address and the questions to what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add both files; an editable install reads those of the checkout.

        Raises:
            FileNotFoundError: there are no released templates.
        """
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / BUNDLE).is_file():
            raise FileNotFoundError(f"{BUNDLE} is missing; scripts/release.py writes it")
        included: dict[str, str] = build_data["force_include"]
        if self.target_name == "wheel":
            included[str(root / BUNDLE)] = f"{PACKAGE}/{BUNDLE}"
            included[str(root / QUESTIONS)] = f"{PACKAGE}/template/{QUESTIONS}"
        if address := template_address(root):
            file = Path(self.directory, "address")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{address}\n", encoding="utf-8")
            package = f"{PACKAGE}/" if self.target_name == "wheel" else ""
            included[str(file)] = f"{package}releases/address"

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Remove what was written for the build."""
        Path(self.directory, "address").unlink(missing_ok=True)


class CustomMetadataHook(MetadataHookInterface):
    """Links the package's page to the repository."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the project's URLs; none when the address is not one for browsers."""
        address = template_address(Path(self.root)) or ""
        page = address.removesuffix(".git")
        urls = {"Repository": page, "Changelog": f"{page}/blob/HEAD/CHANGELOG.md"}
        metadata["urls"] = urls if page.startswith("https://") else {}


def template_address(root: Path) -> str | None:
    """The template's public address, if it is known.

    Raises:
        ValueError: FORGE_TEMPLATE_ADDRESS is an address that would not work elsewhere.
    """
    module = run_path(str(root / "src/forge_scaffold/addresses.py"))
    public_address: Callable[[str], str | None] = module["public_address"]
    if given := os.environ.get("FORGE_TEMPLATE_ADDRESS"):
        if address := public_address(given):
            return address
        raise ValueError(
            "FORGE_TEMPLATE_ADDRESS: use https://HOST/PATH.git or git@HOST:PATH, "
            "an address that other machines can use"
        )
    from_sdist = root / "releases" / "address"
    if from_sdist.is_file():
        return from_sdist.read_text(encoding="utf-8").strip()
    return public_address(_origin(root))


def _origin(root: Path) -> str:
    if not (root / ".git").exists():
        return ""
    command = ["git", "config", "--get", "remote.origin.url"]
    origin = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    return origin.stdout.strip()
