"""Whole lives of jobs with the store on a PostgreSQL server: uploads, workers that die, stop or compete, a server that
goes away and comes back."""

import json
import os
import pathlib
import shutil
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import postgres  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import Sluice, until  # noqa: E402

pytestmark = pytest.mark.skipif(not postgres.available(), reason="PostgreSQL is not there")


@pytest.fixture
def new_home(world, cluster):
    """A home whose store is a database of its own."""
    return lambda *names, **settings: world.home(*names, store=cluster.new_database(), **settings)


def add(home, name="clip.mp4", size=SIZE, channel="main"):
    return home.ok("add", home.file(name, size), "--channel", channel).line


# ---- the set-up


def test_no_store_is_told_how_to_be_made(cluster):
    with Sluice(store=cluster.new_database()) as sluice:
        assert "sluice init" in sluice.fails(4, "status").err
        sluice.ok("init")
        sluice.ok("init")
        sluice.ok("status")
        checks = {item["check"]: item["status"] for item in map(json.loads, sluice.run("check", "--json").lines)}
        assert checks["store"] == "ok"


def test_the_password_is_never_told(cluster):
    url = cluster.new_database().replace("user=postgres", "user=postgres&password=hunter2")
    with Sluice(store=url, log_level="debug") as sluice:
        assert "***" in sluice.ok("init").out
        sluice.ok("init", "--json")
        sluice.run("check")
        sluice.fails(8, "status", "--store", "postgres://u:hunter2@127.0.0.1:1/none")
        sluice.ok("worker", "--drain")
        assert all("hunter2" not in said for said in sluice.said), sluice.said


def test_a_name_that_is_no_utf8_is_refused(new_home):
    home = new_home()
    path = pathlib.Path(home.file("clip.mp4", SIZE))
    name = os.fsdecode(os.fsencode(path.parent) + b"/clip-\xff.mp4")
    path.rename(name)
    said = home.fails(3, "add", name, "--channel", "main").err
    assert "UTF-8" in said and "rename" in said
    assert home.jobs() == []


# ---- lives


def test_an_upload(new_home, world):
    home = new_home()
    done = home.ok("upload", home.file("clip.mp4", SIZE), "--channel", "main")
    job = home.jobs()[0]["id"]
    assert standing(home, job) == "completed", done
    assert [event["to"] for event in home.audit(job) if event["to"]] == [
        "queued", "uploading", "finishing", "completed"]
    assert len(world.emulator.videos()) == 1


def test_jobs_that_another_service_has_added(new_home, world, cluster):
    """In its own transaction; without a fingerprint, which the first worker takes before it sends."""
    home = new_home(limit_rate="600K")
    name = postgres.database_of(home.settings["store"])
    size = home.file("clip.mp4", SIZE).stat().st_size
    meta = '{"snippet": {"title": "From SQL"}}'
    job = cluster.sql(f"select sluice_add('main', 'clip.mp4', {size}, '{meta}')", name)
    worker = home.start_worker()
    until(lambda: len(journal(world, home, "put")) >= 2, worker.log)
    assert cluster.sql(f"select fingerprint like 'v1:%' from job where id = '{job}'", name) == "t"
    assert worker.stop()[0] == 0
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
    assert [video["metadata"]["snippet"]["title"] for video in world.emulator.videos()] == ["From SQL"]
    wrong = cluster.sql(f"select sluice_add('main', 'clip.mp4', {size - 1}, '{meta}')", name)
    gone = cluster.sql(f"select sluice_add('main', 'gone.mp4', {size}, '{meta}')", name)
    home.ok("worker", "--drain")
    assert standing(home, wrong) == "held source_changed"
    assert standing(home, gone) == "held source_missing"


def test_x01_killed_and_taken_over(new_home, world):
    home = new_home(limit_rate="400K")
    job = add(home)
    worker = home.start_worker()
    until(lambda: len(journal(world, home, "put")) >= 2, worker.log)
    worker.kill()
    home.configure(limit_rate=0)
    home.ok("worker", "--drain", "--drain-wait", "1m")
    assert standing(home, job) == "completed"
    assert home.job(job)["lease_epoch"] == 2
    assert len(journal(world, home, "start")) == 1


