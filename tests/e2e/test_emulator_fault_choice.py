"""Which request a fault hits, and the faults of the token endpoint."""

import pathlib
import sys
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import SCOPE, Emulator  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403


# ---- which request is hit


def statuses(emulator, upload, count):
    return [emulator.query(upload.location, upload.token).status for _ in range(count)]


@pytest.mark.parametrize("when,hit", [
    ({}, [1]), ({"nth": 3}, [3]), ({"nth": 2, "times": 2}, [2, 3]), ({"times": 3}, [1, 2, 3]),
    ({"every": 2}, [2, 4, 6]), ({"every": 2, "times": 2}, [2, 4]), ({"probability": 1}, [1, 2, 3, 4, 5, 6]),
    ({"probability": 0}, []),
])
def test_when(emulator, upload, when, hit):
    fault(emulator, "query", "return-503", **when)
    assert [i + 1 for i, status in enumerate(statuses(emulator, upload, 6)) if status == 503] == hit
    described = emulator.ctl("faults")[0]
    assert (described["seen"], described["consumed"]) == (6, len(hit))


def test_probability_is_seeded():
    def draw(seed):
        with Emulator("--seed", str(seed)) as emulator:
            token = emulator.access_token(emulator.channels()[0]["id"])
            emulator.faults({"on": "query", "do": "return-503", "probability": 0.5})
            return statuses(emulator, Upload(emulator, token, 10), 20)
    assert draw(1) == draw(1) != draw(2)


def test_only_one_channel_or_session(emulator, channel, other_channel, token):
    mine, other = Upload(emulator, token), Upload(emulator, emulator.access_token(other_channel["id"]))
    digests = [session["session"] for session in emulator.ctl("sessions") if session["channel"] == channel["id"]]
    emulator.faults({"on": "query", "do": "return-500", "channel": other_channel["title"]},
                    {"on": "query", "do": "return-503", "session": digests[0]})
    assert statuses(emulator, mine, 2) == [503, 308]
    assert statuses(emulator, other, 2) == [500, 308]


@pytest.mark.parametrize("on,hit", [("any", True), ("put", True), ("put-final", True), ("query", False),
                                    ("start", False)])
def test_operations(emulator, upload, on, hit):
    fault(emulator, on, "return-503")
    assert (upload.put().status == 503) is hit


def test_several_at_once_the_first_that_is_due_acts(emulator, upload):
    emulator.faults({"on": "query", "nth": 2, "do": "return-500"}, {"on": "any", "times": 2, "do": "return-503"})
    assert statuses(emulator, upload, 4) == [503, 500, 503, 308]


def test_faults_add_up_and_can_be_cleared(emulator, upload):
    fault(emulator, "query", "return-500", nth=5)
    fault(emulator, "query", "return-503")
    assert len(emulator.ctl("faults")) == 2
    emulator.ctl("faults", method="DELETE")
    assert emulator.ctl("faults") == [] and statuses(emulator, upload, 1) == [308]


@pytest.mark.parametrize("bad", [
    {"on": "put"}, {"do": "return-503"}, {"on": "put", "do": "return-"}, {"on": "put", "do": "return-503x"},
    {"on": "put", "do": "explode"}, {"on": "put", "do": "return-503", "nth": "1"},
    {"on": "put", "do": "return-503", "probability": "often"}, {"on": "put", "do": "keep-99999999999999999999K"},
])
def test_bad_faults_are_refused_all_together(emulator, bad):
    reply = emulator.request("POST", "/_ctl/faults", body=[{"on": "any", "do": "return-500"}, bad])
    assert reply.status == 400 and reply.json()["error"]
    assert emulator.ctl("faults") == []


def test_journal_tells_which_fault_was_applied(emulator, upload):
    fault(emulator, "put", "keep-100K")
    upload.put()
    entry = emulator.journal(op="put-final")[0]
    assert (entry["fault"], entry["status"], entry["stored_before"], entry["stored_after"]) == (
        "keep-100K", 308, 0, 102400)
    assert entry["received_bytes"] == len(upload.data)


# ---- the token endpoint


def refresh(emulator, tokens):
    client = emulator.client()
    body = urllib.parse.urlencode({
        "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client["client_id"],
        "client_secret": client["client_secret"]})
    return emulator.request("POST", "/token", body=body)


@pytest.mark.parametrize("do,options,status,error", [
    ("return-500", {}, 500, "internal_failure"),
    ("return-503", {"reason": "temporarily_unavailable"}, 503, "temporarily_unavailable"),
    ("oauth-error-invalid_grant", {}, 400, "invalid_grant"),
    ("oauth-error-invalid_client", {}, 401, "invalid_client"),
    ("oauth-error-org_internal", {"status": 403}, 403, "org_internal"),
])
def test_k02_token_endpoint_fails(emulator, channel, do, options, status, error):
    tokens = emulator.tokens(channel["id"])
    fault(emulator, "token", do, **options)
    reply = refresh(emulator, tokens)
    assert (reply.status, reply.json()["error"]) == (status, error)
    assert refresh(emulator, tokens).status == 200
    once(emulator)


@pytest.mark.parametrize("text,value", [("0", 0), ("-1", -1), ("1", 1), ("9223372036854775807", 2**63 - 1),
                                        ('"soon"', "soon"), ("null", None), ("missing", "missing")])
def test_k05_odd_expires_in(emulator, channel, text, value):
    fault(emulator, "token", "expires-in-" + text)
    assert refresh(emulator, emulator.tokens(channel["id"])).json().get("expires_in", "missing") == value


def test_k05_odd_access_token(emulator, channel):
    fault(emulator, "token", "access-token-ya29.a\r\nX-Injected: 1")
    assert refresh(emulator, emulator.tokens(channel["id"])).json()["access_token"] == "ya29.a\r\nX-Injected: 1"


def test_k06_new_refresh_token_kills_the_old(emulator, channel):
    tokens = emulator.tokens(channel["id"])
    fault(emulator, "token", "new-refresh-token")
    fresh = refresh(emulator, tokens).json()
    assert refresh(emulator, tokens).json()["error"] == "invalid_grant"
    assert refresh(emulator, fresh).status == 200


def test_k07_smaller_scope(emulator, channel):
    fault(emulator, "token", "smaller-scope")
    fresh = refresh(emulator, emulator.tokens(channel["id"])).json()
    assert fresh["scope"] == SCOPE + "youtube.readonly"
    assert emulator.start_reply(fresh["access_token"]).reason() == "insufficientPermissions"


def test_token_faults_can_name_a_channel_and_break_connections(emulator, channel, other_channel):
    fault(emulator, "token", "return-reset-connection", channel=other_channel["id"])
    assert refresh(emulator, emulator.tokens(channel["id"])).status == 200
    with pytest.raises(BROKEN):
        refresh(emulator, emulator.tokens(other_channel["id"]))
    once(emulator)
