"""K01 to K11: tokens that end, are refused, or are not what they should be; keys that are missing."""

import os
import pathlib
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import Sluice, until  # noqa: E402


def add(home, *names):
    return [home.ok("add", home.file(f"{name}-{len(home.accepted)}.mp4", SIZE), "--channel", name).line for name in names]


def alter(home, sql, *values):
    """Writes to the store from outside, as a careless or malicious hand would."""
    with sqlite3.connect(home.store, timeout=30) as connection:
        connection.execute(sql, values)
    connection.close()


def swap(home, table, column, key):
    """Exchanges the sealed values of two rows."""
    rows = oracles.query(home, f"select {key}, {column} from {table}")
    assert len(rows) == 2
    for row, other in zip(rows, reversed(rows)):
        alter(home, f"update {table} set {column} = ? where {key} = ?", other[column], row[key])


def tokens_asked(world, home, name="main"):
    """Requests to the token endpoint after the login's own."""
    asked = [entry for entry in world.emulator.journal(op="token") if entry["channel"] == home.channels[name]]
    return len(asked) - 1


# ---- access tokens


def test_k01_a_token_that_ends_during_a_put(world):
    home = world.home(limit_rate="1M")
    job, = add(home, "main")
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    world.emulator.ctl("expire", {})
    assert worker.wait() == 0
    assert standing(home, job) == "completed"
    assert tokens_asked(world, home) == 2 and len(world.emulator.journal(op="start")) == 1


@pytest.mark.parametrize("fault", [
    {"do": "return-503"}, {"do": "return-500"}, {"do": "oauth-error-temporarily_unavailable", "status": 503},
    {"do": "return-reset-connection"}, {"do": "not-json"}])
def test_k02_a_token_endpoint_in_trouble_makes_jobs_wait(world, fault):
    home = world.home()
    job, = add(home, "main")
    world.emulator.faults({"on": "token", **fault})
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def test_k03_a_revoked_login_holds_its_channel_alone_and_a_new_login_goes_on(world):
    home = world.home("gone", "good")
    jobs = add(home, "gone", "gone", "good")
    world.emulator.ctl("revoke", {"channel": home.channels["gone"]})
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["held channel_auth", "held channel_auth", "completed"]
    assert tokens_asked(world, home, "gone") <= 1
    home.ok("worker", "--drain")
    assert tokens_asked(world, home, "gone") <= 1
    assert home.run("job", "wait", jobs[0]).rc == 5
    later, = add(home, "gone")
    assert standing(home, later) == "held channel_auth"
    assert home.login("gone", home.channels["gone"])[0].rc == 0
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in [*jobs, later]] == ["completed"] * 4


def test_k03_revoked_in_mid_upload(world):
    home = world.home(limit_rate="1M")
    job, = add(home, "main")
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    world.emulator.ctl("revoke", {"channel": home.channels["main"]})
    world.emulator.ctl("expire", {})
    assert worker.wait() == 0
    assert standing(home, job) == "held channel_auth" and home.job(job)["has_session"]
    home.configure(limit_rate=0)
    assert home.login("main", home.channels["main"])[0].rc == 0
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed" and len(world.emulator.journal(op="start")) == 1


def test_k03_an_access_token_taken_back_before_its_first_use(world):
    """The first one that is refused says nothing of the login; the second one does."""
    home = world.home("main", "gone")
    first, = add(home, "main")
    world.emulator.faults({"on": "channels.list", "do": "return-401", "nth": 1})
    before = tokens_asked(world, home, "main")
    home.ok("worker", "--drain")
    assert standing(home, first) == "completed" and tokens_asked(world, home, "main") == before + 2
    second, = add(home, "gone")
    world.emulator.faults({"on": "channels.list", "do": "return-401", "every": 1})
    before = tokens_asked(world, home, "gone")
    home.ok("worker", "--drain")
    assert standing(home, second) == "held channel_auth" and tokens_asked(world, home, "gone") == before + 2


