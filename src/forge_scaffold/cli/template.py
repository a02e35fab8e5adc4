"""Which template a command uses."""

from forge_scaffold.organisation import Organisation
from forge_scaffold.sources import URL


def chosen(
    organisation: Organisation, template: str | None, ref: str | None
) -> tuple[str | None, str | None]:
    """The template and its version: as the options say, else as the organisation's forge.toml.

    Args:
        organisation: a folder in its forge.toml is relative to that file.
        template: the value of --template, with which the organisation's ref says nothing.
        ref: the value of --ref.
    """
    if template:
        return template, ref
    own = organisation.template
    if own and not URL.fullmatch(own.value):
        template = str(own.file.parent / own.value)
    elif own:
        template = own.value
    return template, ref or (organisation.ref.value if organisation.ref else None)
