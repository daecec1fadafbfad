"""Keys from end to end: where they come from, rotations beside uploads, and one refresh for all workers (K06, K08, K10,
K11, X01)."""

import os
import pathlib
import random
import signal
import sqlite3
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import postgres  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import children, until  # noqa: E402

engines = pytest.mark.parametrize("engine", [
    "sqlite", pytest.param("postgres", marks=pytest.mark.skipif(not postgres.available(), reason="no PostgreSQL"))])


@pytest.fixture
def new_home(world, request):
    def make(engine, *names, **settings):
        if engine == "postgres":
            settings["store"] = request.getfixturevalue("cluster").new_database()
        return world.home(*names, **settings)
    return make


def add(home, *names):
    return [home.ok("add", home.file(f"{name}-{len(home.accepted)}.mp4", SIZE), "--channel", name).line for name in names]


def key_status(home):
    return home.ok("key", "status", "--json").json


def key_ids(home):
    return [key["id"] for key in key_status(home)["keys"]]


# ---- where keys come from


def completes_an_upload(world, home):
    job, = add(home, "main")
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def test_k11_a_key_of_systemd(world):
    home = world.home()
    credentials = home.home / "credentials"
    credentials.mkdir()
    home.key_file.rename(credentials / "sluice.key")
    home.configure(key_credential="sluice.key")
    assert "LoadCredential" in home.fails(4, "worker", "--drain").err
    home.env["CREDENTIALS_DIRECTORY"] = str(credentials)
    completes_an_upload(world, home)
    assert "credential" in key_status(home)["source"]
    (credentials / "sluice.key").chmod(0o604)
    assert "may be read by others" in home.fails(5, "worker", "--drain").err


def test_k11_a_key_in_the_environment_is_warned_of(world):
    home = world.home()
    home.env["THE_KEY"] = home.key_file.read_text().strip()
    home.key_file.unlink()
    home.configure(key_variable="THE_KEY")
    job, = add(home, "main")
    worker = home.start_worker("--drain")
    assert worker.wait() == 0
    assert standing(home, job) == "completed" and "the key is in the environment" in worker.log()
    assert home.env["THE_KEY"].split()[1] not in worker.log()
    checks = [item for item in home.ok("check", "--json").objects if item["check"] == "key"]
    assert "warn" in [item["status"] for item in checks]
    del home.env["THE_KEY"]
    assert "THE_KEY" in home.fails(4, "worker", "--drain").err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a broker")
def test_k11_no_environment_keeps_the_key(world):
    """It is handed on from process to process, and wiped where it was."""
    home = world.home()
    home.env["THE_KEY"] = home.key_file.read_text().strip()
    home.key_file.unlink()
    home.configure(key_variable="THE_KEY")
    worker = home.start_worker()
    broker = worker.broker_pid()
    keeper, = children(worker.pid)
    for pid in (worker.pid, keeper, broker):
        assert home.env["THE_KEY"].split()[1].encode() not in pathlib.Path(f"/proc/{pid}/environ").read_bytes(), pid
    os.kill(broker, signal.SIGKILL)
    completes = add(home, "main")  # the keeper still has it
    until(lambda: standing(home, completes[0]) == "completed", worker.log)
    assert worker.stop()[0] == 0


def script(home, name, body):
    path = home.home / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return path


def test_k11_a_command_that_prints_the_key(world):
    home = world.home()
    vault = home.home / "elsewhere"
    home.key_file.rename(vault)
    command = script(home, "print-key", f'test "$1" = sluice && cat {vault}')
    home.configure(key_command=f"{command} sluice")
    completes_an_upload(world, home)
    script(home, "print-key", "echo nothing; exit 9")
    assert "exit code 9" in home.fails(5, "worker", "--drain").err
    script(home, "print-key", "echo sluice-key-1 0123")
    result = home.fails(5, "worker", "--drain")
    assert "is not a key" in result.err and "0123" not in result.err
    home.configure(key_command="cat key")
    assert "whole path" in home.fails(3, "worker", "--drain").err
    home.configure(key_command=f"{command} sluice", key_file=str(vault))
    assert "not several" in home.fails(3, "worker", "--drain").err
    home.configure(key_command=None)


def test_k11_a_key_service_that_goes_away_makes_jobs_wait(world):
    """At the start it is an error; later, jobs wait until it is back."""
    home = world.home(limit_rate="1M")
    vault = home.home / "elsewhere"
    home.key_file.rename(vault)
    home.configure(key_command=str(script(home, "print-key", f"exec cat {vault}")))
    worker = home.start_worker()
    broker = worker.broker_pid()
    script(home, "print-key", "exit 1")
    os.kill(broker, signal.SIGKILL)
    job, = add(home, "main")
    worker.wait_for_log("the broker is started again.*exit code 1")
    assert standing(home, job) in ("queued", "uploading", "waiting")
    script(home, "print-key", f"exec cat {vault}")
    until(lambda: standing(home, job) == "completed", worker.log, 60)
    assert worker.stop()[0] == 0


