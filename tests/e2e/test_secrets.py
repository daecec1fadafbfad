"""I5: secrets are where they belong and nowhere else, whatever happens meanwhile; and titles forge nothing."""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import PRELOAD, program, until  # noqa: E402
from watch import Watch, keys  # noqa: E402

PUT = ["return-503", "return-401", "return-reset-connection", "keep-none", "keep-all-then-reset", "session-gone-404",
       "new-location", "override-308", "return-broken-stream"]
START = ["return-500", "return-401"]
TOKEN = ["return-503", "new-refresh-token", "not-json", "oauth-error-temporarily_unavailable"]


def every_fault():
    return ([{"on": "put", "do": do, "nth": 2 + 2 * number} for number, do in enumerate(PUT)]
            + [{"on": "start", "do": do, "nth": 2 + number} for number, do in enumerate(START)]
            + [{"on": "token", "do": do, "nth": 1 + number} for number, do in enumerate(TOKEN)])


def test_no_secret_is_where_it_does_not_belong_whatever_happens(world):
    home = world.home("left", "right", concurrency=6)
    for number in range(12):
        home.ok("add", home.file(f"{number}.mp4", SIZE), "--channel", ("left", "right")[number % 2])
    world.emulator.faults(*every_fault())
    with Watch(world.emulator, world.homes) as watch:
        worker = home.start_worker("--drain", "--drain-wait", "3s")
        until(lambda: len(world.emulator.journal(op="put")) >= 10, worker.log)
        world.emulator.ctl("expire", {})
        os.kill(worker.broker_pid(), signal.SIGKILL)
        assert worker.wait() == 0
        home.said.append(worker.log())
    assert watch.looks >= 1
    world.judges_faults = False  # which ones are met depends on the order in which the jobs come
    used = sum(1 for count in world.emulator.consumed() if count)
    assert used >= 10, world.emulator.consumed()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a worker")
def test_the_watch_finds_what_is_there(world):
    """A scan that sees nothing proves nothing: the worker does hold access tokens, and a file held in memory is found."""
    home = world.home(limit_rate="300K")
    home.ok("add", home.file("a.mp4", SIZE), "--channel", "main")
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    with pytest.raises(AssertionError):
        oracles.judge_process(world.emulator, worker.pid, memory=("access_tokens",))
    with pytest.raises(AssertionError):
        oracles.judge_process_for([("path", str(home.media).encode())], worker.pid, ("path",))
    assert len(list(keys([home]))) == 2
    assert worker.wait() == 0


@pytest.mark.parametrize("which", ["worker", "broker"])
def test_x06_one_that_crashes_leaves_no_core_file(world, which):
    home = world.home(limit_rate="300K")
    job = home.ok("add", home.file("a.mp4", SIZE), "--channel", "main").line
    resource.prlimit(os.getpid(), resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    os.kill(worker.pid if which == "worker" else worker.broker_pid(), signal.SIGABRT)
    if which == "worker":
        until(worker.is_over, worker.log)
        home.configure(limit_rate=0)
        until(lambda: home.run("worker", "--drain").rc == 0 and home.job(job)["state"] == "completed", worker.log, 60)
    else:
        assert worker.wait() == 0
    assert not [path for path in home.home.rglob("*") if path.name.startswith("core") and path.is_file()]


MANY_CHUNKS = 400  # more than SQLite undoes from memory alone


def limits_of(pid):
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: status[name].strip() for name in ("Seccomp", "NoNewPrivs")}


def test_worker_and_broker_run_with_what_they_need_only(world):
    home = world.home(limit_rate="300K")
    build = home.ok("version", "--json").json
    if build["sanitizers"] != "none" or not build["hardening"]["seccomp"]:
        pytest.skip("nothing is given up here")
    home.ok("add", home.file("a.mp4", SIZE), "--channel", "main")
    worker = home.start_worker("--drain")
    for pid in (worker.pid, worker.broker_pid()):
        assert limits_of(pid) == {"Seccomp": "2", "NoNewPrivs": "1"}
    assert worker.wait() == 0
    point = next(point for point in home.ok("check", "--json").objects if point["check"] == "sandbox")
    assert point["status"] == "ok", point
    home.configure(media_root="/")
    point = next(point for point in home.ok("check", "--json").objects if point["check"] == "sandbox")
    assert point["status"] == "warn" and "media_root" in point["mend"]


def test_the_store_needs_no_folder_for_temporary_files(world):
    """SQLite's own choice of one, $TMPDIR, may hold the key, and then it is not the worker's to write in."""
    home = world.home()
    home.env["TMPDIR"] = str(home.home)
    run = world.run(home=home, size=MANY_CHUNKS * CHUNK)
    assert run.standing == "completed", run.logs()


OLDER_KERNEL = pathlib.Path(__file__).resolve().parents[1] / "support" / "older_kernel.py"


@pytest.mark.parametrize("lacking, worker_says, broker_says, check_says", [
    ("landlock", "the worker's files are not limited: this kernel has no Landlock",
     "the broker's files and ports are not limited: this kernel has no Landlock", "this kernel has no Landlock"),
    ("seccomp", "the worker's system calls are not limited: no seccomp filters here",
     "the broker's system calls are not limited: no seccomp filters here", "there are no seccomp filters here")])
