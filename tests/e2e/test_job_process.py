"""X01 to X10, D08, D09: processes that die, stop, or meet each other; a store that is locked, newer or damaged. X06 is
in test_job_broker.py.

A killed worker's lease has to run out before another one may go on: those tests have many homes side by side.
"""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import WITHOUT_LEAK_CHECK, program, until  # noqa: E402

SEED = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not there")


def sent_bytes(world, home):
    channels = list(home.channels.values())
    return sum(session["received_bytes"] for session in world.emulator.ctl("sessions") if session["channel"] in channels)


@contextlib.contextmanager
def locked(home):
    """The store belongs to somebody else meanwhile: nothing of a worker's is committed."""
    connection = sqlite3.connect(home.store, timeout=30, isolation_level=None)
    try:
        connection.execute("begin exclusive")
        yield
        connection.execute("rollback")
    finally:
        connection.close()


# ---- X01: SIGKILL


class Death:
    """One worker that is killed at a chosen point, in a home of its own."""

    def __init__(self, world, *faults, **settings):
        self.world = world
        self.home = world.home(**settings)
        channel = self.home.channels["main"]
        self.path = self.home.file("clip.mp4", SIZE)
        self.job = self.home.ok("add", self.path, "--channel", "main").line
        world.emulator.faults(*({"channel": channel, **fault} for fault in faults))
        self.worker = self.home.start_worker()

    def seen(self, *ops, count=1):
        until(lambda: len(journal(self.world, self.home, *ops)) >= count, self.worker.log)

    def logged(self, pattern):
        self.worker.wait_for_log(pattern)

    def stored(self, state=None, event=None):
        if state:
            until(lambda: self.home.job(self.job)["state"] == state, self.worker.log)
        if event:
            until(lambda: [line for line in self.home.audit(self.job) if line["what"] == event], self.worker.log)

    def kill(self):
        self.worker.kill()
        return self


def after_the_claim(world):
    death = Death(world, {"on": "token", "do": "delay-reply-2s"})
    death.stored(state="uploading")
    return death.kill()


def after_opening_the_token(world):
    death = Death(world, {"on": "token", "do": "delay-reply-2s"})
    death.seen("token", count=2)
    return death.kill()


def before_the_token_is_verified(world):
    death = Death(world, {"on": "channels.list", "do": "delay-reply-2s"})
    death.seen("channels.list", count=2)
    return death.kill()


def start_sent(world):
    death = Death(world, {"on": "start", "do": "delay-reply-2s"})
    death.seen("start")
    return death.kill()


def start_answered_and_not_stored(world):
    death = Death(world, {"on": "start", "do": "delay-reply-1s"})
    death.seen("start")
    with locked(death.home):
        death.logged("start: 200")
        return death.kill()


def session_stored(world):
    death = Death(world, {"on": "put", "do": "delay-reply-2s"})
    death.stored(event="session opened")
    return death.kill()


def mid_body(world):
    death = Death(world, {"on": "put", "nth": 2, "do": "stall-for-20s-after-128K"})
    death.seen("put", count=2)
    return death.kill()


def chunk_answered_and_not_stored(world):
    death = Death(world, {"on": "put", "nth": 2, "do": "delay-reply-1s"})
    death.seen("put", count=2)
    with locked(death.home):
        death.logged("confirmed 524288")
        return death.kill()


def finalizing_stored(world):
    death = Death(world, {"on": "put-final", "do": "stall-for-20s-after-0K"})
    death.stored(event="finalizing")
    return death.kill()


def last_byte_sent(world):
    death = Death(world, {"on": "put-final", "do": "delay-reply-5s"})
    until(lambda: [video for video in world.emulator.videos() if death.job in video["file_name"]], death.worker.log)
    return death.kill()


def last_byte_lost(world):
    death = Death(world, {"on": "put-final", "do": "stall-for-20s-after-200K"})
    death.seen("put-final")
    return death.kill()


