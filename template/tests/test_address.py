"""Who counts as one caller where nobody signs in."""

from ipaddress import IPv6Address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.address import network


def of(address: str) -> str:
    return network(httpx.Headers({"cf-connecting-ip": address}))


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("203.0.113.7, 198.51.100.1", "unknown"),
    ],
)
def test_who_an_address_stands_for(address: str, caller: str) -> None:
    assert of(address) == caller


def test_without_the_header_all_are_one() -> None:
    assert network(httpx.Headers()) == "unknown"


@given(st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_an_ipv6_customer_stays_one_whatever_address_they_choose(
    customer: int, one: int, other: int
) -> None:
    addresses = [IPv6Address(customer << 64 | host) for host in (one, other)]
    assert len({of(str(address)) for address in addresses}) == 1


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    headers = httpx.Headers([(b"cf-connecting-ip", text.encode())])
    assert network(headers)
