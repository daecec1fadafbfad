"""The audit trail of a year: read page by page, and old lines moved to a file without losing one."""

import hashlib
import json
import pathlib
import re
import shutil
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import postgres  # noqa: E402
from job_fixtures import *  # noqa: E402, F403
from sluice import Sluice  # noqa: E402

YEAR_AGO = 1_700_000_000_000  # 2023-11-14
BEFORE = "2024-01-01"


def write_store(home, *statements):
    connection = sqlite3.connect(home.store)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


OLD = (f"insert into event (at_ms, tenant_id, channel_id, job_id, who, what, message) select {YEAR_AGO} + value, 1, 1,"
       " '%s', 'w', 'long ago', 'line ' || value from generate_series(1, %d) as s (value)")


@pytest.fixture
def home(world):
    """1200 old lines of no job, 3 of one that ended then, 2 of one that has not."""
    home = world.home()
    ended, open_ = (home.ok("add", home.file(name, 300_000), "--channel", "main").line for name in ("a.mp4", "b.mp4"))
    home.ok("job", "cancel", ended)
    numbers = "with recursive s (value) as (select 1 union all select value + 1 from s where value < %d)"
    for job, count in (("", 1200), (ended, 3), (open_, 2)):
        statement = OLD % (job, count)
        write_store(home, statement.replace("select", numbers % count + " select", 1)
                    .replace(f"generate_series(1, {count}) as s (value)", "s"))
    write_store(home, f"update job set finished_at_ms = {YEAR_AGO + 10} where id = '{ended}'")
    home.ended, home.open = ended, open_
    return home


def archive(home, path, *more):
    return home.ok("audit", "archive", "--before", BEFORE, "--to", path, "--json", *more).json


def test_old_lines_move_to_a_file(home):
    trail = home.audit()
    old = [line for line in trail if line["what"] == "long ago" and line["job"] != home.open]
    path = home.home / "old.jsonl"
    told = archive(home, path)
    assert told["removed"] == len(old) == 1203 and told["left"] == 0
    assert [json.loads(line) for line in path.read_text().splitlines()] == old
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o600 and not path.with_suffix(".jsonl.part").exists()
    left = home.audit()
    removals = [line for line in left if line["what"] == "lines removed"]
    left = [line for line in left if line not in removals]
    notes = [line for line in left if line["what"] == "audit archived"]
    assert sum(int(line["message"].split()[0]) for line in removals) == 1203
    assert [line for line in left if line not in notes] == [line for line in trail if line not in old]
    assert sum(int(note["message"].split()[0]) for note in notes) == 1203
    assert all(told["sha256"] in note["message"] and "old.jsonl" in note["message"] for note in notes)
    home.ok("check")
    assert archive(home, home.home / "again.jsonl")["removed"] == 0
    assert not (home.home / "again.jsonl").exists()


def copy_store(home, to):
    source, target = sqlite3.connect(home.store), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()


def test_broken_off_it_goes_on_with_its_file(home):
    path = home.home / "old.jsonl"
    copy = home.home / "copy.db"
    copy_store(home, copy)
    archive(home, path)
    text = path.read_bytes()
    # As if it had been killed when the file was there, and nothing or the first lines were removed.
    for removed in (0, 700):
        for suffix in ("-wal", "-shm"):
            pathlib.Path(f"{home.store}{suffix}").unlink(missing_ok=True)
        shutil.copy(copy, home.store)
        if removed:
            connection = sqlite3.connect(home.store)
            connection.execute("drop trigger event_delete_guard")
            connection.execute(f"delete from event where id in (select id from event where what = 'long ago' and job_id"
                               f" = '' order by id limit {removed})")
            connection.commit()
            connection.close()
        told = archive(home, path)
        assert told["removed"] == 1203 - removed and told["left"] == 0
        assert path.read_bytes() == text
    # Broken off before the file had its name, it begins anew.
    shutil.copy(copy, home.store)
    path.unlink()
    pathlib.Path(f"{path}.part").write_bytes(text[:1000])
    assert archive(home, path)["removed"] == 1203
    assert path.read_bytes() == text


@pytest.mark.parametrize("harm", ["cut", "foreign", "changed"])
def test_nothing_goes_that_the_file_does_not_have(home, harm):
    path = home.home / "old.jsonl"
    copy = home.home / "copy.db"
    copy_store(home, copy)
    archive(home, path)
    for suffix in ("-wal", "-shm"):
        pathlib.Path(f"{home.store}{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, home.store)
    lines = path.read_text().splitlines(keepends=True)
    before = home.audit()
    if harm == "cut":
        path.write_text("".join(lines)[:-10])
    elif harm == "foreign":
        path.write_text("dear diary\n")
    else:
        path.write_text("".join(lines[:5]) + lines[5].replace("line 6", "line 7") + "".join(lines[6:]))
    said = home.fails(3, "audit", "archive", "--before", BEFORE, "--to", path)
    assert str(path) in said.err
    assert home.audit() == before
    # A file that lacks lines takes none of them along.
    path.write_text("".join(lines[:100]))
    told = archive(home, path)
    assert (told["removed"], told["left"]) == (100, 1103)


def test_what_is_asked_of_it(home):
    home.fails(2, "audit", "archive")
    home.fails(2, "audit", "archive", "--before", "yesterday", "--to", "x")
    assert "30 days" in home.fails(3, "audit", "archive", "--before", "2040-01-01", "--to", "x").err
    home.fails(1, "audit", "archive", "--before", BEFORE, "--to", home.home / "none" / "x")
    assert len([line for line in home.audit() if line["what"] == "long ago"]) == 1205


@pytest.mark.skipif(not postgres.available(), reason="PostgreSQL is not there")
def test_on_postgres_by_an_operator_of_one_tenant(cluster, world):
    """Its lines go, others' stay, and no login has the right to delete any."""
    office = Sluice(world.emulator)
    database = postgres.Apart(cluster, lambda url: office.ok("init", "--store", url))
    for tenant in ("mine", "other"):
        store = database.login(f"op_{tenant}", "operator", tenant)
        database.sql((OLD % ("", 700)).replace(", 1, 1,", f", (select id from tenant where name = '{tenant}'), 0,"))
        office.configure(store=store)
    path = office.home / "old.jsonl"
    assert archive(office, path, "--store", database.url("op_mine"))["removed"] == 700
    assert {json.loads(line)["tenant"] for line in path.read_text().splitlines()} == {"mine"}
    assert database.sql("select count(*) from event where what = 'long ago'") == "700"
    assert archive(office, office.home / "rest.jsonl")["removed"] == 700
    database.sql((OLD % ("", 3)).replace(", 1, 1,", ", (select id from tenant where name = 'mine'), 0,"))
    ids = database.sql("select string_agg(id::text, ',') from event where what = 'long ago'")
    for login in ("op_other", "op_mine"):  # past `audit archive`: the database tells of it
        database.sql(f"insert into event_removal (ids) values ('{ids}')", login)
    assert database.sql("select count(*) from event where what = 'long ago'") == "0"
    told = database.sql("select who || ' ' || message from event where what = 'lines removed' order by id desc limit 1")
    assert re.match("login:\\w*op_mine 3 lines from id ", told)
    assert database.sql("select count(*) from event e join tenant t on t.id = e.tenant_id"
                        " where t.name = 'mine' and who like '%op_other'") == "0"
    for statement in ("delete from event", "update event set what = ''", "truncate event"):
        with pytest.raises(RuntimeError, match="permission denied"):
            database.sql(statement, "op_mine")
    with pytest.raises(RuntimeError, match="append-only"):
        database.sql("delete from event")
    office.close()