def test_k04_a_refused_client_stops_all_its_refreshes(world):
    home = world.home("one", "two", "three")
    jobs = add(home, "one", "two", "three")
    world.emulator.faults({"on": "token", "do": "oauth-error-invalid_client", "every": 1})
    before = len(world.emulator.journal(op="token"))
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["held channel_frozen"] * 3
    assert len(world.emulator.journal(op="token")) - before <= 3
    assert world.emulator.journal(op="start") == []
    assert home.ok("client", "list", "--json").json["state"] == "refused"
    assert "sluice client unfreeze default" in home.job(jobs[0])["why"]
    alarm, = home.ok("alarm", "list", "--json").objects
    assert (alarm["signal"], alarm["client"], alarm["channel"]) == ("client_stopped", "default", None)
    world.emulator.ctl("faults", method="DELETE")
    home.ok("worker", "--drain")  # nobody asks before it is mended
    assert len(world.emulator.journal(op="token")) - before <= 3
    home.ok("client", "import", world.emulator.client_secret)
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["completed"] * 3
    assert home.ok("alarm", "list", "--json").objects == []


def test_k04_a_project_without_youtube_stops_its_client(world):
    home = world.home("one", "two")
    jobs = add(home, "one", "two")
    world.emulator.faults({"on": "start", "do": "return-403", "reason": "accessNotConfigured", "every": 1})
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["held channel_frozen"] * 2
    assert len(world.emulator.journal(op="start")) <= 2
    world.emulator.ctl("faults", method="DELETE")
    assert home.ok("client", "unfreeze", "default").line == "default: active"
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["completed"] * 2


# ---- a client that an operator freezes


def test_a_frozen_client_gets_no_token_and_its_jobs_go_on_afterwards(world):
    home = world.home("one", "two", limit_rate="100K")
    job, = add(home, "one")
    worker = home.start_worker()
    until(lambda: world.emulator.journal(op="put"), worker.log)
    assert home.ok("client", "freeze", "default", "--reason", "stolen laptop").line == "default: frozen"
    until(lambda: standing(home, job) == "held channel_frozen", worker.log)
    assert worker.stop()[0] == 0 and home.job(job)["has_session"]
    later = add(home, "one", "two")
    before = len(world.emulator.journal(op="token"))
    for one in [job, *later]:
        assert standing(home, one) == "held channel_frozen"
        assert "stolen laptop" in home.job(one)["why"] and "sluice client unfreeze default" in home.job(one)["why"]
    assert "stolen laptop" in home.ok("status").out and "frozen" in home.ok("client", "list").out
    assert "unfreeze default" in home.fails(3, "channel", "unfreeze", "one").err
    with world.consent:
        refused, _ = home.login("two", home.channels["two"])
    assert refused.rc == 3 and "client unfreeze default" in refused.err
    home.ok("worker", "--drain")
    assert len(world.emulator.journal(op="token")) == before
    assert [event["to"] for event in home.audit() if event["what"] == "client state set"] == ["frozen"]
    assert home.ok("alarm", "list", "--json", "--all").objects == []
    home.configure(limit_rate=0)
    home.ok("client", "unfreeze", "default")
    assert "is not frozen" in home.fails(3, "client", "unfreeze", "default").err
    home.ok("worker", "--drain")
    assert [standing(home, one) for one in [job, *later]] == ["completed"] * 3
    assert len(world.emulator.journal(op="start")) == 3


@pytest.mark.parametrize("do", [
    "expires-in-missing", "expires-in-0", "expires-in--1", "expires-in-9223372036854775808", "expires-in-1e300",
    'expires-in-"soon"'])
def test_k05_odd_lifetimes(world, do):
    home = world.home()
    job, = add(home, "main")
    world.emulator.faults({"on": "token", "do": do})
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
    assert tokens_asked(world, home) <= 6


