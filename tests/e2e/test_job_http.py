"""H01 to H16: what a job does about the HTTP statuses it may be answered with."""

import email.utils
import pathlib
import socket
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from job_fixtures import *  # noqa: E402, F403

PER_DAY = ("Quota exceeded for quota metric 'Video Uploads' and limit 'Video Uploads per day' of service "
           "'youtube.googleapis.com' for consumer 'project_number:1'.")


def assert_asked_first(run, number=0):
    """After trouble the first word to the session is a question, and the same session goes on."""
    assert run.after_fault(number)["op"] == "query"
    assert run.standing == "completed"
    assert len(run.sessions()) == 1


def range_of(entry):
    first, rest = entry["content_range"].removeprefix("bytes ").split("-")
    return int(first), int(rest.split("/")[0])


# ---- passing trouble


@pytest.mark.parametrize("status", [500, 502, 504])
def test_h01_before_any_byte(world, status):
    run = world.run({"on": "put", "do": f"return-{status}-after-0K", "nth": 2})
    assert_asked_first(run)
    assert run.sent_in_vain() <= CHUNK


def test_h01_at_the_start(world):
    run = world.run({"on": "start", "do": "return-500"}, {"on": "start", "do": "return-502", "nth": 2})
    assert run.standing == "completed"
    assert [entry["status"] for entry in run.journal("start")] == [500, 502, 200]
    assert run.job["attempts"] == 3


def test_h01_at_the_check_of_the_video(world):
    run = world.run({"on": "videos.list", "do": "return-500"})
    assert run.standing == "completed"


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_h02_retry_after_is_waited_for(world, form):
    until_s = int(time.time()) + 5
    value = 2 if form == "seconds" else email.utils.formatdate(until_s, usegmt=True)
    run = world.run({"on": "put", "do": "return-503", "nth": 2, "retry_after": value})
    assert_asked_first(run)
    faulty = next(entry for entry in run.on_session() if entry["fault"])
    assert run.after_fault()["at_ms"] >= (faulty["at_ms"] + 2000 if form == "seconds" else 1000 * until_s)


@pytest.mark.parametrize("retry_after, at_least_s, at_most_s", [(100, 100, 130), (864000, 3600, 4200)])
def test_h02_a_long_wait_gives_the_lease_back(world, retry_after, at_least_s, at_most_s):
    run = world.run({"on": "put", "do": "return-503", "nth": 2, "retry_after": retry_after})
    assert run.standing == "waiting" and not run.job["lease_owner"]
    assert at_least_s - 10 < oracles.seconds_from_now(run.job["next_at"]) < at_most_s
    assert run.job["has_session"] and run.job["confirmed_bytes"] == CHUNK
    run.retry()
    assert_asked_first(run)


@pytest.mark.parametrize("chunk_mode", ["chunked", "whole"])
def test_h03_part_of_a_put_is_stored(world, chunk_mode):
    nth, before = (2, CHUNK) if chunk_mode == "chunked" else (1, 0)
    kept = 128 if chunk_mode == "chunked" else 512
    world.emulator.settings(keep_aligned=0)
    run = world.run({"on": "put", "do": f"return-503-after-{kept}K", "nth": nth}, chunk_mode=chunk_mode)
    assert_asked_first(run)
    puts = run.journal("put", "put-final")
    assert range_of(puts[nth])[0] == before + kept * 1024
    assert run.sent_in_vain() < CHUNK or chunk_mode == "whole"


@pytest.mark.parametrize("fault", [
    {"do": "return-408"}, {"do": "return-425"}, {"do": "return-429", "body": "slow down"}])
def test_h04_retried_without_a_burst(world, fault):
    run = world.run({"on": "put", "nth": 2, **fault}, {"on": "query", **fault})
    assert_asked_first(run)
    assert len(run.journal("query")) <= 3


# ---- something is spent


