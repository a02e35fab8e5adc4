"""Your own scheduled tasks: the crons of wrangler.toml run them beside the template's.

    def tasks(context: Context) -> Mapping[str, Task]:
        async def count_orders() -> Mapping[str, object]:
            return {"count": len(await context.get(database).run(select(orders.c.id)))}

        return {"orders": count_orders}

What a task returns goes into its log line. One that fails stops no other.
"""

from collections.abc import Mapping

from service.context import Context, Task


def tasks(_context: Context) -> Mapping[str, Task]:
    return {}
