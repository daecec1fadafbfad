"""Every fault word does what emulator/README.md says, and says that it did."""

import gzip
import http.client
import pathlib
import re
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import BLOCK, ROOT, Emulator  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403


# ---- return-X and its relatives


@pytest.mark.parametrize("status,reason", [(400, "badRequest"), (401, "authError"), (403, "forbidden"),
                                           (404, "notFound"), (408, "unknown"), (429, "rateLimitExceeded"),
                                           (500, "internalError"), (502, "internalError"), (503, "backendError"),
                                           (504, "internalError")])
def test_h01_return_x_stores_nothing(emulator, upload, status, reason):
    fault(emulator, "put", f"return-{status}")
    reply = upload.put()
    assert (reply.status, reply.reason()) == (status, reason)
    assert upload.stored() == 0
    upload.finish()
    once(emulator)


@pytest.mark.parametrize("retry_after", [7, "Sun, 22 Nov 2026 08:00:00 GMT"])
def test_h02_retry_after(emulator, upload, retry_after):
    fault(emulator, "put", "return-503", retry_after=retry_after)
    assert upload.put().headers["Retry-After"] == str(retry_after)


def test_return_x_with_reason_message_body_and_headers(emulator, upload):
    emulator.faults(
        {"on": "put", "do": "return-403", "reason": "quotaExceeded", "domain": "youtube.quota", "message": "spent"},
        {"on": "put", "nth": 2, "do": "return-502", "body": "<html>", "content_type": "text/html",
         "headers": {"X-More": "1"}},
        {"on": "put", "nth": 3, "do": "return-500", "body_file_bytes": 100_000})
    error = upload.put().json()["error"]["errors"][0]
    assert (error["reason"], error["domain"], error["message"]) == ("quotaExceeded", "youtube.quota", "spent")
    page = upload.put()
    assert (page.body, page.headers["Content-Type"], page.headers["X-More"]) == (b"<html>", "text/html", "1")
    assert len(upload.put().body) == 100_000
    assert emulator.consumed() == [1, 1, 1]


@pytest.mark.parametrize("kib", [0, 100, 256, 300])
def test_h03_status_in_the_middle_of_the_body(emulator, upload, kib):
    fault(emulator, "put", f"return-503-after-{kib}K")
    assert upload.put().status == 503
    assert upload.stored() == kib * 1024
    upload.finish()
    once(emulator)


def test_h03_status_comes_before_the_body_is_complete(emulator, token):
    """The client has sent half and waits: the answer is there already."""
    location = emulator.start(token, 4 * BLOCK)
    fault(emulator, "put", "return-503-after-256K")
    connection = emulator.connect()
    connection.putrequest("PUT", location[location.index("/upload"):])
    connection.putheader("Authorization", "Bearer " + token)
    connection.putheader("Content-Length", str(4 * BLOCK))
    connection.endheaders()
    connection.send(b"x" * (2 * BLOCK))
    assert connection.getresponse().status == 503
    connection.close()
    once(emulator)


def test_h03_bytes_may_be_dropped(emulator, upload):
    fault(emulator, "put", "return-503-after-256K", keep=1000)
    assert upload.put().status == 503
    assert upload.stored() == 1000
    upload.finish()


def test_fault_behind_the_end_of_a_body_waits_for_another(emulator, upload):
    fault(emulator, "put", "return-503-after-512K")
    assert upload.put(0, BLOCK).status == 308
    assert emulator.consumed() == [0]
    fresh = Upload(emulator, upload.token, size=3 * BLOCK)
    assert fresh.put().status == 503
    once(emulator)


# ---- connections


def test_c03_reset_before_the_body(emulator, upload):
    fault(emulator, "put", "return-reset-connection")
    with pytest.raises(BROKEN):
        upload.put()
    assert upload.stored() == 0
    upload.finish()
    once(emulator)


def test_c03_reset_is_a_reset():
    """Without TLS in between the client sees ECONNRESET and nothing milder."""
    with Emulator("--no-tls") as emulator:
        token = emulator.access_token(emulator.channels()[0]["id"])
        fault(emulator, "query", "return-reset-connection")
        with pytest.raises(ConnectionResetError):
            emulator.query(emulator.start(token, 10), token)


def test_c03_reset_in_mid_body(emulator, upload):
    fault(emulator, "put", "return-reset-connection-after-256K")
    with pytest.raises(BROKEN):
        upload.put()
    assert upload.stored() == BLOCK
    upload.finish()
    once(emulator)


