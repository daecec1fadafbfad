"""`upload`: results, exit codes and progress; interrupted, repeated, and beside another worker."""

import hashlib
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import fcntl
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator_fixtures import *  # noqa: E402, F401, F403
from sluice import Sluice, program, until  # noqa: E402


@pytest.fixture
def sluice(emulator):
    with Sluice(emulator, chunk_bytes="262144") as sluice:
        sluice.ready("main", "second")
        yield sluice


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_prints_the_video_and_exits_0_only_when_it_is_there(sluice, emulator):
    clip = sluice.file("clip.mp4", 700_000)
    result = sluice.ok("upload", clip, "--channel", "main", "--title", "Up")
    video = emulator.videos()[0]
    assert result.line == f"https://youtu.be/{video['id']}"
    assert video["sha256"] == sha256(clip)
    assert video["metadata"]["snippet"]["title"] == "Up"
    assert "100 %" in result.err and "completed" in result.err
    assert "\x1b" not in result.err


def test_several_files_are_one_line_each_in_their_order(sluice, emulator):
    clips = [sluice.file(f"{i}.mp4", 300_000 + i) for i in range(4)]
    result = sluice.ok("upload", *clips, "--channel", "main")
    by_hash = {video["sha256"]: video["id"] for video in emulator.videos()}
    assert result.lines == [f"https://youtu.be/{by_hash[sha256(clip)]}" for clip in clips]


def test_with_json_each_file_is_an_object(sluice, emulator):
    result = sluice.ok("upload", sluice.file("a.mp4"), "--channel", "main", "--json")
    assert result.json["state"] == "completed"
    assert result.json["video_id"] == emulator.videos()[0]["id"]
    assert result.json["url"] == f"https://youtu.be/{result.json['video_id']}"


def test_quiet_says_nothing_but_the_result(sluice):
    assert sluice.ok("upload", sluice.file("a.mp4"), "--channel", "main", "-q").err == ""


def test_the_same_again_sends_nothing(sluice, emulator):
    clip = sluice.file("a.mp4")
    first = sluice.ok("upload", clip, "--channel", "main")
    before = len([entry for entry in emulator.journal() if entry["op"].startswith(("put", "start"))])
    again = sluice.ok("upload", clip, "--channel", "main")
    assert again.out == first.out
    assert len([entry for entry in emulator.journal() if entry["op"].startswith(("put", "start"))]) == before
    assert len(emulator.videos()) == 1


def test_bad_input_queues_and_sends_nothing(sluice, emulator):
    sluice.fails(3, "upload", sluice.file("a.mp4"), "--channel", "main", "--title", "x" * 101)
    sluice.fails(4, "upload", sluice.media / "missing.mp4", "--channel", "main")
    assert sluice.jobs() == []
    assert not any(entry["op"] == "start" for entry in emulator.journal())


def test_only_the_named_files_are_uploaded(sluice, emulator):
    other = sluice.ok("add", sluice.file("other.mp4"), "--channel", "main").line
    sluice.ok("upload", sluice.file("mine.mp4"), "--channel", "main")
    assert sluice.job(other)["state"] == "queued"
    assert len(emulator.videos()) == 1


def test_a_region_is_no_obstacle_here(sluice, emulator):
    sluice.ok("upload", sluice.file("a.mp4"), "--channel", "main", "--region", "eu")
    assert len(emulator.videos()) == 1


def test_h11_a_refused_upload_is_7_with_googles_reason(sluice, emulator):
    emulator.faults({"on": "start", "nth": 1, "do": "return-400", "reason": "invalidDescription", "message": "No."})
    result = sluice.run("upload", sluice.file("a.mp4"), "--channel", "main")
    assert emulator.consumed() == [1]
    assert result.rc == 7, result
    assert "invalidDescription" in result.err and "job retry" in result.err
    assert result.out == ""


def test_a_spent_quota_is_6_and_says_when_it_goes_on(sluice, emulator):
    sluice.ok("client", "limits", "default", "--uploads", 1)
    sluice.ok("upload", sluice.file("a.mp4"), "--channel", "main")
    result = sluice.run("upload", sluice.file("b.mp4"), "--channel", "main")
    assert result.rc == 6, result
    assert "held: quota" in result.err and "Pacific" in result.err
    assert len(emulator.videos()) == 1
    job = sluice.jobs()[0]
    assert job["cause"] == "quota" and job["next_at"]


def test_k03_a_revoked_login_is_5_and_says_what_to_do(sluice, emulator):
    for entry in emulator.channels()[:1]:
        emulator.ctl("revoke", {"channel": entry["id"]})
    result = sluice.run("upload", sluice.file("a.mp4"), "--channel", "main")
    assert result.rc == 5, result
    assert "sluice channel login main" in result.err


def test_a_held_channel_is_75(sluice):
    sluice.ok("channel", "pause", "main")
    result = sluice.run("upload", sluice.file("a.mp4"), "--channel", "main")
    assert result.rc == 75, result
    assert "sluice channel resume main" in result.err


def test_the_worst_of_several_decides(sluice, emulator):
    sluice.ok("client", "limits", "default", "--uploads", 2)
    clips = [sluice.file(f"{i}.mp4", 300_000 + i) for i in range(3)]
    result = sluice.run("upload", *clips, "--channel", "main")
    assert result.rc == 6, result
    assert len(result.lines) == 2 and len(emulator.videos()) == 2


def test_a_worker_that_cannot_start_leaves_the_files_queued(sluice, emulator):
    kept = sluice.key_file.read_bytes()
    sluice.key_file.unlink()
    clip = sluice.file("a.mp4")
    result = sluice.run("upload", clip, "--channel", "main")
    assert result.rc in (4, 5), result
    assert "sluice.key" in result.err and "queued" in result.err
    assert [job["state"] for job in sluice.jobs()] == ["queued"]
    sluice.key_file.write_bytes(kept)
    sluice.key_file.chmod(0o400)
    sluice.ok("upload", clip, "--channel", "main")
    assert len(emulator.videos()) == 1


