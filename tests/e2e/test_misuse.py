"""Drills: what looks like misuse is found, told, and stopped where docs/operations.md says so; work and faults are not."""

import pathlib
import re
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
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


@pytest.mark.parametrize("signal, line, reaction, state", [
    ("refusals", ("login refused", "auth"), "notified", "active"),
    ("no_lease", ("token refused", "no lease"), "channel frozen", "frozen"),
    ("refreshes", ("token refreshed", ""), "notified", "active")])
def test_too_many_of_a_line(world, signal, line, reaction, state):
    """As many as the manual says, and no fewer."""
    home = watched(world)
    enough = int(re.search(rf"^\| `{signal}` \|.*?\| (\d+) in ", OPERATIONS, re.M)[1])
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
