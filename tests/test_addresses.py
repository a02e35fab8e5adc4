"""Which git URLs a project may record, and in which form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.addresses import public_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://example.org/forge.git", "https://example.org/forge.git"),
        ("https://github.com/team/forge", "https://github.com/team/forge.git"),
        ("https://github.com/team/forge/", "https://github.com/team/forge.git"),
        ("git+https://github.com/team/forge", "https://github.com/team/forge.git"),
        ("https://example.org:8443/~me/forge", "https://example.org:8443/~me/forge.git"),
        ("https://me:secret@example.org/forge.git", "https://example.org/forge.git"),
        ("https://me:s@cret@example.org/forge.git", "https://example.org/forge.git"),
        ("https://token@example.org/forge", "https://example.org/forge.git"),
        ("ssh://git@example.org:22/forge", "ssh://git@example.org:22/forge.git"),
        ("ssh://git:secret@example.org/forge.git", "ssh://git@example.org/forge.git"),
        ("ssh://example.org/forge.git", "ssh://example.org/forge.git"),
        ("git@example.org:team/forge.git", "git@example.org:team/forge.git"),
        ("git@example.org:team/forge", "git@example.org:team/forge"),
        ("org-7@example.org:team/forge", "org-7@example.org:team/forge.git"),
    ],
)
def test_a_public_address_is_recorded_without_credentials(url: str, address: str) -> None:
    assert public_address(url) == address
    assert public_address(address) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/home/me/forge",
        "../forge.git",
        "forge.bundle",
        "C:\\forge.git",
        "file:///home/me/forge.git",
        "git+file:///home/me/forge.git",
        "http://example.org/forge.git",
        "git://example.org/forge.git",
        "https://example.org",
        "https:///forge.git",
        "https://example.org/forge.git?token=secret",
        "https://example.org/forge.git#fragment",
        "https://example.org/a b.git",
        "https://example.org/forge.git\n",
        "git@example.org:",
        "git@example.org:/home/me/forge",
        "-oProxyCommand=x@example.org:forge",
        "-x@example.org:forge",
        "ssh://-x@example.org/forge",
        "git@-oProxyCommand=x:forge",
        "ext::sh -c true",
    ],
)
def test_an_address_of_one_machine_is_not(url: str) -> None:
    assert public_address(url) is None


@given(
    st.text("https:/@git+.?#- \n%é", max_size=40)
    | st.from_regex(
        r"(https|ssh)://[a-z]{1,3}:[a-z@]{3,9}@[a-z.]{3,9}/[a-z/.]{1,9}", fullmatch=True
    )
)
def test_whatever_the_url_the_address_is_public(url: str) -> None:
    address = public_address(url)
    if address is not None:
        assert public_address(address) == address
        assert address.startswith(("https://", "ssh://")) or "@" in address
        assert address.count("@") <= ("https://" not in address)