@pytest.mark.parametrize("fault", [
    {"do": "return-429", "reason": "rateLimitExceeded", "message": PER_DAY},
    {"do": "return-403", "reason": "quotaExceeded", "domain": "youtube.quota"},
    {"do": "return-403", "reason": "dailyLimitExceeded", "domain": "usageLimits"},
])
def test_h05_day_quota_holds_to_midnight_without_a_retry(world, fault):
    run = world.run({"on": "start", **fault})
    assert run.standing == "held quota"
    assert len(run.journal("start")) == 1
    midnight = world.emulator.ctl("clock")["day_end_ms"] / 1000 - time.time()
    assert 0 < oracles.seconds_from_now(run.job["next_at"]) - midnight < 310
    run.drain()
    assert len(run.journal("start")) == 1
    assert run.home.run("job", "wait", run.id, "--timeout", "1s").rc == 6
    run.retry()
    assert run.standing == "held quota" and len(run.journal("start")) == 1  # YouTube's word fills the ledger
    run.home.ok("client", "limits", "default", "--uploads", 150)  # an operator may know better
    run.drain()
    assert run.standing == "completed"


def test_h05_a_spent_project_holds_its_own_jobs_alone(world):
    home = world.home("spent")
    home.ok("client", "import", pathlib.Path(world.emulator.dir) / "client_secret_2.json", "--name", "second")
    world.log_in(home, "other", "--client", "second")
    world.emulator.ctl("quota", {"project": 1, "uploads": 1})
    jobs = [home.ok("add", home.file(f"{name}-{i}.mp4"), "--channel", name).line
            for name in ("spent", "other") for i in range(3)]
    home.ok("worker", "--drain")
    states = [(home.job(job)["state"], home.job(job)["cause"]) for job in jobs]
    assert sorted(states[:3], key=str) == [("completed", None), ("held", "quota"), ("held", "quota")]
    assert states[3:] == [("completed", None)] * 3
    assert world.emulator.ctl("quota")[0]["uploads"]["refused"] <= 2


def test_h05_our_own_ledger_holds_before_a_request_is_made(world):
    home = world.home()
    home.ok("client", "limits", "default", "--uploads", 1)
    jobs = [home.ok("add", home.file(f"{i}.mp4"), "--channel", "main").line for i in range(2)]
    home.ok("worker", "--drain")
    states = sorted((home.job(job)["state"], home.job(job)["cause"]) for job in jobs)
    assert states == [("completed", None), ("held", "quota")]
    assert len(world.emulator.journal(op="start")) == 1


def uploads(home, channel=None):
    return next(line for line in home.ok("status", "--json").json["quota"]
                if line["bucket"] == "uploads" and line["channel"] == channel)


def test_h05_what_others_spend_is_shown_as_drift(world):
    home = world.home()
    world.emulator.ctl("quota", {"project": 1, "uploads": 1})
    jobs = [home.ok("add", home.file(f"{i}.mp4"), "--channel", "main").line for i in range(4)]
    home.ok("worker", "--drain", "--concurrency", 1)
    assert sorted(home.job(job)["state"] for job in jobs) == ["completed", "held", "held", "held"]
    assert len(world.emulator.journal(op="start")) == 2  # one that was refused, and nobody asked again
    assert uploads(home)["drift"] == 98 and uploads(home)["left"] == 0
    assert any(event["what"] == "quota drift" for event in home.audit())
    world.emulator.ctl("quota", {"project": 1, "uploads": 100})


def test_the_last_tenth_of_the_uploads_is_for_raised_priority(world):
    home = world.home()
    home.ok("client", "limits", "default", "--uploads", 10)
    jobs = [home.ok("add", home.file(f"{i}.mp4", 1000), "--channel", "main").line for i in range(10)]
    home.ok("worker", "--drain")
    assert sorted(home.job(job)["state"] for job in jobs) == ["completed"] * 9 + ["held"]
    assert uploads(home)["left"] == 1
    urgent = home.ok("add", home.file("urgent.mp4", 1000), "--channel", "main", "--priority", 1).line
    home.ok("worker", "--drain")
    assert home.job(urgent)["state"] == "completed" and uploads(home)["left"] == 0


