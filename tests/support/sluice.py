"""Runs the sluice binary in a home of its own, as a person or a script would.

    with Emulator() as emulator, Sluice(emulator) as sluice:
        sluice.ready("main")                       # init, client import, a login in the first channel
        clip = sluice.file("clip.mp4", 300_000)
        job = sluice.ok("add", clip, "--channel", "main").line
        sluice.ok("worker", "--drain")
        assert sluice.job(job)["state"] == "completed"

The binary: src/cli/sluice in the build folder $SLUICE_BUILD (default: build/ in the root of the sources). Nothing of the
caller's environment reaches it but PATH and what sanitizers need. Only the standard library is used.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Short enough for tests, long enough for a slow machine.
FAST = {"retry_base_ms": "20", "retry_cap_ms": "200"}

# Environment for what runs under strace: LeakSanitizer, a tracer itself, fails there.
WITHOUT_LEAK_CHECK = {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))}


# See preload.c.
PRELOAD = str(pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build")) / "tests" / "support" / "libpreload.so")


beginning = threading.Lock()  # of homes, see Sluice.begin()


def program():
    return str(pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build")) / "src" / "cli" / "sluice")


class Result:
    """What a command has left behind: `rc`, `out`, `err`."""

    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err

    @property
    def line(self):
        """The one line on standard output."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self
        return lines[0]

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def json(self):
        """The one object on standard output."""
        return json.loads(self.line)

    @property
    def objects(self):
        """One object a line of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def errors(self):
        """The objects on standard error (with --json)."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def __repr__(self):
        return f"<rc {self.rc}\nout: {self.out}\nerr: {self.err}>"


def until(condition, what, timeout_s=30):
    """Polls `condition` until it is true and returns its value; fails the test after `timeout_s`."""
    give_up = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < give_up, f"not within {timeout_s} s: {what() if callable(what) else what}"
        time.sleep(0.01)


def children(pid):
    """What a process has started, and not taken note of the end of: its broker, for one."""
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
            for child in task.read_text().split()]


def can_be_written(path):
    """Whether nobody holds the lock of this SQLite store; a store elsewhere has no such lock."""
    if not path.exists():
        return True
    with contextlib.closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as store:
        try:
            store.execute("begin immediate")
            store.execute("rollback")
            return True
        except sqlite3.OperationalError:
            return False


