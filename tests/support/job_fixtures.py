"""pytest fixtures for tests of whole job lives. A test module says `from job_fixtures import *`.

A test gets a `world`: an emulator as good as new, and any number of homes of sluice that use it. When the test is over, the
oracles judge what is left of it, whatever the test itself has looked at.
"""

import concurrent.futures
import contextlib
import os
import threading

import pytest

import oracles
import postgres
from emulator import Emulator
from sluice import Sluice
from watch import Watch

__all__ = ["cluster", "job_emulator", "world", "own_world", "Run", "standing", "journal", "CHUNK", "SIZE"]

CHUNK = 262144  # the least that YouTube allows: many chunks of few bytes
SIZE = 1_000_000  # three chunks of this size and a rest
SETTINGS = {
    "chunk_bytes": CHUNK,
    "lease_ms": "12s",
    "log_level": "debug",
    "connect_timeout_ms": "5s",
    "request_timeout_ms": "5s",
    "stall_timeout_ms": "5s",
}


class World:
    def __init__(self, emulator):
        self.emulator = emulator
        self.homes = []
        self.judges_faults = self.judges_ledger = True
        self.consent = threading.Lock()

    def home(self, *names, **settings):
        """A new home, ready for work, with a channel of its own at the emulator for each name ("main" if none)."""
        home = Sluice(self.emulator, **{**SETTINGS, **settings})
        self.homes.append(home)
        home.channels = {}
        home.begin()
        for name in names or ("main",):
            self.log_in(home, name)
        return home

    def log_in(self, home, name, *options):
        home.channels[name] = self.new_channel()
        with self.consent:  # answers given in advance are used in their order
            result, _ = home.login(name, home.channels[name], *options)
        assert result.rc == 0, result

    def new_channel(self):
        """Never one of an earlier test, which may have closed it."""
        return self.emulator.ctl("channels", {"count": 1})[0]["id"]

    def run(self, *faults, size=SIZE, home=None, add=(), drain=(), **settings):
        """One file's whole life with these faults, on channel "main" of a home; its run is returned."""
        home = home or self.home(**settings)
        path = home.file(f"clip-{len(home.accepted)}.mp4", size)
        job = home.ok("add", path, "--channel", "main", *add).line
        self.emulator.faults(*faults)
        home.ok("worker", "--drain", "--drain-wait", "1s", *drain)
        return Run(self, home, job)

    @staticmethod
    def at_once(*calls):
        """Runs the functions side by side and returns what they return; the first failure fails the test."""
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    def judge(self):
        for worker in (worker for home in self.homes for worker in home.workers):
            assert "Sanitizer" not in worker.log() and "runtime error:" not in worker.log(), worker.log()
        oracles.judge(self.emulator, self.homes, self.judges_faults, self.judges_ledger)

    def close(self):
        for home in self.homes:
            home.close()


class Run:
    """What has become of one job."""

    def __init__(self, world, home, job_id):
        self.world, self.home, self.id = world, home, job_id

    @property
    def job(self):
        return self.home.job(self.id)

    @property
    def standing(self):
        return standing(self.home, self.id)

    def drain(self):
        self.home.ok("worker", "--drain", "--drain-wait", "1s")
        return self

    def retry(self):
        self.home.ok("job", "retry", self.id)
        return self.drain()

    def reasons(self):
        return [event["reason"] for event in self.home.audit(self.id) if event["reason"]]

    @property
    def video(self):
        videos = [video for video in self.world.emulator.videos() if self.id in video["file_name"]]
        assert len(videos) == 1, videos
        return videos[0]

    def sent_in_vain(self):
        return self.video["received_bytes"] - self.video["bytes"]

    def journal(self, *ops):
        return journal(self.world, self.home, *ops)

    def on_session(self):
        return self.journal("put", "put-final", "query", "cancel")

    def sessions(self):
        channels = list(self.home.channels.values())
        return [session for session in self.world.emulator.ctl("sessions") if session["channel"] in channels]

    def after_fault(self, number=0):
        """The request on the session that followed the number-th faulty one."""
        entries = self.on_session()
        places = [place for place, entry in enumerate(entries) if entry["fault"]]
        return entries[places[number] + 1]

    def logs(self):
        return "\n".join(self.home.said)


def standing(home, job_id):
    """"completed", or "held quota", and the like. Nothing is asked so often, so a store that is a file is read itself."""
    job = home.job(job_id) if oracles.is_on_postgres(home) else \
        oracles.query(home, "select state, cause from job where id = ?", job_id)[0]
    return " ".join(filter(None, [job["state"], job["cause"]]))


def journal(world, home, *ops):
    """The requests with a home's channels; `ops`: only these."""
    channels = list(home.channels.values())
    return [entry for entry in world.emulator.journal()
            if entry["channel"] in channels and (not ops or entry["op"] in ops)]


@pytest.fixture(scope="session")
def cluster():
    with postgres.shared() as server:
        yield server


@pytest.fixture(scope="module")
def job_emulator():
    with Emulator() as emulator:
        yield emulator
        assert emulator.stop() == 0, emulator.stderr()


@pytest.fixture
def world(job_emulator):
    job_emulator.ctl("reset", {"consents": True})
    job_emulator.settings(processing_ms=0)
    world = World(job_emulator)
    watch = Watch(job_emulator, world.homes) if os.environ.get("SLUICE_SCAN_MEMORY") else contextlib.nullcontext()
    try:
        with watch:
            yield world
        assert job_emulator.process.poll() is None, "the emulator died"
        world.judge()
    finally:
        world.close()


@contextlib.contextmanager
def own_world(*options, ca=None):
    """A world around an emulator that no other test has; `ca`: who has made its certificate, if not itself."""
    with Emulator(*options) as emulator:
        emulator.ca = ca or emulator.ca
        emulator.settings(processing_ms=0)
        world = World(emulator)
        try:
            yield world
            world.judge()
        finally:
            world.close()
