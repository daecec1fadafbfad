"""X05: clocks that are wrong, or jump while a worker runs. Nobody's clock is touched: libfaketime tells another time.

What a machine's suspend does can only be shown in part: the clock that counts through it cannot be moved for a process that
runs. SIGSTOP for longer than the lease is in test_job_process.py (X02).
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import PRELOAD, until  # noqa: E402

FAKETIME = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
pytestmark = [
    pytest.mark.skipif(not FAKETIME, reason="libfaketime is not there"),
    pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="sanitizers and libfaketime cannot both be preloaded"),
]
HOUR, DAY, TEN_YEARS = 3600, 86400, 315_360_000


class Clock:
    """A wall clock for one worker and its broker, that can be moved while they run. Clocks that only count are right."""

    def __init__(self, home, seconds=0):
        # Beside the store, where both may read what was there before they gave up the rest.
        self.path = home.key_file.parent / "clock" / "time"
        self.path.parent.mkdir()
        self.move(seconds)
        # The broker has another environment than its worker, so the second library hands these on.
        self.env = {"LD_PRELOAD": f"{FAKETIME}:{PRELOAD}", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_TIMESTAMP_FILE": str(self.path)}

    def move(self, seconds):
        new = self.path.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.path)


def clocked(world, seconds=0, **settings):
    home = world.home(**settings)
    return home, Clock(home, seconds)


def add(home, name="clip.mp4", size=SIZE):
    return home.ok("add", home.file(name, size), "--channel", "main").line


def wrong_from_the_beginning(world, seconds):
    """All of a job's life, and that of the next one under the right clock."""
    home, clock = clocked(world, seconds)
    first = add(home)
    home.ok("worker", "--drain", env=clock.env)
    year = home.audit(first)[-1]["at"][:4]
    assert standing(home, first) == "completed"
    assert abs(seconds) < TEN_YEARS or int(year) > 2030, year  # the worker did have that time
    second = add(home, "second.mp4")
    home.ok("worker", "--drain")
    assert standing(home, second) == "completed"


def moved_in_mid_upload(world, seconds):
    """With another worker beside, which looks for leases that have run out."""
    home, clock = clocked(world, limit_rate="500K")
    job = add(home)
    worker = home.start_worker("--drain", env=clock.env)
    until(lambda: home.job(job)["confirmed_bytes"], worker.log)
    beside = home.start_worker("--drain", env=clock.env)
    clock.move(seconds)
    assert [worker.wait(), beside.wait()] == [0, 0]
    assert standing(home, job) == "completed", worker.log()
    starts = [entry for entry in world.emulator.journal(op="start") if entry["channel"] == home.channels["main"]]
    assert len(starts) == 1


def moved_before_trouble(world, seconds):
    """A step's own tries and a job's life are not over because the clock says so."""
    home, clock = clocked(world, limit_rate="500K", retry_tries=3)
    job = add(home)
    channel = home.channels["main"]
    world.emulator.faults({"on": "put", "nth": 2, "do": "return-503", "retry_after": 2, "channel": channel})
    worker = home.start_worker("--drain", env=clock.env)
    until(lambda: home.job(job)["confirmed_bytes"], worker.log)
    clock.move(seconds)
    assert worker.wait() == 0
    assert standing(home, job) == "completed", worker.log()


def wait_that_was_set_by_a_wrong_clock(world, seconds):
    """When the clock is right again nothing waits for years; what waits has a time within the bound."""
    home, clock = clocked(world, seconds)
    job = add(home)
    world.emulator.faults({"on": "put", "nth": 2, "do": "return-503", "retry_after": 300, "channel": home.channels["main"]})
    home.ok("worker", "--drain", "--drain-wait", "1s", env=clock.env)
    assert standing(home, job) == "waiting"
    home.ok("worker", "--drain", "--drain-wait", "1s")
    assert standing(home, job) == "completed" if abs(seconds) > DAY else oracles.judge_state(home.job(job)) is None


def hold_that_was_set_by_a_wrong_clock(world, seconds):
    home, clock = clocked(world, seconds)
    job = add(home)
    world.emulator.faults({"on": "start", "do": "return-400", "reason": "uploadLimitExceeded", "channel": home.channels["main"]})
    home.ok("worker", "--drain", "--drain-wait", "1s", env=clock.env)
    assert standing(home, job) == "held upload_limit"
    home.ok("worker", "--drain", "--drain-wait", "1s")
    assert standing(home, job) == "completed"


def lease_that_a_wrong_clock_left(world, seconds):
    """The worker dies before the clock is put right: its lease ends all the same, and not before it would have."""
    home, clock = clocked(world, seconds)
    job = add(home)
    world.emulator.faults({"on": "put", "nth": 2, "do": "stall-for-20s-after-128K", "channel": home.channels["main"]})
    worker = home.start_worker(env=clock.env)
    until(lambda: home.job(job)["confirmed_bytes"], worker.log)
    worker.kill()
    after = home.start_worker()
    until(lambda: oracles.query(home, "select lease_epoch from job")[0]["lease_epoch"] == 2, after.log)
    until(lambda: standing(home, job) == "completed", after.log)
    assert after.stop()[0] == 0


def test_x05_a_clock_that_is_wrong_or_moves():
    with own_world("--no-tls") as world:
        world.at_once(
            lambda: wrong_from_the_beginning(world, HOUR),
            lambda: wrong_from_the_beginning(world, -HOUR),
            lambda: wrong_from_the_beginning(world, TEN_YEARS),
            lambda: moved_in_mid_upload(world, 1),
            lambda: moved_in_mid_upload(world, -1),  # as a leap second does
            lambda: moved_in_mid_upload(world, HOUR),
            lambda: moved_in_mid_upload(world, -HOUR),
            lambda: moved_in_mid_upload(world, TEN_YEARS),
            lambda: moved_before_trouble(world, HOUR),
            lambda: moved_before_trouble(world, -HOUR),
            lambda: moved_before_trouble(world, TEN_YEARS),
            lambda: wait_that_was_set_by_a_wrong_clock(world, HOUR),
            lambda: wait_that_was_set_by_a_wrong_clock(world, TEN_YEARS),
            lambda: hold_that_was_set_by_a_wrong_clock(world, TEN_YEARS),
            lambda: lease_that_a_wrong_clock_left(world, TEN_YEARS))


def test_x05_a_machine_that_has_been_up_for_ten_years(world):
    """And slept for most of them: the clock that counts through suspend is far ahead of the other."""
    prefix = ["unshare", "--time", "--boottime", str(TEN_YEARS), "--fork", "--kill-child"]
    if os.geteuid() != 0 or subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("no time of its own can be given to a process here")
    home = world.home()
    job = add(home)
    world.emulator.faults({"on": "put", "nth": 2, "do": "return-503"})
    worker = home.start_worker("--drain", program_prefix=prefix)
    assert worker.wait() == 0
    assert standing(home, job) == "completed"
