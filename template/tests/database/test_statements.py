"""No statement is put together from strings: values go to the database beside it, not in it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "service"

# What makes SQL of a string, by its name in SQLAlchemy; and what the back ends alone may call.
RAW = frozenset({"text", "literal_column", "TextClause", "DDL", "literal_binds", "op"})
SQL = re.compile(
    r"\s*(SELECT\s.*\sFROM|INSERT\s+INTO|UPDATE\s.*\sSET|DELETE\s+FROM|(CREATE|ALTER|DROP)\s+\w+)\b",
    re.IGNORECASE | re.DOTALL,
)


def strings_that_become_statements(source: str) -> Iterator[str]:
    """Where a module could build a statement from a string: line and reason."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith("sqlalchemy"):
                for name in node.names:
                    if name.name in RAW:
                        yield f"{node.lineno}: imports {name.name}"
            case ast.Attribute(attr=attr) if attr in RAW and _is_sqlalchemy(node.value):
                yield f"{node.lineno}: uses {attr}"
            case ast.Constant(value=str(text)) if SQL.match(text):
                yield f"{node.lineno}: holds SQL"
            case ast.keyword(arg="literal_binds"):
                yield f"{node.value.lineno}: puts values into the statement"
            case ast.Import(names=names) if any(n.name.startswith("sqlalchemy") for n in names):
                yield f"{node.lineno}: imports sqlalchemy as a whole"


def _is_sqlalchemy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"sqlalchemy", "sa", "sql"}


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_builds_a_statement_from_a_string(path: Path) -> None:
    docstrings = re.compile(r'"""(.*?)"""', re.DOTALL)
    source = docstrings.sub('""', path.read_text())
    assert list(strings_that_become_statements(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from sqlalchemy import text",
        "from sqlalchemy.sql import literal_column as column",
        "import sqlalchemy",
        "sql = f'SELECT a FROM t WHERE b = {b}'",
        "sql = 'select a from t where b = ' + b",
        "sql = 'DELETE FROM t WHERE b = %s' % b",
        "statement.compile(compile_kwargs=dict(literal_binds=True))",
    ],
)
def test_what_would_be_found(source: str) -> None:
    assert list(strings_that_become_statements(source))
