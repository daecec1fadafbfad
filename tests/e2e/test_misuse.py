"""Drills: what looks like misuse is found, told, and stopped where docs/operations.md says so; work and faults are not."""

import pathlib
import re
import sqlite3
import sys
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from broker import OK, Broker  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402

OPERATIONS = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()


def alter(home, sql, rows=((),)):
    """Writes to the store from outside."""
    with sqlite3.connect(home.store, timeout=30) as connection:
        connection.executemany(sql, rows)
    connection.close()


def watched(world, *names, **settings):
    return world.home(*names, watch_every_ms="100ms", **settings)


def add(home, name="main"):
    return home.ok("add", home.file(f"{name}-{len(home.accepted)}.mp4", SIZE), "--channel", name).line


def alarms(home, *options):
    return home.ok("alarm", "list", "--json", *options).objects


def found_by_a_worker(home):
    """Its alarms, once there is one."""
    worker = home.start_worker()
    until(lambda: alarms(home), worker.log)
    until(lambda: "misuse is suspected" in worker.log(), worker.log)
    worker.stop()
    return alarms(home)


def was_looked_through(home):
    """The trail, up to its present end."""
    last = oracles.query(home, "select max(id) as id from event")[0]["id"]
    return lambda: any(row["event_id"] >= last for row in oracles.query(home, "select event_id from watch"))


def state_of(home, name="main"):
    return home.ok("channel", "show", name, "--json").json["state"]


def test_a_login_that_is_another_channels_freezes_the_channel(world):
    home = watched(world)
    job = add(home)
    bound, = oracles.query(home, "select yt_channel_id from channel")
    alter(home, "update channel set yt_channel_id = ?", [(world.new_channel(),)])
    alarm, = found_by_a_worker(home)
    assert (alarm["signal"], alarm["severity"], alarm["channel"]) == ("token_channel", "critical", "main")
    assert alarm["reaction"] == "channel frozen" and state_of(home) == "frozen"
    assert home.job(job)["cause"] == "channel_frozen" and world.emulator.journal(op="start") == []
    raised, = [line for line in home.audit() if line["what"] == "alarm raised"]
    assert (raised["channel"], raised["reason"]) == ("main", "token_channel")
    assert "token_channel" in home.ok("status").out
    assert [item["id"] for item in home.ok("status", "--json").json["alarms"]] == [alarm["id"]]
    assert "channel main" in next(item for item in home.run("check", "--json").objects if item["check"] == "alarm")["message"]
    # mended
    alter(home, "update channel set yt_channel_id = ?", [(bound["yt_channel_id"],)])
    assert home.ok("channel", "unfreeze", "main").line == "main: active"
    home.ok("alarm", "close", str(alarm["id"]))
    assert alarms(home) == [] and [item["id"] for item in alarms(home, "--all")] == [alarm["id"]]
    home.fails(4, "alarm", "close", str(alarm["id"]))
    home.fails(2, "alarm", "close", "first")
    home.ok("worker", "--drain")
    assert home.job(job)["state"] == "completed" and alarms(home) == []


def test_a_sealed_token_that_was_moved(world):
    home = watched(world, "one", "two")
    add(home, "one")
    rows = oracles.query(home, "select channel_id, sealed from token")
    alter(home, "update token set sealed = ? where channel_id = ?",
          [(row["sealed"], other["channel_id"]) for row, other in zip(rows, reversed(rows))])
    alarm, = found_by_a_worker(home)
    assert (alarm["signal"], alarm["severity"], alarm["reaction"]) == ("decrypt", "critical", "notified")
    assert world.emulator.journal(op="start") == []


def test_a_login_that_has_lost_scopes(world):
    home = watched(world)
    add(home)
    world.emulator.faults({"on": "token", "do": "smaller-scope"})
    alarm, = found_by_a_worker(home)
    assert (alarm["signal"], alarm["severity"], alarm["channel"]) == ("token_scopes", "warning", "main")
    assert state_of(home) == "auth"


def test_quota_that_somebody_else_spends(world):
    home = watched(world)
    world.emulator.ctl("quota", {"project": 1, "uploads": 0})
    add(home)
    alarm, = found_by_a_worker(home)
    world.emulator.ctl("quota", {"project": 1, "uploads": 100})
    assert (alarm["signal"], alarm["channel"]) == ("quota_drift", None) and alarm["client"]
    assert state_of(home) == "active"


