"""What your own tests need around them. No update of the template changes a file in this folder."""

from service.prompts import Variables

ENV: dict[str, object] = {}
"""Your own settings and bindings, for the fixture `env`."""

PROMPTS: dict[str, type[Variables]] = {}
"""The variables of your own files in src/prompts/, such as `{"greeting": GreetingVariables}`."""