def state_of(task):
    """The letter of proc(5) for a thread's folder in /proc; "X" once it is gone."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


class Worker:
    """A `sluice worker` that runs beside the test; what it logs goes to a file."""

    def __init__(self, sluice, *args, program_prefix=(), env=None, stderr=None):
        self.log_path = sluice.home / f"worker-{len(sluice.workers)}.log"
        self.store = sluice.store
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*program_prefix, program(), "worker", *map(str, args)], env={**sluice.env, **(env or {})},
                cwd=sluice.home, stdin=subprocess.DEVNULL, stdout=log, stderr=stderr or log)
        self.is_frozen = False

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, pattern, timeout_s=30):
        return until(lambda: re.search(pattern, self.log()) or self.is_over() and re.search(pattern, self.log()),
                     lambda: f"/{pattern}/ in the log:\n{self.log()}", timeout_s)

    def broker_pid(self):
        return int(self.wait_for_log(r"broker_pid=(\d+)").group(1))

    def is_over(self):
        return self.process.poll() is not None

    def signal(self, number):
        os.kill(self.pid, number)

    def freeze(self):
        """Not in the middle of a write to SQLite, whose lock would keep everybody else out until it goes on."""
        self.halt()
        while not can_be_written(self.store):
            self.signal(signal.SIGCONT)
            time.sleep(0.01)
            self.halt()
        self.is_frozen = True

    def halt(self):
        """SIGSTOP, and until it has stopped: one thread takes the signal, and until it runs the others go on."""
        self.signal(signal.SIGSTOP)
        until(lambda: all(state_of(task) in "TZX" for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()), self.log)

    def thaw(self):
        self.signal(signal.SIGCONT)
        self.is_frozen = False

    def kill(self):
        """SIGKILL, and until it is gone."""
        if not self.is_over():
            self.process.kill()
        self.process.wait()

    def stop(self, timeout_s=20):
        """SIGTERM; returns the exit code and how many seconds it took."""
        begun = time.monotonic()
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout_s), time.monotonic() - begun

    def wait(self, timeout_s=60):
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker does not end:\n{self.log()}") from None
        assert "Sanitizer" not in self.log() and "runtime error:" not in self.log(), self.log()
        return code


class Sluice:
    """One installation: home, configuration, store, key. `settings` are keys of sluice.conf: with `store`, a URL of
    Postgres (postgres.py makes databases), it is kept there."""

    def __init__(self, emulator=None, **settings):
        self.emulator = emulator
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sluice-test-"))
        self.media = self.home / "media"
        self.media.mkdir()
        self.state = self.home / "state"
        self.store = self.state / "sluice" / "sluice.db"
        self.key_file = self.state / "sluice" / "sluice.key"
        self.config = self.home / "sluice.conf"
        self.env = {
            name: value for name, value in os.environ.items()
            if name in ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH") or name.endswith("SAN_OPTIONS")}
        self.env.update(HOME=str(self.home), XDG_STATE_HOME=str(self.state), SLUICE_CONFIG=str(self.config))
        values = {"media_root": str(self.media), **FAST}
        if emulator:
            values.update(api_root=emulator.url, allow_plain_loopback="yes")
            if emulator.is_tls:
                values["ca_file"] = emulator.ca
        self.configure(**{**values, **settings})
        self.whole_store = None  # for judges: a URL that sees all of the database, where `store` does not
        self.processes = []
        self.workers = []
        self.said = []  # all that commands have written: what must hold no secret
        self.accepted = {}  # SHA-256 of each file as it was made, by its path beneath the media root

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for worker in self.workers:
            worker.kill()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def configure(self, **settings):
        """Writes sluice.conf anew: what was set before stays unless it is given again; None takes a key out."""
        self.settings = {**getattr(self, "settings", {}), **settings}
        lines = [f"{key} = {value}\n" for key, value in self.settings.items() if value is not None]
        self.config.write_text("# made by a test\n" + "".join(lines))

    # ---- running

    def run(self, *args, stdin="", timeout_s=120, env=None, cwd=None):
        try:
            done = subprocess.run(
                [program(), *map(str, args)], input=stdin, capture_output=True, text=True, errors="surrogateescape",
                timeout=timeout_s, env={**self.env_of(*args), **(env or {})}, cwd=cwd or self.home)
        except subprocess.TimeoutExpired as late:
            said = (late.stderr or b"").decode(errors="replace")
            raise AssertionError(f"{args} did not end in {timeout_s} s; its last words:\n{said[-4000:]}") from None
        assert done.returncode >= 0, f"{args} died of signal {-done.returncode}: {done.stderr}"
        assert "Sanitizer" not in done.stderr and "runtime error:" not in done.stderr, done.stderr
        self.said.append(done.stdout + done.stderr)
        return Result(done.returncode, done.stdout, done.stderr)

    def env_of(self, *args):
        """Leaks matter in what lives long: to look for them in every command would take longer than the commands do."""
        if args[:1] == ("worker",) or "ASAN_OPTIONS" not in self.env:
            return self.env
        return {**self.env, "ASAN_OPTIONS": self.env["ASAN_OPTIONS"] + ":detect_leaks=0"}

    def ok(self, *args, **kwargs):
        """Runs it and fails the test unless it succeeds."""
        result = self.run(*args, **kwargs)
        assert result.rc == 0, (args, result)
        return result

    def fails(self, rc, *args, **kwargs):
        """Runs it and fails the test unless it exits with `rc` and says why on standard error."""
        result = self.run(*args, **kwargs)
        assert result.rc == rc, (args, result)
        assert result.err.strip(), f"{args}: exit code {rc} without a word"
        return result

    def start(self, *args, env=None, **kwargs):
        """Starts it and returns at once; what still runs at the end of the test is killed."""
        process = subprocess.Popen(
            [program(), *map(str, args)], env={**self.env, **(env or {})}, cwd=self.home, text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs})
        self.processes.append(process)
        return process

    def start_worker(self, *args, **kwargs):
        worker = Worker(self, *args, **kwargs)
        self.workers.append(worker)
        return worker

    def finish(self, process, timeout_s=60):
        """Waits for a started process."""
        out, err = process.communicate(timeout=timeout_s)
        self.said.append((out or "") + (err or ""))
        return Result(process.returncode, out or "", err or "")

    @staticmethod
    def interrupt(process):
        os.kill(process.pid, signal.SIGINT)

    # ---- common steps

    def file(self, name, size=300_000, seed=None):
        """A file of random bytes beneath the media root; its seed is its name unless given."""
        path = self.media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = random.Random(seed if seed is not None else name).randbytes(size)
        path.write_bytes(data)
        self.accepted[name] = hashlib.sha256(data).hexdigest()
        return path

    def job(self, job_id):
        return self.ok("job", "show", job_id, "--json").json

    def jobs(self):
        return self.ok("job", "list", "--json").objects

    def audit(self, *job_id):
        return self.ok("audit", *job_id, "--json").objects

    def begin(self):
        """init and client import. In a store of its own they end the same every time, but for the key, so what an
        emulator's first home has made is copied."""
        made = pathlib.Path(self.emulator.dir) / "first-home"
        with beginning:
            if "store" not in self.settings and made.exists():
                shutil.copytree(made, self.state)
                return
            self.ok("init")
            self.ok("client", "import", self.emulator.client_secret)
            if "store" not in self.settings:
                shutil.copytree(self.state, made)

    def ready(self, *names):
        """init, client import, and a login for each name: the first in the emulator's first channel, and so on."""
        self.begin()
        for name, channel in zip(names, self.emulator.channels()):
            result, page = self.login(name, channel["id"])
            assert result.rc == 0, (result, page)

    def login(self, name, channel_id, *options, **answer):
        """`channel login` through the consent page, answered in advance for that channel. Returns the command's
        result and the page that the browser shows at the end."""
        self.emulator.ctl("approve", {"channel": channel_id, **answer})
        process = self.start("channel", "login", name, "--no-browser", *options)
        url = process.stdout.readline().strip()
        if not url:
            return self.finish(process), ""
        page = self.follow(url)
        return self.finish(process), page

    def redirect_of(self, url):
        """Where the consent page sends the browser, for a consent that was answered in advance."""
        reply = self.emulator.request("GET", url)
        assert reply.status == 302, reply
        return reply.headers["Location"]

    def follow(self, url):
        return browse(self.redirect_of(url)).body


class Page:
    def __init__(self, status, body):
        self.status, self.body = status, body


def browse(url, host=None):
    """A GET as a browser sends it, on plain http to this machine."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request("GET", (parts.path or "/") + ("?" + parts.query if parts.query else ""),
                           headers={"Host": host} if host else {})
        reply = connection.getresponse()
        return Page(reply.status, reply.read().decode())
    finally:
        connection.close()