# ---- what is counted: the real thing


def threshold_of(signal):
    return int(re.search(rf"^\| `{signal}` \|.*?\| (\d+) in ", OPERATIONS, re.M)[1])


class Guard:
    """A worker that watches, and shows what it sees."""

    def __init__(self, home):
        self.home = home
        self.worker = home.start_worker("--listen", "0")
        self.port = self.worker.wait_for_log(r"address=127\.0\.0\.1:(\d+)").group(1)

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as reply:
            text = reply.read().decode()
        self.home.said.append(text)  # is searched for secrets when the test is over
        return text

    def finds(self, signal, severity, reaction):
        """One alarm, wherever it is to be seen; returns it."""
        until(lambda: alarms(self.home), self.worker.log)
        alarm, = alarms(self.home)
        assert (alarm["signal"], alarm["severity"], alarm["reaction"]) == (signal, severity, reaction)
        raised, = [line for line in self.home.audit() if line["what"] == "alarm raised"]
        assert (raised["channel"], raised["reason"]) == (alarm["channel"], signal)
        until(lambda: "misuse is suspected" in self.worker.log(), self.worker.log)
        shown = f'sluice_alarms{{signal="{signal}",severity="{severity}"}} 1\n'
        until(lambda: shown in self.metrics(), self.metrics)
        return alarm


def test_permissions_that_are_refused_again_and_again(world):
    """Each job for itself, as when the account has lost its right to the channel."""
    home = watched(world)
    enough = threshold_of("refusals")
    jobs = home.ok("add", *[home.file(f"{n}.mp4", 1000) for n in range(enough)], "--channel", "main").lines
    world.emulator.faults({"on": "start", "do": "return-403", "every": 1})
    guard = Guard(home)
    alarm = guard.finds("refusals", "warning", "notified")
    guard.worker.stop()
    assert alarm["channel"] == "main" and state_of(home) == "active"
    assert {(home.job(job)["state"], home.job(job)["error_reason"]) for job in jobs} == {("failed", "forbidden")}


def test_a_tenant_adds_far_more_jobs_than_ever(world):
    """Its quiet days are written by hand; the jobs are real ones, added by somebody who has the tenant's login."""
    home = watched(world, concurrency=1)
    home.ok("channel", "pause", "main")
    guard = Guard(home)
    add(home)
    until(lambda: oracles.query(home, "select count from tally where signal = 'habit'"), guard.worker.log)
    alter(home, "update tally set windows = 48, mean_milli = 2000 where signal = 'habit'")
    files = [home.file(f"{n}.mp4", 10) for n in range(threshold_of("habit"))]
    home.ok("add", *files, "--channel", "main")
    alarm = guard.finds("habit", "warning", "notified")
    guard.worker.stop()
    assert alarm["channel"] is None and state_of(home) == "paused"


def test_a_worker_in_wrong_hands_asks_for_tokens_without_a_lease(world):
    """It knows the jobs that it may see, and their leases' numbers: none of them holds."""
    home = watched(world, "main", "other")
    jobs = [add(home), add(home)]
    home.ok("worker", "--drain")
    channel, = oracles.query(home, "select id, tenant_id from channel where name = 'main'")
    asked = len(world.emulator.journal())
    with Broker(home) as broker:
        for number in range(threshold_of("no_lease")):
            result, token = broker.token(channel["tenant_id"], channel["id"], jobs[number % 2], number % 3)
            assert result != OK and token == "", (result, token)
    assert len(world.emulator.journal()) == asked, "a token was asked for"
    guard = Guard(home)
    alarm = guard.finds("no_lease", "critical", "channel frozen")
    assert alarm["channel"] == "main" and (state_of(home), state_of(home, "other")) == ("frozen", "active")
    assert home.job(add(home))["cause"] == "channel_frozen"
    guard.worker.stop()
    refused = [line for line in home.audit() if line["what"] == "token refused"]
    assert {(line["reason"], line["who"]) for line in refused} == {("no lease", "broker")}


