"""What must be true after every run, whatever happened in it: the oracles I1 to I5, I8, I10, I11 and I12.

    judge(emulator, [sluice, …])         after a run; every home that used this emulator since its reset
    judge_process(emulator, worker.pid)  while it runs: what /proc shows of it

Each oracle raises AssertionError. They know the store's files and commands, and the emulator's control API, and nothing
of how sluice works inside.
"""

import array
import collections
import datetime
import itertools
import json
import os
import pathlib
import re
import sqlite3

import postgres

TERMINAL = ("completed", "failed", "cancelled")
STATES = TERMINAL + ("queued", "uploading", "waiting", "held", "finishing")
CAUSES = ("quota", "upload_limit", "channel_paused", "channel_auth", "channel_frozen", "ambiguous", "source_changed",
          "source_missing", "cdn_mismatch", "corrupt")
# The moves that the lifecycle allows, written down anew here.
MOVES = {
    "queued": "uploading finishing held cancelled failed",
    "uploading": "queued waiting held finishing completed failed cancelled",
    "waiting": "queued uploading held cancelled failed",
    "held": "queued uploading finishing completed cancelled failed",
    "finishing": "completed held",
    "completed": "",
    "failed": "queued",
    "cancelled": "queued",
}
BUCKETS = ("uploads", "units")
HOUR_S = 3600
PAGE = os.sysconf("SC_PAGE_SIZE")


def judge(emulator, sluices, faults=True, ledger=True):
    videos = emulator.videos()
    counted = collections.Counter()
    for sluice in sluices:
        jobs, trail = sluice.jobs(), sluice.audit()
        lines = lines_of(trail)
        for job in jobs:
            judge_state(job)
            judge_moves(job, lines[job["id"]])
            judge_video(sluice, job, videos)
        if ledger:
            judge_tokens(sluice, trail)
            counted += judge_charges(sluice, trail)
        judge_offsets(emulator, sluice, [job for job in jobs if job["has_session"] and job["state"] not in TERMINAL])
    judge_isolation(emulator)
    if ledger:
        judge_ledger(emulator, counted)
    judge_secrets(emulator, sluices)
    if faults:
        judge_faults(emulator)


# ---- I1, I11: states and moves


def seconds_from_now(time):
    at = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return (at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def judge_state(job):
    """I1: terminal, or held with a cause, or waiting with a next time within the bound; or its turn has not come."""
    assert job["state"] in STATES, job
    assert (job["state"] == "held") == (job["cause"] in CAUSES), job
    if job["state"] == "waiting":
        assert seconds_from_now(job["next_at"]) < 1.2 * HOUR_S, job
    if job["state"] == "held" and job["cause"] in ("quota", "upload_limit"):
        assert seconds_from_now(job["next_at"]) < 25.2 * HOUR_S, job
    if job["state"] == "failed":
        assert job["error_reason"] and job["next"], job
    if job["state"] == "held":
        assert job["why"] and job["next"], job
    if job["state"] in TERMINAL:
        assert not job["lease_owner"] and not job["has_session"], job


def lines_of(trail):
    """The lines of the audit trail by job."""
    lines = collections.defaultdict(list)
    for event in trail:
        lines[event["job"]].append(event)
    return lines


def judge_moves(job, events):
    """I11: every move of the trail is one that the lifecycle allows, and begins where the last one ended."""
    state = None
    for event in events:
        if not event["to"]:
            continue
        assert event["from"] == state, (job["id"], state, event)
        allowed = event["from"] is None or event["to"] in MOVES[event["from"]].split()
        assert allowed or event["from"] == event["to"] and state not in TERMINAL, (job["id"], event)
        state = event["to"]
    assert state == job["state"], (job, state, events)


# ---- I2, I3: the videos


def judge_video(sluice, job, videos):
    """I2: one video if and only if completed; I3: with the content that the file had when it was accepted."""
    mine = [video for video in videos if job["id"] in (video["file_name"] or "")]
    assert len(mine) <= 1, f"{len(mine)} videos of one job: {job} {mine}"
    if job["state"] == "completed":
        assert [video["id"] for video in mine] == [job["video_id"]], (job, mine)
    elif job["state"] == "finishing":
        assert len(mine) == 1, (job, mine)
    elif not (job["state"] == "held" and job["cause"] == "ambiguous") and not is_unsettled(job):
        assert mine == [], (job, mine)
    for video in mine:
        assert video["bytes"] == job["size_bytes"], (job, video)
        assert video["sha256"] == sluice.accepted[job["file"]], (job, video)


def is_unsettled(job):
    """Its video may exist without our knowing: the last byte was perhaps sent, and the job will be gone on with."""
    return job["state"] not in TERMINAL and job["finalizing"]


# ---- I10: offsets


def judge_offsets(emulator, sluice, jobs):
    """I10: no stored offset is ahead of what a session of that channel holds."""
    if not jobs:
        return
    channels = {channel["name"]: channel["yt_channel_id"] for channel in sluice.ok("channel", "list", "--json").objects}
    sessions = emulator.ctl("sessions")
    for job in jobs:
        stored = [session["stored_bytes"] for session in sessions if session["channel"] == channels[job["channel"]]]
        assert job["confirmed_bytes"] <= max(stored), (job, stored)


# ---- I4, I8, I12


def judge_isolation(emulator):
    assert emulator.ctl("violations") == []


def judge_charges(sluice, trail):
    """I8: the trail has a line for each charge. Returns what the ledger has counted, drift and all."""
    told, counted, own = charges_of(trail), collections.Counter(), collections.Counter()
    for row in ledger(sluice):
        counted[row["bucket"]] += row["used"]
        own[row["bucket"]] += row["used"] - row["drift"]
    assert all(told[bucket] == own[bucket] for bucket in BUCKETS), f"{told} in the trail, {own} in the ledger"
    return counted


def charges_of(trail):
    charges = collections.Counter()
    for event in trail:
        for amount, bucket in re.findall(r"(\d+) charged of the day's (\w+)", event["message"] or ""):
            charges[bucket] += int(amount)
    return charges


def judge_ledger(emulator, counted):
    """I8: what the stores have counted is never less than what was charged."""
    projects = emulator.ctl("quota")
    for bucket in BUCKETS:
        charged = sum(project[bucket]["charged"] for project in projects)
        assert counted[bucket] >= charged, f"{bucket}: {counted[bucket]} in the ledger, {charged} charged"


def judge_tokens(sluice, trail):
    """Each token that the trail says was used has a line that says where it came from. After another root key the same
    token has another digest."""
    named = collections.defaultdict(set)
    for event in trail:
        for token in re.findall(r"\btoken ([0-9a-f]{32})\b", event["message"] or ""):
            named[event["what"] == "token refreshed"].add((event["channel"], token))
    unknown = named[False] - named[True]
    assert not unknown or len(query(sluice, "select id from root_key")) > 1, (sluice, unknown)


def ledger(sluice):
    return query(sluice, "select bucket, used, drift from quota")


def query(sluice, sql, *values):
    """Rows of the store, read from outside, as dictionaries."""
    if is_on_postgres(sluice):
        assert not values
        text = postgres.client("psql", "-XAtq", "-d", sluice.whole_store or sluice.settings["store"], "-c",
                               f"select coalesce(json_agg(row_to_json(found)), '[]') from ({sql}) as found")
        return json.loads(text)
    connection = sqlite3.connect(f"file:{sluice.store}?mode=ro", uri=True, timeout=30)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(sql, values)]
    finally:
        connection.close()


