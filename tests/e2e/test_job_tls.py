"""T04, T06 to T08: a TLS connection that stalls, is told of a fault, or ends without a word. The others are in
test_job_connection.py."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from authority import Authority  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402
from wire import Wire  # noqa: E402

QUICK = {"connect_timeout_ms": "1s", "stall_timeout_ms": "2s", "request_timeout_ms": "2s", "retry_tries": 100}


def wired(world, wire, size=6_000_000, **settings):
    """A job whose way to the API is the wire, with some of it sent."""
    home = world.home(api_root=wire.url, **{**QUICK, "limit_rate": "4M", **settings})
    job = home.ok("add", home.file("clip.mp4", size), "--channel", "main").line
    worker = home.start_worker("--drain")
    until(lambda: wire.carried_bytes > size // 4, worker.log)
    return home, job, worker


def session_count(world, home):
    return len([entry for entry in world.emulator.journal(op="start") if entry["channel"] == home.channels["main"]])


def assert_completes(world, home, job, worker, vain_max=2 * CHUNK):
    assert worker.wait() == 0
    assert standing(home, job) == "completed", worker.log()
    video = next(video for video in world.emulator.videos() if job in video["file_name"])
    assert video["received_bytes"] - video["bytes"] <= vain_max
    assert session_count(world, home) == 1


def test_t04_a_revoked_certificate(tmp_path):
    """Revocation is not asked about (SECURITY.md): what ends the trust is that the authority leaves ca_file. Then nothing is
    sent any more, and the job waits for a certificate of one that is trusted."""
    old, new = [Authority(tmp_path / name) for name in ("old", "new") if not (tmp_path / name).mkdir()]
    stolen = old.certificate("stolen")
    old.revoke("stolen")
    with own_world(*stolen, ca=old.ca) as world:
        home = world.home(**QUICK)
        before = home.ok("add", home.file("before.mp4", SIZE), "--channel", "main").line
        home.ok("worker", "--drain")
        assert standing(home, before) == "completed"  # its authority still vouches for it
        after = home.ok("add", home.file("after.mp4", SIZE), "--channel", "main").line
        home.configure(ca_file=new.ca)
        heard = len(world.emulator.journal())
        worker = home.start_worker()
        worker.wait_for_log("certificate")
        assert worker.stop()[0] == 0
        assert not home.job(after)["has_session"] and len(world.emulator.journal()) == heard
        home.configure(ca_file=old.ca)
        home.ok("worker", "--drain")
        assert standing(home, after) == "completed"


def test_t06_t07_t08_a_handshake_an_alert_an_end(world):
    def stalled_handshake():
        """T06: the connection is accepted, and then nothing comes."""
        with Wire(world.emulator) as wire:
            home, job, worker = wired(world, wire)
            wire.stall()
            wire.cut()
            callers = wire.callers
            worker.wait_for_log("retry .*connect failed")
            assert wire.callers > callers
            wire.flow()
            assert_completes(world, home, job, worker)

    def alert():
        """T07: the other side finds a record that it cannot read, and says so before it closes."""
        with Wire(world.emulator) as wire:
            home, job, worker = wired(world, wire)
            alerts = wire.alerts
            wire.flip_a_bit()
            until(lambda: wire.alerts > alerts, worker.log)
            assert_completes(world, home, job, worker)  # by a new connection, or another one that was kept
            assert session_count(world, home) == 1

    def last_reply(kept_bytes, size=CHUNK):
        """The one PUT is answered, and the connection closed without close_notify."""
        with Wire(world.emulator) as wire:
            home = world.home(api_root=wire.url, **QUICK)
            channel = home.channels["main"]
            job = home.ok("add", home.file("clip.mp4", size), "--channel", "main").line
            world.emulator.faults({"on": "put-final", "do": "delay-reply-1s", "channel": channel})
            worker = home.start_worker("--drain")
            until(lambda: [video for video in world.emulator.videos() if job in video["file_name"]], worker.log)
            wire.end_after_next_reply(kept_bytes)
            until(lambda: wire.ended, worker.log)
            wire.go_on()
            assert_completes(world, home, job, worker, vain_max=0)
            entries = [entry["op"] for entry in world.emulator.journal() if entry["channel"] == channel]
            return entries[entries.index("put-final") + 1:]

    def complete():
        """T08: all that Content-Length promised has come: good, nothing is asked."""
        assert last_reply(0) == ["videos.list"]

    def truncated():
        """T08: a part of it is missing: what has become of the upload is asked first."""
        assert last_reply(40) == ["query", "videos.list"]

    world.at_once(stalled_handshake, alert, complete, truncated)