def test_a_worker_in_wrong_hands_gathers_tokens(world):
    """For a job that is leased: each is fresh, as after a 401, and each goes to the endpoint."""
    home = watched(world, limit_rate="100K")
    job = add(home)
    guard = Guard(home)
    until(lambda: journal(world, home, "start"), guard.worker.log)
    lease, = oracles.query(home, "select tenant_id, channel_id, lease_epoch from job")
    tokens = set()
    with Broker(home) as broker:
        while len(tokens) < threshold_of("refreshes"):
            result, token = broker.token(lease["tenant_id"], lease["channel_id"], job, lease["lease_epoch"], fresh=True)
            assert result == OK, broker.log_path.read_text()
            tokens.add(token)
        home.said.append(broker.log_path.read_text())
    alarm = guard.finds("refreshes", "warning", "notified")
    assert alarm["channel"] == "main" and state_of(home) == "active"
    guard.worker.stop()


# ---- videos that no job made


def foreign_video(world, home, title):
    """Uploaded beside sluice, with a login of the same channel."""
    emulator = world.emulator
    token = emulator.access_token(home.channels["main"])
    metadata = {"snippet": {"title": title, "categoryId": "22"}, "status": {"privacyStatus": "private"}}
    reply = emulator.put(emulator.start(token, 1000, metadata=metadata), token, b"x" * 1000)
    assert reply.status == 201, reply
    return reply.json()["id"]


def looks(world, home):
    return journal(world, home, "playlistItems.list")


def looked_at(home):
    """When its last look at videos was begun."""
    return [row["looked_at_ms"] for row in oracles.query(home, "select looked_at_ms from video_look")]


def test_a_video_that_no_job_has_made(world):
    world.judges_ledger = False  # what is uploaded beside sluice is in no ledger
    home = watched(world, watch_videos_ms="1h")
    theirs = {foreign_video(world, home, "theirs"), foreign_video(world, home, "theirs, too")}
    # a job that asks for a token, and whose own video is not there yet
    world.emulator.faults({"on": "start", "do": "return-503", "every": 1})
    job = add(home)
    guard = Guard(home)
    alarm = guard.finds("videos", "critical", "notified")
    assert alarm["channel"] == "main" and alarm["count"] == 2 and all(video in alarm["message"] for video in theirs)
    lines = [line for line in home.audit() if line["what"] == "foreign video"]
    assert {line["reason"] for line in lines} == theirs and {line["channel"] for line in lines} == {"main"}
    assert state_of(home) == "active" and len(looks(world, home)) == 1
    guard.worker.stop()
    # not told again, by another look of another worker either
    home.ok("alarm", "close", str(alarm["id"]))
    world.emulator.ctl("faults", method="DELETE")
    home.ok("job", "retry", job)
    home.configure(watch_videos_ms="1ms")
    guard = Guard(home)
    until(lambda: len(looks(world, home)) > 1, guard.worker.log)
    until(lambda: home.job(job)["state"] == "completed", guard.worker.log)
    until(was_looked_through(home), guard.worker.log)
    guard.worker.stop()
    assert alarms(home) == [] and len([line for line in home.audit() if line["what"] == "foreign video"]) == 2


def test_videos_of_our_own_raise_no_alarm(world):
    """Not those that are there already, nor one whose job does not know of it yet: its last reply was lost."""
    home = watched(world, watch_videos_ms="1ms")
    jobs = [add(home) for _ in range(3)]
    home.ok("worker", "--drain")
    world.emulator.faults({"on": "put-final", "do": "keep-all-then-reset"}, {"on": "query", "do": "return-503", "every": 1})
    jobs.append(add(home))
    worker = home.start_worker()
    judged = "videos are those of its jobs|no job has made"
    until(lambda: len(world.emulator.videos()) == len(jobs) and re.search(judged, worker.log()), worker.log)
    before = len(re.findall(judged, worker.log()))
    jobs.append(add(home))  # needs a token
    until(lambda: len(re.findall(judged, worker.log())) > before, worker.log)
    assert home.job(jobs[3])["finalizing"] and not home.job(jobs[3])["video_id"]
    world.emulator.ctl("faults", method="DELETE")
    until(lambda: home.job(jobs[3])["state"] == "waiting" or home.job(jobs[3])["video_id"], worker.log)
    home.run("job", "retry", jobs[3])
    until(lambda: all(home.job(job)["state"] == "completed" for job in jobs), worker.log)
    until(was_looked_through(home), worker.log)
    worker.stop()
    listed = looks(world, home)
    assert len(listed) > 2 and len(world.emulator.videos()) == len(jobs)
    spent = sum(row["used"] for row in oracles.query(home, "select used from quota where bucket = 'units'"))
    assert spent >= len(journal(world, home, "playlistItems.list", "channels.list", "videos.list"))
    assert [line for line in home.audit() if line["what"] == "foreign video"] == [] and alarms(home, "--all") == []


