"""D05: the store's disk is full while a video is made. What came of it is kept in memory until there is room, and a worker
that dies with it loses nothing: `finalizing` was stored before the last byte left, and YouTube's session tells once more
which video it has become."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import postgres  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from job_fixtures import journal, own_world, standing  # noqa: E402
from netns import in_own_network  # noqa: E402
from sluice import until  # noqa: E402

# The disk fills up between the video and the reply that tells of it.
LATE_REPLY = {"on": "put-final", "nth": 1, "do": "delay-reply-3s"}
both = pytest.mark.parametrize("dies", [True, False], ids=["killed", "alive"])


class FileDisk:
    """A disk for the store's file alone, full to the last page."""

    def __init__(self, folder):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
        self.store, self.ballast = folder / "sluice.db", folder / "ballast"

    def home(self, world):
        home = world.home(store=f"sqlite:{self.store}")
        home.store = self.store
        return home

    def fill(self):
        with open(self.ballast, "wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def make_room(self):
        self.ballast.unlink()


class ServerDisk:
    """A server that says of every write to the store that its disk is full: where rows still find room in pages that are
    there already, a disk that is full in truth lets some through."""

    TABLES = ("job", "upload", "event", "chunk", "quota")

    def __init__(self, cluster, home):
        self.cluster, self.database = cluster, home.settings["store"].split("/")[3].split("?")[0]

    def sql(self, text):
        self.cluster.sql(text, self.database)

    def fill(self):
        self.sql("create function disk_is_full() returns trigger language plpgsql as $$ begin raise exception using"
                 " errcode = '53100', message = 'could not extend file: No space left on device'; end $$; begin; "
                 + "".join(f"create trigger disk_is_full before insert or update on {table} execute function disk_is_full();"
                           for table in self.TABLES) + "commit")

    def make_room(self):
        self.sql("begin; " + "".join(f"drop trigger disk_is_full on {table};" for table in self.TABLES) + "commit")


def a_result_that_cannot_be_written(world, home, disk, dies):
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    home.configure(request_timeout_ms="30s", lease_ms="12s" if dies else "60s")
    world.emulator.faults(LATE_REPLY)
    worker = home.start_worker()
    until(world.emulator.videos, worker.log)
    disk.fill()
    worker.wait_for_log("disk.* full|full.*disk", timeout_s=60)
    video = world.emulator.videos()[0]["id"]
    assert "disk" in home.fails(8, "add", home.file("more.mp4", 300_000), "--channel", "main").err  # accepts nothing
    # Acknowledges nothing. A result alone may still fit in the log that is there; what is to follow it does not.
    found = home.job(job)
    assert (found["state"], found["video_id"] or None) in (("uploading", None), ("finishing", video))
    if dies:
        worker.kill()
    disk.make_room()
    if dies:
        home.ok("worker", "--drain", "--drain-wait", "1m")
    else:
        until(lambda: standing(home, job) == "completed", worker.log)
        assert worker.stop()[0] == 0
    assert standing(home, job) == "completed"
    assert home.job(job)["video_id"] == video and len(world.emulator.videos()) == 1
    assert home.job(job)["lease_epoch"] == (2 if dies else 1)
    assert len(journal(world, home, "start")) == 1
    made = world.emulator.videos()[0]
    assert made["received_bytes"] == made["bytes"] == SIZE  # nothing was sent twice
    assert len(home.jobs()) == 1


@both
@in_own_network
def test_d05_a_result_that_the_disk_has_no_room_for(tmp_path, dies):
    disk = FileDisk(tmp_path)
    with own_world() as world:
        a_result_that_cannot_be_written(world, disk.home(world), disk, dies)


@pytest.fixture(scope="module")
def cluster():
    with postgres.Cluster() as cluster:
        yield cluster


@pytest.mark.skipif(not postgres.available(), reason="PostgreSQL is not there")
@both
def test_d05_a_result_that_the_server_has_no_room_for(world, cluster, dies):
    home = world.home(store=cluster.new_database())
    a_result_that_cannot_be_written(world, home, ServerDisk(cluster, home), dies)
