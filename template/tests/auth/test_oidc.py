"""OpenID Connect: which requests are whose, and where an issuer's keys are found."""

from asyncio import ensure_future

import httpx
import pytest

from service.auth import Unauthorized
from service.auth.fetched import FRESH_SECONDS, STALE_SECONDS, KeysUnavailable
from service.auth.keys import Locate
from service.auth.oidc import Oidc, OidcSettings, discovered
from service.runtime import VerifySignature
from service.settings import SettingsError
from tests.auth.issuer import Clock, Issuer, Json, KeyServer
from tests.support.standins import StandinsView

LIVE = {"AUTH_ISSUER": "https://issuer.example.com", "AUTH_AUDIENCE": "api"}
KEYS_URL = "https://keys.example.com/set?policy=1"


@pytest.fixture
def settings(standins: StandinsView) -> dict[str, str]:
    return {
        "ENVIRONMENT": "local",
        "AUTH_ISSUER": f"{standins.url}/oidc",
        "AUTH_AUDIENCE": "api",
    }


@pytest.fixture
def oidc(
    settings: dict[str, str], http: httpx.AsyncClient, verify_signature: VerifySignature
) -> Oidc:
    return Oidc(OidcSettings.load(settings), http, verify_signature)


@pytest.fixture
def locate(key_server: KeyServer, http: httpx.AsyncClient, clock: Clock) -> Locate:
    """Finds the keys of an issuer whose discovery document a test writes."""
    return discovered(key_server.url, http, clock)


async def bearer(standins: StandinsView, claims: Json | None = None, key: str = "main") -> str:
    return f"Bearer {await standins.token({'aud': 'api', **(claims or {})}, key=key)}"


async def subject(oidc: Oidc, authorization: str) -> str:
    return (await oidc.authenticate(httpx.Headers({"authorization": authorization}))).subject


async def refusal(oidc: Oidc, *headers: tuple[str, str]) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        await oidc.authenticate(httpx.Headers(headers))
    return caught.value


async def test_a_token_names_its_subject(oidc: Oidc, standins: StandinsView) -> None:
    assert await subject(oidc, await bearer(standins, {"sub": "user_1"})) == "user_1"


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "AT+JWT", "application/at+jwt", None])
async def test_an_access_token_may_say_that_it_is_one(
    typ: str | None, oidc: Oidc, standins: StandinsView
) -> None:
    token = await standins.token({"aud": "api"}, header={"typ": typ})
    assert await subject(oidc, f"Bearer {token}") == "user_dev"


