"""P01 to P16: what a job does about a server that lies."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from job_fixtures import *  # noqa: E402, F403

FIRST_TWO = 2 * CHUNK  # what is confirmed once the second chunk is answered


def assert_goes_on(run, sessions=1):
    assert run.standing == "completed"
    assert len(run.sessions()) == sessions


def first_bytes(run):
    """Where each PUT began."""
    return [int(entry["content_range"].split()[1].split("-")[0]) for entry in run.journal("put", "put-final")]


# ---- offsets


def test_p01_nothing_stored_begins_again_on_the_same_session(world):
    run = world.run({"on": "put", "do": "keep-none"})
    assert_goes_on(run)
    assert first_bytes(run)[:2] == [0, 0]


def test_p01_no_range_after_some_was_confirmed_asks_once(world):
    run = world.run({"on": "put", "do": "range-missing", "nth": 3})
    assert_goes_on(run)
    assert run.after_fault()["op"] == "query" and len(run.journal("query")) == 1
    assert run.sent_in_vain() == 0


@pytest.mark.parametrize("mode", ["chunked", "whole"])
@pytest.mark.parametrize("do, kept", [("keep-100K", 102400), ("keep-1B", 1), ("keep-none", 0)])
def test_p02_goes_on_from_what_was_kept(world, do, kept, mode):
    run = world.run({"on": "put", "do": do}, chunk_mode=mode)
    assert_goes_on(run)
    assert first_bytes(run)[1] == kept


def test_p03_a_range_that_went_back_is_believed(world):
    run = world.run({"on": "put", "do": "range-bytes=0-99", "nth": 3})
    assert_goes_on(run)
    assert first_bytes(run)[3] == 100
    assert "rewind" in run.logs()


@pytest.mark.parametrize("last", [CHUNK, 999_999, 1_000_000, 2**63])
def test_p04_more_than_was_sent_is_asked_about(world, last):
    run = world.run({"on": "put", "do": f"range-bytes=0-{last}"})
    assert_goes_on(run)
    assert run.after_fault()["op"] == "query"
    assert run.sent_in_vain() == 0


def test_p04_more_than_was_sent_for_good_is_for_a_person(world):
    lie = "range-bytes=0-1000000"
    run = world.run({"on": "put", "do": lie}, {"on": "query", "do": lie, "every": 1})
    assert run.standing == "held ambiguous" and world.emulator.videos() == []
    assert len(run.journal("query")) <= 6


@pytest.mark.parametrize("value", [
    "0-99", "bytes=5-9", "bytes=0-9,20-29", "bytes=0-18446744073709551616", "bytes=-5", "bytes= 0-9", "bytes=0-",
    "bytes=0-0x10", "bytes 0-99", "bytes=9-5"])
def test_p05_a_malformed_range_is_asked_about(world, value):
    run = world.run({"on": "put", "do": f"range-{value}", "nth": 2})
    assert_goes_on(run)
    assert run.after_fault()["op"] == "query"
    assert run.sent_in_vain() == 0


def test_p05_malformed_for_good_is_bounded(world):
    run = world.run({"on": "put", "do": "range-bytes=x", "nth": 2}, {"on": "query", "do": "range-bytes=x", "every": 1})
    assert run.standing == "waiting"
    assert len(run.journal("query")) <= 8
    world.emulator.ctl("faults", method="DELETE")
    assert run.retry().standing == "completed"
    assert len(run.sessions()) == 1


def test_p06_no_progress_for_good_is_bounded(world):
    run = world.run({"on": "put", "do": "keep-none", "every": 1})
    assert run.standing == "waiting" and world.emulator.videos() == []
    assert len(run.journal("put")) <= 8
    world.emulator.ctl("faults", method="DELETE")
    assert run.retry().standing == "completed"


# ---- replies that claim the wrong thing


def test_p07_a_308_in_disguise(world):
    run = world.run({"on": "put", "do": "override-308", "nth": 2}, {"on": "put-final", "do": "override-308"})
    assert_goes_on(run)
    assert run.sent_in_vain() == 0


def test_p07_200_without_a_video_in_the_middle(world):
    run = world.run({"on": "put", "do": "keep-all-then-200", "nth": 2})
    assert_goes_on(run)
    assert run.after_fault()["op"] == "query" and run.sent_in_vain() == 0


@pytest.mark.parametrize("do", ["wrong-size", "wrong-title"])
def test_p08_another_video_is_for_a_person(world, do):
    run = world.run({"on": "put-final", "do": do})
    assert run.standing == "held ambiguous"
    assert run.video["id"] in f"{run.job['error_message']} {run.job['why']}"
    run.drain()
    assert len(world.emulator.videos()) == 1


def test_other_privacy_is_told_but_does_not_undo_the_video(world):
    run = world.run({"on": "put-final", "do": "other-privacy"})
    assert run.standing == "completed"
    assert "privacy" in run.job["error_message"]


def test_p09_a_final_reply_that_names_another_video(world):
    run = world.run({"on": "put-final", "do": "other-id"})
    job = run.job
    assert job["state"] in ("finishing", "held") and job["video_id"] != run.video["id"]
    run.drain()
    assert len(world.emulator.videos()) == 1 and len(run.journal("start")) == 1


# ---- locations


@pytest.mark.parametrize("location", [
    "missing", "/upload/youtube/v3/videos?upload_id=x", "http://127.0.0.1:1/x?upload_id=y",
    "https://user:word@127.0.0.1:1/x", "https://elsewhere.example/upload?upload_id=y", "https://127.0.0.1:1/x",
    pytest.param("https://127.0.0.1:1/" + "x" * 8192, id="long")])
def test_p10_a_location_that_may_not_be_used(world, location):
    run = world.run({"on": "start", "do": f"location-{location}"})
    assert run.standing == "completed"
    assert len(run.journal("start")) == 2
    assert run.video["received_bytes"] == SIZE


def test_p10_the_right_address_without_tls_is_refused(world):
    plain = world.emulator.url.replace("https:", "http:")
    run = world.run({"on": "start", "do": f"location-{plain}/upload/youtube/v3/videos?upload_id=x", "every": 1})
    assert run.standing == "waiting" and run.journal("put") == []
    assert run.job["error_reason"] == "locationRefused"
    assert "upload_id" not in str(run.job["error_message"])


def test_p10_a_stored_session_is_used_at_the_host_of_api_root_alone(world):
    """Whoever changes api_root does not send the new one's tokens to the old one."""
    run = world.run({"on": "put", "do": "return-503", "nth": 2, "retry_after": 300})
    assert run.standing == "waiting"
    sent = len(run.on_session())
    run.home.configure(api_root=world.emulator.url.replace("127.0.0.1", "localhost"))
    assert run.retry().standing == "held corrupt" and run.job["error_reason"] == "sessionElsewhere"
    assert len(run.on_session()) == sent
    run.home.configure(api_root=world.emulator.url)
    assert run.retry().standing == "completed" and len(run.sessions()) == 1


