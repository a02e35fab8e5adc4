"""The Durable Object of the quota: what Cloudflare runs for each caller's account."""

from workers import DurableObject

from service.ledger import Ledger, Limits, Reserved, Used


class Quota(DurableObject):  # type: ignore[no-untyped-call] # what the SDK does to subclasses
    """One caller's account; the Worker calls its methods from afar."""

    async def today(self) -> Used:
        return await Ledger(self.ctx.storage).today()

    async def reserve(self, limits: Limits, tokens: int) -> Reserved:
        return await Ledger(self.ctx.storage).reserve(limits, tokens)

    async def correct(self, date: str, requests: int, tokens: int) -> Used:
        return await Ledger(self.ctx.storage).correct(date, requests, tokens)
