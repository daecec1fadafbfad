"""pytest fixtures around tests/support/emulator.py. A test module says `from emulator_fixtures import *`."""

import pytest

from emulator import Emulator

__all__ = ["shared_emulator", "emulator", "channel", "other_channel", "token"]


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