@pytest.mark.parametrize("on, nth", [("put", 2), ("query", 1)])
def test_p11_a_session_that_moves_is_followed_and_stored(world, on, nth):
    first = [{"on": "put", "do": "return-503", "nth": 2}] if on == "query" else []
    run = world.run(*first, {"on": on, "do": "new-location", "nth": nth})
    assert_goes_on(run)
    assert "route=" in run.on_session()[-1]["query"]
    assert [event["what"] for event in run.home.audit(run.id)].count("session moved") == 1
    assert run.sent_in_vain() <= CHUNK


def test_p11_a_session_that_moves_elsewhere_is_not_followed(world):
    run = world.run({"on": "put", "do": "location-https://elsewhere.example/x?upload_id=y", "nth": 2})
    assert run.standing == "completed" and len(run.sessions()) == 1


# ---- broken HTTP


@pytest.mark.parametrize("do", ["header-flood", "double-length", "length-and-chunked", "bad-header"])
@pytest.mark.parametrize("on, nth", [("start", 1), ("put", 2), ("put-final", 1)])
def test_p12_a_broken_reply(world, on, nth, do):
    run = world.run({"on": on, "do": do, "nth": nth})
    assert run.standing == "completed"


@pytest.mark.parametrize("status", [400, 503])
def test_p13_a_final_status_before_the_body_ends_the_body(world, status):
    size = 30_000_000
    run = world.run({"on": "put", "do": f"return-{status}-after-0K"}, size=size, chunk_mode="whole")
    if status == 400:
        assert run.standing == "failed"
    else:
        assert run.standing == "completed"
    faulty = next(entry for entry in run.on_session() if entry["fault"])
    assert faulty["received_bytes"] < size


@pytest.mark.parametrize("on, nth", [("put", 1), ("put", 2), ("put-final", 1)])
@pytest.mark.parametrize("then", ["500", "503", "none"])
def test_p14_stored_and_yet_an_error(world, on, nth, then):
    run = world.run({"on": on, "do": f"keep-all-then-{then}", "nth": nth})
    assert_goes_on(run)
    assert run.sent_in_vain() == 0


def test_p14_all_is_stored_and_not_finished(world):
    run = world.run({"on": "put-final", "do": "stored-not-final"})
    assert_goes_on(run)
    assert run.on_session()[-1]["op"] == "query" and run.sent_in_vain() == 0


def test_p15_a_video_that_is_not_there_is_not_sent_again(world):
    run = world.run({"on": "put-final", "do": "video-vanishes"})
    assert run.job["state"] == "finishing" and run.job["next_at"]
    assert run.job["error_reason"] == "videoNotSeen"
    run.drain()
    assert len(run.journal("start")) == 1


def test_p16_a_start_reply_that_comes_too_late(world):
    run = world.run({"on": "start", "do": "delay-reply-3s"}, request_timeout_ms="1s")
    assert run.standing == "completed"
    assert len(run.sessions()) == 2 and run.video["received_bytes"] == SIZE
