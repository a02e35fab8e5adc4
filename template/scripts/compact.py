"""Makes vendored packages smaller: no comments, docstrings or descriptions, which only people read.

    python compact.py FOLDER

Every line keeps its number, so that tracebacks stay right.
"""

import ast
import sys
from collections.abc import Iterator
from io import StringIO
from itertools import accumulate, pairwise
from pathlib import Path
from tokenize import COMMENT, DEDENT, INDENT, NEWLINE, NL, STRING, TokenError, generate_tokens

BEGINNINGS = (NEWLINE, INDENT, DEDENT)
"""What stands before a statement."""
UNREADABLE = (SyntaxError, TokenError, ValueError, RecursionError, MemoryError)
"""What reading a file raises: newer syntax, another encoding than UTF-8, deep nesting."""


def compact(source: str) -> str:
    """The source without comments, and with "" for each statement that is only a string.

    Raises:
        UNREADABLE: this Python cannot read it.
    """
    ast.parse(source)
    result, done = [], 0
    for start, end, replacement in _removed(source):
        result += [source[done:start], replacement]
        done = end
    return "".join([*result, source[done:]])


def _removed(source: str) -> Iterator[tuple[int, int, str]]:
    """What is replaced: from where, to where, and by what."""
    lines = source.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    begins = True
    tokens = (token for token in generate_tokens(StringIO(source).readline) if token.type != NL)
    for token, following in pairwise(tokens):
        (row, column), (end_row, end_column) = token.start, token.end
        start, end = starts[row - 1] + column, starts[end_row - 1] + end_column
        if token.type == COMMENT:
            line = lines[row - 1][:column]
            yield start - len(line) + len(line.rstrip()), end, ""
        elif begins and token.type == STRING and following.type in {NEWLINE, COMMENT}:
            yield start, end, '""' + "\n" * (end_row - row)
        if token.type != COMMENT:
            begins = token.type in BEGINNINGS


def main(folder: Path) -> None:
    """Make what is in the folder smaller, and leave what this Python cannot read."""
    for path in folder.rglob("*.py"):
        try:
            small = compact(path.read_bytes().decode())
        except UNREADABLE:
            continue
        path.write_bytes(small.encode())
    for path in folder.glob("*.dist-info/METADATA"):
        headers, _, _ = path.read_bytes().partition(b"\n\n")
        path.write_bytes(headers + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