def test_a_channel_may_have_a_daily_limit_of_its_own(world):
    home = world.home("small", "large")
    assert "2 uploads a day" in home.ok("channel", "limits", "small", "--uploads", 2).out
    jobs = {name: [home.ok("add", home.file(f"{name}{i}.mp4", 1000), "--channel", name).line for i in range(3)]
            for name in ("small", "large")}
    home.ok("worker", "--drain")
    assert sorted(home.job(job)["cause"] or "" for job in jobs["small"]) == ["", "", "quota"]
    assert [home.job(job)["state"] for job in jobs["large"]] == ["completed"] * 3
    assert (uploads(home, "small")["used"], uploads(home, "small")["left"]) == (2, 0)
    home.ok("channel", "limits", "small", "--uploads", 0)
    home.ok("worker", "--drain")
    assert [home.job(job)["state"] for job in jobs["small"]] == ["completed"] * 3


@pytest.mark.parametrize("status", [400, 403])
def test_h06_a_full_channel_is_held_for_a_day_and_others_go_on(world, status):
    home = world.home("full", "other")
    world.emulator.ctl("channels", {"channel": home.channels["full"], "upload_limit": 0, "upload_limit_status": status})
    full, other = [home.ok("add", home.file(f"{name}.mp4"), "--channel", name).line for name in ("full", "other")]
    home.ok("worker", "--drain")
    job = home.job(full)
    assert (job["state"], job["cause"]) == ("held", "upload_limit")
    assert 23.9 * 3600 < oracles.seconds_from_now(job["next_at"]) < 24.2 * 3600
    assert home.job(other)["state"] == "completed"
    world.emulator.ctl("channels", {"channel": home.channels["full"], "upload_limit": None})


def test_h06_a_session_that_lives_is_kept(world):
    run = world.run({"on": "put", "do": "return-400", "reason": "uploadLimitExceeded", "nth": 2})
    assert run.standing == "held upload_limit" and run.job["has_session"]
    run.home.ok("channel", "resume", "main")
    run.drain()
    assert_asked_first(run)


# ---- the channel or the token


def test_h07_one_401_refreshes_once_and_asks(world):
    run = world.run({"on": "put", "do": "return-401", "nth": 2})
    assert_asked_first(run)
    assert len(run.journal("token")) == 3  # the login's own, the worker's first, the fresh one


def test_h07_still_401_and_the_token_is_good_then_the_session_is_dead(world):
    run = world.run({"on": "put", "do": "return-401", "nth": 2}, {"on": "query", "do": "return-401", "nth": 1})
    assert run.standing == "completed"
    assert [entry["op"] for entry in run.on_session()][1:3] == ["put", "query"]
    assert len(run.sessions()) == 2 and len(run.journal("start")) == 2


def test_h07_still_401_and_the_token_is_refused_too(world):
    run = world.home()
    job = run.ok("add", run.file("a.mp4", SIZE), "--channel", "main").line
    # The login and the worker's first use list the channel, the probe is what fails.
    world.emulator.faults({"on": "put", "do": "return-401", "nth": 2}, {"on": "query", "do": "return-401"},
                          {"on": "channels.list", "do": "return-401", "nth": 2, "times": 3})
    run.ok("worker", "--drain")
    found = run.job(job)
    assert (found["state"], found["cause"]) == ("held", "channel_auth"), found
    assert len(world.emulator.ctl("sessions")) == 1


def test_h07_401_on_the_last_chunk_that_was_stored(world):
    run = world.run({"on": "put-final", "do": "keep-all-then-401"})
    assert_asked_first(run)
    assert run.sent_in_vain() == 0


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_h08_a_channel_in_trouble_is_held_and_told_of_once(world, state):
    home = world.home("bad", "good")
    jobs = [home.ok("add", home.file(f"{name}-{i}.mp4"), "--channel", name).line
            for name in ("bad", "good") for i in range(3)]
    world.emulator.ctl("channels", {"channel": home.channels["bad"], "state": state})
    home.ok("worker", "--drain")
    states = [(home.job(job)["state"], home.job(job)["cause"]) for job in jobs]
    assert states == [("held", "channel_frozen")] * 3 + [("completed", None)] * 3
    assert len([event for event in home.audit() if event["what"] == "channel frozen"]) <= 1
    world.emulator.ctl("channels", {"channel": home.channels["bad"], "state": "active"})
    home.ok("channel", "resume", "bad")
    home.ok("worker", "--drain")
    assert [home.job(job)["state"] for job in jobs] == ["completed"] * 6