@pytest.mark.parametrize("token", [
    pytest.param("ya29.good\r\nX-Injected: yes", id="crlf"), pytest.param("a b", id="blank"),
    pytest.param("x" * 1_000_000, id="long"), pytest.param("ü", id="utf8")])
def test_k05_a_token_that_may_not_go_into_a_header(world, token):
    home = world.home()
    job, = add(home, "main")
    world.emulator.faults({"on": "token", "do": f"access-token-{token}"})
    worker = home.start_worker("--drain")
    until(lambda: tokens_asked(world, home) >= 1, worker.log)
    until(lambda: worker.is_over() or "tokenUnavailable" in worker.log() or tokens_asked(world, home) >= 2
          or "refused" in worker.log(), worker.log)
    if not worker.is_over():
        worker.stop()
    # Either refused for good, or asked again; in no case used.
    assert not [entry for entry in world.emulator.journal() if entry["status"] in (400, 401)]
    assert standing(home, job) in ("completed", "queued", "waiting", "held channel_auth", "held channel_frozen")


# ---- refresh tokens


def test_k06_a_new_refresh_token_is_kept(world):
    home = world.home()
    first, = add(home, "main")
    world.emulator.faults({"on": "token", "do": "new-refresh-token"})
    home.ok("worker", "--drain")
    assert standing(home, first) == "completed"
    second, = add(home, "main")
    home.ok("worker", "--drain")  # another process: it has nothing but the store
    assert standing(home, second) == "completed"
    assert [event["what"] for event in home.audit()].count("token renewed") <= 1


def test_k06_a_refresh_token_that_was_replaced_while_the_store_was_locked(world):
    home = world.home()
    job, = add(home, "main")
    world.emulator.faults({"on": "token", "do": "new-refresh-token"}, {"on": "token", "do": "delay-reply-1s"})
    lock = sqlite3.connect(home.store, timeout=30, isolation_level=None)
    worker = home.start_worker("--drain")
    until(lambda: tokens_asked(world, home) >= 1, worker.log)
    lock.execute("begin immediate")
    until(lambda: [entry for entry in world.emulator.journal(op="token") if entry["fault"]], worker.log)
    lock.execute("rollback")
    lock.close()
    assert worker.wait() == 0
    world.judges_faults = False  # whichever of the two came first
    assert standing(home, job) == "completed"
    world.emulator.ctl("expire", {})
    second, = add(home, "main")
    home.ok("worker", "--drain")
    assert standing(home, second) == "completed"


def test_k07_a_smaller_scope_names_what_is_missing(world):
    home = world.home()
    job, = add(home, "main")
    world.emulator.faults({"on": "token", "do": "smaller-scope"})
    home.ok("worker", "--drain")
    assert standing(home, job) == "held channel_auth"
    assert "youtube" in home.job(job)["error_message"] and "scope" in home.job(job)["why"]
    assert world.emulator.journal(op="start") == []


def test_k07_a_login_with_too_little_is_refused(world):
    home = world.home()
    result, page = home.login("small", world.new_channel(), scope="https://www.googleapis.com/auth/youtube.readonly")
    assert result.rc == 5 and "youtube" in result.err and "Not logged in" in page
    assert len(home.ok("channel", "list", "--json").objects) == 1


def test_k08_one_refresh_for_many_jobs(world):
    home = world.home(per_channel=0)
    jobs = add(home, *["main"] * 12)
    world.emulator.faults({"on": "token", "do": "delay-reply-1s"})
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["completed"] * 12
    assert tokens_asked(world, home) == 1


def test_k09_the_token_of_another_channel_sends_nothing(world):
    home = world.home(watch_every_ms=0)  # whoever looks for misuse freezes the channel
    job, = add(home, "main")
    alter(home, "update channel set yt_channel_id = ?", world.new_channel())
    home.ok("worker", "--drain")
    assert standing(home, job) == "held channel_auth"
    assert world.emulator.journal(op="start") == [] and world.emulator.videos() == []
    assert home.channels["main"] in home.job(job)["error_message"]


