"""`channel login --device`: a code that is entered on another device, for machines without a browser."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from emulator import SCOPE  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403
from sluice import Sluice, children, until  # noqa: E402


@pytest.fixture
def sluice(emulator):
    emulator.settings(device_interval_s=1)
    with Sluice(emulator) as sluice:
        sluice.ok("init")
        sluice.ok("client", "import", pathlib.Path(emulator.dir, "client_secret_tv.json"), "--name", "tv")
        yield sluice
        oracles.judge_secrets(emulator, [sluice])


class Waiting:
    """A login that shows its code and waits."""

    def __init__(self, sluice, *args):
        self.sluice = sluice
        self.process = sluice.start("channel", "login", "main", "--device", "--log-level", "debug", *args)
        self.url, self.code = self.process.stdout.readline().split()

    def answer(self, **answer):
        self.sluice.emulator.ctl("device", {"user_code": self.code, **answer})

    def finish(self):
        return self.sluice.finish(self.process)


def polls(emulator):
    return [entry for entry in emulator.journal(op="token")]


def test_a_code_entered_elsewhere_logs_the_channel_in(sluice, emulator, channel):
    login = Waiting(sluice)
    assert login.url == emulator.url + "/device"
    until(lambda: len(polls(emulator)) >= 2, "polls while nobody answers")
    login.answer(channel=channel["id"])
    result = login.finish()
    assert result.rc == 0, result
    assert result.out.split()[:2] == ["main", channel["id"]]
    assert sluice.ok("channel", "show", "main", "--json").json["logged_in"] is True
    job = sluice.ok("add", sluice.file("a.mp4", 1000), "--channel", "main").line
    sluice.ok("worker", "--drain")
    assert sluice.job(job)["state"] == "completed"


def test_it_asks_for_the_one_scope_that_is_allowed_and_enough(sluice, emulator, channel):
    login = Waiting(sluice)
    assert [item["scope"] for item in emulator.ctl("device")] == [SCOPE + "youtube"]
    login.answer(channel=channel["id"])
    assert login.finish().rc == 0


def test_neither_process_keeps_its_secrets_where_they_show(sluice, emulator, channel):
    login = Waiting(sluice)
    broker, = children(login.process.pid)
    for pid in (login.process.pid, broker):
        oracles.judge_process(emulator, pid)
    login.answer(channel=channel["id"])
    until(lambda: login.process.poll() is not None, "its end")
    assert login.finish().rc == 0


def test_with_json_the_code_comes_as_an_object(sluice, emulator, channel):
    import json
    process = sluice.start("channel", "login", "main", "--device", "--json")
    shown = json.loads(process.stdout.readline())
    assert shown["verification_url"] == emulator.url + "/device" and shown["expires_in"] == 1800
    emulator.ctl("device", {"user_code": shown["user_code"], "channel": channel["id"]})
    result = sluice.finish(process)
    assert result.rc == 0 and json.loads(result.out)["yt_channel_id"] == channel["id"]


def test_a_refusal_on_the_other_device_is_5(sluice):
    login = Waiting(sluice)
    login.answer(deny=True)
    result = login.finish()
    assert result.rc == 5 and "refused on the other device" in result.err
    assert sluice.ok("channel", "list", "--json").out == ""


def test_a_code_that_ran_out_is_5_and_says_so(sluice, emulator):
    login = Waiting(sluice)
    emulator.advance(1801 * 1000)
    result = login.finish()
    assert result.rc == 5 and "ran out" in result.err


@pytest.mark.parametrize("fault", [
    {"do": "oauth-error-slow_down", "status": 403}, {"do": "return-503"}, {"do": "return-reset-connection"},
    {"do": "oauth-error-authorization_pending", "status": 428}])
def test_k02_what_passes_is_waited_for(sluice, emulator, channel, fault):
    emulator.faults({"on": "token", **fault})
    login = Waiting(sluice)
    login.answer(channel=channel["id"])
    assert login.finish().rc == 0
    assert emulator.consumed() == [1]


def test_a_client_of_another_type_is_told_which_one_is_needed(sluice, emulator):
    sluice.ok("client", "import", emulator.client_secret)
    result = sluice.fails(5, "channel", "login", "main", "--device", "--client", "default")
    assert "TVs and Limited Input devices" in result.err


def test_k09_the_expected_channel_binds_a_device_login_too(sluice, channel, other_channel):
    login = Waiting(sluice, "--expect-channel", other_channel["id"])
    login.answer(channel=channel["id"])
    result = login.finish()
    assert result.rc == 5 and channel["id"] in result.err
    assert sluice.ok("channel", "list", "--json").out == ""


def test_an_interrupted_login_leaves_nothing(sluice):
    login = Waiting(sluice)
    broker, = children(login.process.pid)
    sluice.interrupt(login.process)
    assert login.finish().rc != 0
    until(lambda: not pathlib.Path(f"/proc/{broker}").exists(), "the broker's end")
    assert sluice.ok("channel", "list", "--json").out == ""


def test_device_and_no_browser_do_not_go_together(sluice):
    sluice.fails(2, "channel", "login", "main", "--device", "--no-browser")
