"""Routes and problems, apart from any feature."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web import Problem, Request, Response, Route, event, find, pointer
from tests.support.clients import events


async def nothing(_request: Request) -> Response:
    return Response(204)


ROUTES = [
    Route("GET", "/things", nothing),
    Route("GET", "/things/{id}", nothing),
    Route("DELETE", "/things/{id}", nothing),
]


def test_a_path_s_parameters_are_found() -> None:
    route, params = find(ROUTES, "DELETE", "/things/a_b-1")
    assert (route, params) == (ROUTES[2], {"id": "a_b-1"})


@pytest.mark.parametrize("path", ["/", "/thing", "/things/", "/things/a/b", "/things/a%20b"])
def test_a_path_of_no_route(path: str) -> None:
    with pytest.raises(Problem) as caught:
        find(ROUTES, "GET", path)
    assert caught.value.status == 404


@given(st.text())
def test_no_text_is_a_path_that_fails_otherwise(path: str) -> None:
    with pytest.raises(Problem) as caught:
        find(ROUTES, "GET", f"{path}/")
    assert caught.value.status == 404


def test_a_method_of_no_route_is_told_the_others() -> None:
    with pytest.raises(Problem) as caught:
        find(ROUTES, "PATCH", "/things/a")
    assert (caught.value.status, caught.value.headers) == (405, {"allow": "DELETE, GET, HEAD"})


@given(st.lists(st.one_of(st.integers(min_value=0), st.text())))
def test_a_pointer_leads_back(location: list[str | int]) -> None:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer(location).split("/")]
    assert parts == ["#", *map(str, location)]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_event_carries_any_text(text: str) -> None:
    written = event("delta", {"text": text}).decode()
    ((name, data),) = events(written)
    assert (name, json.loads(data)) == ("delta", {"text": text})