def test_k11_a_command_that_hangs(world):
    home = world.home()
    home.configure(key_command=str(script(home, "print-key", "sleep 1000")))
    begun = time.monotonic()
    assert "not ended within" in home.fails(5, "worker", "--drain").err
    assert time.monotonic() - begun < 60


# ---- rotations


def all_went_on(world, home, since):
    """Whether no upload stands where it was refused: two refusals in a row, of a token that is new, hold its channel (H07)."""
    last = {entry["session"]: entry for entry in journal(world, home, "put", "put-final", "query")}
    return all(entry["status"] in (200, 201) or (entry["number"] > since and entry["status"] != 401)
               for entry in last.values())


@engines
def test_x01_rotations_while_uploads_run(world, new_home, engine):
    home = new_home(engine, "one", "two", limit_rate="2M", per_channel=0)
    jobs = add(home, *["one", "two"] * 6)
    before = key_status(home)
    worker = home.start_worker("--drain")
    until(lambda: len({entry["session"] for entry in journal(world, home, "put")}) == len(jobs), worker.log)
    for options in [[], ["--root"], [], ["--root"], ["--keep", "1h"]]:
        home.ok("key", "rotate", *options, timeout_s=60)
        since = world.emulator.journal()[-1]["number"]
        world.emulator.ctl("expire", {})  # refresh tokens are opened again
        until(lambda: all_went_on(world, home, since), worker.log)
    assert worker.wait(120) == 0
    assert [standing(home, job) for job in jobs] == ["completed"] * 12, worker.log()
    assert len(journal(world, home, "start")) == 12
    after = key_status(home)
    assert after["active"] == 1 and after["retired"] == 3 and after["pending"] == 0 and len(after["keys"]) == 1
    assert after["keys"][0]["id"] != before["keys"][0]["id"] and after["rotation"]["ended_at"]
    home.ok("key", "rotate", "--keep", "0s")
    assert key_status(home)["retired"] == 0
    completes = add(home, "one")
    home.ok("worker", "--drain")  # from the store alone
    assert standing(home, completes[0]) == "completed"


@engines
def test_x01_rotations_that_are_killed_while_uploads_run(world, new_home, engine):
    home = new_home(engine, limit_rate="1M", per_channel=0)
    jobs = add(home, *["main"] * 6)
    worker = home.start_worker("--drain")
    until(lambda: journal(world, home, "put"), worker.log)
    seed = random.randrange(2 ** 32)
    print("seed", seed)
    chance = random.Random(seed)
    killed = 0
    begun = time.monotonic()
    home.ok("key", "rotate")
    takes_s = time.monotonic() - begun
    for number in range(20):
        process = home.start("key", "rotate", *(["--root"] if number >= 10 else []))
        time.sleep(chance.random() * takes_s)
        process.kill()
        killed += home.finish(process).rc != 0
        if number in (9, 19):  # taken up, and brought to its end
            home.ok("key", "rotate", *(["--root"] if number >= 10 else []))
    assert killed >= 5
    assert worker.wait(120) == 0
    assert [standing(home, job) for job in jobs] == ["completed"] * 6
    assert home.ok("key", "status", "--json").json["rotation"]["ended_at"]
    world.emulator.ctl("expire", {})
    last, = add(home, "main")
    home.ok("worker", "--drain")
    assert standing(home, last) == "completed"
    assert "decrypt failed" not in [event["what"] for event in home.audit()]


def test_a_root_key_that_was_brought_to_other_machines_first(world):
    home = world.home()
    old, = key_ids(home)
    new = home.ok("key", "add").line
    assert key_ids(home) == [old, new] and key_status(home)["keys"][1]["role"] == "next"
    elsewhere = home.home / "copy.key"
    elsewhere.write_bytes(home.key_file.read_bytes())
    elsewhere.chmod(0o400)
    home.fails(3, "key", "add")
    home.ok("key", "rotate", "--root")
    assert key_ids(home) == [new]
    job, = add(home, "main")
    home.ok("worker", "--drain", env={"SLUICE_KEY_FILE": str(elsewhere)})  # as it was copied
    assert standing(home, job) == "completed"


def test_a_running_worker_takes_up_a_new_root_key(world):
    """A key of a tenant that it has not opened yet is wrapped with what it has not seen."""
    home = world.home()
    worker = home.start_worker()
    worker.broker_pid()
    home.ok("key", "rotate", "--root")
    job, = add(home, "main")
    until(lambda: standing(home, job) == "completed", worker.log)
    assert worker.stop()[0] == 0


def test_keys_kept_elsewhere_are_changed_there(world):
    home = world.home()
    vault = home.home / "elsewhere"
    home.key_file.rename(vault)
    home.configure(key_command=str(script(home, "print-key", f"exec cat {vault}")))
    assert "sluice key new" in home.fails(2, "key", "rotate", "--root").err
    home.fails(2, "key", "add")
    new = home.ok("key", "new", home.home / "new.key").line
    vault.chmod(0o600)
    vault.write_text((home.home / "new.key").read_text() + vault.read_text())
    home.ok("key", "rotate", "--root")
    vault.write_text((home.home / "new.key").read_text())
    assert key_ids(home) == [new]
    completes_an_upload(world, home)


