"""X08, X09: what changes beneath a worker that runs: the store's schema, the configuration."""

import pathlib
import re
import signal
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import oracles  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import until  # noqa: E402


# ---- X09: the configuration


def reloaded(worker, expected):
    """Asks for it, and returns what was logged until the line that tells how it went."""
    before = len(worker.log())
    worker.signal(signal.SIGHUP)
    until(lambda: re.search(expected, worker.log()[before:]), worker.log)
    return worker.log()[before:]


def test_x09_reload_with_a_bad_configuration(world):
    """The old one stays, whatever is wrong with the new one; the job that is under way notices nothing."""
    home = world.home(limit_rate="500K")
    right = home.config.read_text()
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    for text, said in (("limit_rate = 0\nper_channel = many\n", "per_channel"), ("limit_rate = 0\nnonsense\n", "sluice.conf"),
                       ("limit_rate = 0\nlimit_rte = 5\n", "limit_rte"),
                       ("limit_rate = 0\nretry_base_ms = 5s\nretry_cap_ms = 1s\n", "retry_cap_ms"), (None, "sluice.conf")):
        if text is None:
            home.config.unlink()
        else:
            home.config.write_text(text)
        lines = reloaded(worker, "the old one stays.*").splitlines()
        line, = [line for line in lines if "the old one stays" in line]
        assert "level=error" in line and said in line
        assert not [line for line in lines if "configuration changed" in line or "configuration reloaded" in line]
    home.config.write_text(right)
    assert standing(home, job) == "uploading"  # at the old rate it takes two seconds
    assert worker.wait() == 0
    assert standing(home, job) == "completed" and len(world.emulator.journal(op="start")) == 1


def test_x09_reload_of_what_can_change_and_of_what_cannot(world):
    home = world.home(limit_rate="64K", per_channel="1", log_level="info")
    jobs = [home.ok("add", home.file(f"{number}.mp4", SIZE), "--channel", "main").line for number in range(3)]
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    assert reloaded(worker, "configuration reloaded").count("\n") == 1  # nothing has changed
    home.configure(limit_rate=0, per_channel="2", log_level="debug", region="eu", chunk_bytes=2 * CHUNK)
    said = reloaded(worker, "configuration reloaded")
    taken = re.findall(r'msg="configuration changed" key=(\w+)', said)
    left = re.findall(r'msg="configuration changed, which needs a restart" key=(\w+)', said)
    assert sorted(taken) == ["limit_rate", "log_level", "per_channel"] and sorted(left) == ["chunk_bytes", "region"]
    assert worker.wait(30) == 0  # at 64 KiB a second it would take most of a minute
    assert [standing(home, job) for job in jobs] == ["completed"] * 3
    assert "level=debug" in worker.log()
    puts = [entry["received_bytes"] for entry in world.emulator.journal() if entry["op"] in ("put", "put-final")]
    assert max(puts) == CHUNK


def test_x09_options_and_variables_still_stand_above_the_file(world):
    home = world.home(limit_rate=0)
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    worker = home.start_worker("--drain", "--limit-rate", "200K", env={"SLUICE_PER_CHANNEL": "7"})
    until(lambda: world.emulator.journal(op="put"), worker.log)
    home.configure(limit_rate="100M", per_channel="3")
    assert "configuration changed" not in reloaded(worker, "configuration reloaded")
    assert standing(home, job) == "uploading"
    worker.stop()
    home.ok("worker", "--drain")


# ---- X08: the schema


def alter(home, *commands):
    """What a migration of another version would do."""
    connection = sqlite3.connect(home.store, timeout=30)
    with connection:
        for command in commands:
            connection.execute(command)
    connection.close()


def version(home):
    return oracles.query(home, "select max(version) as version from schema_version")[0]["version"]


def newer(number, compatible_from):
    return ("insert into schema_version (version, what, compatible_from, applied_at_ms)"
            f" values ({number}, 'of the next release', {compatible_from}, 0)")


def test_x08_a_rolling_upgrade_with_a_compatible_schema(world):
    """The next version's `init` adds a table, a column and an index while this one works: both may go on, and this one's
    commands and workers may also begin anew."""
    home = world.home(limit_rate="600K")
    first = home.ok("add", home.file("first.mp4", SIZE), "--channel", "main").line
    worker = home.start_worker("--drain")
    until(lambda: world.emulator.journal(op="put"), worker.log)
    mine = version(home)
    alter(home, "create table caption (id integer primary key, job_id text)", "alter table job add column colour text",
          "create index job_by_colour on job (colour)", newer(mine + 1, mine))
    second = home.ok("add", home.file("second.mp4", SIZE), "--channel", "main").line
    beside = home.start_worker("--drain", "--limit-rate", "0")
    assert [worker.wait(), beside.wait()] == [0, 0]
    assert [standing(home, job) for job in (first, second)] == ["completed"] * 2
    home.ok("init")
    assert version(home) == mine + 1  # and is left alone


def test_x08_a_schema_that_is_not_compatible_is_refused_by_whoever_begins(world):
    """It names both versions, and changes nothing. With the store as it was, all goes on."""
    home = world.home()
    job = home.ok("add", home.file("clip.mp4", SIZE), "--channel", "main").line
    mine = version(home)
    alter(home, newer(mine + 1, mine + 1))
    for command in (["worker", "--drain"], ["job", "list"], ["init"], ["add", home.file("more.mp4"), "--channel", "main"]):
        said = home.fails(8, *command).err
        assert f"version {mine + 1}" in said and str(mine) in said
    assert version(home) == mine + 1
    alter(home, f"delete from schema_version where version = {mine + 1}")
    home.ok("worker", "--drain")
    assert standing(home, job) == "completed" and len(home.jobs()) == 1


def test_x08_a_store_that_is_still_older_is_refused_until_init(world):
    """A new binary beside old ones: it waits for `init`, and leaves the store to them meanwhile."""
    home = world.home()
    mine = version(home)
    rows = oracles.query(home, "select * from schema_version order by version")
    alter(home, f"delete from schema_version where version = {mine}")
    for command in (["worker", "--drain"], ["job", "list"]):
        said = home.fails(8, *command).err
        assert f"version {mine - 1}" in said and "sluice init" in said
    last = rows[-1]
    alter(home, "insert into schema_version (version, what, compatible_from, applied_at_ms)"
          f" values ({last['version']}, 'as it was', {last['compatible_from']}, 0)")
    home.ok("job", "list")
