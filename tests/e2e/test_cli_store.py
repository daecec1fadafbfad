"""The set-up: store and key made, found broken, found foreign; and `check`, which says what is wrong."""

import os
import pathlib
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator_fixtures import *  # noqa: E402, F401, F403
from sluice import Sluice  # noqa: E402


@pytest.fixture
def sluice():
    with Sluice() as sluice:
        yield sluice


@pytest.fixture
def with_client(emulator):
    with Sluice(emulator) as sluice:
        sluice.ok("init")
        sluice.ok("client", "import", emulator.client_secret)
        yield sluice


def found(sluice, rc=0, *args):
    """The findings of `check` by their point; the worst of each."""
    result = sluice.run("check", "--json", *args)
    assert result.rc == rc, result
    order = ["ok", "warn", "FAIL"]
    worst = {}
    for item in result.objects:
        if item["check"] not in worst or order.index(item["status"]) > order.index(worst[item["check"]]["status"]):
            worst[item["check"]] = item
    return worst


# ---- init


def test_init_makes_store_and_key_for_the_owner_alone(sluice):
    first = sluice.ok("init", "--json").json
    assert first["key_is_new"] is True
    assert sluice.store.exists()
    assert sluice.key_file.stat().st_mode & 0o777 == 0o400
    assert sluice.store.stat().st_mode & 0o077 == 0
    assert sluice.key_file.parent.stat().st_mode & 0o077 == 0


def test_init_is_safe_to_repeat(sluice):
    first = sluice.ok("init", "--json").json
    again = sluice.ok("init", "--json").json
    assert again == {**first, "key_is_new": False}


def test_every_command_says_init_when_there_is_no_store(sluice):
    for args in (["status"], ["job", "list"], ["channel", "list"], ["client", "list"], ["audit"],
                 ["add", "x", "--channel", "main"], ["worker", "--drain"]):
        assert "sluice init" in sluice.fails(4, *args).err, args
    assert not sluice.store.exists()


def test_a_lost_key_is_not_replaced_silently(with_client):
    kept = with_client.key_file.read_bytes()
    with_client.key_file.unlink()
    result = with_client.fails(5, "init")
    assert "bring the file back" in result.err
    assert not with_client.key_file.exists()
    with_client.key_file.write_bytes(kept)
    with_client.key_file.chmod(0o400)
    with_client.ok("init")


def test_k10_the_key_of_another_store_is_refused(with_client, sluice):
    sluice.ok("init")
    with_client.key_file.chmod(0o600)
    with_client.key_file.write_bytes(sluice.key_file.read_bytes())
    assert "is not this store's key" in with_client.fails(5, "init").err
    assert found(with_client, 5)["key"]["status"] == "FAIL"
    # A new secret must not be sealed with the wrong key beside the others.
    assert with_client.ok("client", "list", "--json").objects


def test_a_key_that_others_may_read_is_refused(sluice):
    sluice.ok("init")
    sluice.key_file.chmod(0o644)
    assert str(sluice.key_file) in sluice.fails(5, "init").err
    assert found(sluice, 5)["key"]["status"] == "FAIL"


def test_a_key_file_that_is_none_is_refused(sluice):
    sluice.ok("init")
    sluice.key_file.chmod(0o600)
    sluice.key_file.write_bytes(b"not a key")
    sluice.fails(5, "init")


# ---- broken stores


def test_d08_a_corrupt_store_is_8_and_left_alone(sluice):
    sluice.ok("init")
    junk = b"this is no database" * 1000
    sluice.store.write_bytes(junk)
    for args in (["init"], ["status"], ["job", "list"]):
        assert "sluice.db" in sluice.fails(8, *args).err, args
    assert sluice.store.read_bytes() == junk
    assert found(sluice, 8)["store"]["status"] == "FAIL"


def test_a_damaged_page_is_found_by_check(sluice):
    sluice.ok("init")
    with sqlite3.connect(sluice.store) as database:
        database.execute("pragma wal_checkpoint(truncate)")
        page = database.execute("pragma page_size").fetchone()[0]
        root = database.execute("select rootpage from sqlite_master where name = 'event'").fetchone()[0]
    database.close()
    with open(sluice.store, "r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    assert found(sluice, 8)["store"]["status"] == "FAIL"


def test_a_store_of_a_newer_version_is_8_and_left_alone(sluice):
    sluice.ok("init")
    with sqlite3.connect(sluice.store) as database:
        database.execute("insert into schema_version (version, what, compatible_from, applied_at_ms)"
                         " values (999, 'of the future', 999, 0)")
    database.close()
    before = sluice.store.read_bytes()
    for args in (["init"], ["status"], ["worker", "--drain"]):
        result = sluice.fails(8, *args)
        assert "999" in result.err, (args, result)
    assert sluice.store.read_bytes() == before


def test_a_store_that_cannot_be_written_is_8(sluice):
    sluice.ok("init")
    assert sluice.fails(8, "init", "--store", "sqlite:/proc/nowhere/sluice.db").err


# ---- check


def test_check_on_a_new_set_up_warns_of_what_is_missing(sluice):
    sluice.ok("init")
    points = found(sluice)
    assert points["store"]["status"] == "ok"
    assert points["key"]["status"] == "ok"
    assert points["client"]["status"] == "warn"
    assert "client import" in points["client"]["mend"]
    assert points["channel"]["status"] == "warn"


def test_check_names_a_mistyped_variable(sluice):
    sluice.ok("init")
    sluice.env["SLUICE_REGOIN"] = "eu"
    point = found(sluice)["configuration"]
    assert point["status"] == "warn"
    assert "SLUICE_REGOIN" in point["message"] and "region" in point["mend"]


def test_check_finds_a_missing_ca_file(sluice):
    sluice.ok("init")
    sluice.configure(ca_file="/nowhere.pem")
    assert found(sluice, 4)["ca_file"]["status"] == "FAIL"
    empty = sluice.home / "empty.pem"
    empty.write_text("nothing here\n")
    sluice.configure(ca_file=empty)
    assert "no certificate" in found(sluice, 3)["ca_file"]["message"]


def test_check_finds_a_missing_media_root(sluice):
    sluice.ok("init")
    sluice.configure(media_root="/nowhere")
    assert found(sluice, 4)["media_root"]["status"] == "FAIL"


def test_check_finds_an_api_root_that_is_not_safe(sluice):
    sluice.ok("init")
    sluice.configure(api_root="http://example.com")
    assert found(sluice, 3)["api_root"]["status"] == "FAIL"


def test_check_finds_a_clock_that_went_back(sluice):
    sluice.ok("init")
    later = os.stat(sluice.store).st_mtime + 86400
    os.utime(sluice.store, (later, later))
    assert found(sluice, 3)["clock"]["status"] == "FAIL"


def test_check_online_reaches_the_servers(with_client):
    points = found(with_client, 0, "--online")
    assert "answers" in points["api_root"]["message"]
    assert points["token_uri"]["status"] == "ok"


def test_t03_check_online_finds_a_certificate_that_is_not_trusted(with_client):
    with_client.configure(ca_file="/etc/ssl/certs/ca-certificates.crt")
    assert found(with_client, 1, "--online")["api_root"]["status"] == "FAIL"


def test_check_online_finds_a_server_that_is_not_there(with_client):
    with_client.configure(api_root="https://127.0.0.1:1")
    assert found(with_client, 1, "--online")["api_root"]["status"] == "FAIL"


def test_check_changes_nothing(with_client):
    before = with_client.ok("audit").out
    found(with_client)
    assert with_client.ok("audit").out == before
