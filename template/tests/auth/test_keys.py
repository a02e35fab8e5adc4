"""The cache of the issuer's keys: how often it asks, and what serves meanwhile."""

from asyncio import CancelledError, create_task, gather

import httpx
import pytest

from service.auth.fetched import (
    COOLDOWN_SECONDS,
    FRESH_SECONDS,
    MAX_ANSWER_BYTES,
    MAX_TURNS,
    OVERDUE,
    STALE_SECONDS,
    KeysUnavailable,
)
from service.auth.keys import KeySet, at
from tests.auth.issuer import Clock, Issuer, KeyServer

PATIENT = 10.0


@pytest.fixture
def key_set(key_server: KeyServer, http: httpx.AsyncClient, clock: Clock) -> KeySet:
    return KeySet(at(key_server.jwks_url), {"RS256"}, http, clock, timeout=PATIENT)


async def names(key_set: KeySet, kid: str = "main") -> list[str]:
    return [key.kid for key in (await key_set.find(kid)).called("")]


async def test_keys_are_asked_for_once_a_minute(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    for _ in range(3):
        assert await names(key_set) == ["main"]
    clock.now += FRESH_SECONDS - 0.1
    await names(key_set)
    assert await key_server.hits() == 1
    clock.now += 0.1
    await names(key_set)
    assert await key_server.hits() == 2


async def test_others_are_served_what_there_is_while_one_refreshes(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    clock.now += FRESH_SECONDS
    await key_server.serve("main", "other", hold=True)
    refreshing = create_task(names(key_set))
    assert await key_server.hits(at_least=2) == 2
    for kid in ("main", ""):
        assert await names(key_set, kid) == ["main"]
    assert await key_server.hits() == 2
    await key_server.release()
    assert await refreshing == ["main", "other"]
    assert await names(key_set) == ["main", "other"]
    assert await key_server.hits() == 2


async def test_nobody_waits_for_another_s_first_answer(
    key_set: KeySet, key_server: KeyServer
) -> None:
    await key_server.serve("main", hold=True)
    first = create_task(names(key_set))
    await key_server.hits(at_least=1)
    await key_server.serve("main")
    assert await names(key_set) == ["main"]
    assert not first.done()
    await key_server.release()
    assert await first == ["main"]


async def test_keys_are_as_old_as_their_request(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main", hold=True)
    asking = create_task(names(key_set))
    await key_server.hits(at_least=1)
    clock.now += FRESH_SECONDS
    await key_server.release()
    assert await asking == ["main"]
    await key_server.serve("main")
    await names(key_set)
    assert await key_server.hits() == 2


async def test_an_unknown_key_is_asked_for_once_in_a_cooldown(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    for kid in ("other", "another", "other"):
        assert await names(key_set, kid) == ["main"]
    assert await key_server.hits() == 2
    await key_server.serve("other")
    clock.now += COOLDOWN_SECONDS
    assert await names(key_set, "other") == ["other"]
    assert await names(key_set, "other") == ["other"]
    assert await key_server.hits() == 3


async def test_a_key_that_has_just_come_up_serves_at_once(
    key_set: KeySet, key_server: KeyServer
) -> None:
    await key_server.serve("main")
    await names(key_set)
    await key_server.serve("main", "new")
    assert await names(key_set, "new") == ["main", "new"]
    assert await key_server.hits() == 2


async def test_a_new_key_is_asked_for_while_another_refreshes_by_age(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    clock.now += FRESH_SECONDS
    await key_server.serve("main", hold=True)
    refreshing = create_task(names(key_set))
    await key_server.hits(at_least=2)
    await key_server.serve("main", "new")
    assert await names(key_set, "new") == ["main", "new"]
    await key_server.release()
    assert await refreshing == ["main", "new"]


async def test_a_new_key_is_asked_for_by_all_who_come_before_it_is_known(
    key_set: KeySet, key_server: KeyServer
) -> None:
    await key_server.serve("main")
    await names(key_set)
    await key_server.serve("main", "new", hold=True)
    asking = [create_task(names(key_set, "new")) for _ in range(MAX_TURNS)]
    await key_server.hits(at_least=1 + MAX_TURNS)
    await key_server.release()
    assert await gather(*asking) == [["main", "new"]] * MAX_TURNS


async def test_a_flood_of_unknown_keys_asks_a_few_times_in_a_cooldown(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    for times in (1, 2):
        floods = [known(key_set, f"unknown-{number}") for number in range(3 * MAX_TURNS)]
        # Nobody can tell before the issuer has answered.
        assert set(await gather(*floods)) <= {False, None}
        for number in range(MAX_TURNS):
            assert await known(key_set, f"late-{number}") is False
        assert await key_server.hits() == 1 + times * MAX_TURNS
        clock.now += COOLDOWN_SECONDS


async def test_nobody_can_tell_of_an_unknown_key_while_the_issuer_is_down(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    await key_server.serve(status=503)
    for number in range(3 * MAX_TURNS):
        assert await known(key_set, f"unknown-{number}") is None
        assert await known(key_set, "main")
    assert await key_server.hits() == 1 + MAX_TURNS
    clock.now += COOLDOWN_SECONDS
    await key_server.serve("main", "new")
    assert await known(key_set, "new")


async def known(key_set: KeySet, kid: str) -> bool | None:
    """Whether the issuer has the key; None where nobody can tell."""
    try:
        return (await key_set.find(kid)).has(kid)
    except KeysUnavailable:
        return None


async def test_a_dead_issuer_is_asked_a_few_times_in_a_cooldown(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve(status=503)
    for times in (1, 2):
        for _ in range(60):
            assert await known(key_set, "main") is None
        assert await key_server.hits() == times * MAX_TURNS
        clock.now += COOLDOWN_SECONDS
    await key_server.serve("main")
    assert await known(key_set, "main")


async def test_an_issuer_that_hangs_is_asked_a_few_times_in_a_cooldown(
    key_server: KeyServer, http: httpx.AsyncClient, clock: Clock
) -> None:
    key_set = KeySet(at(key_server.jwks_url), {"RS256"}, http, clock, timeout=0.5)
    await key_server.serve("main", hold=True)
    answers = await gather(*(known(key_set, "main") for _ in range(60)))
    assert answers == [None] * 60
    assert await key_server.hits() <= MAX_TURNS
    await key_server.release()


async def test_who_comes_late_is_served_what_the_first_have_got(
    key_set: KeySet, key_server: KeyServer
) -> None:
    await key_server.serve("main", hold=True)
    asking = [create_task(names(key_set)) for _ in range(5 * MAX_TURNS)]
    assert await key_server.hits(at_least=MAX_TURNS) == MAX_TURNS
    await key_server.release()
    assert await gather(*asking) == [["main"]] * len(asking)
    assert await key_server.hits() == MAX_TURNS


async def test_an_issuer_that_asks_to_be_left_alone_is(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve(status=429, headers={"retry-after": "30"})
    for _ in range(3):
        with pytest.raises(KeysUnavailable) as caught:
            await names(key_set)
        assert caught.value.retry_after == 30
    clock.now += 2 * COOLDOWN_SECONDS
    assert await known(key_set, "main") is None
    assert await key_server.hits() == 1
    await key_server.serve("main")
    clock.now += COOLDOWN_SECONDS
    assert await known(key_set, "main")


async def test_keys_that_are_overdue_are_asked_for_by_several(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    clock.now += OVERDUE * FRESH_SECONDS
    await key_server.serve("main", "new", hold=True)
    asking = [create_task(names(key_set)) for _ in range(MAX_TURNS)]
    await key_server.hits(at_least=1 + MAX_TURNS)
    assert await names(key_set) == ["main"]
    await key_server.release()
    assert await gather(*asking) == [["main", "new"]] * MAX_TURNS


async def test_clients_that_leave_take_no_turn_from_others(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    clock.now += FRESH_SECONDS
    await key_server.serve("other", hold=True)
    for number in range(2 * MAX_TURNS):
        leaving = create_task(names(key_set))
        await key_server.hits(at_least=2 + number)
        leaving.cancel()
        with pytest.raises(CancelledError):
            await leaving
    await key_server.release()
    await key_server.serve("other")
    assert await names(key_set) == ["other"]


async def test_a_key_that_changed_under_its_name_is_asked_for_once(
    key_set: KeySet, key_server: KeyServer, issuer: Issuer
) -> None:
    await key_server.serve("main")
    old = await key_set.find("main")
    changed = await issuer.public_key("other") | {"kid": "main"}
    await key_server.serve(changed)
    new = await key_set.newer(old)
    assert new.called("main") != old.called("main")
    assert await key_set.newer(old) is new
    assert await key_set.newer(new) is new
    assert await key_server.hits() == 2


async def test_a_set_may_have_many_keys(key_set: KeySet, key_server: KeyServer) -> None:
    others = [{"kty": "RSA", "kid": f"key-{number}", "n": "!"} for number in range(500)]
    await key_server.serve(*others, "main")
    assert [key.kid for key in (await key_set.find("main")).called("main")] == ["main"]


async def test_stale_keys_serve_for_an_hour_while_the_issuer_is_down(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    await key_server.serve(status=503)
    clock.now += FRESH_SECONDS
    for _ in range(3):
        assert await names(key_set) == ["main"]
    assert await key_server.hits() == 2
    clock.now += STALE_SECONDS - FRESH_SECONDS - 0.1
    assert await names(key_set) == ["main"]
    clock.now += 0.1
    with pytest.raises(KeysUnavailable):
        await names(key_set)
    await key_server.serve("main")
    assert await names(key_set) == ["main"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status": 503}, id="503"),
        pytest.param({"status": 404}, id="404"),
        pytest.param({"status": 204}, id="204"),
        pytest.param({"text": ""}, id="nothing"),
        pytest.param({"text": "<html>"}, id="no JSON"),
        pytest.param({"text": "[]"}, id="a list"),
        pytest.param({"text": "{}"}, id="no keys"),
        pytest.param({"text": '{"keys": {}}'}, id="keys that are no list"),
        pytest.param({"text": '{"keys": ' + "[" * 10_000}, id="deep nesting"),
        pytest.param({"text": '{"keys": [{"a": NaN}, "\\ud800"]}'}, id="lone surrogates"),
        pytest.param({"text": '{"keys": []}' + " " * MAX_ANSWER_BYTES}, id="too large"),
    ],
)
async def test_an_answer_that_is_no_key_set_changes_nothing(
    answer: dict[str, object], key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve(**answer)
    with pytest.raises(KeysUnavailable):
        await names(key_set)
    await key_server.serve("main")
    assert await names(key_set) == ["main"]
    await key_server.serve(**answer)
    clock.now += FRESH_SECONDS
    assert await names(key_set) == ["main"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(
    key_set: KeySet, key_server: KeyServer, status: int
) -> None:
    elsewhere = KeyServer(f"{key_server.url}-elsewhere", key_server.http)
    await elsewhere.serve("main")
    await key_server.serve(status=status, headers={"location": elsewhere.jwks_url})
    with pytest.raises(KeysUnavailable):
        await names(key_set)
    assert await elsewhere.hits() == 0


async def test_an_issuer_that_cannot_be_reached_has_no_keys(
    http: httpx.AsyncClient, clock: Clock
) -> None:
    key_set = KeySet(at("http://127.0.0.1:9/jwks.json"), {"RS256"}, http, clock)
    with pytest.raises(KeysUnavailable):
        await names(key_set)


async def test_an_issuer_that_takes_too_long_has_no_keys(
    key_server: KeyServer, http: httpx.AsyncClient, clock: Clock
) -> None:
    key_set = KeySet(at(key_server.jwks_url), {"RS256"}, http, clock, timeout=0.05)
    await key_server.serve("main", hold=True)
    with pytest.raises(KeysUnavailable):
        await names(key_set)
    await key_server.release()


async def test_an_older_answer_does_not_replace_a_newer_one(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main", hold=True)
    older = create_task(names(key_set))
    await key_server.hits(at_least=1)
    await key_server.serve("other")
    assert await names(key_set, "other") == ["other"]
    await key_server.release()
    assert await older == ["other"]
    assert await names(key_set, "other") == ["other"]
    assert await key_server.hits() == 2
    clock.now += FRESH_SECONDS
    assert await names(key_set, "other") == ["other"]


async def test_a_failure_while_another_succeeds_is_none(
    key_set: KeySet, key_server: KeyServer
) -> None:
    await key_server.serve(status=503, hold=True)
    failing = create_task(names(key_set))
    await key_server.hits(at_least=1)
    await key_server.serve("main")
    await names(key_set)
    await key_server.release()
    assert await failing == ["main"]


async def test_a_bad_key_does_not_spoil_the_good_ones(
    key_set: KeySet, key_server: KeyServer, issuer: Issuer
) -> None:
    good = await issuer.public_key("other")
    bad: list[object] = [
        None,
        7,
        [],
        {},
        good | {"use": "enc"},
        good | {"n": "!"},
        {"kty": "EC", "kid": "main"},
    ]
    await key_server.serve("small", *bad, "main")
    assert await names(key_set) == ["main"]


async def test_an_emptied_key_set_is_an_answer(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    await key_server.serve()
    clock.now += FRESH_SECONDS
    assert await names(key_set, "") == []
    assert await names(key_set, "") == []
    assert await key_server.hits() == 2


async def test_a_refresh_that_was_cancelled_is_made_up_for(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    clock.now += FRESH_SECONDS
    await key_server.serve("main", hold=True)
    refreshing = create_task(names(key_set))
    await key_server.hits(at_least=2)
    refreshing.cancel()
    with pytest.raises(CancelledError):
        await refreshing
    await key_server.serve("main", "other")
    assert await names(key_set) == ["main", "other"]
    await key_server.release()


async def test_a_clock_that_is_set_back_does_not_keep_keys_for_ever(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    await names(key_set)
    clock.now -= 10 * STALE_SECONDS
    await key_server.serve("other")
    assert await names(key_set) == ["other"]


async def test_a_request_whose_clock_lags_behind_another_s_has_its_keys(
    key_set: KeySet, key_server: KeyServer, clock: Clock
) -> None:
    await key_server.serve("main")
    keys = await key_set.find("main")
    clock.now -= 0.01
    assert await key_set.find("main") is keys
    assert await key_set.newer(keys) is not keys
    clock.now -= 0.01
    for _ in range(2):
        assert await names(key_set, "unknown") == ["main"]
    assert await key_server.hits() == 2


async def test_a_failed_refresh_leaves_a_line_in_the_log(
    key_set: KeySet, key_server: KeyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await key_server.serve(status=500)
    with pytest.raises(KeysUnavailable):
        await names(key_set)
    assert '"event": "key_set_refresh_failed", "reason": "RefusedError: status 500"' in (
        capsys.readouterr().out
    )
