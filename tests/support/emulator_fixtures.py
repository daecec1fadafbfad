"""pytest fixtures around tests/support/emulator.py. A test module says `from emulator_fixtures import *`."""

import hashlib
import http.client
import os
import ssl

import pytest

from emulator import BLOCK, Emulator

__all__ = ["BROKEN", "Upload", "shared_emulator", "emulator", "channel", "other_channel", "token", "upload", "fault",
           "once"]

# What http.client raises when a connection ends where it should not.
BROKEN = (http.client.HTTPException, ConnectionError, ssl.SSLError)


@pytest.fixture(scope="module")
def shared_emulator():
    with Emulator() as emulator:
        yield emulator
        assert emulator.stop() == 0, emulator.stderr()


@pytest.fixture
def emulator(shared_emulator):
    """One emulator a module, as good as new for each test: only added channels stay."""
    shared_emulator.ctl("reset", {"consents": True})
    yield shared_emulator
    assert shared_emulator.process.poll() is None, "the emulator died"


@pytest.fixture
def channel(emulator):
    return emulator.channels()[0]


@pytest.fixture
def other_channel(emulator):
    return emulator.channels()[1]


@pytest.fixture
def token(emulator, channel):
    return emulator.access_token(channel["id"])


class Upload:
    """A session with random bytes, driven like a careful client: query, go on where the server is."""

    def __init__(self, emulator, token, size=2 * BLOCK + 100):
        self.emulator, self.token = emulator, token
        self.data = os.urandom(size)
        self.location = emulator.start(token, size)

    def put(self, first=0, end=None, **kwargs):
        end = len(self.data) if end is None else end
        return self.emulator.put(self.location, self.token, self.data[first:end], first, len(self.data), **kwargs)

    def stored(self):
        reply = self.emulator.query(self.location, self.token, len(self.data))
        if reply.status in (200, 201):
            return len(self.data)
        assert reply.status == 308, reply
        return int(reply.headers["Range"].split("-")[1]) + 1 if "Range" in reply.headers else 0

    def finish(self):
        """Sends the rest; the one video must be exactly the file."""
        stored = self.stored()
        if stored < len(self.data):
            assert self.put(stored).status in (200, 201)
        videos = self.emulator.videos()
        assert [video["sha256"] for video in videos] == [hashlib.sha256(self.data).hexdigest()]
        return videos[0]


@pytest.fixture
def upload(emulator, token):
    return Upload(emulator, token)


def fault(emulator, on, do, **options):
    """Posts one fault."""
    emulator.faults({"on": on, "do": do, **options})


def once(emulator):
    """The one fault that was posted acted once."""
    assert emulator.consumed() == [1]
