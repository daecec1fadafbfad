"""C01 to C10, T01 to T10: what a job does when the connection fails it. Always: a fresh connection, a question, go on."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from authority import Authority  # noqa: E402
from emulator import Emulator  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402
from wire import Wire  # noqa: E402


def assert_asked_first(run, vain_max=CHUNK):
    assert run.standing == "completed"
    assert run.after_fault()["op"] == "query"
    assert len(run.sessions()) == 1
    assert run.sent_in_vain() <= vain_max


# ---- by the emulator's own hand


@pytest.mark.parametrize("on, nth", [("put", 1), ("put", 2), ("put-final", 1)])
@pytest.mark.parametrize("do", ["return-reset-connection-after-128K", "keep-all-then-reset"])
def test_c03_reset(world, on, nth, do):
    run = world.run({"on": on, "do": do, "nth": nth})
    assert_asked_first(run, 0 if do.startswith("keep") else CHUNK)


@pytest.mark.parametrize("on, nth", [("put", 2), ("put-final", 1)])
def test_c03_reset_before_the_body(world, on, nth):
    """Where nothing of the body was handed over yet, the same request may go once more on a fresh connection (C10)."""
    run = world.run({"on": on, "do": "return-reset-connection", "nth": nth})
    assert run.standing == "completed" and len(run.sessions()) == 1 and run.sent_in_vain() <= CHUNK


@pytest.mark.parametrize("do", ["return-reset-connection", "keep-all-then-reset"])
def test_c03_reset_at_the_start(world, do):
    run = world.run({"on": "start", "do": do})
    assert run.standing == "completed" and len(run.journal("start")) == 2


def test_c03_reset_of_a_question(world):
    run = world.run({"on": "put", "do": "return-503", "nth": 2}, {"on": "query", "do": "return-reset-connection"})
    assert run.standing == "completed" and len(run.journal("start")) == 1


@pytest.mark.parametrize("on, nth, do", [
    ("put", 2, "return-broken-stream-after-100K"), ("put", 1, "return-broken-stream-after-1K"),
    ("put-final", 1, "return-broken-stream-final-chunk-after-100000B"),
    ("put-final", 1, "return-broken-stream-final-chunk-after-213567B")])
def test_c04_end_in_mid_body(world, on, nth, do):
    run = world.run({"on": on, "do": do, "nth": nth})
    assert_asked_first(run)


def test_c05_end_in_the_final_reply(world):
    run = world.run({"on": "put-final", "do": "return-broken-stream"})
    assert_asked_first(run, 0)


def test_c06_a_peer_that_stops_reading(world):
    run = world.run({"on": "put", "do": "stall-for-60s-after-256K"}, size=30_000_000, chunk_mode="whole",
                    stall_timeout_ms="1s", request_timeout_ms="2s")
    assert_asked_first(run, 30_000_000)


@pytest.mark.parametrize("on, nth", [("put", 2), ("put-final", 1), ("start", 1), ("videos.list", 1)])
def test_c07_a_reply_of_one_byte_a_second(world, on, nth):
    run = world.run({"on": on, "do": "slow-reply-1Bps", "nth": nth}, request_timeout_ms="1s")
    assert run.standing == "completed"
    if on != "start":
        assert len(run.sessions()) == 1 and run.sent_in_vain() == 0


def test_c10_a_kept_connection_that_was_dropped(world):
    """What was on its way when the other side closed may be lost, each time: at most every chunk once, and its head."""
    run = world.run({"on": "any", "do": "close-after-reply", "every": 1})
    assert run.standing == "completed" and run.sent_in_vain() < 1.1 * SIZE
    assert len(run.journal("start")) == 1


@pytest.mark.parametrize("do", ["return-reset-connection", "keep-all-then-reset"])
def test_i8_a_list_that_was_charged_and_lost(world, do):
    """It goes on the connection of the last PUT. Sent again without being counted again, it would be missing in the ledger:
    the world's judge compares."""
    run = world.run({"on": "videos.list", "do": do})
    assert run.standing == "completed" and len(run.journal("videos.list")) == 2


def test_c11_a_name_that_leads_to_a_private_address(world):
    """Every name under localhost is one, without any DNS: nothing is sent, nothing fails, and the log says where it leads."""
    home = world.home()
    job = home.ok("add", home.file("a.mp4"), "--channel", "main").line
    before = len(world.emulator.journal())
    home.configure(api_root=f"https://sluice.localhost:{world.emulator.port}")
    worker = home.start_worker()
    worker.wait_for_log("sluice.localhost: [0-9a-f.:]+ is no public address: refused")
    assert worker.stop()[0] == 0
    assert {entry["op"] for entry in world.emulator.journal()[before:]} <= {"token"}
    assert home.job(job)["state"] == "queued"
    home.configure(api_root=world.emulator.url)
    home.ok("worker", "--drain")
    assert home.job(job)["state"] == "completed"


def test_c08_a_small_window():
    with own_world("--receive-buffer", "4096") as world:
        assert world.run(size=3_000_000).standing == "completed"


# ---- on the wire


