"""What the tests of other uploaders and upload servers say a server does: ported cases, named after where they are from.

java-storage: ITJsonResumableSessionPutTaskTest, ITJsonResumableSessionQueryTaskTest. storage-testbench:
tests/test_testbench_object_upload.py. conformance-tests: storage/v1/retry_tests.json. The other names are in
docs of their projects' resumable upload tests. No code is taken over, only what is asked and answered.
"""

import hashlib
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import BLOCK, UPLOAD_PATH  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403


class Session:
    def __init__(self, emulator, token, size):
        self.emulator, self.token, self.size = emulator, token, size
        self.data = os.urandom(size)
        self.location = emulator.start(token, size)

    def put(self, first, end, data=None, total=None):
        data = self.data[first:end] if data is None else data
        return self.emulator.put(self.location, self.token, data, first, total or self.size)

    def query(self, total=None):
        return self.emulator.query(self.location, self.token, total or self.size)

    def check_video(self):
        videos = self.emulator.videos()
        assert [video["sha256"] for video in videos] == [hashlib.sha256(self.data).hexdigest()]


@pytest.fixture
def session(emulator, token):
    return Session(emulator, token, 3 * BLOCK)


# ---- java-storage, ITJsonResumableSessionPutTaskTest


def test_java_storage_empty_object_happy_path(emulator, token):
    empty = Session(emulator, token, 0)
    reply = emulator.query(empty.location, token, 0)
    assert reply.status == 201 and reply.json()["kind"] == "youtube#video"
    assert emulator.videos()[0]["bytes"] == 0


def test_java_storage_scenario1_append_to_a_finalised_session(session):
    final = session.put(0, session.size).json()["id"]
    more = session.emulator.put(session.location, session.token, b"x" * BLOCK, session.size, session.size + BLOCK)
    assert more.json()["id"] == final
    session.check_video()


def test_java_storage_scenario2_finalise_with_less_than_is_stored(session):
    session.put(0, 2 * BLOCK)
    assert session.query(total=BLOCK).status == 400
    assert session.query().headers["Range"] == f"bytes=0-{2 * BLOCK - 1}"


def test_java_storage_scenario3_finalise_with_more_than_is_stored(session):
    session.put(0, BLOCK)
    reply = session.query()
    assert (reply.status, reply.headers["Range"]) == (308, f"bytes=0-{BLOCK - 1}")
    assert session.emulator.videos() == []


def test_java_storage_scenario4_finalise_twice(session):
    first = session.put(0, session.size)
    assert session.query().json() == first.json()
    session.check_video()


@pytest.mark.parametrize("expected", [2 * BLOCK, 4 * BLOCK])
def test_java_storage_scenario4_1_and_4_2_another_size_than_expected(session, expected):
    reply = session.put(0, expected, data=b"x" * expected, total=expected)
    assert reply.status == 400
    assert "Range" not in session.query().headers


