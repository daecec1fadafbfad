"""The emulator's resumable protocol is as strict as Google's guide, and stricter where the guide is silent."""

import hashlib
import os
import pathlib
import socket
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import BLOCK, UPLOAD_PATH  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403


def file_of(size):
    return os.urandom(size)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def only_video(emulator):
    videos = emulator.videos()
    assert len(videos) == 1
    return videos[0]


# ---- the way it should go


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, 3 * BLOCK + 17])
def test_whole_file_in_one_put(emulator, channel, token, size):
    data = file_of(size)
    reply = emulator.put(emulator.start(token, size), token, data)
    assert reply.status == 201
    assert reply.json()["kind"] == "youtube#video" and len(reply.json()["id"]) == 11
    assert reply.headers["ETag"] == reply.json()["etag"]
    video = only_video(emulator)
    assert (video["id"], video["channel"]) == (reply.json()["id"], channel["id"])
    assert (video["bytes"], video["sha256"], video["received_bytes"]) == (size, sha256(data), size)


def test_chunks_and_the_range_of_each(emulator, token):
    data = file_of(2 * BLOCK + 100)
    location = emulator.start(token, len(data))
    first = emulator.put(location, token, data[:BLOCK], 0, len(data))
    assert (first.status, first.headers["Range"], first.body) == (308, "bytes=0-262143", b"")
    assert emulator.put(location, token, data[BLOCK:2 * BLOCK], BLOCK, len(data)).status == 308
    assert emulator.put(location, token, data[2 * BLOCK:], 2 * BLOCK, len(data)).status == 201
    assert only_video(emulator)["sha256"] == sha256(data)


@pytest.mark.parametrize("path", [UPLOAD_PATH, "/resumable" + UPLOAD_PATH])
def test_both_upload_paths(emulator, token, path):
    location = emulator.start(token, 5, path=path)
    assert path in location
    assert emulator.put(location, token, b"bytes").status == 201


def test_post_is_as_good_as_put(emulator, token):
    location = emulator.start(token, BLOCK + 1)
    data = file_of(BLOCK + 1)
    assert emulator.put(location, token, data[:BLOCK], 0, len(data), method="POST").status == 308
    assert emulator.put(location, token, data[BLOCK:], BLOCK, len(data), method="POST").status == 201
    assert only_video(emulator)["sha256"] == sha256(data)


def test_query_tells_what_is_stored(emulator, token):
    data = file_of(BLOCK + 1)
    location = emulator.start(token, len(data))
    for total in (len(data), "*"):
        nothing = emulator.query(location, token, total)
        assert nothing.status == 308 and "Range" not in nothing.headers
    emulator.put(location, token, data[:BLOCK], 0, len(data))
    for total in (len(data), "*"):
        assert emulator.query(location, token, total).headers["Range"] == "bytes=0-262143"


def test_final_reply_is_repeated_for_queries_and_for_more_bytes(emulator, token):
    data = file_of(1000)
    location = emulator.start(token, len(data))
    final = emulator.put(location, token, data)
    again = [
        emulator.query(location, token, len(data)),
        emulator.query(location, token),
        emulator.put(location, token, data),
        emulator.put(location, token, b"more", 1000, 1004),
    ]
    assert [reply.status for reply in again] == [201] * 4
    assert {reply.json()["id"] for reply in again} == {final.json()["id"]}
    video = only_video(emulator)
    assert video["sha256"] == sha256(data)
    assert video["received_bytes"] == 2 * len(data) + 4, "all that was sent is counted, also what was not needed"


def test_total_learnt_late(emulator, token):
    data = file_of(BLOCK + 7)
    location = emulator.start(token)
    assert emulator.put(location, token, data[:BLOCK], 0).status == 308
    assert emulator.put(location, token, data[BLOCK:], BLOCK, len(data)).status == 201
    assert only_video(emulator)["sha256"] == sha256(data)


def test_open_ended_content_range(emulator, token):
    data = file_of(BLOCK + 7)
    location = emulator.start(token, len(data))
    reply = emulator.put(location, token, data, content_range=f"bytes 0-*/{len(data)}")
    assert reply.status == 201
    assert only_video(emulator)["sha256"] == sha256(data)


