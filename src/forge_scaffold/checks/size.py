"""."""

from forge_scaffold.checks.base import Rule

RULES: tuple[type[Rule], ...] = ()