def final_reply_not_stored(world):
    death = Death(world, {"on": "put-final", "do": "delay-reply-1s"})
    death.seen("put-final")
    with locked(death.home):
        death.logged("put: 201")
        return death.kill()


def video_stored(world):
    death = Death(world, {"on": "videos.list", "do": "delay-reply-2s"})
    death.stored(state="finishing")
    return death.kill()


def check_answered_and_not_stored(world):
    death = Death(world, {"on": "videos.list", "do": "delay-reply-1s"})
    death.seen("videos.list")
    with locked(death.home):
        death.logged("check video: 200")
        return death.kill()


def mid_renewal(world):
    death = Death(world, {"on": "put", "nth": 2, "do": "delay-reply-5s"}, request_timeout_ms="20s")
    death.seen("put", count=2)
    before = death.home.job(death.job)["lease_until"]
    with locked(death.home):
        time.sleep(4.3)  # a third of the lease: the renewal is under way, the store does not answer
        death.kill()
    assert death.home.job(death.job)["lease_until"] == before
    return death


def whole_mid_body(world):
    death = Death(world, {"on": "put", "do": "stall-for-20s-after-512K"}, chunk_mode="whole")
    death.seen("put-final")
    return death.kill()


def backing_off(world):
    death = Death(world, {"on": "put", "nth": 2, "do": "return-503", "retry_after": 30})
    death.logged("retry 1")
    return death.kill()


POINTS = [after_the_claim, after_opening_the_token, before_the_token_is_verified, start_sent,
          start_answered_and_not_stored, session_stored, mid_body, chunk_answered_and_not_stored, finalizing_stored,
          last_byte_sent, last_byte_lost, final_reply_not_stored, video_stored, check_answered_and_not_stored,
          mid_renewal, whole_mid_body, backing_off]


def at_random(world, after_s):
    death = Death(world, limit_rate="1200K")
    time.sleep(after_s)
    return death.kill()


def assert_converges(world, death, name):
    home = death.home
    home.configure(limit_rate=0)
    home.ok("worker", "--drain")
    assert standing(home, death.job) == "completed", (name, home.job(death.job))
    assert home.job(death.job)["lease_epoch"] <= 2, name
    extra = sent_bytes(world, home) - SIZE
    # Where one PUT carries all there is no chunk: what the server did not keep is sent again.
    assert extra <= (SIZE if name == "whole_mid_body" else CHUNK), (name, extra)
    videos = [video for video in world.emulator.videos() if video["channel"] == home.channels["main"]]
    assert len(videos) == 1, name


def test_x01_killed_at_any_point(world):
    dice = random.Random(SEED)
    print(f"SLUICE_TEST_SEED={SEED}")
    moments = [dice.uniform(0.02, 1.2) for _ in range(7)]

    def one(name, die):
        death = die()
        assert_converges(world, death, name)

    def again_by_the_same_command():
        home = world.home(limit_rate="1M")
        path = home.file("clip.mp4", SIZE)
        process = home.start("upload", path, "--channel", "main")
        until(lambda: journal(world, home, "put"), "a chunk is sent")
        process.kill()
        process.wait()
        home.configure(limit_rate=0)
        assert home.ok("upload", path, "--channel", "main").line.startswith("https://youtu.be/")
        assert sent_bytes(world, home) - SIZE <= CHUNK

    world.at_once(
        *[lambda point=point: one(point.__name__, lambda: point(world)) for point in POINTS],
        *[lambda after=after: one(f"after {after:.3f} s", lambda: at_random(world, after)) for after in moments],
        again_by_the_same_command)


@needs_strace
def test_x01_killed_while_the_store_is_made(world):
    """init: either nothing is there or all of it, and the next init ends well."""
    for when in range(1, 9):
        from sluice import Sluice
        home = Sluice(world.emulator)
        try:
            subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", f"--inject=fsync,fdatasync,rename:signal=KILL:when={when}",
                            program(), "init"], env={**home.env, **WITHOUT_LEAK_CHECK}, cwd=home.home,
                           stdin=subprocess.DEVNULL, capture_output=True)
            home.ok("init")
            home.ok("client", "import", world.emulator.client_secret)
        finally:
            home.close()