def test_empty_file_becomes_a_failed_video(emulator, token):
    location = emulator.start(token, 0)
    reply = emulator.query(location, token, 0)
    assert reply.status == 201
    emulator.advance(10_000)
    listed = emulator.request("GET", "/youtube/v3/videos?part=status&id=" + reply.json()["id"], token=token)
    assert listed.json()["items"][0]["status"]["failureReason"] == "emptyFile"


def test_cancel(emulator, token):
    location = emulator.start(token, 100)
    cancelled = emulator.cancel(location, token)
    assert (cancelled.status, cancelled.body) == (499, b"")
    assert emulator.put(location, token, b"x" * 100).status == 404
    assert emulator.query(location, token).status == 404
    assert emulator.videos() == []


def test_no_308_is_honoured(emulator, token):
    location = emulator.start(token, 2 * BLOCK)
    reply = emulator.put(location, token, b"x" * BLOCK, 0, 2 * BLOCK, headers={"X-GUploader-No-308": "yes"})
    assert (reply.status, reply.headers["X-HTTP-Status-Code-Override"]) == (200, "308")
    assert reply.headers["Range"] == "bytes=0-262143"


def test_upload_id_header_is_the_sessions_secret(emulator, token):
    reply = emulator.start_reply(token, 5)
    assert reply.headers["X-GUploader-UploadID"] in reply.headers["Location"]
    text = str(emulator.journal()) + str(emulator.ctl("sessions"))
    assert reply.headers["X-GUploader-UploadID"] not in text and token not in text


# ---- strictness


def test_offset_ahead_is_503_in_plain_text(emulator, token):
    location = emulator.start(token, 4 * BLOCK)
    emulator.put(location, token, b"x" * BLOCK, 0, 4 * BLOCK)
    reply = emulator.put(location, token, b"x" * BLOCK, 2 * BLOCK, 4 * BLOCK)
    assert reply.status == 503 and reply.headers["Content-Type"].startswith("text/plain")
    assert b"upload offset is 524288 byte(s), which exceeds already uploaded size of 262144 byte(s)." in reply.body
    assert emulator.query(location, token).headers["Range"] == "bytes=0-262143"


def test_overlapping_block_is_not_stored_at_all(emulator, token):
    data = file_of(3 * BLOCK)
    location = emulator.start(token, len(data))
    emulator.put(location, token, data[:BLOCK], 0, len(data))
    reply = emulator.put(location, token, data[:2 * BLOCK], 0, len(data))
    assert (reply.status, reply.headers["Range"]) == (308, "bytes=0-262143")
    assert emulator.put(location, token, data[BLOCK:], BLOCK, len(data)).status == 201
    assert only_video(emulator)["sha256"] == sha256(data)


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK + 1])
def test_chunk_that_is_no_multiple_of_256_kib(emulator, token, length):
    location = emulator.start(token, 4 * BLOCK)
    reply = emulator.put(location, token, b"x" * length, 0, 4 * BLOCK)
    assert (reply.status, reply.reason()) == (400, "badRequest")
    assert "Range" not in emulator.query(location, token).headers


def test_length_counts_and_not_the_offset(emulator, token):
    """After a partial store the next chunk begins anywhere, and its length is still a multiple."""
    data = file_of(2 * BLOCK + 1000)
    emulator.faults({"on": "put", "do": "keep-1000B"})
    location = emulator.start(token, len(data))
    assert emulator.put(location, token, data[:BLOCK], 0, len(data)).headers["Range"] == "bytes=0-999"
    assert emulator.put(location, token, data[1000:1000 + BLOCK], 1000, len(data)).status == 308
    assert emulator.put(location, token, data[1000 + BLOCK:], 1000 + BLOCK, len(data)).status == 201
    assert only_video(emulator)["sha256"] == sha256(data)


@pytest.mark.parametrize("content_range", [
    "bytes 0-99/101",     # another total than announced
    "bytes 0-98/100",     # Content-Length says 100
    "bytes 0-100/100",    # ends behind the total
    "none", "bytes 20", "bytes 1/4", "bytes start-20/100", "bytes 20-end/100", "bytes 100-200/total",
    "bytes 9-0/100", "bytes -1-99/100", "bytes 0-99/99999999999999999999", "octets 0-99/100", "bytes 0-99/100x",
])
def test_bad_content_range(emulator, token, content_range):
    location = emulator.start(token, 100)
    assert emulator.put(location, token, b"x" * 100, content_range=content_range).status == 400
    assert emulator.videos() == []


