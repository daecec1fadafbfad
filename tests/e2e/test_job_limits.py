"""L05: what one tenant sends leaves the others their share of the line. Ratios within one run, no times."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402

NOISY_COUNT = 6
QUIET_BYTES = 3_000_000


def home_of_two(world, **settings):
    """A tenant with many large files, one with a small one."""
    home = world.home("noisy", per_channel="0", concurrency="20", **settings)
    home.ok("client", "import", world.emulator.client_secret, "--tenant", "b")
    world.log_in(home, "quiet", "--tenant", "b")
    noisy = [home.ok("add", home.file(f"noisy-{i}.mp4", 20_000_000), "--channel", "noisy").line for i in range(NOISY_COUNT)]
    quiet = home.ok("add", home.file("quiet.mp4", QUIET_BYTES), "--channel", "quiet", "--tenant", "b").line
    return home, noisy, quiet


def received(world, channel):
    return sum(session["stored_bytes"] for session in world.emulator.ctl("sessions") if session["channel"] == channel)


@pytest.mark.parametrize("settings", [{"limit_rate": "3M"}, {"limit_rate_tenant": "1500K"},
                                      {"limit_rate": "20M", "limit_rate_tenant": "1500K"}])
def test_l05_a_noisy_tenant_leaves_the_other_its_share(world, settings):
    home, noisy, quiet = home_of_two(world, **settings)
    worker = home.start_worker()
    until(lambda: received(world, home.channels["quiet"]) > 0, worker.log)
    before = received(world, home.channels["noisy"])
    until(lambda: received(world, home.channels["quiet"]) >= QUIET_BYTES - 300_000, worker.log)
    meanwhile = received(world, home.channels["noisy"]) - before
    # Chunk by chunk as they are stored: each of the noisy ones may have one more on its way.
    assert meanwhile < QUIET_BYTES + NOISY_COUNT * CHUNK + 600_000, meanwhile
    until(lambda: home.run("job", "show", quiet, "--tenant", "b", "--json").json["state"] == "completed", worker.log)
    for job in noisy:
        home.ok("job", "cancel", job)
    assert worker.stop()[0] == 0
