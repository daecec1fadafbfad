"""`channel import --token`: logins that youtubeuploader, tokland/youtube-upload and google-auth have made."""

import json
import os
import pathlib
import pwd
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from emulator import SCOPE  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403
from sluice import Sluice  # noqa: E402

YOUTUBE = SCOPE + "youtube"


@pytest.fixture
def sluice(emulator):
    with Sluice(emulator) as sluice:
        sluice.ok("init")
        sluice.ok("client", "import", emulator.client_secret)
        sluice.outside = emulator.dir  # where other programs' files lie: they hold secrets in the open
        yield sluice
        oracles.judge_secrets(emulator, [sluice])


def youtubeuploader(tokens, _client, **changes):
    return {"access_token": tokens["access_token"], "token_type": "Bearer", "refresh_token": tokens["refresh_token"],
            "expiry": "2023-10-01T23:47:10.260858598+10:00", "expires_in": 3599, **changes}


def oauth2client(tokens, client, **changes):
    return {"access_token": tokens["access_token"], "refresh_token": tokens["refresh_token"],
            "token_expiry": "2023-11-24T14:58:30Z", "client_id": client["client_id"],
            "client_secret": client["client_secret"], "token_uri": "https://oauth2.googleapis.com/token",
            "revoke_uri": "https://oauth2.googleapis.com/revoke", "user_agent": None, "id_token": None,
            "token_response": {"scope": YOUTUBE}, "invalid": False, "scopes": [YOUTUBE],
            "_class": "OAuth2Credentials", "_module": "oauth2client.client", **changes}


def google_auth(tokens, client, **changes):
    return {"token": tokens["access_token"], "refresh_token": tokens["refresh_token"],
            "token_uri": "https://attacker.example/token", "client_id": client["client_id"],
            "client_secret": client["client_secret"], "scopes": [YOUTUBE], "expiry": "2023-11-24T14:58:30.5Z",
            "universe_domain": "googleapis.com", "account": "", **changes}


def authorized_user(tokens, client, **changes):
    return {"type": "authorized_user", "refresh_token": tokens["refresh_token"], "client_id": client["client_id"],
            "client_secret": client["client_secret"], **changes}


KINDS = [youtubeuploader, oauth2client, google_auth, authorized_user]


def write(sluice, content):
    path = pathlib.Path(sluice.outside, "token")
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def a_file(sluice, kind, channel, scope=YOUTUBE, client="client_secret.json", **changes):
    tokens = sluice.emulator.tokens(channel["id"], scope=scope, client=client)
    return write(sluice, kind(tokens, sluice.emulator.client(client), **changes))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_becomes_a_login_that_works(sluice, emulator, channel, kind):
    path = a_file(sluice, kind, channel)
    before = path.read_bytes()
    result = sluice.ok("channel", "import", "main", "--token", path, "--log-level", "debug")
    assert result.out.split()[:2] == ["main", channel["id"]]
    assert path.read_bytes() == before
    path.unlink()
    job = sluice.ok("add", sluice.file("a.mp4", 1000), "--channel", "main").line
    sluice.ok("worker", "--drain")
    assert sluice.job(job)["state"] == "completed"
    who = {event["what"]: event["who"] for event in sluice.audit()}
    assert who["login"] == who["client imported"] == f"cli:{pwd.getpwuid(os.getuid()).pw_name}"


def test_a_file_renews_the_login_of_its_channel_alone(sluice, emulator, channel, other_channel):
    assert sluice.login("main", channel["id"])[0].rc == 0
    emulator.ctl("revoke", {"channel": channel["id"]})
    sluice.ok("channel", "import", "main", "--token", a_file(sluice, youtubeuploader, channel))
    result = sluice.fails(5, "channel", "import", "main", "--token", a_file(sluice, youtubeuploader, other_channel))
    assert other_channel["id"] in result.err
    assert sluice.ok("channel", "show", "main", "--json").json["yt_channel_id"] == channel["id"]


