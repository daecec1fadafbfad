"""`add`: everything is checked before anything is queued, and nothing is queued twice."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import Emulator  # noqa: E402
from sluice import Sluice, program  # noqa: E402


@pytest.fixture(scope="module")
def ready():
    """One installation with two channels for the whole module; each test has files of its own."""
    with Emulator() as emulator, Sluice(emulator) as sluice:
        sluice.ready("main", "second")
        yield sluice


@pytest.fixture
def sluice(ready):
    before = {job["id"] for job in ready.jobs()}
    yield ready
    for job in ready.jobs():
        if job["id"] not in before and job["state"] not in ("completed", "failed", "cancelled"):
            ready.run("job", "cancel", job["id"])


@pytest.fixture
def clip(sluice, request):
    return sluice.file(request.node.name.replace("/", "_")[:80] + ".mp4", 50_000)


def count(sluice):
    return len(sluice.jobs())


# ---- what is queued


def test_an_added_file_is_a_queued_job(sluice, clip):
    job_id = sluice.ok("add", clip, "--channel", "main", "--title", "Sea", "--tags", "a, b", "--privacy", "unlisted",
                       "--region", "eu", "--priority", "3", "--description", "Waves").line
    assert len(job_id) == 26
    job = sluice.job(job_id)
    assert (job["state"], job["channel"], job["region"], job["priority"]) == ("queued", "main", "eu", 3)
    assert job["size_bytes"] == 50_000
    assert job["file"] == clip.name
    assert job["title"] == "Sea"
    assert job["metadata"]["snippet"]["tags"] == ["a", "b"]
    assert job["metadata"]["snippet"]["description"] == "Waves"
    assert job["metadata"]["status"]["privacyStatus"] == "unlisted"
    assert job["next"] and job["why"]


def test_without_options_a_video_is_private_and_named_after_its_file(sluice, clip):
    job = sluice.job(sluice.ok("add", clip, "--channel", "main").line)
    assert job["title"] == clip.stem[:100]
    assert job["metadata"]["status"]["privacyStatus"] == "private"
    assert job["metadata"]["snippet"]["categoryId"] == "22"


def test_several_files_are_one_id_a_line_in_their_order(sluice):
    files = [sluice.file(f"several-{i}.mp4", 1000 + i) for i in range(5)]
    ids = sluice.ok("add", *files, "--channel", "main").lines
    assert len(set(ids)) == 5
    assert [sluice.job(job_id)["file"] for job_id in ids] == [file.name for file in files]


def test_with_json_each_file_is_an_object(sluice):
    files = [sluice.file(f"json-{i}.mp4", 1000 + i) for i in range(2)]
    objects = sluice.ok("add", *files, "--channel", "main", "--json").objects
    assert [item["file"] for item in objects] == ["json-0.mp4", "json-1.mp4"]
    assert [item["existed"] for item in objects] == [False, False]


def test_a_metadata_file_wins_over_options(sluice, clip):
    meta = sluice.home / "meta.json"
    meta.write_text(json.dumps({"title": "From the file", "privacyStatus": "unlisted"}))
    job = sluice.job(sluice.ok("add", clip, "--channel", "main", "--meta", meta, "--title", "x", "--tags", "t").line)
    assert job["title"] == "From the file"
    assert job["metadata"]["snippet"]["tags"] == ["t"]


def test_a_relative_path_is_found_from_where_one_stands(sluice, clip):
    job_id = sluice.ok("add", clip.name, "--channel", "main", cwd=sluice.media).line
    assert sluice.job(job_id)["file"] == clip.name


def test_a_name_that_is_not_utf8_is_taken(sluice):
    path = os.fsencode(sluice.media) + b"/caf\xe9.mp4"
    with open(path, "wb") as file:
        file.write(b"x" * 1000)
    result = sluice.ok("add", os.fsdecode(path), "--channel", "main", "--title", "Cafe", "--json")
    assert "caf" in result.json["file"]


# ---- what is refused, all at once, and nothing queued


def refused(sluice, rc, *args):
    before = count(sluice)
    result = sluice.fails(rc, "add", *args)
    assert result.out == ""
    assert count(sluice) == before
    return result


def test_every_violation_is_named_with_field_and_limit(sluice, clip):
    result = refused(sluice, 3, clip, "--channel", "main", "--json", "--title", "x" * 101, "--privacy", "secret",
                     "--tags", "a" * 501, "--description", "ä" * 2501)
    problems = {error["field"]: error for error in result.errors if "field" in error}
    assert set(problems) == {"title", "privacyStatus", "tags", "description"}
    assert "101" in problems["title"]["message"] and "100" in problems["title"]["message"]
    assert "500" in problems["tags"]["message"]
    assert "5000" in problems["description"]["message"] and "5002" in problems["description"]["message"]
    assert all(error["file"] == str(clip) for error in problems.values())
    assert "nothing was queued: 4 problems" in result.errors[-1]["message"]


def test_one_bad_file_among_many_stops_them_all(sluice):
    files = [sluice.file(f"many-{i}.mp4", 1000 + i) for i in range(4)]
    result = refused(sluice, 4, *files, sluice.media / "missing.mp4", "--channel", "main")
    assert "missing.mp4" in result.err and "nothing was queued" in result.err


def test_problems_of_files_and_of_metadata_are_told_together(sluice, clip):
    result = refused(sluice, 4, sluice.media / "missing.mp4", clip, "--channel", "main", "--title", "<b>")
    assert "missing.mp4" in result.err
    assert result.err.count("title") >= 2


@pytest.mark.parametrize("make, rc", [
    (lambda path: path.write_bytes(b""), 3),
    (lambda path: path.mkdir(), 3),
    (lambda path: os.mkfifo(path), 3),
    (lambda path: None, 4),
])
def test_f01_f10_f11_what_is_no_regular_file_is_refused(sluice, make, rc):
    path = sluice.media / "odd.mp4"
    make(path)
    try:
        assert "odd.mp4" in refused(sluice, rc, path, "--channel", "main").err
    finally:
        if path.is_dir():
            path.rmdir()
        elif path.exists():
            path.unlink()


def test_f11_a_file_over_256_gib_is_refused(sluice):
    path = sluice.media / "huge.mp4"
    with open(path, "wb") as file:
        file.truncate(256 * 2**30 + 1)
    assert "256" in refused(sluice, 3, path, "--channel", "main").err
    path.unlink()


def test_f10_a_file_outside_of_the_media_root_is_refused(sluice):
    outside = sluice.home / "outside.mp4"
    outside.write_bytes(b"x" * 1000)
    assert "outside.mp4" in refused(sluice, 3, outside, "--channel", "main").err


def test_f02_an_unreadable_file_is_3(sluice, clip):
    clip.chmod(0)
    # Root reads everything unless it gives that power up.
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    before = count(sluice)
    done = subprocess.run([*prefix, program(), "add", str(clip), "--channel", "main"], env=sluice.env,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done
    assert clip.name in done.stderr and "ermission" in done.stderr
    assert count(sluice) == before


def test_an_unknown_channel_is_4_and_says_how_to_make_it(sluice, clip):
    assert "sluice channel login nobody" in refused(sluice, 4, clip, "--channel", "nobody").err
    assert "acme" in refused(sluice, 4, clip, "--channel", "main", "--tenant", "acme").err


def test_the_channel_must_be_named(sluice, clip):
    assert "--channel" in refused(sluice, 2, clip).err


@pytest.mark.parametrize("content, said", [
    ("", "bad.json"),
    ("no json", "bad.json"),
    ("[]", "bad.json"),
    ('{"title": "a", "title": "b"}', "twice"),
    ('{"snippet": {"titel": "x"}, "status": {}}', "titel"),
])
def test_a_bad_metadata_file_is_3(sluice, clip, content, said):
    meta = sluice.home / "bad.json"
    meta.write_text(content)
    assert said in refused(sluice, 3, clip, "--channel", "main", "--meta", meta).err


def test_a_bad_metadata_file_is_told_once(sluice):
    files = [sluice.file(f"once-{i}.mp4", 1000 + i) for i in range(3)]
    meta = sluice.home / "bad.json"
    meta.write_text("no json")
    assert refused(sluice, 3, *files, "--channel", "main", "--meta", meta).err.count("bad.json") == 1


def test_a_missing_metadata_file_is_4(sluice, clip):
    assert "nowhere.json" in refused(sluice, 4, clip, "--channel", "main", "--meta", "nowhere.json").err


@pytest.mark.parametrize("args, rc", [
    (["--publish-at", "2001-01-01T00:00:00Z"], 3),
    (["--publish-at", "tomorrow"], 3),
    (["--priority", "urgent"], 2),
    (["--priority", "99999"], 2),
    (["--region", "no where"], 3),
    (["--cdn-url", "http://example.com/x"], 3),
    (["--cdn-url", "file:///etc/passwd"], 3),
    (["--key", ""], 3),
    (["--key", "auto:x"], 3),
    (["--key", "k" * 201], 3),
    (["--category", "music"], 3),
])
def test_bad_options_are_refused(sluice, clip, args, rc):
    assert args[0].lstrip("-")[:4] in refused(sluice, rc, clip, "--channel", "main", *args).err.lower()


def test_a_key_belongs_to_one_file(sluice):
    files = [sluice.file(f"key-{i}.mp4", 1000 + i) for i in range(2)]
    assert "--key" in refused(sluice, 2, *files, "--channel", "main", "--key", "mine").err


# ---- the same again


def test_the_same_again_is_the_same_job(sluice, clip):
    first = sluice.ok("add", clip, "--channel", "main", "--title", "Once").line
    before = count(sluice)
    again = sluice.ok("add", clip, "--channel", "main", "--title", "Once")
    assert again.line == first
    assert first in again.err and "before" in again.err
    assert sluice.ok("add", clip, "--channel", "main", "--title", "Once", "--json").json["existed"] is True
    assert count(sluice) == before


def test_the_same_with_other_parameters_shows_the_job_that_is_there(sluice, clip):
    first = sluice.ok("add", clip, "--channel", "main", "--title", "One").line
    result = refused(sluice, 3, clip, "--channel", "main", "--title", "Two", "--region", "eu")
    assert first in result.err
    assert "snippet.title" in result.err and "region" in result.err and "--key" in result.err


def test_a_copy_elsewhere_is_the_same_content(sluice, clip):
    first = sluice.ok("add", clip, "--channel", "main", "--title", "T").line
    copy = sluice.media / "copy" / clip.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(clip.read_bytes())
    os.utime(copy, ns=(clip.stat().st_atime_ns, clip.stat().st_mtime_ns))
    result = refused(sluice, 3, copy, "--channel", "main", "--title", "T")
    assert first in result.err and "path" in result.err


def test_another_channel_or_key_is_another_job(sluice, clip):
    ids = {sluice.ok("add", clip, "--channel", "main").line,
           sluice.ok("add", clip, "--channel", "second").line,
           sluice.ok("add", clip, "--channel", "main", "--key", "another").line}
    assert len(ids) == 3


def test_one_conflict_among_many_queues_none_of_them(sluice, clip):
    sluice.ok("add", clip, "--channel", "main", "--title", "One")
    fresh = sluice.file("fresh.mp4", 2000)
    refused(sluice, 3, fresh, clip, "--channel", "main", "--title", "Two")


def test_a_paused_channel_takes_jobs_and_holds_them(sluice, clip):
    sluice.ok("channel", "pause", "second", "--reason", "strike")
    result = sluice.ok("add", clip, "--channel", "second")
    job = sluice.job(result.line)
    assert (job["state"], job["cause"]) == ("held", "channel_paused")
    assert "sluice channel resume second" in result.err
    sluice.ok("channel", "resume", "second")
    assert sluice.job(result.line)["state"] == "queued"
