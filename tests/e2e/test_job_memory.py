"""X04: no memory, few descriptors, a small stack, the OOM killer. Where a process ends of it, the next one goes on."""

import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from job_fixtures import *  # noqa: E402, F403
from sluice import PRELOAD, WITHOUT_LEAK_CHECK, program, until  # noqa: E402

SEED = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
# How many allocations of each process are let fail, one at a time; "all": every one, which takes hours.
WANTED = os.environ.get("SLUICE_TEST_ALLOCATIONS", "16")
KNOWN_ENDS = {0, 1, 3, 4, 5, 6, 7, 8, 75, -signal.SIGABRT}  # no other signal: 11 would be a bug
not_sanitized = pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="sanitizers have an allocator and stacks of their own")
needs_prlimit = pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit is not there")


def run_limited(home, limits, *args, **env):
    """Ends as it may, but by no fault of its own. One that waits for a better time goes when it is told to."""
    process = subprocess.Popen(["prlimit", "--core=0", *limits, program(), *map(str, args)], env={**home.env, **env},
                               cwd=home.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    home.processes.append(process)
    try:
        said, _ = process.communicate(timeout=25)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=25)
    home.said.append(said)
    assert process.returncode in KNOWN_ENDS, (limits, args, env, process.returncode, said)
    assert process.returncode == 0 or said.strip(), (limits, args, env, "ended without a word")
    return process.returncode


# ---- the n-th allocation


def life(home, name, role, number):
    """A job's whole life in one command and its broker, in which one allocation fails: the exit code, and how many there
    were."""
    counted = home.home / "count"
    counted.write_bytes(bytes(8))
    code = run_limited(home, [], "upload", home.file(name, 300), "--channel", "main", LD_PRELOAD=PRELOAD, FAIL_IN=role,
                       FAIL_ALLOCATION=str(number), FAIL_COUNT=str(counted))
    return code, int.from_bytes(counted.read_bytes(), sys.byteorder)


def numbers(count, dice):
    if WANTED == "all":
        return range(1, count + 1)
    wanted = int(WANTED)
    return [1 + int((place + dice.random()) * count / wanted) for place in range(wanted)]


def killed_both(world):
    """SIGKILL to the broker and the worker in one moment, as the kernel ends a control group."""
    home = world.home(limit_rate="600K")
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    worker = home.start_worker()
    until(lambda: home.job(job)["confirmed_bytes"], worker.log)
    for pid in (worker.broker_pid(), worker.pid):
        os.kill(pid, signal.SIGKILL)
    worker.process.wait()
    home.configure(limit_rate=0)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
    starts = [entry for entry in world.emulator.journal(op="start") if entry["channel"] == home.channels["main"]]
    assert len(starts) == 1


@not_sanitized
@needs_prlimit
def test_x04_no_memory():
    """Our own code ends the process, libraries report it; in either case nothing is lost and nothing made twice."""
    print(f"SLUICE_TEST_SEED={SEED}")
    with own_world("--no-tls") as world:
        world.emulator.ctl("quota", {"project": 1, "uploads": 100_000, "units": 10_000_000})

        def one(role):
            dice = random.Random(f"{SEED} {role}")
            home = world.home(per_channel=0)
            home.ok("client", "limits", "default", "--uploads", 200_000, "--units", 20_000_000)
            code, count = life(home, "clean.mp4", role, 0)
            assert code == 0 and count > 1000, (code, count)
            ends = [life(home, f"{role}-{number}.mp4", role, number)[0] for number in numbers(count, dice)]
            code, _ = life(home, "beyond.mp4", role, 10 * count)
            assert code == 0 and set(ends) != {0}, ends
            waiting = [job["id"] for job in home.jobs() if job["state"] in ("waiting", "held")]
            if waiting:
                home.ok("job", "retry", *waiting)
            home.ok("worker", "--drain")
            assert {job["state"] for job in home.jobs()} == {"completed"}

        world.at_once(lambda: one("upload"), lambda: one("broker"), lambda: killed_both(world))


# ---- limits


@needs_prlimit
def test_x04_few_descriptors(world):
    """A start that is refused says why; what starts does its work, or leaves it for a better day."""
    home = world.home(retry_tries=2)
    jobs = []
    for limit in (4, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40):
        jobs.append(home.ok("add", home.file(f"{limit}.mp4", 300_000), "--channel", "main").line)
        run_limited(home, [f"--nofile={limit}:{limit}"], "worker", "--drain", "--drain-wait", "1s", **WITHOUT_LEAK_CHECK)
    unfinished = [job for job in jobs if standing(home, job) in ("waiting", "held")]
    if unfinished:
        home.ok("job", "retry", *unfinished)
    home.ok("worker", "--drain")
    assert {standing(home, job) for job in jobs} == {"completed"}
    assert not [said for said in home.said if "Success" in said]


@not_sanitized
@needs_prlimit
@pytest.mark.parametrize("stack", ["512K", "128K"])
def test_x04_a_small_stack(world, stack):
    """Threads get as much as the process may have."""
    home = world.home()
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    size = int(stack[:-1]) * 1024
    assert run_limited(home, [f"--stack={size}:{size}"], "worker", "--drain") == 0
    assert standing(home, job) == "completed"


@needs_prlimit
@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY, reason="the stack has a limit")
def test_x04_no_room_for_threads(world):
    """The worker says so, and leaves nothing behind."""
    home = world.home()
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    assert run_limited(home, [f"--stack={2**62}:"], "worker", "--drain") == 1
    assert "thread" in home.said[-1]
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