# ---- interrupted


def slow(sluice, name="slow.mp4"):
    """An upload that takes long enough to be interrupted."""
    clip = sluice.file(name, 3_000_000)
    return clip, ["upload", clip, "--channel", "main", "--limit-rate", "300K"]


def confirmed(sluice):
    return sluice.jobs()[0]["confirmed_bytes"]


def test_an_interrupt_keeps_the_job_and_says_how_to_go_on(sluice, emulator):
    clip, args = slow(sluice)
    process = sluice.start(*args)
    until(lambda: sluice.jobs() and confirmed(sluice) > 0, "the first confirmed chunk")
    sluice.interrupt(process)
    result = sluice.finish(process)
    assert result.rc == 75, result
    assert result.out == "" and "Interrupted" in result.err and "worker --drain" in result.err
    job = sluice.jobs()[0]
    assert job["confirmed_bytes"] > 0 and not job["lease_owner"]
    assert sluice.ok("upload", clip, "--channel", "main").line.startswith("https://youtu.be/")
    video, = emulator.videos()
    assert video["sha256"] == sha256(clip)
    assert video["received_bytes"] - video["bytes"] <= 262144


def test_x01_killed_and_repeated_it_goes_on_where_it_was(sluice, emulator):
    sluice.configure(lease_ms="12s")
    clip, args = slow(sluice)
    process = sluice.start(*args)
    until(lambda: sluice.jobs() and confirmed(sluice) > 0, "the first confirmed chunk")
    process.kill()
    process.wait()
    assert sluice.ok("upload", clip, "--channel", "main").line.startswith("https://youtu.be/")
    video, = emulator.videos()
    assert video["sha256"] == sha256(clip)
    assert video["received_bytes"] - video["bytes"] <= 2 * 262144
    assert len([entry for entry in emulator.journal() if entry["op"] == "start"]) == 1


def test_what_another_worker_sends_is_watched_to_its_end(sluice, emulator):
    clip, args = slow(sluice)
    sluice.ok("add", *args[1:4])
    sluice.start("worker", "--drain", "--limit-rate", "600K")
    until(lambda: confirmed(sluice) > 0, "the first confirmed chunk")
    result = sluice.ok("upload", *args[1:4])
    assert result.line.startswith("https://youtu.be/")
    assert "sent by worker" in result.err
    assert len([entry for entry in emulator.journal() if entry["op"] == "start"]) == 1


# ---- on a terminal


class Screen:
    """What a terminal of 100 columns would show of some bytes: enough for the few sequences that are used."""

    def __init__(self):
        self.lines, self.row, self.column = [""], 0, 0

    def feed(self, text):
        for part in re.findall(r"\x1b\[\d*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
            if part == "\r":
                self.column = 0
            elif part == "\n":
                self.row, self.column = self.row + 1, 0
                while len(self.lines) <= self.row:
                    self.lines.append("")
            elif re.fullmatch(r"\x1b\[\d+A", part):
                self.row = max(0, self.row - int(part[2:-1]))
            elif part == "\x1b[J":
                self.lines[self.row] = self.lines[self.row][:self.column]
                del self.lines[self.row + 1:]
            else:
                assert not part.startswith("\x1b"), repr(part)
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[:self.column] + part + line[self.column + len(part):]
                self.column += len(part)

    def text(self):
        return "\n".join(self.lines).rstrip()


def run_on_terminal(sluice, *args):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen([program(), *map(str, args)], env={**sluice.env, "TERM": "xterm"}, stderr=slave,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=sluice.home)
    os.close(slave)
    raw = b""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        if not select.select([master], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        raw += piece
    os.close(master)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out, raw.decode()


def test_a_bar_shows_confirmed_bytes_and_log_lines_do_not_tear_it(sluice, emulator):
    emulator.faults({"on": "put", "nth": 4, "do": "return-503"})
    clip = sluice.file("bar.mp4", 3_000_000)
    rc, out, raw = run_on_terminal(sluice, "upload", clip, "--channel", "main", "--limit-rate", "1500K", "--log-level",
                                   "info")
    assert rc == 0, raw
    assert emulator.consumed() == [1]
    assert out.startswith("https://youtu.be/")
    assert re.search(r"\[#+-* +\]", raw), raw
    assert "MiB/s" in raw or "KiB/s" in raw
    assert "left" in raw
    screen = Screen()
    screen.feed(raw.replace("\r\n", "\n"))
    lines = screen.text().splitlines()
    bars = [line for line in lines if re.match(r"bar\.mp4 .*%", line)]
    assert len(bars) == 1 and "100 %" in bars[0], screen.text()
    logs = [line for line in lines if line.startswith("ts=")]
    assert logs and all(line.count("ts=") == 1 for line in logs), screen.text()


def test_several_bars_stand_below_each_other(sluice, emulator):
    clips = [sluice.file(f"{i}.mp4", 1_000_000 + i) for i in range(3)]
    sluice.configure(per_channel="3")
    rc, out, raw = run_on_terminal(sluice, "upload", *clips, "--channel", "main", "--limit-rate", "1M")
    assert rc == 0, raw
    assert len(out.splitlines()) == 3
    assert "\x1b[2A" in raw or "\x1b[3A" in raw
    screen = Screen()
    screen.feed(raw.replace("\r\n", "\n"))
    assert len([line for line in screen.text().splitlines() if re.match(r"\d\.mp4 .*100 %", line)]) == 3, screen.text()