def test_nobody_looks_at_videos_unless_it_is_wanted(world):
    world.judges_ledger = False
    home = watched(world)
    foreign_video(world, home, "theirs")
    job = add(home)
    home.ok("worker", "--drain")
    assert home.job(job)["state"] == "completed" and looks(world, home) == [] and alarms(home, "--all") == []
    assert looked_at(home) == []


def test_a_login_that_may_not_look_at_videos_is_told_and_no_alarm(world):
    home = watched(world, watch_videos_ms="1ms")
    refusal = {"on": "playlistItems.list", "do": "return-403", "reason": "insufficientPermissions", "every": 1}
    world.emulator.faults(refusal)
    jobs = [add(home) for _ in range(3)]
    worker = home.start_worker()
    until(lambda: all(home.job(job)["state"] == "completed" for job in jobs), worker.log)
    until(lambda: "were not looked at" in worker.log(), worker.log)
    worker.stop()
    assert len(re.findall("level=warn .*were not looked at.*insufficientPermissions", worker.log())) == 1, worker.log()
    found = next(item for item in home.run("check", "--json").objects if item["check"] == "videos")
    assert "channel main" in found["message"] and "insufficientPermissions" in found["message"]
    assert alarms(home, "--all") == [] and state_of(home) == "active"


@pytest.mark.parametrize("signal, line, reaction, state", [
    ("refusals", ("login refused", "auth"), "notified", "active"),
    ("no_lease", ("token refused", "no lease"), "channel frozen", "frozen"),
    ("refreshes", ("token refreshed", ""), "notified", "active")])
def test_too_many_of_a_line(world, signal, line, reaction, state):
    """As many as the manual says, and no fewer."""
    home = watched(world)
    enough = threshold_of(signal)
    insert = ("insert into event (at_ms, tenant_id, channel_id, who, what, reason)"
              " select 1, tenant_id, id, 'broker', ?, ? from channel")
    alter(home, insert, [line] * (enough - 1))
    worker = home.start_worker()
    until(was_looked_through(home), worker.log)
    assert alarms(home) == []
    alter(home, insert, [line])
    until(lambda: alarms(home), worker.log)
    worker.stop()
    alarm, = alarms(home)
    assert (alarm["signal"], alarm["count"], alarm["channel"], alarm["reaction"]) == (signal, enough, "main", reaction)
    assert state_of(home) == state


def test_work_faults_and_a_revoked_login_raise_none_but_its_own(world):
    home = watched(world, "main", "other")
    jobs = [add(home, name) for name in ["main"] * 6 + ["other"] * 6]
    world.emulator.faults({"on": "put", "do": "return-503", "every": 5}, {"on": "token", "do": "oauth-error-invalid_grant",
                                                                          "channel": home.channels["other"]})
    home.ok("worker", "--drain", "--drain-wait", "1s")
    assert {home.job(job)["state"] for job in jobs[:6]} <= {"completed", "waiting"}
    assert {home.job(job)["cause"] for job in jobs[6:]} == {"channel_auth"}
    worker = home.start_worker()
    until(was_looked_through(home), worker.log)
    worker.stop()
    assert [(alarm["signal"], alarm["channel"]) for alarm in alarms(home, "--all")] == [("channel_stopped", "other")]


def test_a_frozen_channel_is_a_persons(world):
    """It stays so after a new login, which lifts a hold for want of one."""
    home = world.home()
    job = add(home)
    home.ok("channel", "freeze", "main", "--reason", "stolen laptop")
    assert home.job(job)["cause"] == "channel_frozen" and "stolen laptop" in home.ok("status").out
    assert home.login("main", home.channels["main"])[0].rc == 0
    assert state_of(home) == "frozen"
    home.ok("worker", "--drain")
    assert home.job(job)["state"] == "held"
    home.ok("channel", "unfreeze", "main")
    assert "is not frozen" in home.fails(3, "channel", "unfreeze", "main").err
    home.ok("worker", "--drain")
    assert home.job(job)["state"] == "completed"
