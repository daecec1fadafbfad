"""F01 to F13: source files that are missing, unreadable, or change while they are sent."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from job_fixtures import *  # noqa: E402, F403
from sluice import WITHOUT_LEAK_CHECK, children, program, until  # noqa: E402

NOBODY = 65534


# ---- before


@pytest.mark.parametrize("make", [
    pytest.param(lambda path: None, id="f01_missing"),
    pytest.param(lambda path: path.write_bytes(b""), id="f11_empty"),
    pytest.param(lambda path: path.mkdir(), id="f10_directory"),
    pytest.param(lambda path: os.mkfifo(path), id="f10_fifo"),
    pytest.param(lambda path: path.symlink_to("/dev/zero"), id="f10_link_to_a_device"),
    pytest.param(lambda path: path.symlink_to("/proc/self/environ"), id="f10_link_to_proc"),
    pytest.param(lambda path: path.symlink_to("/etc/passwd"), id="f10_link_out_of_the_root"),
    pytest.param(lambda path: path.symlink_to(path.name), id="f10_link_to_itself"),
    pytest.param(lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), id="f10_socket"),
    pytest.param(lambda path: sparse(path, 274_877_906_945), id="f11_too_big"),
])
def test_add_refuses(world, make):
    home = world.home()
    path = home.media / "clip.mp4"
    make(path)
    result = home.run("add", path, "--channel", "main")
    assert result.rc in (3, 4) and "clip.mp4" in result.err, result
    assert home.jobs() == []


def sparse(path, size):
    with open(path, "wb") as file:
        file.truncate(size)


def test_add_refuses_a_way_out_of_the_root(world):
    home = world.home()
    (home.home / "outside.mp4").write_bytes(b"x" * 100)
    for path in (home.media / ".." / "outside.mp4", "/etc/passwd", "/proc/self/exe"):
        assert home.run("add", path, "--channel", "main").rc == 3
    assert home.jobs() == []


def test_f11_the_biggest_file_is_added_as_fast_as_a_small_one(world):
    home = world.home()
    sparse(home.media / "big.mp4", 274_877_906_944)
    job = home.ok("add", home.media / "big.mp4", "--channel", "main", timeout_s=20).line
    assert home.job(job)["size_bytes"] == 274_877_906_944
    home.ok("job", "cancel", job)


def run_as(home, user, *args):
    """A command by a user who is not root, to whom everything in the home is given first."""
    for path in [home.home, *home.home.rglob("*")]:
        os.chown(path, user, user)
    try:
        return subprocess.run([program(), *map(str, args)], env=home.env, cwd=home.home, user=user, group=user,
                              extra_groups=[], capture_output=True, text=True)
    except PermissionError:
        pytest.skip("the build folder is closed to other users")


def test_f02_a_file_that_may_not_be_read_names_path_and_user(world):
    home = world.home()
    path = home.file("clip.mp4")
    path.chmod(0)
    if os.geteuid() == 0:
        done = run_as(home, NOBODY, "add", path, "--channel", "main")
        user = pwd.getpwuid(NOBODY).pw_name
    else:
        done = subprocess.run([program(), "add", str(path), "--channel", "main"], env=home.env, capture_output=True, text=True)
        user = pwd.getpwuid(os.geteuid()).pw_name
    assert done.returncode == 3 and "clip.mp4" in done.stderr and user in done.stderr, done
    assert home.jobs() == []


# ---- between add and upload


@pytest.mark.parametrize("harm, cause", [
    pytest.param(lambda path: path.unlink(), "source_missing", id="f01_missing"),
    pytest.param(lambda path: replace_by_link(path), "source_missing", id="f10_replaced_by_a_link"),
    pytest.param(lambda path: replace_by_directory(path), "source_missing", id="f10_replaced_by_a_directory"),
    pytest.param(lambda path: os.truncate(path, SIZE // 2), "source_changed", id="f04_truncated"),
    pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"more"), "source_changed", id="f05_grown"),
    pytest.param(lambda path: path.write_bytes(b"z" * SIZE), "source_changed", id="f06_overwritten"),
])
def test_changed_before_it_was_sent(world, harm, cause):
    home = world.home()
    path = home.file("clip.mp4", SIZE)
    kept = path.read_bytes()
    job = home.ok("add", path, "--channel", "main").line
    times = os.stat(path)
    harm(path)
    home.ok("worker", "--drain")
    assert standing(home, job) == f"held {cause}"
    assert world.emulator.journal(op="start") == []
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(kept)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    home.ok("job", "retry", job)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


def replace_by_link(path):
    path.rename(path.with_name("other.mp4"))
    path.symlink_to("other.mp4")


def replace_by_directory(path):
    path.unlink()
    path.mkdir()


# ---- in the middle


def replace(path):
    """A new version comes by rename, as careful programs write files."""
    new = path.with_name("new.mp4")
    new.write_bytes(b"n" * path.stat().st_size)
    new.rename(path)


def overwrite_keeping_time(path):
    times = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(SIZE // 2)
        file.write(b"another content")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def in_mid_upload(world, harm, **settings):
    """Does harm while the second chunk stalls. Returns the home, the job, and what is left in the journal."""
    home = world.home(**{"stall_timeout_ms": "20s", "request_timeout_ms": "20s", **settings})
    path = home.file("clip.mp4", SIZE)
    job = home.ok("add", path, "--channel", "main").line
    channel = home.channels["main"]
    world.emulator.faults({"on": "put", "nth": 2, "do": "delay-reply-1s", "channel": channel})
    worker = home.start_worker("--drain")
    until(lambda: [entry for entry in world.emulator.journal(op="put")
                   if entry["channel"] == channel and entry["stored_before"]], worker.log)
    harm(path)
    assert worker.wait() == 0
    return home, job, [entry for entry in world.emulator.journal() if entry["channel"] == channel]


@pytest.mark.parametrize("harm", [
    pytest.param(lambda path: os.truncate(path, SIZE // 2), id="f04_truncated"),
    pytest.param(lambda path: os.truncate(path, SIZE - 1), id="f04_truncated_by_one_byte"),
    pytest.param(lambda path: path.open("ab").write(b"more"), id="f05_grown"),
    pytest.param(lambda path: path.write_bytes(b"z" * SIZE), id="f06_overwritten"),
    pytest.param(replace, id="f07_replaced"),
])
@pytest.mark.parametrize("mode", ["chunked", "whole"])
def test_changed_while_it_is_sent(world, harm, mode):
    if mode == "whole":
        home, job, journal = whole_in_mid_upload(world, harm)
    else:
        home, job, journal = in_mid_upload(world, harm)
    assert standing(home, job) == "held source_changed"
    assert world.emulator.videos() == []
    assert [entry["status"] for entry in journal if entry["op"] == "cancel"] == [499]
    assert not home.job(job)["has_session"]


def whole_in_mid_upload(world, harm):
    """One PUT for all, slowly: what changed is found before its last byte."""
    home = world.home(chunk_mode="whole", limit_rate="1M")
    path = home.file("clip.mp4", SIZE)
    job = home.ok("add", path, "--channel", "main").line
    worker = home.start_worker("--drain")
    until(lambda: [entry for entry in world.emulator.journal() if entry["op"] == "put-final"], worker.log)
    harm(path)
    assert worker.wait() == 0
    return home, job, world.emulator.journal()


@pytest.mark.parametrize("harm", [
    pytest.param(lambda path: path.unlink(), id="f12_unlinked"),
    pytest.param(lambda path: path.chmod(0o400), id="chmod"),
    pytest.param(lambda path: os.link(path, path.with_name("second-name.mp4")), id="linked"),
])
def test_the_same_content_after_all(world, harm):
    home, job, _ = in_mid_upload(world, harm)
    assert standing(home, job) == "completed"


def test_f06_changed_between_two_workers_with_its_time_put_back(world):
    """What was sent is compared with what the file holds now where anything about the file was touched."""
    home = world.home()
    path = home.file("clip.mp4", SIZE)
    job = home.ok("add", path, "--channel", "main").line
    world.emulator.faults({"on": "put", "do": "return-503", "nth": 3, "retry_after": 300})
    home.ok("worker", "--drain", "--drain-wait", "1s")
    assert standing(home, job) == "waiting" and home.job(job)["confirmed_bytes"] == 2 * CHUNK
    times = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(CHUNK + 1000)
        file.write(b"another content")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    home.ok("job", "retry", job)
    home.ok("worker", "--drain")
    assert standing(home, job) == "held source_changed"
    assert world.emulator.videos() == []


def test_a_copy_in_its_place_goes_on_where_it_was(world):
    home = world.home()
    path = home.file("clip.mp4", SIZE)
    job = home.ok("add", path, "--channel", "main").line
    world.emulator.faults({"on": "put", "do": "return-503", "nth": 3, "retry_after": 300})
    home.ok("worker", "--drain", "--drain-wait", "1s")
    copy = path.with_name("copy.mp4")
    shutil.copy2(path, copy)
    path.unlink()
    copy.rename(path)
    home.ok("job", "retry", job)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"
    assert len(world.emulator.ctl("sessions")) == 1


# ---- the disk


def strace(path, *inject):
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(path), *[f"--inject={rule}" for rule in inject]]


needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not there")


@needs_strace
def test_f03_a_read_error_waits_and_is_held_in_the_end(world):
    """A bad disk is not read in a loop."""
    home = world.home()
    path = home.file("clip.mp4", SIZE)
    job = home.ok("add", path, "--channel", "main").line
    for turn in range(4):
        worker = home.start_worker("--drain", "--drain-wait", "1s", env=WITHOUT_LEAK_CHECK,
                                   program_prefix=strace(path, "pread64:error=EIO:when=3+"))
        assert worker.wait() == 0
        if standing(home, job) != "waiting":
            break
        assert "sourceUnreadable" == home.job(job)["error_reason"]
        waits = [event for event in home.audit(job) if event["to"] == "waiting"]
        assert len(waits) == turn + 1
        home.ok("job", "retry", job)
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed"


@needs_strace
def test_f08_a_disk_that_hangs_stalls_its_own_job_alone(world):
    home = world.home(read_timeout_ms="500ms", retry_tries="1")
    slow = home.file("slow.mp4", SIZE)
    quick = [home.file(f"quick-{number}.mp4", SIZE) for number in range(3)]
    stuck = home.ok("add", slow, "--channel", "main").line
    others = [home.ok("add", path, "--channel", "main").line for path in quick]
    worker = home.start_worker("--drain", "--drain-wait", "1s", env=WITHOUT_LEAK_CHECK,
                               program_prefix=strace(slow, "pread64:delay_enter=3000000:when=4+"))
    until(lambda: all(standing(home, job) == "completed" for job in others), worker.log)
    assert standing(home, stuck) != "completed"
    assert worker.wait() == 0
    assert standing(home, stuck) == "waiting"
    home.ok("job", "retry", stuck)
    home.ok("worker", "--drain")
    assert standing(home, stuck) == "completed"


@needs_strace
def test_x03_f08_a_stop_does_not_wait_for_a_disk_that_hangs(world):
    home = world.home()
    path = home.file("slow.mp4", SIZE)
    job = home.ok("add", path, "--channel", "main").line
    worker = home.start_worker(env=WITHOUT_LEAK_CHECK, program_prefix=strace(path, "pread64:delay_enter=25000000:when=1"))
    until(lambda: len(world.emulator.journal(op="channels.list")) >= 2, worker.log)
    time.sleep(0.5)  # the token is there, and the file is being read
    os.kill(children(worker.pid)[0], signal.SIGTERM)
    until(lambda: "worker ends" in worker.log(), worker.log, timeout_s=10)
    until(lambda: home.job(job)["state"] == "queued", worker.log)
    assert not home.job(job)["lease_owner"]


def test_f13_a_log_that_cannot_be_written_stops_nothing(world):
    home = world.home()
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    with open("/dev/full", "wb") as full:
        worker = home.start_worker("--drain", stderr=full)
        assert worker.wait() == 0
    assert standing(home, job) == "completed"


def test_x10_nobody_reads_the_log_any_more(world):
    home = world.home()
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    reader, writer = os.pipe()
    os.close(reader)
    worker = home.start_worker("--drain", stderr=writer)
    os.close(writer)
    assert worker.wait() == 0
    assert standing(home, job) == "completed"


def mapped(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("mode", ["chunked", "whole"])
def test_f09_a_source_is_never_mapped(world, mode):
    """A mapping of a file that shrinks would end the worker by SIGBUS, and with it every other job."""
    home = world.home(chunk_mode=mode, limit_rate="2M", per_channel=0)
    path = home.file("shrinks.mp4", 4 * SIZE)
    jobs = [home.ok("add", source, "--channel", "main").line for source in (path, home.file("stays.mp4", SIZE))]
    worker = home.start_worker("--drain")
    until(lambda: len(world.emulator.journal(op="start")) == 2, worker.log)
    until(lambda: os.path.getsize(path) and home.job(jobs[0])["state"] == "uploading", worker.log)
    before = mapped(worker.pid)
    os.truncate(path, 0)
    after = mapped(worker.pid)
    assert str(home.media) not in before + after and "sluice" in before
    assert worker.wait() == 0  # and not of a signal
    assert [standing(home, job) for job in jobs] == ["held source_changed", "completed"]
    assert [video["file_name"] for video in world.emulator.videos() if jobs[0] in video["file_name"]] == []