@pytest.mark.parametrize(
    "claims",
    [
        {"token_use": "id"},
        {"token_use": "refresh"},
        {"token_use": None, "typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "DPoP"},
        {"typ": 1},
        {"typ": "Bearer", "token_use": "id"},
        {"typ": "JWT", "nonce": "n-0S6_WzA2Mj"},
        {"nonce": "n-0S6_WzA2Mj"},
        {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"},
        {"c_hash": "LDktKdoQak3Pk0cnXxCltA"},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        {"typ": "Bearer", "events": {}},
    ],
)
async def test_a_token_made_for_another_use_is_not_a_bearer_token(
    claims: Json, oidc: Oidc, standins: StandinsView
) -> None:
    error = await refusal(oidc, ("authorization", await bearer(standins, claims)))
    assert "not an access token" in error.description


@pytest.mark.parametrize(
    "claims",
    [
        {"token_use": "access"},
        {"typ": "Bearer", "nonce": "n"},
        {"typ": "JWT"},
        {"email": "a@b.example"},
    ],
)
async def test_an_access_token_may_have_an_id_token_s_claims(
    claims: Json, oidc: Oidc, standins: StandinsView
) -> None:
    assert await subject(oidc, await bearer(standins, claims)) == "user_dev"
    claims = {"aud": "api", "nonce": "n"}
    token = await standins.token(claims, {"typ": "at+jwt"})
    assert await subject(oidc, f"Bearer {token}") == "user_dev"


@pytest.mark.parametrize("name", ["client_id", "azp", "cid", "appid"])
async def test_a_client_is_never_a_user(name: str, oidc: Oidc, standins: StandinsView) -> None:
    client = await bearer(standins, {"sub": "app_1", name: "app_1"})
    user = await bearer(standins, {"sub": "app_1", name: "app_2"})
    assert await subject(oidc, client) == "client:app_1"
    assert await subject(oidc, user) == "app_1"
    posing = await bearer(standins, {"sub": "client:app_1"})
    assert "a client's" in (await refusal(oidc, ("authorization", posing))).description


@pytest.fixture
def of_two_issuers(
    settings: dict[str, str],
    key_server: KeyServer,
    http: httpx.AsyncClient,
    verify_signature: VerifySignature,
) -> Oidc:
    both = {"AUTH_ISSUER": f"{settings['AUTH_ISSUER']}, {key_server.url}"}
    return Oidc(OidcSettings.load(settings | both), http, verify_signature)


async def test_each_of_several_issuers_has_keys_and_subjects_of_its_own(
    of_two_issuers: Oidc,
    settings: dict[str, str],
    key_server: KeyServer,
    issuer: Issuer,
    standins: StandinsView,
) -> None:
    oidc, first, second = of_two_issuers, settings["AUTH_ISSUER"], key_server.url
    # The second one's key has the name of the first one's.
    keys = [await issuer.public_key("other") | {"kid": "main"}]
    await key_server.discovery(issuer=second, jwks_uri=key_server.jwks_url, keys=keys)

    async def token(issuer: str, key: str, sub: str = "user_dev") -> str:
        claims = {"aud": "api", "iss": issuer, "sub": sub}
        return f"Bearer {await standins.token(claims, {'kid': 'main'}, key)}"

    assert await subject(oidc, await token(first, "main")) == "user_dev"
    assert await subject(oidc, await token(second, "other")) == f"{second}|user_dev"
    for bad, why in (
        (await token(first, "other"), "signature is wrong"),
        (await token(second, "main"), "signature is wrong"),
        (await token("https://third.example", "main"), "another issuer"),
        (await token(first, "main", f"{second}|user_dev"), "another issuer's"),
        ("Bearer a.b.c", "not base64url"),
    ):
        assert why in (await refusal(oidc, ("authorization", bad))).description


def test_several_issuers_share_no_keys() -> None:
    several = LIVE | {"AUTH_ISSUER": "https://a.example, https://b.example"}
    assert OidcSettings.load(several).issuers == ("https://a.example", "https://b.example")
    with pytest.raises(SettingsError, match="leave out AUTH_JWKS_URL and AUTH_PUBLIC_KEY"):
        OidcSettings.load(several | {"AUTH_JWKS_URL": "https://keys.example.com"})


@pytest.mark.parametrize("typ", ["logout+jwt", "secevent+jwt", "dpop+jwt", ""])
async def test_a_token_for_another_purpose_is_refused(
    typ: str, oidc: Oidc, standins: StandinsView
) -> None:
    token = await standins.token({"aud": "api"}, header={"typ": typ})
    error = await refusal(oidc, ("authorization", f"Bearer {token}"))
    assert "another type" in error.description


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "another"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"iss": "https://issuer.example"}, "another issuer"),
        ({"exp": 1}, "expired"),
        ({"sub": None}, "no subject"),
    ],
)
async def test_claims_that_are_refused(
    claims: Json, why: str, oidc: Oidc, standins: StandinsView
) -> None:
    error = await refusal(oidc, ("authorization", await bearer(standins, claims)))
    assert why in error.description
    assert error.error == "invalid_token"


async def test_a_request_without_a_bearer_token_is_told_no_error(oidc: Oidc) -> None:
    for headers in ([], [("authorization", "Basic dTpw")], [("cookie", "__session=abc")]):
        assert (await refusal(oidc, *headers)).error is None


async def test_several_authorization_headers_are_refused(
    oidc: Oidc, standins: StandinsView
) -> None:
    token = await bearer(standins)
    for values in ([token, token], [f"{token}, {token}"], [f"Basic dTpw, {token}"]):
        error = await refusal(oidc, *(("authorization", value) for value in values))
        assert "several Authorization headers" in error.description


async def test_the_discovery_document_says_where_the_keys_are(
    locate: Locate, key_server: KeyServer
) -> None:
    await key_server.discovery(issuer=key_server.url, jwks_uri=KEYS_URL)
    assert await locate() == KEYS_URL