def test_two_rotations_at_once(world):
    home = world.home()
    for options in [[], ["--root"]]:
        codes = world.at_once(*[lambda: home.run("key", "rotate", *options).rc] * 3)
        assert 0 in codes and set(codes) <= {0, 8}, codes
    assert len(key_ids(home)) == 1
    completes_an_upload(world, home)


def test_k10_what_was_moved_is_told_by_a_rotation(world):
    home = world.home("one", "two")
    with sqlite3.connect(home.store, timeout=30) as connection:
        rows = connection.execute("select channel_id, sealed from token order by 1").fetchall()
        connection.execute("update token set sealed = ? where channel_id = ?", (rows[0][1], rows[1][0]))
    connection.close()
    result = home.fails(5, "key", "rotate")
    assert "1 sealed values do not open" in result.err
    assert "decrypt failed" in [event["what"] for event in home.audit()]
    jobs = add(home, "one", "two")
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["completed", "held corrupt"]


def test_k10_a_value_of_another_tenant_does_not_open(world):
    home = world.home()
    home.ok("client", "import", world.emulator.client_secret, "--tenant", "other")
    with world.consent:
        result, _ = home.login("theirs", world.new_channel(), "--tenant", "other")
    assert result.rc == 0, result
    with sqlite3.connect(home.store, timeout=30) as connection:
        rows = connection.execute("select channel_id, tenant_id, sealed from token order by 1").fetchall()
        assert len({row[1] for row in rows}) == 2
        connection.execute("update token set sealed = ? where channel_id = ?", (rows[1][2], rows[0][0]))
    connection.close()
    job, = add(home, "main")
    home.ok("worker", "--drain")
    assert standing(home, job) == "held corrupt"
    alarms = [event for event in home.audit() if event["what"] == "decrypt failed"]
    assert alarms and alarms[0]["channel"] == "main" and "does not have" in alarms[0]["message"]
    assert journal(world, home, "start") == []


# ---- one refresh for all workers


@engines
def test_k08_two_workers_make_one_refresh(world, new_home, engine):
    home = new_home(engine, per_channel=0)
    jobs = add(home, *["main"] * 12)
    world.emulator.faults({"on": "token", "do": "delay-reply-2s"})
    before = len(journal(world, home, "token", "channels"))
    workers = [home.start_worker("--drain", "--concurrency", 6) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert [standing(home, job) for job in jobs] == ["completed"] * 12, worker.log()
    asked = [entry["op"] for entry in journal(world, home, "token", "channels")][before:]
    assert asked.count("token") == 1, asked
    assert len(asked) <= 2, asked
    # And the next one asks nobody at all.
    last, = add(home, "main")
    home.ok("worker", "--drain")
    assert standing(home, last) == "completed"
    assert len(journal(world, home, "token", "channels")) == before + len(asked)


@engines
def test_k01_two_workers_whose_token_is_refused_make_one_refresh(world, new_home, engine):
    home = new_home(engine, per_channel=0, limit_rate="500k")
    jobs = add(home, *["main"] * 8)
    workers = [home.start_worker("--drain", "--concurrency", 4) for _ in range(2)]
    until(lambda: len({entry["session"] for entry in journal(world, home, "put")}) == 8, workers[0].log)
    before = len(journal(world, home, "token"))
    world.emulator.ctl("expire", {})
    assert [worker.wait(120) for worker in workers] == [0, 0]
    assert [standing(home, job) for job in jobs] == ["completed"] * 8
    assert len(journal(world, home, "token")) == before + 1


@engines
def test_k06_a_worker_that_dies_between_refresh_and_store(world, new_home, engine):
    """The other one takes its turn over, with the old refresh token, which is still good."""
    home = new_home(engine, per_channel=0)
    jobs = add(home, *["main"] * 2)
    world.emulator.faults({"on": "token", "do": "new-refresh-token", "nth": 1},
                          {"on": "token", "do": "delay-reply-3s", "nth": 1})
    before = len(journal(world, home, "token"))
    first = home.start_worker("--drain", "--concurrency", 1)
    until(lambda: [entry for entry in world.emulator.ctl("sessions")] or len(journal(world, home, "token")) > before
          or "token" in first.log(), first.log)
    time.sleep(0.5)
    first.kill()
    second = home.start_worker("--drain")
    assert second.wait(120) == 0
    world.judges_faults = False  # a request whose asker is gone may not be seen to be faulty
    assert [standing(home, job) for job in jobs] == ["completed"] * 2


@engines
def test_k03_a_revoked_login_is_told_once_by_two_workers(world, new_home, engine):
    home = new_home(engine, "gone", "good", per_channel=0)
    jobs = add(home, *["gone"] * 6, "good")
    world.emulator.ctl("revoke", {"channel": home.channels["gone"]})
    workers = [home.start_worker("--drain", "--concurrency", 4) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert [standing(home, job) for job in jobs] == ["held channel_auth"] * 6 + ["completed"]
    told = [event for event in home.audit() if event["what"] == "token refused" and not event["job"]]
    assert [event["channel"] for event in told] == ["gone"], told
    assert home.login("gone", home.channels["gone"])[0].rc == 0
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["completed"] * 7
