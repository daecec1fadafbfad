"""`channel login` and its kin: the loopback flow with PKCE against the emulator's consent page."""

import pathlib
import stat
import sys
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import SCOPE  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403
from sluice import Sluice, browse  # noqa: E402


@pytest.fixture
def sluice(emulator):
    with Sluice(emulator) as sluice:
        sluice.ok("init")
        sluice.ok("client", "import", emulator.client_secret)
        yield sluice


class Waiting:
    """A login that waits for its redirect."""

    def __init__(self, sluice, *args, **kwargs):
        self.sluice = sluice
        self.process = sluice.start("channel", "login", *args, "--no-browser", **kwargs)
        self.url = self.process.stdout.readline().strip()
        self.params = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.url).query))
        self.redirect_uri = self.params["redirect_uri"]

    def redirect(self, **params):
        return browse(self.redirect_uri + "/?" + urllib.parse.urlencode({"state": self.params["state"], **params}))

    def finish(self):
        return self.sluice.finish(self.process)


def test_a_login_binds_the_channel_chosen_at_the_consent_page(sluice, other_channel):
    result, page = sluice.login("main", other_channel["id"])
    assert result.rc == 0, result
    assert result.out.split() == ["main", other_channel["id"], other_channel["title"]]
    assert other_channel["title"] in page and other_channel["id"] in page
    shown = sluice.ok("channel", "show", "main", "--json").json
    assert shown["yt_channel_id"] == other_channel["id"]
    assert shown["state"] == "active" and shown["logged_in"] is True


def test_the_request_has_pkce_state_and_asks_for_a_refresh_token(sluice, channel):
    login = Waiting(sluice, "main")
    assert login.params["code_challenge_method"] == "S256"
    assert len(login.params["code_challenge"]) == 43
    assert len(login.params["state"]) >= 32
    assert login.params["access_type"] == "offline"
    assert login.redirect_uri.startswith("http://127.0.0.1:")
    again = Waiting(sluice, "second")
    for name in ("state", "code_challenge", "redirect_uri"):
        assert again.params[name] != login.params[name]


def test_no_secret_of_a_login_is_printed_or_stored_in_the_open(sluice, emulator, channel):
    emulator.ctl("approve", {"channel": channel["id"]})
    login = Waiting(sluice, "main", "--log-level", "debug")
    location = sluice.redirect_of(login.url)
    code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))["code"]
    browse(location)
    result = login.finish()
    assert result.rc == 0, result
    assert code not in result.out + result.err
    for file in sluice.state.rglob("*"):
        assert file.is_dir() or code.encode() not in file.read_bytes(), file
        assert file.is_dir() or b"1//" not in file.read_bytes(), file


def test_a_wrong_state_is_refused_and_the_right_one_still_works(sluice, emulator, channel):
    emulator.ctl("approve", {"channel": channel["id"]})
    login = Waiting(sluice, "main")
    location = sluice.redirect_of(login.url)
    wrong = login.redirect(state="forged", code="stolen")
    assert wrong.status == 400 and "Another login" in wrong.body
    assert browse(login.redirect_uri + "/?code=stolen").status == 400
    assert browse(login.redirect_uri + "/favicon.ico").status == 404
    assert browse(location, host="evil.example").status == 400
    assert browse(location).status == 200
    assert login.finish().rc == 0


def test_a_title_cannot_put_markup_into_the_page(sluice, emulator):
    evil = emulator.ctl("channels", {"title": "<script>alert(1)</script>&"})
    channel = next(item for item in emulator.channels() if item["title"].startswith("<script>"))
    assert evil
    result, page = sluice.login("main", channel["id"])
    assert result.rc == 0, result
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_a_refusal_at_the_consent_page_is_5(sluice, channel):
    result, page = sluice.login("main", channel["id"], error="access_denied")
    assert result.rc == 5 and "access_denied" in result.err
    assert "Not logged in" in page
    assert sluice.ok("channel", "list", "--json").out == ""


def test_a_forged_code_is_5_and_makes_no_channel(sluice):
    login = Waiting(sluice, "main")
    page = login.redirect(code="forged")
    assert "Not logged in" in page.body
    assert login.finish().rc == 5
    assert sluice.ok("channel", "list", "--json").out == ""


def test_the_redirect_may_be_pasted(sluice, emulator, channel):
    import subprocess
    emulator.ctl("approve", {"channel": channel["id"]})
    login = Waiting(sluice, "main", stdin=subprocess.PIPE)
    location = sluice.redirect_of(login.url)
    login.process.stdin.write("nonsense\nhttp://127.0.0.1:1/?code=x&state=y\n" + location + "\n")
    login.process.stdin.flush()
    result = login.finish()
    assert result.rc == 0, result
    assert "another login" in result.err


