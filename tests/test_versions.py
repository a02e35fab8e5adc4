"""Versions, ranges and requirements: as `packaging` reads them, only sooner."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Full
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from forge_scaffold.packages.versions import Requirement, Versions, canonical

RELEASES = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda p: ".".join(map(str, p)))
OPERATORS = st.sampled_from([">=", "<=", "==", "!=", ">", "<", "~=", "==="])
RANGES = st.lists(st.builds(str.__add__, OPERATORS, RELEASES), max_size=4).map(",".join)


@given(text=RANGES, version=RELEASES)
def test_a_range_has_the_versions_that_packaging_says(text: str, version: str) -> None:
    try:
        expected = SpecifierSet(text).contains(version, prereleases=True)
    except InvalidSpecifier:
        with pytest.raises(ValueError, match="Invalid specifier"):
            Versions.parse(text)
    else:
        assert Versions.parse(text).has(version) == expected


@given(text=st.text(max_size=12) | RANGES.map(lambda text: f" {text} "))
def test_what_packaging_refuses_is_no_range(text: str) -> None:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        with pytest.raises(ValueError, match="Invalid specifier"):
            Versions.parse(text)
    else:
        assert isinstance(Versions.parse(text).has("1.2"), bool)


@given(
    text=st.text(max_size=16)
    | st.builds(
        lambda name, extra, space, versions, rest: f"{name}{extra}{space}{versions}{rest}",
        st.sampled_from(["httpx", "Typing_Extensions", "a", "zope.interface", "-x", "x-", "é"]),
        st.sampled_from(["", "[http2]", "[a,b]", "[", "[,]"]),
        st.sampled_from(["", " ", "  "]),
        RANGES,
        st.sampled_from(["", " ", ",", "; python_version > '3'", " @ https://example.org/x"]),
    )
)
def test_a_requirement_means_what_packaging_says(text: str) -> None:
    try:
        full = Full(text)
    except InvalidRequirement:
        with pytest.raises(ValueError, match=r".*"):
            Requirement.parse(text)
        return
    found = Requirement.parse(text)
    assert found.name == canonicalize_name(full.name)
    assert (found.url, found.conditional) == (full.url, full.marker is not None)
    for version in ("0.5", "1.2", "1.2.3", "12"):
        assert found.versions.has(version) == full.specifier.contains(version, prereleases=True)


@given(name=st.text(alphabet="abYZ019._-", max_size=12))
def test_names_are_normalised_as_packaging_does(name: str) -> None:
    assert canonical(name) == canonicalize_name(name)


@pytest.mark.parametrize(
    ("wide", "narrow", "beyond"),
    [
        (">=0.28.1,<1", ">=0.27.2,<1", None),
        (">=0.20", ">=0.27.2,<1", "0.20"),
        ("", ">=1", "0"),
        ("~=2.1", ">=2,<3", None),
        ("~=2.1", ">=2,<2.9", "2.9"),
        ("==1.*", ">=1,<2", None),
        (">=1,!=1.5", ">=1,!=1.5", None),
        (">=1", ">=1,!=1.5", "1.5"),
    ],
)
def test_what_one_range_has_beyond_another(wide: str, narrow: str, beyond: str | None) -> None:
    assert Versions.parse(wide).beyond(Versions.parse(narrow)) == beyond


def test_what_nearly_everybody_writes_needs_no_packaging() -> None:
    script = (
        "import sys; from forge_scaffold.packages.versions import *\n"
        "requirement = Requirement.parse('httpx[http2] >=0.28.1, <1')\n"
        "requirement.versions.beyond(Versions.parse('>=0.27.2,<1'))\n"
        "print('packaging' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert run.stdout == "False\n"
