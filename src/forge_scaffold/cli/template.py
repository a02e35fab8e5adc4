"""The template that a command uses."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from forge_scaffold import sources
from forge_scaffold.cli import terminal
from forge_scaffold.organisation import Organisation


@contextmanager
def opened(
    organisation: Organisation, template: str | None, ref: str | None
) -> Iterator[sources.Source]:
    """The template that the options name, or else the organisation's, or else Forge's own.

    Args:
        organisation: its ref counts only for its own template.
        template: the value of --template.
        ref: the value of --ref.

    Raises:
        UserError: there is no such template or version.
    """
    place = ""
    if not template:
        ref = ref or (organisation.ref.value if organisation.ref else None)
        if setting := organisation.template:
            place = f" of {setting.place}"
            is_url = sources.URL.fullmatch(setting.value)
            template = setting.value if is_url else str(setting.file.parent / setting.value)
    with ExitStack() as stack:
        with terminal.progress(f"Reading the template{place} ..."):
            source = stack.enter_context(sources.opened(template, ref))
        yield source
