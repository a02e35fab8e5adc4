"""What a misspelt name was meant to be."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, if any is."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1)), None)


def hint(name: str, known: Iterable[str], kind: str) -> str:
    """The end of an error about an unknown name: a suggestion, or all that there are."""
    names = list(known)
    near = nearest(name, names)
    return f'did you mean "{near}"?' if near else f"the {kind} are {', '.join(names)}"