def test_k09_the_expected_channel_binds_an_import_too(sluice, channel, other_channel):
    path = a_file(sluice, google_auth, channel)
    result = sluice.fails(5, "channel", "import", "main", "--token", path, "--expect-channel", other_channel["id"])
    assert channel["id"] in result.err
    assert sluice.ok("channel", "list", "--json").out == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("token", [None, "", 7, "with blank", "x" * 5000])
def test_a_refresh_token_that_is_none_is_told(sluice, channel, kind, token):
    result = sluice.fails(3, "channel", "import", "main", "--token", a_file(sluice, kind, channel, refresh_token=token))
    assert "refresh_token" in result.err and "channel login" in result.err


def test_k03_a_login_that_google_no_longer_takes_is_told(sluice, emulator, channel):
    path = a_file(sluice, oauth2client, channel)
    emulator.ctl("revoke", {"channel": channel["id"]})
    result = sluice.fails(5, "channel", "import", "main", "--token", path)
    assert "revoked" in result.err and "sluice channel login" in result.err
    assert sluice.ok("channel", "list", "--json").out == ""


def test_k07_a_login_of_too_few_scopes_is_refused(sluice, channel):
    path = a_file(sluice, youtubeuploader, channel, scope=SCOPE + "youtube.upload")
    assert "youtube.readonly" in sluice.fails(5, "channel", "import", "main", "--token", path).err


def test_the_files_client_is_found_or_asked_for(sluice, emulator, channel):
    path = a_file(sluice, google_auth, channel, client="client_secret_2.json")
    result = sluice.fails(4, "channel", "import", "main", "--token", path)
    assert "client import" in result.err and emulator.client("client_secret_2.json")["client_id"] in result.err
    sluice.ok("client", "import", pathlib.Path(emulator.dir, "client_secret_2.json"), "--name", "second")
    assert "own client only" in sluice.fails(3, "channel", "import", "main", "--token", path, "--client", "default").err
    sluice.ok("channel", "import", "main", "--token", path)
    assert sluice.ok("channel", "show", "main", "--json").json["client"] == "second"


def test_without_a_client_in_the_file_the_only_one_or_a_named_one_is_taken(sluice, emulator, channel):
    sluice.ok("client", "import", pathlib.Path(emulator.dir, "client_secret_2.json"), "--name", "second")
    path = a_file(sluice, youtubeuploader, channel, client="client_secret_2.json")
    assert "--client" in sluice.fails(2, "channel", "import", "main", "--token", path).err
    wrong = sluice.fails(5, "channel", "import", "main", "--token", path, "--client", "default")
    assert "another client" in wrong.err
    sluice.ok("channel", "import", "main", "--token", path, "--client", "second")


@pytest.mark.parametrize("content, says", [
    (b"\x80\x04\x95\x10", "pickle"), (b"", "line"), (b"{", "line"), (b"[]", "not a JSON object"),
    ({"installed": {"client_id": "x"}}, "client import"), ({"web": {}}, "client import"),
    ({"type": "service_account", "private_key": "x"}, "service account"), ({"token": "x"}, "neither"), ({}, "neither"),
    ({"_module": "oauth2client.client", "invalid": True, "client_id": "x", "refresh_token": "x"}, "invalid"),
    ({"_module": "oauth2client.client", "refresh_token": "x"}, "client_id"), (b" " * 40000, "too")])
def test_what_is_wrong_with_a_file_is_told(sluice, content, says):
    assert says in sluice.fails(3, "channel", "import", "main", "--token", write(sluice, content)).err


def test_a_missing_file_is_4(sluice):
    sluice.fails(4, "channel", "import", "main", "--token", "nowhere.json")


def test_k02_an_endpoint_in_trouble_changes_nothing(sluice, emulator, channel):
    path = a_file(sluice, youtubeuploader, channel)
    emulator.faults({"on": "token", "do": "return-503"})
    assert "try again" in sluice.fails(1, "channel", "import", "main", "--token", path).err
    sluice.ok("channel", "import", "main", "--token", path)