@needs_strace
def test_x01_killed_while_jobs_are_added(world):
    """All or none."""
    home = world.home()
    paths = [home.file(f"{number}.mp4", 1000) for number in range(10)]
    for when in range(1, 5):
        before = len(home.jobs())
        subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", f"--inject=fsync,fdatasync,pwrite64:signal=KILL:when={when}",
                        program(), "add", *map(str, paths), "--channel", "main", "--region", f"r{when}"],
                       env={**home.env, **WITHOUT_LEAK_CHECK}, cwd=home.home, stdin=subprocess.DEVNULL,
                       capture_output=True)
        assert len(home.jobs()) - before in (0, 10)
        if len(home.jobs()) > before:
            break


# ---- X02, X03


def test_x02_x03_stopped_and_frozen(world):
    def frozen():
        """SIGSTOP for longer than the lease: another worker takes over; the first one writes nothing any more."""
        home = world.home(limit_rate="400K")
        job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
        first = home.start_worker()
        until(lambda: len(journal(world, home, "put")) >= 2, first.log)
        first.freeze()
        home.configure(limit_rate=0)
        home.ok("worker", "--drain")
        assert standing(home, job) == "completed" and home.job(job)["lease_epoch"] == 2
        last = world.emulator.journal()[-1]["number"]
        trail = home.audit(job)
        first.thaw()
        first.wait_for_log("lease over")
        assert first.stop()[0] == 0
        assert home.audit(job) == trail and standing(home, job) == "completed"
        # One request may have been decided on, or be half out, when it was stopped; its session is the same, and complete.
        late = [entry for entry in journal(world, home, "start", "put", "put-final", "query", "cancel")
                if entry["number"] > last]
        assert [entry["op"] for entry in late] in ([], ["put"]), late
        assert len([video for video in world.emulator.videos() if job in video["file_name"]]) == 1
        assert sent_bytes(world, home) - SIZE <= CHUNK

    def frozen_and_nobody_else():
        home = world.home(limit_rate="400K")
        job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
        worker = home.start_worker("--drain", "--drain-wait", "1m")
        until(lambda: len(journal(world, home, "put")) >= 2, worker.log)
        worker.freeze()
        time.sleep(13)  # longer than the lease: nothing can be polled for
        worker.thaw()
        assert worker.wait() == 0
        assert standing(home, job) == "completed"
        assert sent_bytes(world, home) - SIZE <= 2 * CHUNK

    def stopped(number):
        home = world.home(limit_rate="400K")
        job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
        worker = home.start_worker()
        until(lambda: len(journal(world, home, "put")) >= 2, worker.log)
        begun = time.monotonic()
        worker.signal(number)
        assert worker.wait(10) == 0
        assert time.monotonic() - begun < 10
        found = home.job(job)
        assert found["state"] == "queued" and not found["lease_owner"] and found["has_session"]
        assert found["confirmed_bytes"] >= CHUNK
        home.configure(limit_rate=0)
        begun = time.monotonic()
        home.ok("worker", "--drain")
        assert time.monotonic() - begun < 10  # no lease had to run out
        assert standing(home, job) == "completed" and len(journal(world, home, "start")) == 1
        assert sent_bytes(world, home) - SIZE <= CHUNK

    def worker_killed_and_the_broker_goes_too():
        home = world.home(limit_rate="400K")
        job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
        worker = home.start_worker()
        until(lambda: journal(world, home, "put"), worker.log)
        broker = worker.broker_pid()
        worker.kill()
        until(lambda: not is_running(broker), "the broker ends with its worker")
        home.configure(limit_rate=0)
        home.ok("worker", "--drain")
        assert standing(home, job) == "completed"

    world.at_once(frozen, frozen_and_nobody_else, lambda: stopped(signal.SIGTERM), lambda: stopped(signal.SIGINT),
                  worker_killed_and_the_broker_goes_too)