async def test_the_discovery_document_is_asked_for_once_a_minute(
    locate: Locate, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.discovery(issuer=key_server.url, jwks_uri=KEYS_URL)
    assert [await locate() for _ in range(3)] == [KEYS_URL] * 3
    assert await key_server.hits() == 1
    await key_server.discovery(issuer=key_server.url, jwks_uri="https://keys.example.com/new")
    clock.now += FRESH_SECONDS
    assert await locate() == "https://keys.example.com/new"
    await key_server.serve(status=503)
    clock.now += STALE_SECONDS - 1
    assert await locate() == "https://keys.example.com/new"
    clock.now += 1
    with pytest.raises(KeysUnavailable):
        await locate()


async def test_nobody_waits_for_another_s_discovery(
    locate: Locate, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.discovery(issuer=key_server.url, jwks_uri=KEYS_URL)
    await locate()
    clock.now += FRESH_SECONDS
    document = {"issuer": key_server.url, "jwks_uri": "https://keys.example.com/new"}
    await key_server.discovery(hold=True, **document)
    refreshing = ensure_future(locate())
    await key_server.hits(at_least=2)
    assert await locate() == KEYS_URL
    await key_server.release()
    assert await refreshing == "https://keys.example.com/new"


@pytest.mark.parametrize("change", ["/", "/other", None])
async def test_another_issuer_s_discovery_document_is_refused(
    change: str | None, locate: Locate, key_server: KeyServer
) -> None:
    issuer = key_server.url + change if change else "https://issuer.example.com"
    await key_server.discovery(issuer=issuer, jwks_uri=KEYS_URL)
    with pytest.raises(KeysUnavailable):
        await locate()


@pytest.mark.parametrize(
    "uri",
    [
        "http://keys.example.com/set",
        "file:///etc/passwd",
        "https:///set",
        "https://user:secret@keys.example.com/set",
        "keys",
        "https://[",
        "",
        None,
        ["https://keys.example.com/set"],
    ],
)
async def test_keys_are_read_over_https_only(
    uri: object, locate: Locate, key_server: KeyServer
) -> None:
    await key_server.discovery(issuer=key_server.url, jwks_uri=uri)
    with pytest.raises(KeysUnavailable):
        await locate()


@pytest.mark.parametrize("text", ["", "[]", "{}", "<html>", '{"issuer": 1, "jwks_uri": 2}'])
async def test_what_is_no_discovery_document_is_refused(
    text: str, locate: Locate, key_server: KeyServer
) -> None:
    await key_server.serve(text=text)
    with pytest.raises(KeysUnavailable):
        await locate()


async def test_a_redirected_discovery_document_is_refused(
    locate: Locate, key_server: KeyServer, standins: StandinsView
) -> None:
    elsewhere = f"{standins.url}/oidc/.well-known/openid-configuration"
    await key_server.serve(status=302, headers={"location": elsewhere})
    with pytest.raises(KeysUnavailable):
        await locate()


async def test_without_a_discovery_document_nobody_can_tell(
    settings: dict[str, str],
    key_server: KeyServer,
    standins: StandinsView,
    http: httpx.AsyncClient,
    verify_signature: VerifySignature,
) -> None:
    local = settings | {"AUTH_ISSUER": key_server.url}
    oidc = Oidc(OidcSettings.load(local), http, verify_signature)
    await key_server.serve(status=503)
    token = await bearer(standins, {"iss": key_server.url})
    with pytest.raises(KeysUnavailable):
        await subject(oidc, token)
    await key_server.discovery(issuer=key_server.url, jwks_uri=f"{standins.url}/oidc/jwks")
    assert await subject(oidc, token) == "user_dev"


async def test_the_settings_may_say_where_the_keys_are(
    settings: dict[str, str],
    key_server: KeyServer,
    standins: StandinsView,
    http: httpx.AsyncClient,
    verify_signature: VerifySignature,
) -> None:
    elsewhere = OidcSettings.load(settings | {"AUTH_JWKS_URL": key_server.jwks_url})
    oidc = Oidc(elsewhere, http, verify_signature)
    await key_server.serve("other")
    assert await subject(oidc, await bearer(standins, key="other")) == "user_dev"


async def test_an_issuer_is_compared_as_it_is_written(
    key_server: KeyServer, http: httpx.AsyncClient, clock: Clock
) -> None:
    exact = OidcSettings.load(LIVE | {"AUTH_ISSUER": "https://tenant.example.com/"})
    assert exact.issuers == ("https://tenant.example.com/",)
    issuer = f"{key_server.url}/"
    await key_server.discovery(issuer=issuer, jwks_uri=KEYS_URL)
    assert await discovered(issuer, http, clock)() == KEYS_URL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_ISSUER", ""),
        ("AUTH_ISSUER", "http://issuer.example.com"),
        ("AUTH_ISSUER", "https://issuer.example.com/?a=1"),
        ("AUTH_AUDIENCE", ""),
        ("AUTH_ISSUER", "https://issuer.example.com,"),
        ("AUTH_ISSUER", "https://issuer.example.com/a|b"),
    ],
)
def test_settings_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        OidcSettings.load(LIVE | {name: value})