def test_k09_a_login_of_another_channel_than_expected_is_refused(sluice, channel, other_channel):
    result, page = sluice.login("main", channel["id"], "--expect-channel", other_channel["id"])
    assert result.rc in (3, 5), result
    assert channel["id"] in result.err
    assert "Not logged in" in page
    assert sluice.ok("channel", "list", "--json").out == ""


def test_k09_a_known_channel_never_becomes_another_one(sluice, channel, other_channel):
    assert sluice.login("main", channel["id"])[0].rc == 0
    result, _ = sluice.login("main", other_channel["id"])
    assert result.rc in (3, 5), result
    assert sluice.ok("channel", "show", "main", "--json").json["yt_channel_id"] == channel["id"]
    assert sluice.login("main", channel["id"])[0].rc == 0


def test_k07_a_scope_that_was_unticked_is_named(sluice, channel):
    result, page = sluice.login("main", channel["id"], scopes=SCOPE + "youtube.upload")
    if result.rc == 0:
        result, page = sluice.login("main", channel["id"], scope=SCOPE + "youtube.upload")
    assert result.rc == 5, result
    assert "youtube.readonly" in result.err


def test_the_browser_is_started_without_a_shell(sluice, emulator, channel):
    emulator.ctl("approve", {"channel": channel["id"]})
    opened = sluice.home / "opened"
    script = sluice.home / "browser"
    script.write_text('#!/bin/sh\nprintf "%s" "$2" > "$1.part"\nmv "$1.part" "$1"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    process = sluice.start("channel", "login", "main", env={"BROWSER": f"{script} {opened} %s:elinks"})
    from sluice import until
    until(opened.exists, "the browser's start")
    sluice.follow(opened.read_text())
    assert sluice.finish(process).rc == 0


def test_without_a_browser_the_page_is_shown(sluice):
    process = sluice.start("channel", "login", "main", env={"BROWSER": "/nowhere/browser"})
    lines = [process.stderr.readline() for _ in range(2)]
    assert "No browser could be started" in lines[0]
    assert lines[1].startswith(sluice.emulator.url)


def test_the_second_client_must_be_named(sluice, emulator, channel):
    sluice.ok("client", "import", pathlib.Path(emulator.dir, "client_secret_2.json"), "--name", "second")
    assert "--client" in sluice.fails(2, "channel", "login", "main").err
    result, _ = sluice.login("main", channel["id"], "--client", "second")
    assert result.rc == 0
    assert sluice.ok("channel", "show", "main", "--json").json["client"] == "second"
    assert sluice.login("main", channel["id"])[0].rc == 0
    assert sluice.ok("channel", "show", "main", "--json").json["client"] == "second"


def test_what_a_login_needs_is_told(sluice):
    sluice.fails(4, "channel", "login", "main", "--client", "nobody")
    assert "channel name" in sluice.fails(3, "channel", "login", "a/b").err
    assert "client import" in sluice.fails(4, "channel", "login", "main", "--tenant", "acme").err


# ---- afterwards


def test_pause_and_resume(sluice, channel):
    assert sluice.login("main", channel["id"])[0].rc == 0
    sluice.ok("channel", "pause", "main", "--reason", "holiday")
    shown = sluice.ok("channel", "show", "main", "--json").json
    assert (shown["state"], shown["reason"]) == ("paused", "holiday")
    assert "holiday" in sluice.ok("status").out
    sluice.ok("channel", "resume", "main")
    assert sluice.ok("channel", "show", "main", "--json").json["state"] == "active"
    sluice.fails(4, "channel", "pause", "nobody")


def test_remove_revokes_the_login(sluice, emulator, channel):
    assert sluice.login("main", channel["id"])[0].rc == 0
    assert sluice.ok("channel", "remove", "main", "--json").json["revoked"] is True
    assert any(entry["op"] == "revoke" for entry in emulator.journal())
    sluice.fails(4, "channel", "show", "main")


def test_remove_leaves_the_login_where_it_is_told_to(sluice, emulator, channel):
    """Whoever shares it with another program keeps it there."""
    assert sluice.login("main", channel["id"])[0].rc == 0
    assert sluice.ok("channel", "remove", "main", "--no-revoke", "--json").json["revoked"] is False
    assert not emulator.journal(op="revoke")
    sluice.fails(4, "channel", "show", "main")


def test_a_channel_with_open_jobs_is_not_removed(sluice, channel):
    assert sluice.login("main", channel["id"])[0].rc == 0
    job_id = sluice.ok("add", sluice.file("a.mp4", 1000), "--channel", "main").line
    sluice.fails(3, "channel", "remove", "main")
    sluice.ok("job", "cancel", job_id)
    sluice.ok("channel", "remove", "main")
    assert sluice.job(job_id)["state"] == "cancelled"
