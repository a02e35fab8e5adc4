"""A file is its caller's alone."""

import httpx

from tests.conftest import new_name
from tests.support.standins import StandinsView, credentials


async def headers(standins: StandinsView, subject: str) -> dict[str, str]:
    return credentials(await standins.token({"sub": subject}))


async def test_another_caller_s_file_is_not_there(
    anyone: httpx.AsyncClient, standins: StandinsView
) -> None:
    subject = new_name()
    owner = await headers(standins, subject)
    await anyone.put("/v1/files/b", content=b"hello", headers=owner)
    # The other's name, with a slash behind the owner's, must not lead into the owner's files.
    for other in (new_name(), f"{subject}/b", f"{subject}/", subject[:-1]):
        theirs = await headers(standins, other)
        for method in ("GET", "HEAD", "DELETE"):
            answer = await anyone.request(method, "/v1/files/b", headers=theirs)
            assert answer.status_code == 404
        listed = await anyone.get("/v1/files", headers=theirs)
        assert listed.json() == {"files": [], "next_cursor": None}
    assert (await anyone.get("/v1/files/b", headers=owner)).content == b"hello"


async def test_callers_have_files_of_the_same_name(
    anyone: httpx.AsyncClient, standins: StandinsView
) -> None:
    subject = new_name()
    names = [subject, f"{subject}/a", f"{subject}%2Fa", f"{subject} "]
    for name in names:
        theirs = await headers(standins, name)
        await anyone.put("/v1/files/a", content=name.encode(), headers=theirs)
    for name in names:
        answer = await anyone.get("/v1/files/a", headers=await headers(standins, name))
        assert answer.content == name.encode()
