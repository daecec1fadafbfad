"""Network faults in namespaces that the test makes for itself: nothing of the machine's own network is touched.

    @in_own_network
    def test_c02_…():
        with Emulator() as emulator:               # all that is started in here lives in that network too
            nft(f"tcp dport {emulator.port} tcp flags syn drop")

The test runs in a child process with a network of its own, of which only the loopback is up, and with mounts of its own.
Where the machine cannot do that the test is skipped, and says why. Only the standard library is used.
"""

import contextlib
import ctypes
import functools
import os
import pathlib
import pickle
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback

import pytest

from sluice import children

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
PUBLIC = "45.45.45.45"  # an address that the Internet could lead to, and here ends on the loopback
libc = ctypes.CDLL(None, use_errno=True)


def in_own_network(test):
    """Runs a test in a child with its own network and mounts; what it raises is raised here."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        if os.geteuid() != 0:
            pytest.skip("only root may make a network of its own")
        reader, writer = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.close(reader)
            run_in_child(writer, test, args, kwargs)
        os.close(writer)
        try:
            kind, text = outcome(reader, timeout_s=120)
        finally:
            os.close(reader)
            end_tree(child)
            os.waitpid(child, 0)
        if kind == "skipped":
            pytest.skip(text)
        if kind == "failed":
            pytest.fail(text, pytrace=False)

    return run


def run_in_child(writer, test, args, kwargs):
    try:
        separate()
        test(*args, **kwargs)
        told = ("passed", "")
    except pytest.skip.Exception as skip:
        told = ("skipped", str(skip))
    except BaseException:  # whatever it was, the parent reports it
        told = ("failed", traceback.format_exc())
    sys.stdout.flush()
    with open(writer, "wb") as file:
        file.write(pickle.dumps(told))
    os._exit(0)


def outcome(reader, timeout_s):
    data, give_up = b"", time.monotonic() + timeout_s
    while select.select([reader], [], [], max(0, give_up - time.monotonic()))[0]:
        piece = os.read(reader, 65536)
        if not piece:
            return pickle.loads(data) if data else ("failed", "the test's process died")
        data += piece
    return "failed", f"not over after {timeout_s} s"


def end_tree(pid):
    """A process and all that it has started and left."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        for child in children(pid):
            end_tree(child)
        os.kill(pid, signal.SIGKILL)


def separate():
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        pytest.skip(f"no namespaces may be made here: {os.strerror(ctypes.get_errno())}")
    mount("none", "/", MS_REC | MS_PRIVATE)
    ip("link set lo up")
    ip(f"address add {PUBLIC}/32 dev lo")


def mount(source, target, flags):
    if libc.mount(str(source).encode(), str(target).encode(), None, flags, None) != 0:
        pytest.skip(f"nothing can be mounted on {target}: {os.strerror(ctypes.get_errno())}")


def put_in_place(path, text, place):
    """Other content for one of the system's files, for this test alone; `place` is where it is kept."""
    mine = pathlib.Path(place) / pathlib.Path(path).name
    mine.write_text(text)
    mount(mine, path, MS_BIND)


def ip(words):
    need("ip")
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)


def need(command):
    if not shutil.which(command):
        pytest.skip(f"{command} is not there")


def nft(rule):
    """Adds a rule for what is sent in this network."""
    need("nft")
    for command in ("add table inet t", "add chain inet t o { type filter hook output priority 0; }"):
        done = subprocess.run(["nft", command], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"nft cannot be used here: {done.stderr.strip()}")
    subprocess.run(["nft", f"add rule inet t o {rule}"], check=True, capture_output=True)


def nft_count(text):
    """How many packets the rules with this comment have met."""
    rules = subprocess.run(["nft", "list", "chain", "inet", "t", "o"], check=True, capture_output=True, text=True).stdout
    counts = [line.split() for line in rules.splitlines() if f'comment "{text}"' in line]
    assert counts, rules
    return sum(int(words[words.index("packets") + 1]) for words in counts)


def nft_clear():
    subprocess.run(["nft", "flush chain inet t o"], check=True, capture_output=True)


class Link:
    """A line to a second network, which is far away and bad: see link.c. This side is `host`, programs on the other one
    are run with `prefix`."""

    def __init__(self, number, seed):
        need("nsenter")
        if not os.path.exists("/dev/net/tun"):
            pytest.skip("there is no /dev/net/tun")
        self.host, other = f"10.9.{number}.1", f"10.9.{number}.2"
        build = pathlib.Path(os.environ.get("SLUICE_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
        near, far = f"near{number}", f"far{number}"
        self.process = subprocess.Popen([build / "tests/support/link", near, far, str(seed)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            pytest.skip(f"no TUN devices can be made here: {self.process.stderr.read().strip()}")
        self.prefix = ["nsenter", f"--net=/proc/{self.process.pid}/ns/net"]
        for run, device, mine, its in ((ip, far, self.host, other), (self.ip, near, other, self.host)):
            run(f"address add {mine} peer {its} dev {device}")
            run(f"link set {device} up")
            # A line of milliseconds may also repeat after milliseconds: loss then costs little of a test's time.
            run(f"route change {its} dev {device} proto kernel scope link src {mine} rto_min 5ms")
        self.ip("link set lo up")

    def ip(self, words):
        subprocess.run([*self.prefix, "ip", *words.split()], check=True, capture_output=True)

    def be(self, delay_ms=0, loss=0, reorder=0, double=0, mtu=2048):
        """`loss`, `reorder`, `double`: of a thousand packets, each way."""
        self.process.stdin.write(f"{delay_ms} {loss} {reorder} {double} {mtu}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "set\n"

    def close(self):
        """Returns what it has done: {"lost": 17, …}."""
        out, err = self.process.communicate(timeout=10)
        assert self.process.returncode == 0, err
        words = out.split()
        return dict(zip(words[::2], map(int, words[1::2])))