# ---- sealed values


@pytest.mark.parametrize("harm", [
    None,
    "update token set sealed = substr(sealed, 1, length(sealed) - 1)",
    "update token set sealed = zeroblob(length(sealed))",
    "update token set sealed = x''"], ids=["swapped", "cut", "zeroed", "empty"])
def test_k10_a_sealed_token_that_does_not_open(world, harm):
    home = world.home("one", "two")
    jobs = add(home, "one", "two")
    alter(home, harm) if harm else swap(home, "token", "sealed", "channel_id")
    result = home.run("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["held corrupt"] * 2, result
    assert world.emulator.journal(op="start") == []
    assert home.run("job", "wait", jobs[0]).rc == 75
    assert home.login("one", home.channels["one"])[0].rc == 0
    home.ok("job", "retry", jobs[0])
    home.ok("worker", "--drain")
    assert standing(home, jobs[0]) == "completed"


def test_k10_a_sealed_session_that_does_not_open(world):
    run = world.run({"on": "put", "do": "return-503", "nth": 2, "retry_after": 300})
    assert run.standing == "waiting"
    alter(run.home, "update upload set session_url = zeroblob(length(session_url))")
    run.home.ok("job", "retry", run.id)
    assert run.drain().standing == "held corrupt"
    assert run.retry().standing == "held corrupt"  # it may have been the key file: nothing is forgotten
    run.home.ok("job", "cancel", run.id)
    assert run.drain().standing == "cancelled"
    assert run.retry().standing == "completed" and len(run.sessions()) == 2


def test_k10_a_sealed_session_of_another_job(world):
    home = world.home("one", "two")
    jobs = add(home, "one", "two")
    for name in home.channels:
        world.emulator.faults({"on": "put", "do": "return-503", "nth": 2, "channel": home.channels[name], "retry_after": 300})
    home.ok("worker", "--drain", "--drain-wait", "1s")
    assert [standing(home, job) for job in jobs] == ["waiting"] * 2
    swap(home, "upload", "session_url", "job_id")
    home.ok("job", "retry", *jobs)
    home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["held corrupt"] * 2


@pytest.mark.parametrize("harm", ["missing", "other", "readable", "short"])
def test_k11_a_key_file_that_is_not_the_key(world, harm):
    home = world.home()
    job, = add(home, "main")
    right = home.key_file.read_bytes()
    if harm == "missing":
        home.key_file.unlink()
    elif harm == "other":
        home.key_file.unlink()
        with Sluice() as other:
            other.ok("init")
            home.key_file.write_bytes(other.key_file.read_bytes())
        home.key_file.chmod(0o600)
    elif harm == "readable":
        home.key_file.chmod(0o644)
    else:
        home.key_file.write_bytes(right[:-3])
    result = home.run("worker", "--drain")
    assert world.emulator.journal(op="start") == []
    if harm == "other":
        assert standing(home, job) == "held corrupt" or result.rc != 0, result
    else:
        assert result.rc != 0 and "key" in result.err, result
        assert standing(home, job) == "queued"
    home.key_file.unlink(missing_ok=True)
    home.key_file.write_bytes(right)
    home.key_file.chmod(0o600)
    if standing(home, job) != "queued":
        home.ok("job", "retry", job)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def test_secrets_after_every_kind_of_refusal(world):
    """What is logged about refusals has no secret either: the oracles look at all that was said."""
    home = world.home()
    job, = add(home, "main")
    world.emulator.faults({"on": "token", "do": "oauth-error-invalid_grant", "message": "Token has been expired."})
    home.ok("worker", "--drain")
    assert standing(home, job) == "held channel_auth"
    secrets = dict(oracles.planted(world.emulator))
    assert {"client_secrets", "refresh_tokens", "access_tokens"} <= set(secrets)
    assert os.stat(home.key_file).st_mode & 0o077 == 0
