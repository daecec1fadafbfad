"""Quota, the Pacific day, the channel's own limit, and what it means to charge."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import SCOPE  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403

HOUR_MS = 3600 * 1000


def quota(emulator, project=0):
    return emulator.ctl("quota")[project]


def utc_ms(year, month, day, hour=0):
    import datetime
    moment = datetime.datetime(year, month, day, hour, tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) * 1000


# The vectors of the notes on the API, section 7.
@pytest.mark.parametrize("begin,hours", [
    (utc_ms(2026, 11, 1, 7), 25),
    (utc_ms(2026, 11, 2, 8), 24),
    (utc_ms(2027, 3, 14, 8), 23),
    (utc_ms(2027, 3, 15, 7), 24),
])
def test_pacific_day(emulator, begin, hours):
    for now in (begin, begin + hours * HOUR_MS // 2, begin + hours * HOUR_MS - 60_000):
        clock = emulator.ctl("clock", {"now_ms": now})
        assert (clock["day_start_ms"], clock["day_end_ms"]) == (begin, begin + hours * HOUR_MS)


def test_pacific_days_agree_with_the_time_zone_database(emulator):
    import datetime
    zoneinfo = pytest.importorskip("zoneinfo")
    try:
        zone = zoneinfo.ZoneInfo("America/Los_Angeles")
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("no time zone database here")
    for days in range(0, 366 * 3, 5):
        now = utc_ms(2026, 1, 1, 9) + days * 24 * HOUR_MS
        local = datetime.datetime.fromtimestamp(now / 1000, zone)
        tomorrow = (local + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        assert emulator.ctl("clock", {"now_ms": now})["day_end_ms"] == int(tomorrow.timestamp()) * 1000


def test_each_start_costs_one_upload_also_a_bad_one(emulator, token):
    emulator.start(token, 10)
    assert emulator.start_reply(token, metadata={}).status == 400
    assert quota(emulator)["uploads"]["used"] == 2
    assert quota(emulator)["units"]["used"] == 0


def test_a_start_that_fails_on_the_way_is_charged_too(emulator, token):
    """Nobody knows whether it is: the harder case for a ledger is that it is."""
    emulator.faults({"on": "start", "do": "return-503"})
    assert emulator.start_reply(token).status == 503
    assert quota(emulator)["uploads"]["used"] == 1


def test_bytes_and_queries_cost_nothing(emulator, token):
    location = emulator.start(token, 10)
    emulator.query(location, token)
    emulator.put(location, token, b"x" * 10)
    assert (quota(emulator)["uploads"]["used"], quota(emulator)["units"]["used"]) == (1, 0)


def test_h05_spent_day_is_a_429_that_only_its_message_tells(emulator, token):
    emulator.ctl("quota", {"project": 1, "uploads": 1})
    emulator.start(token, 10)
    reply = emulator.start_reply(token)
    assert (reply.status, reply.reason()) == (429, "rateLimitExceeded")
    assert "limit 'Video Uploads per day'" in reply.json()["error"]["message"]
    assert "project_number:100000000001" in reply.json()["error"]["message"]
    assert quota(emulator)["uploads"] == {"limit": 1, "used": 1, "charged": 1, "refused": 1}


@pytest.mark.parametrize("reason", ["quotaExceeded", "dailyLimitExceeded"])
def test_h05_other_shapes_of_a_spent_day(emulator, token, reason):
    emulator.ctl("quota", {"project": 1, "uploads": 0, "error": reason})
    reply = emulator.start_reply(token)
    assert (reply.status, reply.reason()) == (403, reason)


def test_buckets_and_projects_are_apart(emulator, channel, token):
    emulator.ctl("quota", {"project": 1, "uploads": 0})
    assert emulator.request("GET", "/youtube/v3/channels?part=id&mine=true", token=token).status == 200
    other = emulator.access_token(channel["id"], client="client_secret_2.json")
    assert emulator.start_reply(other).status == 200
    emulator.ctl("quota", {"project": "sluice-emulator-2", "units": 0})
    assert emulator.request("GET", "/youtube/v3/channels?part=id&mine=true", token=other).status == 429
    assert emulator.start_reply(other).status == 200


def test_midnight_pacific_gives_a_new_day(emulator, channel):
    emulator.ctl("clock", {"now_ms": utc_ms(2026, 11, 2, 7)})  # an hour before midnight, after the clocks changed
    emulator.ctl("quota", {"project": 1, "uploads": 1})
    token = emulator.access_token(channel["id"])
    emulator.start(token, 10)
    emulator.advance(HOUR_MS - 60_000)
    token = emulator.access_token(channel["id"])
    assert emulator.start_reply(token).status == 429
    emulator.advance(60_000)
    assert emulator.start_reply(token).status == 200
    assert quota(emulator)["uploads"] == {"limit": 1, "used": 1, "charged": 2, "refused": 1}


@pytest.mark.parametrize("method,target,units,body", [
    ("GET", "/youtube/v3/videos?part=id&id=x", 1, None),
    ("GET", "/youtube/v3/channels?part=id&mine=true", 1, None),
    ("GET", "/youtube/v3/playlistItems?part=id&playlistId=x", 1, None),
    ("GET", "/youtube/v3/playlists?part=id&mine=true", 1, None),
    ("GET", "/youtube/v3/videoCategories?part=snippet&regionCode=US", 1, None),
    ("DELETE", "/youtube/v3/videos?id=x", 50, None),
    ("POST", "/upload/youtube/v3/thumbnails/set?videoId=x", 50, b"image"),
    ("POST", "/youtube/v3/playlists?part=snippet", 50, {}),
    ("POST", "/youtube/v3/playlistItems?part=snippet", 50, {}),
    ("POST", "/upload/youtube/v3/captions?part=snippet", 400, {}),
])
def test_units(emulator, channel, method, target, units, body):
    token = emulator.access_token(channel["id"], scope=SCOPE + "youtube.force-ssl")
    emulator.request(method, target, body=body, token=token)
    assert quota(emulator)["units"]["used"] == units


@pytest.mark.parametrize("status", [400, 403])
def test_h06_the_channels_own_limit(emulator, other_channel, status):
    channel = emulator.ctl("channels", {"title": f"limited {status}"})[0]
    emulator.ctl("channels", {"channel": channel["id"], "upload_limit": 1, "upload_limit_status": status})
    token = emulator.access_token(channel["id"])
    emulator.put(emulator.start(token, 1), token, b"x")
    reply = emulator.start_reply(token)
    assert (reply.status, reply.reason()) == (status, "uploadLimitExceeded")
    assert emulator.start_reply(emulator.access_token(other_channel["id"])).status == 200
    emulator.advance(24 * HOUR_MS + 1000)
    assert emulator.start_reply(emulator.access_token(channel["id"])).status == 200
