"""X06: a broker that dies, answers garbage, or hangs. Jobs wait, it is replaced, nothing of it is left, and each job makes
its one video.

What hangs is noticed after a minute: all who wait for that do it side by side.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from job_fixtures import *  # noqa: E402, F403
from sluice import children, until  # noqa: E402

HANG_S = 90  # until a hang is noticed, on a slow machine


class Case:
    """One home whose one job meets a broker in trouble."""

    def __init__(self, world, **settings):
        self.world = world
        self.home = world.home(**settings)
        self.channel = self.home.channels["main"]
        self.path = self.home.file("clip.mp4", SIZE)

    def add(self):
        self.job_id = self.home.ok("add", self.path, "--channel", "main").line

    @property
    def job(self):
        return self.home.job(self.job_id)

    def journal(self, *ops):
        return [entry for entry in self.world.emulator.journal() if entry["channel"] == self.channel and entry["op"] in ops]

    def tokens_asked(self):
        """After the login's own."""
        return len(self.journal("token")) - 1

    def in_mid_upload(self):
        until(lambda: self.journal("put"), "a chunk is sent")

    def expire(self):
        """The access token is refused from now on: the broker is needed."""
        self.world.emulator.ctl("expire", {"channel": self.channel})

    def sent_bytes(self):
        return sum(session["received_bytes"] for session in self.world.emulator.ctl("sessions")
                   if session["channel"] == self.channel)

    def assert_completed(self):
        """By the one session that was there before, and under the one lease."""
        job = self.home.jobs()[0]
        assert job["state"] == "completed", job
        assert self.home.job(job["id"])["lease_epoch"] == 1 and len(self.journal("start")) == 1
        assert self.sent_bytes() - SIZE <= CHUNK
        assert len([video for video in self.world.emulator.videos() if video["channel"] == self.channel]) == 1


def broker_of(pid):
    """Of a worker: its keeper's child. Of a command: its own."""
    return until(lambda: [broker for child in children(pid) for broker in children(child) or [child]
                          if pathlib.Path(f"/proc/{broker}/comm").read_text() == "sluice-broker\n"], "a broker is there")[0]


def is_there(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


def freeze(pid):
    os.kill(pid, signal.SIGSTOP)
    return pid


def gone(pid, timeout_s=HANG_S):
    """Killed, and its end taken note of: not even a zombie is left."""
    until(lambda: not is_there(pid), f"the end of process {pid}", timeout_s)


# ---- it dies


def killed_in_mid_upload(world):
    case = Case(world, limit_rate="1M")
    case.add()
    second = case.home.ok("add", case.home.file("second.mp4", SIZE), "--channel", "main").line
    worker = case.home.start_worker("--drain", "--concurrency", 1)
    case.in_mid_upload()
    os.kill(worker.broker_pid(), signal.SIGKILL)
    assert worker.wait() == 0
    assert [case.home.job(job)["state"] for job in (case.job_id, second)] == ["completed"] * 2
    assert case.sent_bytes() == 2 * SIZE


def killed_while_it_is_asked(world):
    case = Case(world)
    world.emulator.faults({"on": "token", "do": "delay-reply-3s", "channel": case.channel})
    case.add()
    worker = case.home.start_worker("--drain")
    until(lambda: case.tokens_asked() >= 1, worker.log)
    os.kill(worker.broker_pid(), signal.SIGKILL)
    assert worker.wait() == 0
    case.assert_completed()


# ---- it answers garbage


def garbled(world, answer):
    """Its answer of this number begins with a length that no message has."""
    case = Case(world, log_level="info")  # it writes nothing but answers then
    worker = case.home.start_worker()
    first = worker.broker_pid()
    tracer = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(first), "-e", "trace=write",
                               f"--inject=write:poke_enter=@arg2=ffffffff:when={answer}"], stdin=subprocess.DEVNULL)
    try:
        until(lambda: "TracerPid:\t0" not in pathlib.Path(f"/proc/{first}/status").read_text(), "strace is there")
        case.add()
        gone(first)
    finally:
        tracer.kill()
        tracer.wait()
    until(lambda: case.job["state"] == "completed", worker.log)
    assert worker.stop()[0] == 0
    assert "a message over the limit" in worker.log()
    case.assert_completed()


@pytest.mark.skipif(not shutil.which("strace") or os.geteuid() != 0, reason="only root may trace a broker, with strace")
def test_x06_a_broker_that_answers_garbage(world):
    """Instead of a token, or of a sealed session."""
    world.at_once(lambda: garbled(world, 1), lambda: garbled(world, 2))


# ---- it hangs


def frozen_before_a_token_is_asked(world):
    case = Case(world)
    worker = case.home.start_worker()
    first = freeze(worker.broker_pid())
    case.add()
    until(lambda: case.job["state"] == "uploading", worker.log)
    gone(first)
    until(lambda: case.job["state"] == "completed", worker.log)
    second = broker_of(worker.pid)
    assert worker.stop()[0] == 0
    assert not is_there(second)
    assert "it does not answer" in worker.log()
    assert case.tokens_asked() == 1
    case.assert_completed()


def frozen_in_mid_upload(world):
    case = Case(world, limit_rate="1M")
    case.add()
    worker = case.home.start_worker("--drain")
    case.in_mid_upload()
    first = freeze(worker.broker_pid())
    case.expire()
    gone(first)
    second = broker_of(worker.pid)
    assert worker.wait() == 0
    assert not is_there(second)
    assert case.tokens_asked() == 2
    case.assert_completed()


def frozen_in_mid_upload_of_the_command(world):
    case = Case(world, limit_rate="1M")
    process = case.home.start("upload", case.path, "--channel", "main")
    case.in_mid_upload()
    first = freeze(broker_of(process.pid))
    case.expire()
    gone(first)
    second = broker_of(process.pid)
    result = case.home.finish(process)
    assert result.rc == 0 and result.line.startswith("https://youtu.be/"), result
    assert not is_there(second)
    case.assert_completed()


def frozen_and_not_needed_any_more(world):
    case = Case(world, limit_rate="1M")
    process = case.home.start("upload", case.path, "--channel", "main")
    case.in_mid_upload()
    broker = freeze(broker_of(process.pid))
    result = case.home.finish(process)
    assert result.rc == 0, result
    assert not is_there(broker)
    case.assert_completed()


def frozen_and_the_worker_is_stopped(world):
    """A token is asked for and will not come: the worker leaves within its time all the same."""
    case = Case(world)
    worker = case.home.start_worker()
    broker = freeze(worker.broker_pid())
    case.add()
    until(lambda: case.job["state"] == "uploading", worker.log)
    assert worker.stop(timeout_s=10)[0] == 0
    assert not is_there(broker)
    job = case.job
    assert job["state"] == "queued" and not job["lease_owner"], job


def frozen_and_the_worker_is_killed(world):
    case = Case(world)
    worker = case.home.start_worker()
    broker = freeze(worker.broker_pid())
    worker.kill()
    gone(broker)


def test_x06_a_broker_that_dies_or_hangs(world):
    cases = [killed_in_mid_upload, killed_while_it_is_asked, frozen_before_a_token_is_asked, frozen_in_mid_upload,
             frozen_in_mid_upload_of_the_command, frozen_and_not_needed_any_more, frozen_and_the_worker_is_stopped,
             frozen_and_the_worker_is_killed]
    world.at_once(*[lambda case=case: case(world) for case in cases])
