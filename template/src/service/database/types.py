"""Column types beside SQLAlchemy's own. Those that keep their values exactly on every database:

| Column type | Python | SQLite |
| --- | --- | --- |
| Integer, BigInteger | int of up to 64 bits | INTEGER |
| Float, Double | float, finite | REAL |
| Text | str | TEXT |
| LargeBinary | bytes | BLOB |
| Boolean | bool | 0 or 1 |
| UtcDateTime | datetime with a time zone | TEXT |

SQLAlchemy's DateTime is not among them: on SQLite it forgets the time zone.
"""

from datetime import UTC, datetime

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, to the microsecond, as text such as 2026-11-24T18:30:00.000000+00:00.

    Texts are as long as each other, so that the database sorts and compares them as moments. A
    moment comes back in UTC, whatever time zone it was given in. Raises ValueError for a datetime
    without one, and for one that UTC has no year for.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """The moment as the database keeps it."""
        del dialect
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("a datetime needs a time zone: datetime.now(UTC) has one")
        try:
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        except OverflowError:
            raise ValueError("a datetime is out of range in UTC") from None

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """The moment that the database kept."""
        del dialect
        return None if value is None else datetime.fromisoformat(value)
