"""Text of strangers, on a terminal or in a report."""

import re

_USER_INFO = re.compile(r"\b([a-z][a-z0-9+.-]*://)([^\s/?#]*)@", re.IGNORECASE)


def printable(text: str) -> str:
    """The text with what could steer a terminal shown as escapes."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1]
        for character in text
    )


def masked(text: str) -> str:
    """The text with the credentials in its URLs replaced by asterisks."""

    def mask(match: re.Match[str]) -> str:
        # ssh's user name alone ("git@") is part of the address; over HTTP it may be a token.
        secret = ":" in match[2] or match[1].lower().startswith("http")
        return f"{match[1]}***@" if secret else match[0]

    return _USER_INFO.sub(mask, text)