def test_what_the_kernel_lacks_is_said_and_work_goes_on(world, lacking, worker_says, broker_says, check_says):
    home = world.home()
    build = home.ok("version", "--json").json
    if build["sanitizers"] != "none" or not build["hardening"][lacking]:
        pytest.skip("nothing is given up here anyway")
    job = home.ok("add", home.file("a.mp4", SIZE), "--channel", "main").line
    worker = home.start_worker("--drain", program_prefix=(str(OLDER_KERNEL), lacking))
    assert worker.wait() == 0 and home.job(job)["state"] == "completed"
    said = [line for line in worker.log().splitlines() if "not limited" in line]
    assert any("level=warn" in line and worker_says in line for line in said), said
    assert any(broker_says in line for line in said) and len(said) == 2, said
    told = subprocess.run([OLDER_KERNEL, lacking, program(), "version", "--json"], env=home.env, capture_output=True)
    assert not json.loads(told.stdout)["hardening"][lacking]
    checked = subprocess.run([OLDER_KERNEL, lacking, program(), "check", "--json"], env=home.env, capture_output=True)
    point = next(point for point in map(json.loads, checked.stdout.splitlines()) if point["check"] == "sandbox")
    assert point["status"] == "warn" and check_says in point["message"], point
    run = world.run(home=home)  # and none of it where nothing lacks
    assert run.standing == "completed" and "not limited" not in run.logs()


@pytest.mark.parametrize("abi", [1, 2, 3])
def test_a_landlock_too_old_for_ports_is_said_and_limits_files(world, abi):
    """2 is that of Debian 12's own kernel."""
    home = world.home()
    build = home.ok("version", "--json").json
    if build["sanitizers"] != "none" or not build["hardening"]["landlock"]:
        pytest.skip("nothing is given up here anyway")
    home.env.update(LD_PRELOAD=PRELOAD, LANDLOCK_ABI=str(abi))
    run = world.run(home=home)
    assert run.standing == "completed"
    said = [line for line in run.logs().splitlines() if "not limited" in line]
    assert len(said) == 1 and "the broker's ports are not limited: this kernel's Landlock is too old for it" in said[0], said
    told = home.ok("version", "--json").json["hardening"]
    assert told["landlock"] and not told["landlock_network"], told
    point = next(point for point in home.ok("check", "--json").objects if point["check"] == "sandbox")
    assert point["status"] == "ok" and f"ABI {abi}" in point["message"], point


# ---- titles

HOSTILE = "evil\u202egpj.exe\u2066\u061c\x7f \x1b[2J\x1b]0;owned\x07 \x9b31m\nlevel=error msg=forged token=1\r\u200b\u2028end"


def is_plain(text):
    return all(char == "\n" or " " <= char < "\x7f" or char > "\xa0" and char not in "\u061c\u202e\u2066\u200b\u2028\ufeff"
               for char in text)


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_a_hostile_title_forges_no_line_and_moves_no_cursor(world, log_format):
    home = world.home(log_format=log_format)
    path = home.file("a.mp4", 1000)
    title = HOSTILE.replace("\n", " ").replace("\r", " ")
    accepted = home.run("add", path, "--channel", "main", "--title", title)
    evil = home.media / ("b\u202e\x1b[2J\n.mp4")
    path.rename(evil)
    home.accepted[evil.name] = home.accepted.pop("a.mp4")
    home.accepted["a.mp4"] = home.accepted[evil.name]
    named = home.run("add", evil, "--channel", "main", "--title", "fine")
    worker = home.start_worker("--drain", "--drain-wait", "1s")
    assert worker.wait() == 0
    said = [worker.log(), accepted.out + accepted.err, named.out + named.err]
    for command in (["job", "list"], ["status"], ["audit"], ["channel", "list"]):
        said.append(home.ok(*command).out)
        said.append(home.ok(*command, "--json").out)
    assert title in [job["title"] for job in home.jobs()] or accepted.rc == 3  # JSON says what it was all the same
    said.append(home.run("add", evil, "--channel", "nowhere\u202e\x9b", "--json").err)
    for text in said:
        assert is_plain(text), repr(text)
    lines = [line for line in worker.log().splitlines() if line]
    if log_format == "json":
        assert all("msg" in json.loads(line) for line in lines)
    assert not any(line.startswith("level=error msg=forged") for line in lines)


def test_a_hostile_title_of_a_channel_is_escaped_everywhere(world):
    home = world.home()
    channel = world.emulator.ctl("channels", {"title": HOSTILE})
    channel = channel[0] if isinstance(channel, list) else channel
    with world.consent:
        result, _ = home.login("evil", channel["id"])
    assert result.rc == 0, result
    home.channels["evil"] = channel["id"]
    for text in (result.out, home.ok("channel", "list").out, home.ok("channel", "show", "evil").out,
                 home.ok("channel", "list", "--json").out):
        assert is_plain(text), repr(text)


def test_request_ids_are_kept_without_the_secret_in_them(world):
    """Google's id of a request is the session's secret: a digest of it is kept for support, the id itself nowhere."""
    run = world.run({"on": "put", "do": "return-503"})
    upload_ids = [text.decode() for kind, text in oracles.planted(world.emulator) if kind == "upload_ids"]
    kept = json.dumps(run.home.audit(run.id)) + run.logs() + "".join(worker.log() for worker in run.home.workers)
    assert upload_ids and not any(secret in kept for secret in upload_ids)
