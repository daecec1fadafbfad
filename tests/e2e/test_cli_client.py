"""OAuth clients: import with its errors, list, limits, removal."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator_fixtures import *  # noqa: E402, F401, F403
from sluice import Sluice  # noqa: E402


@pytest.fixture
def sluice(emulator):
    with Sluice(emulator) as sluice:
        sluice.ok("init")
        yield sluice


def secret_file(sluice, **changes):
    """The emulator's client secret file with some keys changed; None takes one out."""
    fields = {**sluice.emulator.client(), **changes}
    path = sluice.home / "client_secret.json"
    path.write_text(json.dumps({"installed": {key: value for key, value in fields.items() if value is not None}}))
    return path


def test_an_import_is_listed_without_its_secret(sluice):
    assert sluice.ok("client", "import", sluice.emulator.client_secret).line == "default"
    result = sluice.ok("client", "list", "--json")
    assert result.json["name"] == "default"
    assert result.json["client_id"] == sluice.emulator.client()["client_id"]
    assert result.json["uploads_per_day"] == 100 and result.json["units_per_day"] == 10000
    secret = sluice.emulator.client()["client_secret"]
    for args in (["client", "list"], ["client", "list", "--json"], ["audit", "--json"]):
        assert secret not in sluice.ok(*args).out
    for file in sluice.state.rglob("*"):
        assert file.is_dir() or secret.encode() not in file.read_bytes(), file


def test_the_same_client_may_be_imported_again(sluice):
    sluice.ok("client", "import", sluice.emulator.client_secret)
    sluice.ok("client", "import", sluice.emulator.client_secret)
    assert len(sluice.ok("client", "list", "--json").objects) == 1


def test_another_client_of_that_name_is_refused(sluice):
    sluice.ok("client", "import", sluice.emulator.client_secret)
    other = pathlib.Path(sluice.emulator.dir, "client_secret_2.json")
    sluice.fails(3, "client", "import", other)
    assert sluice.ok("client", "import", other, "--name", "second").line == "second"
    assert len(sluice.ok("client", "list", "--json").objects) == 2


def test_an_address_that_is_not_googles_is_shown(sluice):
    assert sluice.emulator.url in sluice.ok("client", "import", sluice.emulator.client_secret).err


@pytest.mark.parametrize("content, said", [
    ("", "client_secret.json"),
    ("not json", "client_secret.json"),
    ("{}", "installed"),
    ('{"installed": {}}', "client_id"),
    ('{"installed": []}', "client_id"),
    ('{"installed": {"client_id": 3}}', "client_id"),
])
def test_a_file_that_is_no_client_is_3(sluice, content, said):
    path = sluice.home / "client_secret.json"
    path.write_text(content)
    assert said in sluice.fails(3, "client", "import", path).err
    assert sluice.ok("client", "list", "--json").out == ""


@pytest.mark.parametrize("changes, said", [
    ({"client_secret": None}, "client_secret"),
    ({"token_uri": "http://example.com/token"}, "token_uri"),
    ({"auth_uri": "ftp://example.com/"}, "auth_uri"),
    ({"token_uri": "https://user@example.com/"}, "token_uri"),
])
def test_a_client_that_lacks_something_is_3(sluice, changes, said):
    assert said in sluice.fails(3, "client", "import", secret_file(sluice, **changes)).err
    assert sluice.ok("client", "list", "--json").out == ""


def test_a_missing_file_is_4(sluice):
    assert "nowhere.json" in sluice.fails(4, "client", "import", "nowhere.json").err


def test_a_directory_and_an_endless_file_are_3(sluice):
    sluice.fails(3, "client", "import", sluice.home)
    assert "too large" in sluice.fails(3, "client", "import", "/dev/zero").err


def test_a_name_must_be_one(sluice):
    assert "client name" in sluice.fails(3, "client", "import", sluice.emulator.client_secret, "--name", "a b").err


def test_limits_are_kept(sluice):
    sluice.ok("client", "import", sluice.emulator.client_secret)
    limits = sluice.ok("client", "limits", "default", "--uploads", 7, "--json").json
    assert (limits["uploads_per_day"], limits["units_per_day"]) == (7, 10000)
    sluice.ok("client", "limits", "default", "--units", 500)
    limits = sluice.ok("client", "list", "--json").json
    assert (limits["uploads_per_day"], limits["units_per_day"]) == (7, 500)
    sluice.fails(2, "client", "limits", "default", "--uploads", "many")
    sluice.fails(4, "client", "limits", "nobody", "--uploads", 7)


def test_a_client_in_use_is_not_removed(sluice):
    sluice.ready("main")
    assert "default" in sluice.fails(3, "client", "remove", "default").err
    sluice.ok("channel", "remove", "main")
    sluice.ok("client", "remove", "default")
    sluice.fails(4, "client", "remove", "default")


def test_tenants_have_clients_of_their_own(sluice):
    sluice.ok("client", "import", sluice.emulator.client_secret, "--tenant", "acme")
    sluice.ok("client", "import", sluice.emulator.client_secret)
    assert len(sluice.ok("client", "list", "--json").objects) == 2
    assert [client["tenant"] for client in sluice.ok("client", "list", "--json", "--tenant", "acme").objects] == ["acme"]
