"""Your own Durable Objects and Workflows, which wrangler.toml names by `class_name`.

    from workers import DurableObject

    class Room(DurableObject):
        async def join(self, name: str) -> int: ...

`src/entry.py` exports whatever is here. `service.isolate.app().context` builds the service's parts.
"""
