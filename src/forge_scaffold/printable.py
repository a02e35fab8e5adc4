"""Text of strangers, on a terminal."""


def printable(text: str) -> str:
    """The text with what could steer a terminal shown as escapes."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1]
        for character in text
    )
