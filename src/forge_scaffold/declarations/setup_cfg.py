"""setup.cfg."""

import configparser

from forge_scaffold.declarations.dependency import Collector
from forge_scaffold.declarations.files import Source
from forge_scaffold.errors import UserError


def read(into: Collector, source: Source) -> None:
    """Every requirement of a setup.cfg."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(source.text, source=source.name)
    except configparser.Error as error:
        raise UserError(f"{source.path}: {str(error).splitlines()[0]}") from error
    for requirement in parser.get("options", "install_requires", fallback="").splitlines():
        if cleaned := requirement.partition(" #")[0].strip().removeprefix("#"):
            into.add(source, cleaned)
    if parser.has_section("options.extras_require"):
        for extra, listed in parser.items("options.extras_require"):
            for requirement in filter(None, map(str.strip, listed.splitlines())):
                into.add(source, requirement, f"extra {extra}")