def is_on_postgres(sluice):
    return sluice.settings.get("store", "").startswith("postgres")


def judge_faults(emulator):
    """I12: a fault that never came proves nothing."""
    unused = [fault for fault in emulator.ctl("faults") if not fault["consumed"]]
    assert not unused, unused


# ---- I5: secrets


def planted(emulator):
    """Every secret that the emulator has given out, as bytes, with its name."""
    return [(kind, text.encode()) for kind, texts in emulator.ctl("secrets").items() for text in texts]


def judge_secrets(emulator, sluices):
    """I5: not in what was written to any output or log, not in any file of the store, in no form as it was planted."""
    secrets = planted(emulator)
    for sluice in sluices:
        texts = {"output": "\n".join(sluice.said).encode(errors="surrogateescape")}
        for path in pathlib.Path(sluice.home).rglob("*"):
            if path.is_file() and sluice.media not in path.parents:
                texts[str(path)] = path.read_bytes()
        if is_on_postgres(sluice):
            texts["database"] = postgres.client("pg_dump", "-d", sluice.whole_store or sluice.settings["store"])
        for place, text in texts.items():
            for kind, secret in secrets:
                assert secret not in text, f"one of {kind} in {place}"
                assert place != "database" or secret.hex().encode() not in text, f"one of {kind} in {place}"


def judge_process(emulator, pid, memory=()):
    """I5: no secret in the arguments or the environment of a running process; none of the kinds named by `memory` in
    its memory."""
    judge_process_for(planted(emulator), pid, memory)


def judge_process_for(secrets, pid, memory):
    """Only root may look: a process that lets nobody else of its user do so, has nothing to show."""
    for name in ("cmdline", "environ"):
        if os.geteuid() != 0 and not os.access(f"/proc/{pid}/{name}", os.R_OK):
            return
        text = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
        for kind, secret in secrets:
            assert secret not in text, f"one of {kind} in /proc/{pid}/{name}"
    wanted = [(kind, secret) for kind, secret in secrets if kind in memory]
    for place, region in memory_of(pid) if wanted else ():
        for kind, secret in wanted:
            assert secret not in region, f"one of {kind} in the memory of {pid} at {place}"


def memory_of(pid):
    """What a process can write to, in runs of pages that are there; sanitizers' huge reservations are left out."""
    with (open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory,
          open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap):
        for line in maps:
            place, rights = line.split()[:2]
            first, end = (int(part, 16) for part in place.split("-"))
            if not rights.startswith("rw") or end - first > 1 << 29:
                continue
            for begin, size in runs_of_pages(pagemap, first, end):
                try:
                    memory.seek(begin)
                    yield f"{begin:x}", memory.read(size)
                except OSError:
                    continue


def runs_of_pages(pagemap, first, end):
    """Most of what a sanitizer has mapped was never touched, and would take seconds to read."""
    pagemap.seek(first // PAGE * 8)
    pages = array.array("Q", pagemap.read((end - first) // PAGE * 8))
    at = first
    for is_there, run in itertools.groupby(pages, lambda entry: entry >> 62 != 0):  # present, or swapped out
        size = PAGE * len(list(run))
        if is_there:
            yield at, size
        at += size