def test_whole_file_of_another_length_than_announced(emulator, token):
    location = emulator.start(token, 100)
    assert emulator.put(location, token, b"x" * 99).status == 400
    assert emulator.query(location, token, 99).status == 400
    assert emulator.put(location, token, b"x" * 100).status == 201


def test_chunked_transfer_encoding_is_refused(emulator, token):
    location = emulator.start(token, 10)
    reply = emulator.request("PUT", location, body=iter([b"01234", b"56789"]), token=token)
    assert reply.status == 411


def test_unknown_and_missing_upload_id(emulator, token):
    assert emulator.put(UPLOAD_PATH + "?uploadType=resumable&upload_id=none", token, b"x").status == 404
    reply = emulator.put(UPLOAD_PATH + "?uploadType=resumable", token, b"x")
    assert (reply.status, reply.json()["error"]["errors"][0]["location"]) == (400, "upload_id")


def test_missing_and_wrong_upload_type(emulator, token):
    for query in ("part=snippet", "part=snippet&uploadType=resumible"):
        assert emulator.request("POST", f"{UPLOAD_PATH}?{query}", body={}, token=token).status == 400
    location = emulator.start(token, 1).replace("uploadType=resumable", "uploadType=media")
    assert emulator.put(location, token, b"x").status == 400


def test_upload_to_the_plain_path(emulator, token):
    reply = emulator.request("POST", "/youtube/v3/videos?part=snippet", body={}, token=token)
    assert (reply.status, reply.reason()) == (400, "wrongUrlForUpload")


def test_session_expires_on_the_emulators_clock(emulator, channel, token):
    location = emulator.start(token, 100)
    emulator.advance(7 * 24 * 3600 * 1000 - 1000)
    token = emulator.access_token(channel["id"])
    assert emulator.query(location, token).status == 308
    emulator.advance(2000)
    assert emulator.query(location, token).status == 404
    assert emulator.put(location, token, b"x" * 100).status == 404


@pytest.mark.parametrize("status", [404, 410])
def test_session_ended_by_a_test(emulator, token, status):
    location = emulator.start(token, 100)
    emulator.ctl("sessions", {"session": emulator.ctl("sessions")[0]["session"], "status": status})
    assert emulator.query(location, token).status == status


# ---- whose session


def test_no_token_and_wrong_token(emulator, token):
    location = emulator.start(token, 100)
    for wrong, reason in ((None, "required"), ("ya29.wrong", "authError")):
        reply = emulator.put(location, wrong, b"x" * 100)
        assert (reply.status, reply.reason()) == (401, reason)
        assert emulator.start_reply(wrong).status == 401


def test_expired_token(emulator, token):
    location = emulator.start(token, 100)
    emulator.ctl("expire", {})
    reply = emulator.put(location, token, b"x" * 100)
    assert (reply.status, reply.reason()) == (401, "authError")


def test_i4_token_of_another_channel_is_refused_and_recorded(emulator, channel, other_channel, token):
    location = emulator.start(token, 100)
    stranger = emulator.access_token(other_channel["id"])
    assert emulator.put(location, stranger, b"x" * 100).status == 403
    assert emulator.query(location, stranger).status == 403
    assert emulator.cancel(location, stranger).status == 403
    violations = emulator.ctl("violations")
    assert [line["op"] for line in violations] == ["put-final", "query", "cancel"]
    assert {(line["kind"], line["token_channel"], line["owner_channel"]) for line in violations} == {
        ("wrong-owner", other_channel["id"], channel["id"])}
    assert emulator.put(location, token, b"x" * 100).status == 201


def test_youtube_readonly_may_not_upload(emulator, channel):
    reply = emulator.start_reply(
        emulator.access_token(channel["id"], scope="https://www.googleapis.com/auth/youtube.readonly"))
    assert (reply.status, reply.reason()) == (403, "insufficientPermissions")


@pytest.mark.parametrize("state,status,reason", [
    ("suspended", 403, "authenticatedUserAccountSuspended"),
    ("closed", 403, "authenticatedUserAccountClosed"),
    ("absent", 401, "youtubeSignupRequired"),
])
def test_channels_that_cannot_upload(emulator, state, status, reason):
    channel = emulator.ctl("channels", {"title": state})[0]
    token = emulator.access_token(channel["id"])
    location = emulator.start(token, 10)
    emulator.ctl("channels", {"channel": channel["id"], "state": state})
    for reply in (emulator.start_reply(token), emulator.put(location, token, b"x" * 10)):
        assert (reply.status, reply.reason()) == (status, reason)


