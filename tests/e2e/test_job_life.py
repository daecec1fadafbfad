"""Whole lives of jobs without trouble, and what operators do to them."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402

# ---- uploads


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 20 * CHUNK + 12345])
def test_every_byte_is_sent_once(world, size):
    run = world.run(size=size)
    assert run.standing == "completed"
    assert run.sent_in_vain() == 0
    puts = run.journal("put", "put-final")
    assert len(puts) == -(-size // CHUNK)
    assert all(entry["received_bytes"] == CHUNK for entry in puts[:-1])
    assert run.journal("query") == [] and len(run.journal("start")) == 1


@pytest.mark.parametrize("mode", ["whole", "auto"])
def test_chunk_modes(world, mode):
    run = world.run(size=10 * CHUNK + 1, chunk_mode=mode)
    assert run.standing == "completed" and run.sent_in_vain() == 0
    if mode == "whole":
        assert len(run.journal("put", "put-final")) == 1


def test_usual_chunks_are_under_ten_megabytes(world):
    run = world.run(size=20_000_000, chunk_bytes=None)
    assert run.standing == "completed"
    assert [entry["received_bytes"] for entry in run.journal("put", "put-final")] == [8388608, 8388608, 3222784]


def test_many_jobs_over_two_channels_at_once(world):
    home = world.home("left", "right")
    jobs = {}
    for number in range(20):
        name = ("left", "right")[number % 2]
        path = home.file(f"{number}.mp4", 1 + number * 100_000)
        jobs[home.ok("add", path, "--channel", name).line] = name
    home.ok("worker", "--drain")
    for job, name in jobs.items():
        assert home.job(job)["state"] == "completed"
        assert [video["channel"] for video in world.emulator.videos() if job in video["file_name"]] == \
            [home.channels[name]]
    assert len(world.emulator.videos()) == 20
    assert all(video["received_bytes"] == video["bytes"] for video in world.emulator.videos())


def test_metadata_arrives_as_it_was_given(world):
    home = world.home()
    path = home.file("Ünï – 日本 🎬.mp4")
    title, description = "Grüße – 日本語 🎬 “q”", "Zeile 1\nZeile 2 \\ \"x\" 🎈"
    job = home.ok("add", path, "--channel", "main", "--title", title, "--description", description, "--tags",
                  "eins,zwei drei,ünï", "--category", "10", "--privacy", "unlisted").line
    home.ok("worker", "--drain")
    video = next(video for video in world.emulator.videos() if job in video["file_name"])
    assert video["metadata"]["snippet"]["title"] == title
    assert video["metadata"]["snippet"]["description"] == description
    assert video["metadata"]["snippet"]["tags"] == ["eins", "zwei drei", "ünï"]
    assert video["metadata"]["snippet"]["categoryId"] == "10"
    assert video["metadata"]["status"]["privacyStatus"] == "unlisted"
    assert home.job(job)["state"] == "completed"


def test_upload_adds_works_and_ends_with_zero(world):
    home = world.home()
    result = home.ok("upload", home.file("a.mp4"), home.file("b.mp4"), "--channel", "main")
    urls = {f"https://youtu.be/{video['id']}" for video in world.emulator.videos()}
    assert set(result.lines) == urls and len(urls) == 2
    again = home.ok("upload", home.media / "a.mp4", "--channel", "main")
    assert again.line in urls and len(world.emulator.videos()) == 2


@pytest.mark.parametrize("fault, rc", [
    ({"do": "return-400", "reason": "invalidTitle"}, 7),
    ({"do": "return-401", "times": 9}, 5),
    ({"do": "return-403", "reason": "quotaExceeded"}, 6),
    ({"do": "return-503", "retry_after": 300}, 75),
])
def test_upload_tells_by_its_exit_code_how_it_ended(world, fault, rc):
    home = world.home()
    world.emulator.faults({"on": "start", **fault})
    result = home.fails(rc, "upload", home.file("a.mp4"), "--channel", "main", "--drain-wait", "1s")
    assert result.out == "" and home.jobs()[0]["id"] in result.err


# ---- adding


def test_the_same_file_again_is_the_same_job(world):
    home = world.home()
    path = home.file("a.mp4")
    first = home.ok("add", path, "--channel", "main", "--title", "T").line
    assert home.ok("add", path, "--channel", "main", "--title", "T").line == first
    home.ok("worker", "--drain")
    assert home.ok("add", path, "--channel", "main", "--title", "T").line == first
    home.ok("worker", "--drain")
    assert len(world.emulator.videos()) == 1


def test_the_same_key_with_other_parameters_is_refused_and_shown(world):
    home = world.home()
    path = home.file("a.mp4")
    first = home.ok("add", path, "--channel", "main", "--title", "T", "--key", "k1").line
    result = home.fails(3, "add", path, "--channel", "main", "--title", "Other", "--key", "k1")
    assert first in result.err and "snippet.title" in result.err
    assert len(home.jobs()) == 1
    second = home.ok("add", path, "--channel", "main", "--title", "Other", "--key", "k2").line
    assert second != first


def test_a_second_channel_under_the_same_name_is_refused(world):
    home = world.home()
    other = world.new_channel()
    result, page = home.login("main", other)
    assert result.rc == 5 and home.channels["main"] in result.err, result
    assert "Not logged in" in page
    listed = home.ok("channel", "list", "--json").json
    assert listed["yt_channel_id"] == home.channels["main"] and listed["logged_in"]
    again, _ = home.login("main", home.channels["main"])
    assert again.rc == 0


# ---- what operators do


def slow_run(world, size=4_000_000, **settings):
    """A worker in the middle of a slow upload. A lease is renewed every 4 s: what an operator wants is seen by then."""
    home = world.home(limit_rate="400K", **settings)
    job = home.ok("add", home.file("slow.mp4", size), "--channel", "main").line
    worker = home.start_worker()
    until(lambda: world.emulator.journal(op="put") and world.emulator.journal(op="put")[-1]["stored_before"],
          "bytes are sent")
    return home, job, worker


def test_cancel_of_a_queued_job_needs_no_worker(world):
    home = world.home()
    job = home.ok("add", home.file("a.mp4"), "--channel", "main").line
    home.ok("job", "cancel", job)
    assert standing(home, job) == "cancelled"
    home.ok("worker", "--drain")
    assert world.emulator.journal(op="start") == []
    assert home.run("job", "wait", job).rc == 7
    home.ok("job", "retry", job)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def test_cancel_and_pause_in_the_middle_of_an_upload(world):
    def cancelled():
        home, job, worker = slow_run(world)
        home.ok("job", "cancel", job)
        until(lambda: standing(home, job) == "cancelled", lambda: worker.log())
        assert worker.stop()[0] == 0
        return [entry for entry in world.emulator.journal(op="cancel")
                if entry["channel"] == home.channels["main"]]

    def paused():
        home, job, worker = slow_run(world)
        home.ok("channel", "pause", "main")
        until(lambda: standing(home, job) == "held channel_paused", lambda: worker.log())
        assert "lease over" not in worker.log()
        before = home.job(job)
        assert before["has_session"] and before["confirmed_bytes"] >= CHUNK
        home.configure(limit_rate=0)
        assert worker.stop()[0] == 0
        home.ok("worker", "--drain")
        assert standing(home, job) == "held channel_paused"
        home.ok("channel", "resume", "main")
        home.ok("worker", "--drain")
        assert standing(home, job) == "completed"
        sessions = [session for session in world.emulator.ctl("sessions")
                    if session["channel"] == home.channels["main"]]
        assert len(sessions) == 1 and sessions[0]["received_bytes"] - sessions[0]["total_bytes"] <= CHUNK

    cancels, _ = world.at_once(cancelled, paused)
    assert [entry["status"] for entry in cancels] == [499]


def test_cancel_of_a_waiting_job_ends_its_session(world):
    run = world.run({"on": "put", "do": "return-503", "nth": 2, "retry_after": 300})
    assert run.standing == "waiting" and run.job["has_session"]
    run.home.ok("job", "cancel", run.id)
    assert run.drain().standing == "cancelled"
    assert [entry["status"] for entry in run.journal("cancel")] == [499]
    assert run.retry().standing == "completed" and len(run.sessions()) == 2


def test_retry_of_a_failed_job_begins_anew(world):
    run = world.run({"on": "put", "do": "return-400", "reason": "invalidVideoMetadata", "nth": 2})
    assert run.standing == "failed" and run.job["error_reason"] == "invalidVideoMetadata"
    assert run.retry().standing == "completed"
    assert len(run.sessions()) == 2


def test_resolve_an_ambiguous_job_with_its_video(world):
    run = world.run({"on": "put-final", "do": "wrong-title"})
    assert run.standing == "held ambiguous"
    run.home.fails(3, "job", "retry", run.id)
    run.home.fails(3, "job", "cancel", run.id)
    run.home.ok("job", "resolve", run.id, "--video", run.video["id"])
    assert run.standing == "completed" and run.job["video_id"] == run.video["id"]


def test_resolve_an_ambiguous_job_by_beginning_anew(world):
    run = world.run({"on": "put", "do": "range-bytes=0-1000000"}, {"on": "query", "do": "range-bytes=0-1000000", "every": 1})
    assert run.standing == "held ambiguous" and world.emulator.videos() == []
    world.emulator.ctl("faults", method="DELETE")
    run.home.ok("job", "resolve", run.id, "--restart")
    assert run.drain().standing == "completed"
    assert len(run.sessions()) == 2


# ---- secrets


def test_no_secret_in_running_processes(world):
    home, job, worker = slow_run(world)
    oracles.judge_process(world.emulator, worker.pid, memory=("refresh_tokens", "client_secrets"))
    oracles.judge_process(world.emulator, worker.broker_pid())
    # The search itself can find what is there: a worker does hold an access token.
    with pytest.raises(AssertionError):
        oracles.judge_process(world.emulator, worker.pid, memory=("access_tokens",))
    home.ok("job", "cancel", job)
    assert worker.stop()[0] == 0
    assert json.dumps(home.job(job))
