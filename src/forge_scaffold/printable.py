"""Text of strangers, on a terminal or in a report."""

import re

_EXCERPT = 60  # characters
_USER_INFO = re.compile(r"([a-z][a-z0-9+.-]*://)([^\s/?#]*)@", re.IGNORECASE)
_PARAMETER = re.compile(
    r"([?&][\w.-]*(?:token|key|secret|passw|signature|sig|auth)[\w.-]*=)[^\s&#]+", re.IGNORECASE
)


def printable(text: str) -> str:
    """The text with what could steer a terminal shown as escapes."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1]
        for character in text
    )


def masked(text: str) -> str:
    """The text with the credentials in its URLs replaced by asterisks."""

    def mask(match: re.Match[str]) -> str:
        # ssh's user name alone ("git@") is part of the address; elsewhere it may be a token.
        secret = ":" in match[2] or "ssh" not in match[1].lower()
        return f"{match[1]}***@" if secret else match[0]

    if "://" not in text:
        return text
    return _PARAMETER.sub(r"\1***", _USER_INFO.sub(mask, text))


def excerpt(text: str) -> str:
    """The beginning of the text, for a message; masked first, for half a URL hides nothing."""
    return masked(text)[:_EXCERPT]