@pytest.mark.parametrize("reason", ["channelSuspended", "channelClosed", "authenticatedUserAccountClosed"])
def test_h08_a_start_that_is_refused_to_the_channel(world, reason):
    run = world.run({"on": "start", "do": "return-403", "reason": reason})
    assert run.standing == "held channel_frozen" and len(run.journal("start")) == 1
    run.home.ok("channel", "resume", "main")
    assert run.drain().standing == "completed"


def test_h08_insufficient_permissions_ask_for_a_login(world):
    run = world.run({"on": "start", "do": "return-403", "reason": "insufficientPermissions"})
    assert run.standing == "held channel_auth"
    run.home.login("main", run.home.channels["main"])
    assert run.drain().standing == "completed"


# ---- sessions


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("on, nth", [("put", 2), ("query", 1)])
def test_h09_a_dead_session_that_cannot_have_finished(world, status, on, nth):
    first = [{"on": "put", "do": "return-500", "nth": 2}] if on == "query" else []
    run = world.run(*first, {"on": on, "do": f"session-gone-{status}", "nth": nth})
    assert run.standing == "completed"
    assert len(run.sessions()) == 2 and len(run.journal("start")) == 2
    assert run.video["received_bytes"] == run.video["bytes"]
    assert run.job["lease_epoch"] == 1


@pytest.mark.parametrize("status", [404, 410])
def test_h10_a_dead_session_after_the_last_byte_is_reconciled(world, status):
    run = world.run({"on": "put-final", "do": "keep-all-then-reset"}, {"on": "query", "do": f"session-gone-{status}"})
    assert run.standing == "completed"
    assert len(run.journal("start")) == 1 and len(run.journal("playlistItems.list")) == 1
    assert run.job["video_id"] == run.video["id"]


def test_h10_a_video_is_found_among_long_descriptions(world):
    """A page of fifty of them is far over what any other reply may have."""
    world.judges_ledger = False  # others' uploads are charged, too
    home = world.home()
    token = world.emulator.access_token(home.channels["main"])
    metadata = {"snippet": {"title": "Another", "description": "d" * 5000, "categoryId": "22"},
                "status": {"privacyStatus": "private"}}
    for number in range(49):
        session = world.emulator.start(token, 1, metadata=metadata)
        assert world.emulator.put(session, token, b"x").status == 201
    run = world.run({"on": "put-final", "do": "keep-all-then-reset"}, {"on": "query", "do": "session-gone-404"},
                    home=home)
    assert run.standing == "completed"
    ours, = [video["id"] for video in world.emulator.videos() if video["file_name"]]
    assert len(run.journal("start")) == 50 and run.job["video_id"] == ours


def test_h10_a_video_that_is_listed_late_is_found_late(world):
    world.emulator.settings(listing_delay_ms=3_600_000)
    run = world.run({"on": "put-final", "do": "keep-all-then-reset"}, {"on": "query", "do": "session-gone-404"})
    assert run.standing == "waiting" and len(run.journal("start")) == 1
    assert 5 < oracles.seconds_from_now(run.job["next_at"]) < 60
    run.retry()
    assert run.standing == "waiting" and len(run.journal("start")) == 1
    world.emulator.settings(listing_delay_ms=0)
    assert run.retry().standing == "completed"
    assert len(run.journal("start")) == 1


def test_h10_two_videos_that_may_be_ours_are_for_a_person(world):
    world.emulator.settings(slug_is_file_name=0)
    home = world.home()
    data = home.file("a.mp4", SIZE).read_bytes()
    other = home.media / "b.mp4"
    other.write_bytes(data)
    home.accepted["b.mp4"] = home.accepted["a.mp4"]
    first = home.ok("add", home.media / "a.mp4", "--channel", "main", "--title", "Twin").line
    home.ok("worker", "--drain")
    second = home.ok("add", other, "--channel", "main", "--title", "Twin", "--key", "second").line
    world.emulator.faults({"on": "put-final", "do": "keep-all-then-reset"}, {"on": "query", "do": "session-gone-404"})
    home.ok("worker", "--drain", "--drain-wait", "1s")
    job = home.job(second)
    assert (job["state"], job["cause"]) == ("held", "ambiguous")
    videos = world.emulator.videos()
    right = next(video["id"] for video in videos if second in video["file_name"])
    wrong = next(video["id"] for video in videos if first in video["file_name"])
    assert home.run("job", "resolve", second, "--video", wrong).rc == 3
    home.ok("job", "resolve", second, "--video", right)
    assert home.job(second)["state"] == "completed"


