"""GET /healthz."""

import httpx

from service.about import NAME, VERSION

OK = {"status": "ok", "service": NAME, "version": VERSION}


async def test_says_what_runs_to_anyone(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, OK)


async def test_takes_headers_that_are_more_than_ascii(anyone: httpx.AsyncClient) -> None:
    headers = [(b"x-note", "naïve".encode("latin-1")), (b"x-other", "naïve".encode())]
    assert (await anyone.get("/healthz", headers=headers)).status_code == 200


async def test_needs_no_setting(unconfigured: httpx.AsyncClient) -> None:
    assert (await unconfigured.get("/healthz")).json() == OK


async def test_head_is_get_without_its_body(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_every_answer_has_a_request_id_of_its_own(anyone: httpx.AsyncClient) -> None:
    ids = {(await anyone.get("/healthz")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


async def test_cloudflare_s_ray_is_the_request_id(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/healthz", headers={"cf-ray": "8f2d1a-FRA"})
    assert answer.headers["x-request-id"] == "8f2d1a-FRA"


async def test_no_other_text_becomes_the_request_id(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/healthz", headers={"cf-ray": 'x" level="error'})
    assert "level" not in answer.headers["x-request-id"]