def test_c04_end_in_mid_body(emulator, upload):
    fault(emulator, "put", "return-broken-stream-after-300K")
    with pytest.raises(BROKEN):
        upload.put()
    assert upload.stored() == 300 * 1024
    upload.finish()
    once(emulator)


def test_c04_end_in_the_final_chunk_only(emulator, upload):
    fault(emulator, "put", "return-broken-stream-final-chunk-after-50B")
    assert upload.put(0, BLOCK).status == 308
    assert upload.put(BLOCK, 2 * BLOCK).status == 308
    with pytest.raises(BROKEN):
        upload.put(2 * BLOCK)
    assert upload.stored() == 2 * BLOCK + 50
    upload.finish()
    once(emulator)


def test_c05_end_within_the_reply(emulator, upload):
    fault(emulator, "put", "return-broken-stream")
    with pytest.raises(http.client.IncompleteRead) as broken:
        upload.put()
    assert broken.value.partial.startswith(b"{") and broken.value.expected > 0
    assert upload.stored() == len(upload.data), "it had succeeded"
    upload.finish()
    once(emulator)


@pytest.mark.parametrize("do,options,stored", [
    ("stall-for-1s-after-256K", {"stall_ms": 300}, BLOCK),
    ("stall-at-256KiB", {"stall_ms": 300}, BLOCK),
])
def test_c06_stall_and_go_on(emulator, upload, do, options, stored):
    fault(emulator, "put", do, **options)
    begin = time.monotonic()
    assert upload.put().status == 201
    assert time.monotonic() - begin >= 0.3, "it cannot be faster than the stall"
    upload.finish()
    once(emulator)


def test_c06_stall_ends_when_the_client_leaves(emulator, upload):
    fault(emulator, "put", "stall-for-3600s-after-256K")
    with pytest.raises((TimeoutError, *BROKEN)):
        upload.put(timeout_s=0.5)
    assert upload.stored() == BLOCK
    upload.finish()
    once(emulator)


def test_c07_slow_reply(emulator, upload):
    fault(emulator, "query", "slow-reply-1Bps")
    connection = ask(emulator, upload)
    assert [connection.sock.recv(65536) for _ in range(3)] == [b"H", b"T", b"T"], "a byte at a time"
    connection.close()
    once(emulator)


def test_c07_slow_reply_comes_in_the_end(emulator, upload):
    fault(emulator, "query", "slow-reply-1000Bps")
    assert emulator.query(upload.location, upload.token).status == 308


def test_c10_connection_closed_after_a_promise_to_keep_it(emulator, upload):
    fault(emulator, "query", "close-after-reply")
    connection = emulator.connect()
    target = upload.location[upload.location.index("/upload"):]
    headers = {"Authorization": "Bearer " + upload.token, "Content-Range": "bytes */*", "Content-Length": "0"}
    connection.request("PUT", target, headers=headers)
    response = connection.getresponse()
    assert response.status == 308 and response.headers["Connection"] is None
    response.read()
    with pytest.raises(BROKEN):
        connection.request("PUT", target, headers=headers)
        connection.getresponse()
    connection.close()
    once(emulator)


def test_p16_late_reply(emulator, token):
    fault(emulator, "start", "delay-reply-1s", delay_ms=300)
    begin = time.monotonic()
    emulator.start(token, 10)
    assert time.monotonic() - begin >= 0.3
    once(emulator)


# ---- less is kept than was sent, and replies that get lost


@pytest.mark.parametrize("do,stored", [("keep-100K", 102400), ("keep-1B", 1), ("keep-256K", BLOCK)])
def test_p02_keeps_less(emulator, upload, do, stored):
    fault(emulator, "put", do)
    reply = upload.put()
    assert (reply.status, reply.headers["Range"]) == (308, f"bytes=0-{stored - 1}")
    assert upload.stored() == stored
    upload.finish()
    once(emulator)


def test_p01_keeps_nothing(emulator, upload):
    fault(emulator, "put", "keep-none")
    reply = upload.put(0, BLOCK)
    assert reply.status == 308 and "Range" not in reply.headers
    upload.finish()
    once(emulator)


def test_bytes_sent_twice_are_counted(emulator, upload):
    fault(emulator, "put", "keep-100K")
    upload.put()
    video = upload.finish()
    assert video["received_bytes"] - video["bytes"] == len(upload.data) - 102400