def test_d07_leases_go_on_while_other_statements_wait(new_home, world, cluster):
    """Somebody locks the table in which workers say that they are there, for longer than a lease. What the store's thread
    is asked to do waits behind that; renewals have a connection of their own. Nothing is written meanwhile: a file in one
    PUT confirms nothing before its end."""
    home = new_home(chunk_mode="whole", limit_rate="50K")
    name = postgres.database_of(home.settings["store"])
    job = add(home)
    worker = home.start_worker("--drain")
    until(lambda: journal(world, home, "start"), worker.log)
    cluster.sql("begin; lock table worker in access exclusive mode; select pg_sleep(17); commit", name)
    assert worker.wait() == 0
    assert "not renewed in time" not in worker.log()
    assert standing(home, job) == "completed" and home.job(job)["lease_epoch"] == 1
    assert len(journal(world, home, "start")) == 1


def test_x02_frozen_past_its_lease(new_home, world):
    home = new_home(limit_rate="400K")
    job = add(home)
    first = home.start_worker()
    until(lambda: len(journal(world, home, "put")) >= 2, first.log)
    first.freeze()
    home.configure(limit_rate=0)
    home.ok("worker", "--drain", "--drain-wait", "1m")
    assert standing(home, job) == "completed" and home.job(job)["lease_epoch"] == 2
    trail = home.audit(job)
    first.thaw()
    first.wait_for_log("lease over")
    assert first.stop()[0] == 0
    assert home.audit(job) == trail


