"""Without authentication there are no callers, and so nothing that belongs to one of them."""

import httpx
import pytest

from service.context import CALLER
from tests.conftest import Env, service_context

KEPT_FOR_CALLERS = ("/v1/chats", "/v1/files", "/v1/documents", "/v1/search", "/v1/me", "/v1/quota")


async def test_no_route_serves_what_is_kept_for_a_caller(env: Env) -> None:
    async with service_context(env) as context:
        paths = [route.path for route in context.routes()]
        assert context.find(CALLER)
    assert "/v1/chat" in paths
    assert not [path for path in paths if path.startswith(KEPT_FOR_CALLERS)]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
@pytest.mark.parametrize("path", ["/v1/chats", "/v1/chats/chat_1", "/v1/files", "/v1/files/a"])
async def test_nobody_s_chats_and_files_can_be_read_or_deleted(
    anyone: httpx.AsyncClient, method: str, path: str
) -> None:
    assert (await anyone.request(method, path)).status_code == 404