def is_running(pid):
    try:
        return re.search(r"^State:\s+[^Z]", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return False


# ---- X07, C13


def test_x07_two_workers_on_one_store(world):
    # One alone would do it all in a moment, before the other one is there.
    home = world.home("one", "two", "three", per_channel=0, limit_rate="3M")
    jobs = [home.ok("add", home.file(f"{number}.mp4", 300_000 + number), "--channel", name).line
            for number, name in enumerate(list(home.channels) * 10)]
    workers = [home.start_worker("--drain", "--concurrency", 4) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert [standing(home, job) for job in jobs] == ["completed"] * 30
    assert [home.job(job)["lease_epoch"] for job in jobs] == [1] * 30
    assert len(world.emulator.videos()) == 30
    assert all(video["received_bytes"] == video["bytes"] for video in world.emulator.videos())
    owners = {event["who"] for event in home.audit() if event["what"] == "claimed"}
    assert len(owners) == 2


@pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit is not there")
@pytest.mark.parametrize("limit", ["42:42", "42:4096"])
def test_c13_few_descriptors(world, limit):
    """What runs goes on, what finds none is tried again; where more may be had, more are taken."""
    home = world.home(per_channel=0)
    jobs = [home.ok("add", home.file(f"{number}.mp4", SIZE), "--channel", "main").line for number in range(10)]
    worker = home.start_worker("--drain", "--drain-wait", "1s", "--concurrency", 10,
                               program_prefix=["prlimit", f"--nofile={limit}"])
    assert worker.wait() == 0
    is_short = limit == "42:42"
    assert ("few descriptors" in worker.log()) == is_short
    assert is_short or not re.search("no local resource|sourceUnreadable", worker.log())
    waiting = [job for job in jobs if standing(home, job) == "waiting"]
    assert all(standing(home, job) == "completed" for job in jobs if job not in waiting)
    if waiting:
        home.ok("job", "retry", *waiting)
        home.ok("worker", "--drain")
    assert [standing(home, job) for job in jobs] == ["completed"] * 10


# ---- the store


def test_d08_a_store_that_is_locked_for_a_while(world):
    home = world.home(limit_rate="600K")
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    worker = home.start_worker("--drain")
    until(lambda: journal(world, home, "put"), worker.log)
    with locked(home):
        time.sleep(3)
    assert worker.wait() == 0
    assert standing(home, job) == "completed"
    assert sent_bytes(world, home) == SIZE and home.job(job)["lease_epoch"] == 1


def test_d08_a_store_that_is_no_database(world):
    home = world.home()
    home.ok("add", home.file("clip.mp4"), "--channel", "main")
    right = home.store.read_bytes()
    for path in home.store.parent.glob("*.db-*"):
        path.unlink()
    home.store.write_bytes(b"This is not a database." + right[23:])
    for command in (["worker", "--drain"], ["job", "list"], ["init"], ["status"]):
        result = home.fails(8, *command)
        assert str(home.store) in result.err
    assert home.store.read_bytes()[:23] == b"This is not a database."
    home.store.write_bytes(right)
    home.ok("worker", "--drain")


def test_d09_a_store_of_a_newer_version(world):
    home = world.home()
    job = home.ok("add", home.file("clip.mp4"), "--channel", "main").line
    with sqlite3.connect(home.store) as connection:
        connection.execute("insert into schema_version (version, what, compatible_from, applied_at_ms)"
                           " values (999, 'of the future', 999, 0)")
    connection.close()
    for command in (["worker", "--drain"], ["job", "list"], ["init"]):
        assert "999" in home.fails(8, *command).err
    with sqlite3.connect(home.store) as connection:
        connection.execute("delete from schema_version where version = 999")
    connection.close()
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
    assert oracles.ledger(home)
