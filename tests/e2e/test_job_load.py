"""L03: what all do at the same moment."""

import collections
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402

IS_SANITIZED = "ASAN_OPTIONS" in os.environ  # everything takes several times as long there
CHANNELS = 32 if IS_SANITIZED else 100
FLIGHTS_MAX = 16  # refreshes that a broker has under way at a time


def test_l03_all_tokens_expire_at_once(world):
    """In mid-upload every access token is refused from one moment on. Each channel's is asked for once, however many of its
    requests were refused, and never more than a few at a time."""
    names = [f"channel-{number}" for number in range(CHANNELS)]
    home = world.home(*names, limit_rate="20M", request_timeout_ms="60s", lease_ms="60s", stall_timeout_ms="60s",
                      retry_base_ms="200ms", retry_tries="20")
    starts = 4 * CHANNELS  # one that is refused for its token is charged, too, and the last tenth is not for everybody
    home.ok("client", "limits", "default", "--uploads", starts)
    world.emulator.ctl("quota", {"project": 1, "uploads": starts, "units": 10_000})
    for number, name in enumerate(names):
        home.ok("add", home.file(f"{name}.mp4", CHUNK + 1000 + number), "--channel", name)
    worker = home.start_worker("--drain", "--drain-wait", "10s", "--concurrency", CHANNELS)
    until(lambda: len(world.emulator.journal(op="token")) == 2 * CHANNELS, worker.log)  # the login's, and the worker's own
    asked = len(world.emulator.journal(op="token"))
    world.emulator.faults(*({"on": "token", "do": "delay-reply-1s", "nth": nth} for nth in range(1, FLIGHTS_MAX + 1)))
    world.emulator.ctl("expire", {})
    assert worker.wait(timeout_s=110) == 0
    assert collections.Counter(job["state"] for job in home.jobs()) == {"completed": CHANNELS}, worker.log()
    refreshes = world.emulator.journal(op="token")[asked:]
    count = collections.Counter(entry["channel"] for entry in refreshes)
    assert set(count) <= set(home.channels.values()) and set(count.values()) == {1}, count
    assert len(count) > CHANNELS // 2  # who was done before needs none
    assert refreshes[FLIGHTS_MAX]["at_ms"] - refreshes[0]["at_ms"] >= 1000
    assert [entry["status"] for entry in world.emulator.journal(op="start")].count(200) == CHANNELS