def test_h11_metadata_that_google_refuses_fails_at_once(world):
    run = world.run({"on": "start", "do": "return-400", "reason": "invalidTags", "message": "Bad tags."})
    assert run.standing == "failed" and len(run.journal("start")) == 1
    assert run.job["error_reason"] == "invalidTags" and run.job["error_message"] == "Bad tags."
    assert run.home.run("job", "wait", run.id).rc == 7


def test_h11_a_category_that_cannot_be_assigned(world):
    run = world.run(add=("--category", "29999"))
    assert run.standing == "failed" and run.job["error_reason"] == "invalidCategoryId"


@pytest.mark.parametrize("status", [409, 412, 416])
def test_h12_is_asked_about(world, status):
    run = world.run({"on": "put", "do": f"return-{status}", "nth": 2})
    assert_asked_first(run)


def test_h12_413_is_for_good(world):
    run = world.run({"on": "put", "do": "return-413", "nth": 2})
    assert run.standing == "failed" and run.job["error_reason"] == "uploadTooLarge"
    assert [entry["op"] for entry in run.on_session()] == ["put", "put", "cancel"]


@pytest.mark.parametrize("on, nth, do", [
    ("put", 2, "return-200"), ("put", 2, "return-202"), ("put", 2, "return-204"), ("put", 2, "return-206"),
    ("put-final", 1, "keep-all-then-202"), ("put-final", 1, "no-id"), ("put-final", 1, "not-json"),
    ("put-final", 1, "empty-body"), ("put-final", 1, "return-corrupted-data")])
def test_h13_a_success_that_is_none(world, on, nth, do):
    run = world.run({"on": on, "do": do, "nth": nth})
    assert_asked_first(run)


class Stranger:
    """Another host: counts who calls."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.callers = 0
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self):
        try:
            while True:
                self.listener.accept()[0].close()
                self.callers += 1
        except OSError:
            pass

    def __exit__(self, *_):
        self.listener.close()


@pytest.mark.parametrize("on", ["start", "put", "put-final", "query", "videos.list", "channels.list", "token"])
def test_h14_a_redirect_is_never_followed(world, on):
    with Stranger() as stranger:
        first = [{"on": "put", "do": "return-500", "nth": 2}] if on == "query" else []
        run = world.run(*first, {"on": on, "do": f"redirect-https://127.0.0.1:{stranger.port}/elsewhere"})
        assert run.standing == "completed"
        assert stranger.callers == 0


def test_h14_the_error_names_the_host(world):
    run = world.run({"on": "start", "do": "redirect-https://elsewhere.example/x", "every": 1})
    assert run.standing == "waiting"
    assert "elsewhere.example" in f"{run.job['error_message']} {run.job['why']}"


@pytest.mark.parametrize("do", ["huge-body", "gzip-bomb"])
@pytest.mark.parametrize("on", ["start", "put"])
def test_h15_a_huge_error_is_read_in_part(world, on, do):
    run = world.run({"on": on, "do": do})
    assert run.standing == "completed"


@pytest.mark.parametrize("body", [
    pytest.param('{"error":', id="cut"),
    pytest.param("[" * 60000, id="deep"),
    pytest.param('{"error": {"errors": [{"reason": 5}], "code": "x"}}', id="types"),
    pytest.param('{"error": null}', id="null"),
    pytest.param('{"error": {"errors": [{"reason": "' + "r" * 50000 + '"}]}}', id="long"),
    pytest.param("\x01\x02\x7f\u0085 {", id="control")])
def test_h16_an_error_that_is_no_json(world, body):
    run = world.run({"on": "put", "do": "return-503", "nth": 2, "body": body},
                    {"on": "start", "do": "return-500", "body": body,
                     "content_type": "application/json"})
    assert_asked_first(run)