@pytest.mark.parametrize("first,end", [(0, BLOCK), (0, None)])
@pytest.mark.parametrize("do", ["keep-all-then-500", "keep-all-then-503", "keep-all-then-reset", "keep-all-then-none"])
def test_p14_all_is_stored_and_the_reply_lost(emulator, upload, do, first, end):
    fault(emulator, "put", do)
    if do.endswith("0") or do.endswith("3"):
        assert upload.put(first, end).status == int(do[-3:])
    else:
        with pytest.raises(BROKEN):
            upload.put(first, end)
    assert upload.stored() == (end or len(upload.data))
    upload.finish()
    once(emulator)


def test_all_stored_and_not_final_until_queried(emulator, upload):
    fault(emulator, "put-final", "stored-not-final")
    reply = upload.put()
    assert (reply.status, reply.headers["Range"]) == (308, f"bytes=0-{len(upload.data) - 1}")
    assert emulator.videos() == []
    assert emulator.query(upload.location, upload.token, len(upload.data)).status == 201
    upload.finish()
    once(emulator)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("on", ["put", "query"])
def test_h09_session_gone(emulator, upload, status, on):
    fault(emulator, on, f"session-gone-{status}")
    reply = upload.put() if on == "put" else emulator.query(upload.location, upload.token)
    assert reply.status == status
    assert emulator.query(upload.location, upload.token).status == status, "for good"
    once(emulator)


# ---- lies in heads


@pytest.mark.parametrize("text", ["bytes=0-99", "0-99", "bytes=5-9", "bytes=0-1,5-9", "bytes=0-18446744073709551616",
                                  "bytes=-5", "bytes=0-99999999"])
def test_p05_range_says_anything(emulator, upload, text):
    fault(emulator, "put", "range-" + text)
    reply = upload.put(0, BLOCK)
    assert (reply.status, reply.headers["Range"]) == (308, text)
    assert upload.stored() == BLOCK, "a lie in the reply only"
    once(emulator)


def test_p01_range_missing(emulator, upload):
    fault(emulator, "put", "range-missing")
    reply = upload.put(0, BLOCK)
    assert reply.status == 308 and "Range" not in reply.headers


@pytest.mark.parametrize("text", ["https://evil.example/upload", "/relative", "http://127.0.0.1/", "",
                                  "https://user:pw@127.0.0.1/", "https://127.0.0.1/" + "x" * 8192])
def test_p10_location_says_anything(emulator, token, text):
    fault(emulator, "start", "location-" + (text or "missing"))
    assert emulator.start_reply(token, 10).headers["Location"] == (text or None)
    once(emulator)


def test_p11_new_location_of_the_same_session(emulator, upload):
    fault(emulator, "put", "new-location")
    location = upload.put(0, BLOCK).headers["Location"]
    assert location != upload.location
    upload.location = location
    assert upload.stored() == BLOCK
    upload.finish()
    once(emulator)


def test_p07_unasked_override(emulator, upload):
    fault(emulator, "put", "override-308")
    reply = upload.put(0, BLOCK)
    assert (reply.status, reply.headers["X-HTTP-Status-Code-Override"]) == (200, "308")
    upload.finish()


def test_final_status_200(emulator, upload):
    fault(emulator, "put", "status-200-final")
    assert upload.put().status == 200
    emulator.settings(final_status=200)
    assert emulator.query(upload.location, upload.token).status == 200


@pytest.mark.parametrize("options,status", [({}, 307), ({"status": 302}, 302)])
def test_h14_redirect(emulator, upload, options, status):
    fault(emulator, "put", "redirect-https://evil.example/", **options)
    reply = upload.put()
    assert (reply.status, reply.headers["Location"]) == (status, "https://evil.example/")
    once(emulator)


def ask(emulator, upload):
    """Sends a query and leaves the reply to be read."""
    connection = emulator.connect()
    connection.putrequest("PUT", upload.location[upload.location.index("/upload"):])
    connection.putheader("Authorization", "Bearer " + upload.token)
    connection.putheader("Content-Range", "bytes */*")
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    return connection


def raw_reply(emulator, upload):
    """The bytes of the reply to a query, before any library judges them."""
    connection = ask(emulator, upload)
    data = b""
    while piece := connection.sock.recv(65536):
        data += piece
    connection.close()
    return data


