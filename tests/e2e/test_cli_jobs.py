"""The operator's verbs: list, show, wait, cancel, retry, resolve; status and the audit trail."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator_fixtures import *  # noqa: E402, F401, F403
from sluice import Sluice  # noqa: E402


@pytest.fixture
def sluice(emulator):
    with Sluice(emulator) as sluice:
        sluice.ready("main", "second")
        yield sluice


@pytest.fixture
def job(sluice):
    return sluice.ok("add", sluice.file("clip.mp4", 300_000), "--channel", "main", "--title", "A clip").line


def test_list_shows_the_newest_first_and_filters(sluice):
    ids = [sluice.ok("add", sluice.file(f"{i}.mp4", 1000 + i), "--channel", "main").line for i in range(3)]
    other = sluice.ok("add", sluice.file("other.mp4", 1000), "--channel", "second").line
    assert [item["id"] for item in sluice.jobs()] == [other, *reversed(ids)]
    assert [item["id"] for item in sluice.ok("job", "list", "--json", "--channel", "second").objects] == [other]
    assert [item["id"] for item in sluice.ok("job", "list", "--json", "--limit", 2).objects] == [other, ids[2]]
    sluice.ok("job", "cancel", ids[0])
    assert [item["id"] for item in sluice.ok("job", "list", "--json", "--state", "cancelled").objects] == [ids[0]]
    table = sluice.ok("job", "list").lines
    assert len(table) == 5 and table[1].startswith(other)
    sluice.fails(4, "job", "list", "--channel", "nobody")


def test_a_title_cannot_forge_lines_or_move_the_cursor(sluice):
    title = "a\u202eb \U0001f3ac"
    job_id = sluice.ok("add", sluice.file("t.mp4", 1000), "--channel", "main", "--title", title).line
    assert "\u202e" not in sluice.ok("job", "list").out + sluice.ok("job", "show", job_id).out
    assert sluice.job(job_id)["title"] == title


def test_show_says_why_and_what_to_do(sluice, job):
    text = sluice.ok("job", "show", job).out
    assert "queued" in text and "sluice worker" in text
    sluice.ok("channel", "pause", "main")
    text = sluice.ok("job", "show", job).out
    assert "held: channel_paused" in text and "sluice channel resume main" in text


def test_an_id_may_be_cut(sluice, job):
    assert sluice.ok("job", "show", job[:12], "--json").json["id"] == job
    sluice.fails(2, "job", "show", job[:3])
    assert "00000000" in sluice.fails(4, "job", "show", "00000000").err
    sluice.fails(4, "job", "show", job + "X")


def test_cancel_retry_and_back(sluice, job):
    assert sluice.ok("job", "cancel", job).line == f"{job} cancelled"
    assert sluice.job(job)["state"] == "cancelled"
    sluice.fails(3, "job", "cancel", job)
    assert sluice.ok("job", "retry", job).line == f"{job} queued"
    sluice.ok("worker", "--drain")
    assert sluice.job(job)["state"] == "completed"
    assert len(sluice.emulator.videos()) == 1
    sluice.fails(3, "job", "retry", job)
    sluice.fails(3, "job", "cancel", job)


def test_of_several_jobs_each_is_told(sluice, job):
    other = sluice.ok("add", sluice.file("b.mp4", 1000), "--channel", "main").line
    result = sluice.fails(4, "job", "cancel", job, "00000000", other)
    assert result.lines == [f"{job} cancelled", f"{other} cancelled"]


def test_resolve_is_for_ambiguous_jobs_only(sluice, job):
    sluice.fails(3, "job", "resolve", job, "--restart")
    sluice.fails(3, "job", "resolve", job, "--video", "not a video")
    sluice.fails(2, "job", "resolve", job)
    sluice.fails(2, "job", "resolve", job, "--video", "abc", "--restart")
    sluice.fails(4, "job", "resolve", "00000000", "--restart")


def test_wait_ends_with_the_job_and_its_exit_code(sluice, job):
    assert sluice.run("job", "wait", job, "--timeout", "1ms").rc == 75
    waiting = sluice.start("job", "wait", job, "--json")
    sluice.ok("worker", "--drain")
    result = sluice.finish(waiting)
    assert result.rc == 0 and result.json["state"] == "completed"
    other = sluice.ok("add", sluice.file("b.mp4", 1000), "--channel", "main").line
    sluice.ok("job", "cancel", other)
    assert sluice.run("job", "wait", job, other).rc == 7
    sluice.fails(4, "job", "wait", "00000000")


def test_wait_ends_at_a_hold_that_needs_a_person(sluice, job):
    sluice.ok("channel", "pause", "main")
    result = sluice.run("job", "wait", job)
    assert result.rc == 75 and "channel_paused" in result.out


def test_status_counts_what_there_is(sluice, job):
    sluice.ok("add", sluice.file("b.mp4", 1000), "--channel", "second", "--region", "eu")
    sluice.ok("channel", "pause", "second")
    status = sluice.ok("status", "--json").json
    assert {(item["state"], item["cause"], item["count"], item["bytes"]) for item in status["jobs"]} == {
        ("queued", None, 1, 300_000), ("held", "channel_paused", 1, 1000)}
    assert {(item["channel"], item["region"], item["state"]) for item in status["by_channel"]} == {
        ("main", None, "queued"), ("second", "eu", "held")}
    assert [item["channel"] for item in status["channels"]] == ["second"]
    assert status["workers"] == []
    text = sluice.ok("status").out
    assert "channel_paused" in text and "start one: sluice worker" in text


def test_status_shows_quota_used_left_and_its_reset(sluice, job):
    sluice.ok("worker", "--drain")
    quota = sluice.ok("status", "--json").json["quota"]
    buckets = {item["bucket"]: item for item in quota if not item["channel"]}
    assert [(item["channel"], item["used"], item["limit"]) for item in quota if item["channel"]] == [("main", 1, None)]
    assert (buckets["uploads"]["used"], buckets["uploads"]["left"]) == (1, 99)
    assert buckets["units"]["used"] + buckets["units"]["left"] == 10000
    project = sluice.emulator.ctl("quota")[0]
    assert buckets["units"]["used"] >= project["units"]["charged"]
    reset = buckets["uploads"]["resets_at"]
    assert reset.endswith((":00:00.000Z")) and reset[11:13] in ("07", "08")


def test_status_shows_a_worker_that_lives(sluice):
    sluice.start("worker")
    from sluice import until
    until(lambda: sluice.ok("status", "--json").json["workers"], "a worker in status")


def test_audit_tells_a_jobs_whole_way(sluice, job):
    sluice.ok("worker", "--drain")
    events = sluice.audit(job)
    assert all(event["job"] == job for event in events)
    moves = [(event["from"], event["to"]) for event in events if event["to"]]
    assert moves == [(None, "queued"), ("queued", "uploading"), ("uploading", "finishing"),
                     ("finishing", "completed")]
    assert events[0]["who"].startswith("cli:")
    assert len(sluice.audit()) > len(events)
    assert len(sluice.ok("audit", job[:10]).lines) == len(events)
    sluice.fails(4, "audit", "00000000")


def test_tenants_are_listed_apart(sluice, job):
    assert sluice.ok("job", "list", "--json", "--tenant", "acme").out == ""
    assert sluice.ok("channel", "list", "--json", "--tenant", "acme").out == ""
    assert len(sluice.ok("job", "list", "--json", "--tenant", "default").objects) == 1


def test_the_newest_of_a_tenant_are_its_own(sluice, job):
    sluice.ok("client", "import", sluice.emulator.client_secret, "--tenant", "acme")
    sluice.login("theirs", sluice.emulator.channels()[0]["id"], "--tenant", "acme")
    theirs = sluice.ok("add", sluice.file("theirs.mp4", 1000), "--channel", "theirs", "--tenant", "acme").line
    for tenant, newest in (("default", job), ("acme", theirs)):
        listed = sluice.ok("job", "list", "--json", "--tenant", tenant, "--limit", 1).objects
        assert [item["id"] for item in listed] == [newest]