def wired_upload(world, wire, size=12_000_000, **settings):
    """A worker in the middle of an upload that goes through the wire."""
    home = world.home(api_root=wire.url, limit_rate="6M", stall_timeout_ms="1s", request_timeout_ms="2s",
                      connect_timeout_ms="1s", **settings)
    job = home.ok("add", home.file("clip.mp4", size), "--channel", "main").line
    worker = home.start_worker("--drain")
    until(lambda: wire.carried_bytes > 2_000_000, lambda: worker.log())
    return home, job, worker


def assert_completes(world, home, job, worker, vain_max):
    assert worker.wait() == 0
    assert home.job(job)["state"] == "completed", worker.log()
    video = next(video for video in world.emulator.videos() if job in video["file_name"])
    assert video["received_bytes"] - video["bytes"] <= vain_max
    assert len([entry for entry in world.emulator.journal(op="start") if entry["channel"] == home.channels["main"]]) == 1


def test_c03_c06_t10_a_wire_that_fails(world):
    def cut():
        with Wire(world.emulator) as wire:
            home, job, worker = wired_upload(world, wire)
            callers = wire.callers
            wire.cut()
            until(lambda: wire.callers > callers, worker.log)
            wire.cut()
            assert_completes(world, home, job, worker, 2 * CHUNK)

    def stalled():
        with Wire(world.emulator) as wire:
            home, job, worker = wired_upload(world, wire)
            callers = wire.callers
            wire.stall()
            until(lambda: wire.callers > callers, worker.log)
            wire.flow()
            assert_completes(world, home, job, worker, 2 * CHUNK)

    def flipped():
        with Wire(world.emulator) as wire:
            home, job, worker = wired_upload(world, wire)
            wire.flip_a_bit()
            assert_completes(world, home, job, worker, 2 * CHUNK)
            assert wire.flips == 0 and wire.callers > 2

    world.at_once(cut, stalled, flipped)


def test_c03_a_limited_rate_and_many_resets(world):
    """The line for bandwidth is left by whoever loses its connection."""
    with Wire(world.emulator) as wire:
        home = world.home(api_root=wire.url, limit_rate="8M", retry_tries="100", chunk_mode="whole")
        jobs = [home.ok("add", home.file(f"{number}.mp4", 3_000_000), "--channel", "main").line for number in range(4)]
        worker = home.start_worker("--drain", "--concurrency", 4)
        for number in range(1, 8):
            until(lambda: wire.carried_bytes > number * 700_000 or worker.is_over(), worker.log)
            wire.cut()
        assert worker.wait() == 0
        assert [home.job(job)["state"] for job in jobs] == ["completed"] * 4


def test_c01_refused_for_a_while(world):
    with Wire(world.emulator) as wire:
        home, job, worker = wired_upload(world, wire)
        wire.refuse()
        worker.wait_for_log("retry .*connect failed")
        wire.accept()
        assert_completes(world, home, job, worker, 2 * CHUNK)


# ---- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


BAD = {
    "t01_expired": dict(begins="20200101000000Z", ends="20210101000000Z"),
    "t02_wrong_host": dict(host="DNS:elsewhere.example"),
    "t03_unknown_ca": None,
    "t05_not_yet_valid": dict(begins="20350101000000Z"),
    "t09_old_tls": ["--tls-priority", "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0"],
}


def bad_server(authority, name):
    """An emulator behind a certificate that must not be trusted."""
    if isinstance(BAD[name], dict):
        return Emulator(*authority.certificate(name, **BAD[name]))
    return Emulator(*(BAD[name] or []))


@pytest.mark.parametrize("name", BAD)
def test_tls(world, authority, name):
    """In mid-upload the way leads to a server that is not to be trusted; nothing is sent there, and when the way is right
    again the job goes on."""
    both = authority.place / "both.pem"
    both.write_text((authority.place / "ca.pem").read_text() + pathlib.Path(world.emulator.ca).read_text())
    with bad_server(authority, name) as bad, Wire(world.emulator) as wire:
        if name == "t09_old_tls":
            both.write_text(both.read_text() + pathlib.Path(bad.ca).read_text())
        home, job, worker = wired_upload(world, wire, ca_file=both)
        wire.lead_to(bad)
        worker.wait_for_log("retry .*certificate not trusted")
        wire.lead_to(world.emulator)
        assert_completes(world, home, job, worker, 2 * CHUNK)


@pytest.mark.parametrize("name", ["t01_expired", "t05_not_yet_valid"])
def test_tls_from_the_beginning_waits_and_says_why(world, authority, name):
    """The token's channel cannot be proven: no byte leaves, nothing fails."""
    home = world.home()
    job = home.ok("add", home.file("a.mp4"), "--channel", "main").line
    both = authority.place / f"{name}-both.pem"
    both.write_text((authority.place / "ca.pem").read_text() + pathlib.Path(world.emulator.ca).read_text())
    with bad_server(authority, name) as bad:
        home.configure(api_root=bad.url, ca_file=both)
        worker = home.start_worker()
        line = worker.wait_for_log("[^\n]*certificate[^\n]*").group(0)
        assert worker.stop()[0] == 0
    assert name != "t05_not_yet_valid" or "clock" in line
    assert home.job(job)["state"] == "queued" and not home.job(job)["has_session"]
    home.configure(api_root=world.emulator.url)
    home.ok("worker", "--drain")
    assert home.job(job)["state"] == "completed"