def test_java_storage_scenario5_offset_ahead(session):
    session.put(0, BLOCK)
    reply = session.put(2 * BLOCK, 3 * BLOCK)
    assert (reply.status, reply.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert reply.body == (b"Invalid request.  According to the Content-Range header, the upload offset is 524288 "
                          b"byte(s), which exceeds already uploaded size of 262144 byte(s).")


def test_java_storage_scenario7_server_acknowledges_more_than_was_sent(session):
    session.emulator.faults({"on": "put", "do": f"range-bytes=0-{2 * BLOCK}"})
    assert session.put(0, BLOCK).headers["Range"] == f"bytes=0-{2 * BLOCK}"


def test_java_storage_scenario0_1_final_reply_is_no_json(session):
    session.emulator.faults({"on": "put-final", "do": "not-json"})
    reply = session.put(0, session.size)
    assert reply.status == 201 and not reply.body.startswith(b"{")


def test_java_storage_503_empty_body(session):
    session.emulator.faults({"on": "put", "do": "return-503", "body": ""})
    reply = session.put(0, BLOCK)
    assert (reply.status, reply.body) == (503, b"")


# ---- java-storage, ITJsonResumableSessionQueryTaskTest


def test_java_storage_query_successful_session(session):
    session.put(0, session.size)
    assert session.query().status == 201


def test_java_storage_query_incomplete_session_and_missing_range_header(session):
    reply = session.query()
    assert reply.status == 308 and "Range" not in reply.headers
    session.put(0, BLOCK)
    assert session.query().headers["Range"] == "bytes=0-262143"


def test_java_storage_query_503_empty_body(session):
    session.emulator.faults({"on": "query", "do": "return-503", "body": ""})
    assert (session.query().status, session.query().status) == (503, 308)


# ---- storage-testbench, test_testbench_object_upload


def test_testbench_upload_resumable_upload_crud(session):
    assert session.query().status == 308
    assert session.put(0, BLOCK).status == 308
    assert session.emulator.cancel(session.location, session.token).status == 499
    assert session.query().status == 404


def test_testbench_upload_resumable_x_upload_content_length(emulator, token):
    session = Session(emulator, token, 10)
    assert emulator.put(session.location, token, session.data).status == 201


def test_testbench_upload_resumable_x_upload_content_length_mismatch(emulator, token):
    session = Session(emulator, token, 10)
    assert emulator.put(session.location, token, b"x" * 11).status == 400


def test_testbench_upload_resumable_unknown_location(emulator, token):
    unknown = UPLOAD_PATH + "?uploadType=resumable&upload_id=unknown"
    assert emulator.query(unknown, token, 0).status == 404


def test_testbench_upload_resumable_multiple_chunks(session):
    assert [session.put(first, first + BLOCK).status for first in range(0, session.size, BLOCK)] == [308, 308, 201]
    session.check_video()


def test_testbench_upload_resumable_query_completed(session):
    final = session.put(0, session.size)
    assert [session.query().json() for _ in range(3)] == [final.json()] * 3


def test_testbench_validate_upload_type(emulator, token):
    for query in ("part=snippet", "part=snippet&uploadType=magic"):
        assert emulator.request("POST", f"{UPLOAD_PATH}?{query}", body={}, token=token).status == 400


def test_testbench_validate_upload_id(emulator, token):
    assert emulator.put(UPLOAD_PATH + "?uploadType=resumable", token, b"x").status == 400
    assert emulator.put(UPLOAD_PATH + "?uploadType=resumable&upload_id=x", token, b"x").status == 404


def test_testbench_resumable_upload_w_fault_injection(session):
    session.emulator.faults({"on": "put", "do": "return-503-after-256K"})
    assert session.put(0, session.size).status == 503
    assert session.query().headers["Range"] == "bytes=0-262143"
    assert session.put(BLOCK, session.size).status == 201
    session.check_video()


# ---- conformance-tests, retry_tests.json


def until_done(session, attempts=10):
    """A client that queries after every failure and goes on from there."""
    import http.client
    for _ in range(attempts):
        try:
            reply = session.query()
            if reply.status == 308:
                stored = int(reply.headers.get("Range", "bytes=0--1").split("-", 1)[1]) + 1
                reply = session.put(stored, session.size)
            if reply.status in (200, 201):
                return
        except (OSError, http.client.HTTPException):
            continue
    raise AssertionError("not done")


@pytest.mark.parametrize("words", [
    ["return-reset-connection", "return-503"],
    ["return-408"],
    ["return-503-after-256K"],
    ["return-503-after-8192K", "return-408"],
], ids=lambda words: "+".join(words))
def test_retry_tests_case_7(emulator, token, words):
    session = Session(emulator, token, 9 << 20)
    emulator.faults(*({"on": "put", "nth": i + 1, "do": word} for i, word in enumerate(words)))
    until_done(session)
    session.check_video()
    assert emulator.consumed() == [1] * len(words)


@pytest.mark.parametrize("status", [400, 401])
def test_retry_tests_case_5(session, status):
    session.emulator.faults({"on": "start", "do": f"return-{status}"})
    assert session.emulator.start_reply(session.token).status == status


# ---- others


def test_google_resumable_media_recover_after_a_kept_byte(session):
    """Range is there as soon as one byte is stored."""
    session.emulator.faults({"on": "put", "do": "keep-1B"})
    assert session.put(0, BLOCK).headers["Range"] == "bytes=0-0"


def test_google_resumable_media_finish_at_chunk(emulator, token):
    session = Session(emulator, token, 2 * BLOCK)
    assert session.put(0, BLOCK).status == 308
    assert session.put(BLOCK, 2 * BLOCK).status == 201
    session.check_video()


def test_dotnet_upload_in_multiple_chunks_server_stores_less(session):
    session.emulator.faults({"on": "put", "do": "keep-100K", "times": 3})
    until_done(session)
    session.check_video()


@pytest.mark.parametrize("body,content_type", [("Not Found", "text/plain"), (None, "application/json; charset=UTF-8")])
def test_dotnet_bad_server_not_found_plain_text_or_json(session, body, content_type):
    options = {"body": body, "content_type": content_type} if body else {}
    session.emulator.faults({"on": "put", "do": "return-404", **options})
    reply = session.put(0, BLOCK)
    assert (reply.status, reply.headers["Content-Type"]) == (404, content_type)


def test_dotnet_bad_server_uploader_restart(session):
    """The session is lost in the middle: a new one starts from nothing and is the only one that finishes."""
    session.put(0, BLOCK)
    session.emulator.faults({"on": "put", "do": "session-gone-404"})
    assert session.put(BLOCK, session.size).status == 404
    again = Session(session.emulator, session.token, session.size)
    assert again.put(0, again.size).status == 201
    again.check_video()


def test_go_cancelled_upload(session):
    session.put(0, BLOCK)
    session.emulator.cancel(session.location, session.token)
    assert session.put(BLOCK, 2 * BLOCK).status == 404
    assert session.emulator.videos() == []


def test_fetcher_interrupted_final_chunk_then_query(session):
    import http.client
    session.emulator.faults({"on": "put-final", "do": "keep-all-then-none"})
    with pytest.raises((OSError, http.client.HTTPException)):
        session.put(0, session.size)
    assert session.query().status == 201
    session.check_video()


def test_node_storage_upload_restarts_after_404_before_anything_was_read(session):
    session.emulator.ctl("sessions", {"session": session.emulator.ctl("sessions")[0]["session"]})
    assert session.query(total="*").status == 404
    again = Session(session.emulator, session.token, session.size)
    until_done(again)
    again.check_video()