# ---- connections that break, and requests that meet


def send_part(emulator, location, token, data, part):
    """Begins a PUT of `data` and breaks off after `part` bytes."""
    connection = emulator.connect()
    connection.putrequest("PUT", location[location.index("/upload"):])
    connection.putheader("Authorization", "Bearer " + token)
    connection.putheader("Content-Length", str(len(data)))
    connection.putheader("Content-Range", f"bytes 0-{len(data) - 1}/{len(data)}")
    connection.endheaders()
    connection.send(data[:part])
    return connection


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it does not happen")


def test_broken_put_leaves_whole_blocks(emulator, token):
    data = file_of(4 * BLOCK)
    location = emulator.start(token, len(data))
    connection = send_part(emulator, location, token, data, 2 * BLOCK + 1234)
    wait_until(lambda: emulator.ctl("sessions")[0]["stored_bytes"] == 2 * BLOCK)
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    assert emulator.query(location, token).headers["Range"] == f"bytes=0-{2 * BLOCK - 1}"
    assert emulator.put(location, token, data[2 * BLOCK:], 2 * BLOCK, len(data)).status == 201
    assert only_video(emulator)["sha256"] == sha256(data)


def test_newer_request_takes_the_session_over(emulator, token):
    data = file_of(2 * BLOCK)
    location = emulator.start(token, len(data))
    old = send_part(emulator, location, token, data, BLOCK)
    wait_until(lambda: emulator.ctl("sessions")[0]["stored_bytes"] == BLOCK)
    assert emulator.query(location, token).headers["Range"] == "bytes=0-262143"
    old.send(data[BLOCK:])
    assert old.getresponse().status == 503
    old.close()
    assert emulator.query(location, token).headers["Range"] == "bytes=0-262143"
    assert emulator.put(location, token, data[BLOCK:], BLOCK, len(data)).status == 201
    assert only_video(emulator)["sha256"] == sha256(data)


# ---- the other two protocols


def multipart(metadata, media, media_type="video/mp4", line_end=b"\r\n"):
    parts = [b"--b0undary", b"Content-Type: application/json", b"", metadata, b"--b0undary",
             b"Content-Type: " + media_type.encode(), b"", media, b"--b0undary--", b""]
    return line_end.join(parts)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_multipart_upload(emulator, token, line_end):
    media = b"\r\n--b0undar" * 1000 + file_of(100_000) + b"\r\n--b0undar\n\r"
    body = multipart(b'{"snippet": {"title": "In one"}, "status": {"privacyStatus": "unlisted"}}', media,
                     line_end=line_end)
    reply = emulator.request(
        "POST", UPLOAD_PATH + "?uploadType=multipart&part=snippet,status", body=body, token=token,
        headers={"Content-Type": "multipart/related; boundary=b0undary"})
    assert reply.status == 200, reply
    assert reply.json()["status"]["privacyStatus"] == "unlisted"
    assert only_video(emulator)["sha256"] == sha256(media)


@pytest.mark.parametrize("body,reason", [
    (multipart(b"{}", b"x"), "invalidTitle"),
    (multipart(b"{", b"x"), "parseError"),
    (multipart(b'{"snippet": {"title": "T"}}', b"x", media_type="text/plain"), "badRequest"),
    (b'--b0undary\r\nContent-Type: application/json\r\n\r\n{}\r\n--b0undary--', "mediaBodyRequired"),
    (multipart(b'{"snippet": {"title": "T"}}', b"x")[:-20], "badRequest"),
])
def test_bad_multipart_upload(emulator, token, body, reason):
    reply = emulator.request("POST", UPLOAD_PATH + "?uploadType=multipart&part=snippet", body=body, token=token,
                             headers={"Content-Type": 'multipart/related; boundary="b0undary"'})
    assert (reply.status, reply.reason()) == (400, reason)
    assert emulator.videos() == []


def test_simple_upload(emulator, token):
    data = file_of(300_000)
    reply = emulator.request("POST", UPLOAD_PATH + "?uploadType=media&part=snippet", body=data, token=token,
                             headers={"Content-Type": "video/mp4", "Slug": "holiday.mp4"})
    assert reply.status == 200 and reply.json()["snippet"]["title"] == "holiday.mp4"
    assert only_video(emulator)["sha256"] == sha256(data)
