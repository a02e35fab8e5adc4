"""forge.toml: an organisation's settings."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.errors import UserError
from forge_scaffold.organisation import Organisation
from tests.support import write


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    return tmp_path / "configuration" / "forge"


def test_the_nearest_file_wins_over_the_users_key_by_key(tmp_path: Path, user: Path) -> None:
    write(
        tmp_path,
        {
            "forge.toml": "[defaults]\nauth = 'none'",
            "a/forge.toml": "[defaults]\nauth = 'oidc'\n[presets.x]\nauth = 'clerk'",
        },
    )
    write(
        user,
        {"forge.toml": "[defaults]\nauth = 'clerk'\nqueue = true\n[presets.x]\ncron = true"},
    )
    organisation = Organisation.of(tmp_path / "a" / "services" / "not-there-yet")
    assert {name: each.value for name, each in organisation.defaults.items()} == {
        "auth": "oidc",
        "queue": True,
    }
    assert organisation.defaults["auth"].place == f"{tmp_path}/a/forge.toml:2"
    assert set(organisation.preset("x")) == {"auth"}


def test_a_ref_stays_with_its_template(tmp_path: Path, user: Path) -> None:
    write(user, {"forge.toml": "template = 'https://example.org/t.git'\nref = 'v1'"})
    assert Organisation.of(tmp_path).ref
    write(tmp_path, {"forge.toml": "template = 'https://example.org/other.git'"})
    organisation = Organisation.of(tmp_path)
    assert organisation.template
    assert organisation.template.value == "https://example.org/other.git"
    assert organisation.ref is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\ndefault = {}", ':2: default: no such key; did you mean "defaults"?'),
        ("defaults = 1", ":1: defaults: must be a table"),
        ("presets = 1", ":1: presets: must be a table"),
        ("[presets]\nx = 1", ":2: presets.x: must be a table"),
        ("template = 1", ":1: template: must be text"),
        ("template = ' '", ":1: template: must be text"),
        ("ref = []", ":1: ref: must be text"),
        ("[allow.x]\nreason = 'r'\nversions = 1", ":3: [allow] x: versions must be text"),
        ("[ban.x]\nreason = 'r'\ninstaed = 'y'", ":3: ban.x.instaed: no such key; did you mean"),
        ("[ban]\nx = { }", ":2: [ban] x: say why"),
        ("ban = 1", ":1: ban: must be a table"),
        ("a = 1\na = 2", ":2: not TOML"),
        (f"{'a.' * 30_000}b = 1", ":1: nested more than 100 deep"),
        ("#" * 2**20 + "##", ": larger than 1 MiB"),
    ],
)
def test_a_mistake_is_refused_at_its_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, {"forge.toml": text})
    with pytest.raises(UserError) as error:
        Organisation.of(tmp_path)
    assert f"{tmp_path}/forge.toml{message}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[presets.team-chat]", 'no such preset; did you mean "team-chat"?'),
        ("[presets.x]\n[presets.y]", "no such preset; the presets are x, y"),
        ("", "no such preset; no forge.toml has any"),
    ],
)
def test_an_unknown_preset_names_the_others(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, {"forge.toml": text})
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        Organisation.of(tmp_path).preset("team-chta")


@given(st.text(st.sampled_from("ab.='\"[]{}\n #1_-,")) | st.text())
def test_any_text_is_read_or_refused_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "forge.toml").write_bytes(text.encode("utf-8", "replace"))
    problem = ""
    try:
        Organisation.of(folder)
    except UserError as error:
        problem = str(error)
    assert not problem or problem.startswith(f"{folder}/forge.toml:")