def test_p12_header_flood(emulator, upload):
    fault(emulator, "query", "header-flood")
    head = raw_reply(emulator, upload).split(b"\r\n\r\n")[0]
    assert len(head) > 900_000 and head.startswith(b"HTTP/1.1 308 ")


@pytest.mark.parametrize("do,pattern", [
    ("double-length", rb"Content-Length: 0\r\n(?s:.*)Content-Length: 7\r\n"),
    ("length-and-chunked", rb"Content-Length: 0\r\n(?s:.*)Transfer-Encoding: chunked\r\n"),
    ("bad-header", rb"X-Broken: a\0b\r\nno colon here\r\n"),
])
def test_p12_broken_heads(emulator, upload, do, pattern):
    fault(emulator, "query", do)
    assert re.search(pattern, raw_reply(emulator, upload))
    once(emulator)


# ---- lies in bodies


def test_h15_huge_body(emulator, upload):
    fault(emulator, "put", "huge-body")
    reply = upload.put()
    assert reply.status == 503 and len(reply.body) == 10 << 20
    once(emulator)


def test_h15_gzip_bomb(emulator, upload):
    fault(emulator, "put", "gzip-bomb")
    reply = upload.put()
    assert reply.headers["Content-Encoding"] == "gzip" and len(reply.body) < 300_000
    assert gzip.decompress(reply.body) == b"\0" * (32 << 20)


@pytest.mark.parametrize("do", ["return-corrupted-data", "not-json", "empty-body"])
def test_h13_final_body_is_no_json(emulator, upload, do):
    fault(emulator, "put", do)
    reply = upload.put()
    assert reply.status == 201
    with pytest.raises(ValueError):
        reply.json()
    assert "id" in emulator.query(upload.location, upload.token).json(), "the query tells the truth"
    once(emulator)


def test_h13_final_body_without_id(emulator, upload):
    fault(emulator, "put", "no-id")
    reply = upload.put()
    assert reply.status == 201 and "id" not in reply.json()


def test_p09_another_id_each_time(emulator, upload):
    fault(emulator, "put", "other-id")
    first = upload.put().json()["id"]
    assert first != emulator.query(upload.location, upload.token).json()["id"]


def listed(emulator, upload, part):
    video = emulator.videos()[0]["id"]
    reply = emulator.request("GET", f"/youtube/v3/videos?part={part}&id={video}", token=upload.token)
    return reply.json()["items"]


def test_p08_wrong_size(emulator, upload):
    fault(emulator, "put", "wrong-size")
    wrong = str(len(upload.data) + 1)
    assert upload.put().json()["fileDetails"]["fileSize"] == wrong
    assert listed(emulator, upload, "fileDetails")[0]["fileDetails"]["fileSize"] == wrong


def test_p08_wrong_title(emulator, upload):
    fault(emulator, "put", "wrong-title")
    title = upload.put().json()["snippet"]["title"]
    assert title != "A title" and listed(emulator, upload, "snippet")[0]["snippet"]["title"] == title


def test_other_privacy(emulator, upload):
    fault(emulator, "put", "other-privacy")
    assert upload.put().json()["status"]["privacyStatus"] == "public"
    assert listed(emulator, upload, "status")[0]["status"]["privacyStatus"] == "public"


def test_p15_video_vanishes(emulator, upload):
    fault(emulator, "put", "video-vanishes")
    assert upload.put().status == 201
    assert listed(emulator, upload, "id") == []
    assert emulator.videos()[0]["hidden"]


def test_every_word_is_explained_and_tested():
    """The table in the source, the README and these tests name the same words."""
    source = (ROOT / "emulator" / "faults_words.c").read_text()
    table = re.findall(r'^\s*\{"([a-zA-Z0-9%-]+)",\s*FAULT_', source, re.MULTILINE)
    readme = (ROOT / "emulator" / "README.md").read_text()
    here = pathlib.Path(__file__).parent
    tests = "".join(path.read_text() for path in sorted(here.glob("test_emulator_fault*.py")))
    assert len(table) > 40
    for pattern in table:
        shown = re.sub("%(.)", lambda place: {"N": "N", "K": "Y", "B": "Y", "T": "T", "S": "TEXT"}[place[1]], pattern)
        assert f"`{shown}`" in readme, shown
        stem = pattern.split("%")[0]
        assert stem in tests, stem
