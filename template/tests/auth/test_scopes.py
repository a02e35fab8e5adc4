"""Scopes: what a route asks of a token, and what a token has."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.scopes import ScopeSettings, granted
from service.settings import SettingsError
from tests.conftest import Env, serve
from tests.support.standins import StandinsView, credentials


def required(text: str) -> dict[str, set[str]]:
    scopes = ScopeSettings.load({"AUTH_REQUIRED_SCOPES": text}).required
    return {route: {*needed} for route, needed in scopes.items()}


async def ask(
    env: Env, scopes: str, token: str, method: str = "GET", path: str = "/v1/me"
) -> httpx.Response:
    async with serve(env | {"AUTH_REQUIRED_SCOPES": scopes}) as service:
        return await service.request(method, path, headers=credentials(token))


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("", {}),
        ("POST /v1/chat=chat:write", {"POST /v1/chat": {"chat:write"}}),
        (
            " POST /v1/chat = a  b ;GET /v1/chats/{id}=https://api.example/read;",
            {"POST /v1/chat": {"a", "b"}, "GET /v1/chats/{id}": {"https://api.example/read"}},
        ),
        ("GET /v1/me=a=b", {"GET /v1/me": {"a=b"}}),
    ],
)
def test_each_route_has_its_scopes(text: str, scopes: dict[str, set[str]]) -> None:
    assert required(text) == scopes


@pytest.mark.parametrize(
    "text",
    [
        "POST /v1/chat",
        "POST /v1/chat=",
        "/v1/chat=chat:write",
        "post /v1/chat=chat:write",
        "POST v1/chat=chat:write",
        "POST /v1/chat=a;;GET /v1/me=b",
        "POST /v1/chat=a;POST /v1/chat=b",
        'POST /v1/chat="a"',
        "POST /v1/chat=a\\b",
        "POST /v1/chat=café",
        ";",
    ],
)
def test_what_names_no_scopes_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"AUTH_REQUIRED_SCOPES is malformed .*POST /v1/chat="):
        required(text)


@given(text=st.text(max_size=50) | st.text("GET /v1=a; b", max_size=50))
def test_any_text_has_scopes_or_is_refused(text: str) -> None:
    try:
        found = required(text)
    except SettingsError:
        return
    assert all(route.split(" ")[1].startswith("/") for route in found)
    assert all(found.values())


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "me:read"},
        {"scope": "other me:read"},
        {"scope": ["other", "me:read"]},
        {"scope": None, "scp": "me:read"},
        {"scope": None, "scp": ["other", "me:read"]},
        {"scope": None, "permissions": ["other", "me:read"]},
        {"scope": None, "roles": ["me:read"]},
        {"scope": None, "roles": "me:read"},
    ],
)
async def test_a_token_with_the_scope_is_let_in(
    claims: dict[str, object], env: Env, standins: StandinsView
) -> None:
    answer = await ask(env, "GET /v1/me=me:read", await standins.token(claims))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": None},
        {"scope": ""},
        {"scope": "ME:READ"},
        {"scope": "me:read:all"},
        {"scope": "me:read,other"},
        {"scope": {"me:read": True}},
        {"scope": [["me:read"]]},
        {"scope": 1, "scp": None},
        {"scopes": "me:read"},
        {"roles": "other me:read"},
        {"permissions": ["other me:read"]},
        {"permissions": {"me:read": True}},
    ],
)
async def test_a_token_without_the_scope_is_told_which(
    claims: dict[str, object], env: Env, standins: StandinsView
) -> None:
    answer = await ask(env, "GET /v1/me=me:read", await standins.token({"scope": None, **claims}))
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="api", error="insufficient_scope", '
        'error_description="the token does not have the scope that this needs", scope="me:read"'
    )
    assert answer.headers["content-type"] == "application/problem+json"


async def test_all_of_a_route_s_scopes_are_needed(env: Env, standins: StandinsView) -> None:
    for scope, status in (("a", 403), ("b", 403), ("b a", 200)):
        answer = await ask(env, "GET /v1/me=a b", await standins.token({"scope": scope}))
        assert answer.status_code == status


async def test_scopes_are_of_their_route_alone(env: Env, standins: StandinsView) -> None:
    token = await standins.token()
    scopes = "POST /v1/chat=chat:write"
    assert (await ask(env, scopes, token)).status_code == 200
    assert (await ask(env, scopes, token, "POST", "/v1/chat")).status_code == 403


async def test_head_needs_what_get_does(env: Env, standins: StandinsView) -> None:
    answer = await ask(env, "GET /v1/me=me:read", await standins.token(), "HEAD")
    assert answer.status_code == 403


async def test_a_bad_token_is_not_asked_for_its_scopes(env: Env, standins: StandinsView) -> None:
    answer = await ask(env, "GET /v1/me=me:read", await standins.token({"exp": 1}))
    assert answer.status_code == 401


@pytest.mark.parametrize("route", ["GET /v1/mee", "HEAD /v1/me", "GET /v1/me/", "GET /healthz"])
async def test_a_route_that_is_not_there_is_a_mistake_in_the_settings(
    route: str, env: Env, standins: StandinsView
) -> None:
    answer = await ask(env, f"{route}=a", await standins.token())
    assert answer.status_code == 500
    assert f"AUTH_REQUIRED_SCOPES names {route}" in answer.text


async def test_routes_without_a_rule_of_their_own_ask_for_the_default_scope(
    env: Env, standins: StandinsView
) -> None:
    scopes = {"AUTH_REQUIRED_SCOPES": "GET /v1/me=me:read", "AUTH_DEFAULT_SCOPE": "chat all"}
    me = credentials(await standins.token({"scope": "me:read"}))
    chat = credentials(await standins.token({"scope": "chat", "roles": ["all"]}))
    async with serve(env | scopes) as service:
        assert (await service.get("/v1/me", headers=me)).status_code == 200
        assert (await service.get("/v1/me", headers=chat)).status_code == 403
        refused = await service.post("/v1/chat", headers=me)
        assert refused.status_code == 403
        assert 'scope="all chat"' in refused.headers["www-authenticate"]
        assert (await service.post("/v1/chat", headers=chat)).status_code == 415
        assert (await service.get("/healthz")).status_code == 200


@pytest.mark.parametrize("text", ['a"', "a\\b", "caf\u00e9", "a;b"])
def test_a_default_scope_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="AUTH_DEFAULT_SCOPE"):
        ScopeSettings.load({"AUTH_DEFAULT_SCOPE": text})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)


@given(
    claims=st.dictionaries(st.sampled_from(["scope", "scp", "permissions", "roles"]), json_values)
)
def test_any_claims_grant_scopes_or_none(claims: dict[str, object]) -> None:
    assert all(granted(claims))