def test_x07_workers_at_once(new_home, world):
    home = new_home("one", "two", "three", per_channel=0)
    jobs = [add(home, f"{number}.mp4", 300_000 + number, name)
            for number, name in enumerate(list(home.channels) * 10)]
    workers = [home.start_worker("--drain", "--concurrency", 4) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert [standing(home, job) for job in jobs] == ["completed"] * 30
    assert [home.job(job)["lease_epoch"] for job in jobs] == [1] * 30
    assert len(world.emulator.videos()) == 30
    assert len({event["who"] for event in home.audit() if event["what"] == "claimed"}) >= 2


def test_d01_d11_connections_that_are_cut_while_jobs_run(new_home, world, cluster):
    home = new_home(limit_rate="600K")
    job = add(home)
    worker = home.start_worker("--drain", "--drain-wait", "30s")
    name = postgres.database_of(home.settings["store"])
    for count in range(1, 4):
        until(lambda: len(journal(world, home, "put")) >= count, worker.log)
        cluster.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
    assert worker.wait() == 0
    assert standing(home, job) == "completed"
    assert home.job(job)["lease_epoch"] == 1


def test_d12_news_and_its_loss(new_home, world, cluster):
    home = new_home()
    worker = home.start_worker()
    name = postgres.database_of(home.settings["store"])
    listeners = f"from pg_stat_activity where datname = '{name}' and query = 'listen sluice'"
    until(lambda: cluster.sql(f"select count(*) {listeners}") == "1", worker.log)
    first = add(home, "1.mp4")
    until(lambda: standing(home, first) == "completed", worker.log)
    cluster.sql(f"select pg_terminate_backend(pid) {listeners}")
    second = add(home, "2.mp4")
    until(lambda: standing(home, second) == "completed", worker.log)
    until(lambda: cluster.sql(f"select count(*) {listeners}") == "1", worker.log)
    assert worker.stop()[0] == 0


@pytest.fixture
def own_cluster():
    with postgres.Cluster() as cluster:
        yield cluster


def test_d01_a_server_that_dies_and_comes_back(own_cluster, world):
    home = world.home(store=own_cluster.new_database(), limit_rate="400K")
    job = add(home)
    worker = home.start_worker("--drain", "--drain-wait", "30s")
    until(lambda: journal(world, home, "put"), worker.log)
    own_cluster.stop("immediate")
    time.sleep(1)
    assert not worker.is_over()
    own_cluster.start()
    assert worker.wait() == 0
    assert standing(home, job) == "completed"
    assert len(journal(world, home, "start")) == 1


def test_d01_a_video_that_is_made_while_the_server_is_away_is_stored(own_cluster, world):
    """The last PUT goes on without the store, nothing new is begun, and what came of it is written under the same lease."""
    home = world.home(store=own_cluster.new_database(), limit_rate="100K", lease_ms="60s")
    job = add(home, size=CHUNK + 200_000)
    worker = home.start_worker("--concurrency", 1)
    until(lambda: home.job(job)["finalizing"], worker.log)
    own_cluster.stop()
    until(lambda: world.emulator.videos(), worker.log)
    begun = len(journal(world, home, "start"))
    own_cluster.start()
    later = add(home, "later.mp4", 300_000)
    until(lambda: standing(home, later) == "completed", worker.log)
    assert worker.stop()[0] == 0
    assert begun == 1 and standing(home, job) == "completed"
    assert home.job(job)["lease_epoch"] == 1
    assert len(world.emulator.videos()) == 2


def test_d03_a_failover_that_lost_the_claim(own_cluster, world):
    """The replica gives the job away once more, under the same epoch; who had it first finds out, and stops."""
    world.judges_ledger = False  # what was charged in the meantime is lost, too
    home = world.home(store=own_cluster.new_database(), limit_rate="150K")
    job = add(home)
    own_cluster.keep()
    first = home.start_worker()
    until(lambda: len(journal(world, home, "put")) >= 2, first.log)
    first.freeze()
    own_cluster.fail_over()
    second = home.start_worker()
    until(lambda: len(journal(world, home, "start")) == 2, second.log)
    first.thaw()
    first.wait_for_log("lease over")
    until(lambda: standing(home, job) == "completed", second.log)
    assert [worker.stop()[0] for worker in (first, second)] == [0, 0]
    assert home.job(job)["lease_epoch"] == 1
    assert len({event["who"] for event in home.audit(job) if event["what"] != "job added"}) == 1
    assert len(world.emulator.videos()) == 1


def test_d03_a_failover_that_lost_the_end(own_cluster, world):
    """Of a job that was completed the replica knows the session: asked, it tells of the video."""
    world.judges_ledger = False
    home = world.home(store=own_cluster.new_database(), limit_rate="400K")
    job = add(home)
    worker = home.start_worker()
    until(lambda: len(journal(world, home, "put")) >= 1, worker.log)
    own_cluster.keep()
    until(lambda: standing(home, job) == "completed", worker.log)
    video = home.job(job)["video_id"]
    own_cluster.fail_over()
    assert standing(home, job) == "uploading"
    until(lambda: standing(home, job) == "completed", worker.log, 60)
    assert worker.stop()[0] == 0
    assert home.job(job)["video_id"] == video
    assert home.job(job)["lease_epoch"] == 2
    assert len(journal(world, home, "start")) == 1


@pytest.fixture
def bouncer(cluster):
    process, folder, port = postgres.start_bouncer(cluster.folder)
    yield folder, port
    process.kill()
    process.wait()


@pytest.mark.skipif(not (shutil.which("pgbouncer") or os.path.exists("/usr/sbin/pgbouncer")),
                    reason="PgBouncer is not there")
def test_d11_through_pgbouncer(bouncer, world, cluster):
    name = postgres.database_of(cluster.new_database())
    home = world.home("one", "two", store=postgres.url(bouncer[0], name, bouncer[1]), per_channel=0)
    jobs = [add(home, f"{number}.mp4", 300_000 + number, channel)
            for number, channel in enumerate(list(home.channels) * 5)]
    workers = [home.start_worker("--drain", "--concurrency", 4) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert [standing(home, job) for job in jobs] == ["completed"] * 10
