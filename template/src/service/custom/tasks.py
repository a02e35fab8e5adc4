"""Your own scheduled tasks: the crons of wrangler.toml run them beside the template's.

    async def count() -> Mapping[str, object]:
        rows = await context.get(database).run(select(func.count()).select_from(orders))
        return {"orders": rows[0]["count_1"]}

What a task returns goes into its log line. One that fails stops no other.
"""

from collections.abc import Mapping

from service.context import Context, Task


def tasks(_context: Context) -> Mapping[str, Task]:
    """The tasks by name, such as `{"orders": count}`."""
    return {}
