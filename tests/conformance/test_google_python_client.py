"""Google's own Python client (Debian's python3-googleapi), unmodified, uploads to the emulator.

Cases that exist in google-api-python-client's tests/test_discovery.py carry their names.
"""

import hashlib
import io
import json
import os
import pathlib
import sys

import pytest

pytest.importorskip("googleapiclient")
import google.oauth2.credentials  # noqa: E402
import google_auth_httplib2  # noqa: E402
from googleapiclient.discovery import build_from_document  # noqa: E402
from googleapiclient.errors import HttpError, ResumableUploadError  # noqa: E402
from googleapiclient.http import MediaFileUpload, MediaIoBaseUpload, build_http  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import BLOCK  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403

HERE = pathlib.Path(__file__).resolve().parent
BODY = {"snippet": {"title": "From Python", "categoryId": "22"}, "status": {"privacyStatus": "unlisted"}}


@pytest.fixture
def youtube(emulator, channel):
    """The client with credentials that it refreshes itself, at the emulator's token endpoint."""
    client = emulator.client()
    tokens = emulator.tokens(channel["id"])
    credentials = google.oauth2.credentials.Credentials(
        None, refresh_token=tokens["refresh_token"], token_uri=client["token_uri"], client_id=client["client_id"],
        client_secret=client["client_secret"])
    http = build_http()
    http.ca_certs = emulator.ca
    document = json.loads((HERE / "discovery.json").read_text())
    document["rootUrl"] = emulator.url + "/"
    return build_from_document(document, http=google_auth_httplib2.AuthorizedHttp(credentials, http=http))


@pytest.fixture
def data():
    return os.urandom(3 * BLOCK + 1234)


class InMemory(MediaIoBaseUpload):
    """Chunks as bytes instead of streams: the client repeats a request after a 503, and httplib2 does when a connection
    ends without a reply, but a stream is at its end by then."""

    def has_stream(self):
        return False


def insert(youtube, data, chunksize=-1, resumable=True, body=None, media_class=MediaIoBaseUpload):
    media = media_class(io.BytesIO(data), "video/mp4", chunksize=chunksize, resumable=resumable)
    return youtube.videos().insert(part="snippet,status", body=body or BODY, media_body=media)


def drive(request, attempts=10):
    """What a program does: next_chunk until there is a video, again after each error."""
    for _ in range(attempts):
        try:
            _, response = request.next_chunk()
        except (HttpError, OSError):
            continue
        if response:
            return response
    raise AssertionError("no end")


def check(emulator, response, data):
    videos = emulator.videos()
    assert [video["id"] for video in videos] == [response["id"]]
    assert videos[0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert emulator.ctl("violations") == []


# ---- without faults


@pytest.mark.parametrize("chunksize", [-1, BLOCK, 2 * BLOCK])
def test_resumable(emulator, youtube, data, chunksize):
    response = insert(youtube, data, chunksize).execute()
    check(emulator, response, data)
    assert response["status"]["privacyStatus"] == "unlisted"
    pieces = 1 if chunksize == -1 else -(-len(data) // chunksize)
    assert len([entry for entry in emulator.journal() if entry["op"].startswith("put")]) == pieces


def test_progress_of_each_chunk(emulator, youtube, data):
    request = insert(youtube, data, BLOCK)
    seen = []
    response = None
    while response is None:
        status, response = request.next_chunk()
        seen.append(status.resumable_progress if status else None)
    assert seen == [BLOCK, 2 * BLOCK, 3 * BLOCK, None]


def test_multipart(emulator, youtube, data):
    check(emulator, insert(youtube, data, resumable=False).execute(), data)
    assert [entry["op"] for entry in emulator.journal()][-1] == "insert"


def test_media_file_upload(emulator, youtube, data, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(data)
    media = MediaFileUpload(str(tmp_path / "clip.mp4"), chunksize=BLOCK, resumable=True)
    check(emulator, youtube.videos().insert(part="snippet", body=BODY, media_body=media).execute(), data)


def test_lists(emulator, youtube, channel, data):
    video = insert(youtube, data).execute()["id"]
    mine = youtube.channels().list(part="id,contentDetails", mine=True).execute()["items"][0]
    assert mine["id"] == channel["id"]
    uploads = mine["contentDetails"]["relatedPlaylists"]["uploads"]
    items = youtube.playlistItems().list(part="contentDetails", playlistId=uploads).execute()["items"]
    assert [item["contentDetails"]["videoId"] for item in items] == [video]
    listed = youtube.videos().list(part="fileDetails", id=video).execute()["items"][0]
    assert listed["fileDetails"]["fileSize"] == str(len(data))


def test_refreshes_its_token_when_it_is_refused(emulator, youtube, data):
    """In one piece only: of a chunk this client cannot send the bytes a second time."""
    emulator.faults({"on": "put", "do": "return-401"})
    check(emulator, insert(youtube, data).execute(), data)
    assert len(emulator.journal(op="token")) == 2


# ---- with faults


@pytest.mark.parametrize("fault", [
    {"on": "put", "nth": 2, "do": "return-503"},
    {"on": "put", "nth": 2, "do": "return-503-after-100K"},
    {"on": "put", "nth": 2, "do": "return-reset-connection-after-100K"},
    {"on": "put", "nth": 2, "do": "return-broken-stream-after-100K"},
    {"on": "put", "nth": 2, "do": "keep-100K"},
    {"on": "put", "nth": 2, "do": "keep-none"},
    {"on": "put", "nth": 2, "do": "keep-all-then-500"},
    {"on": "put-final", "do": "keep-all-then-500"},
    {"on": "put-final", "do": "keep-all-then-none"},
    {"on": "put-final", "do": "return-broken-stream-final-chunk-after-100B"},
    {"on": "put-final", "do": "stored-not-final"},
], ids=lambda fault: fault["do"])
def test_resumes(emulator, youtube, data, fault):
    emulator.faults(fault)
    request = insert(youtube, data, BLOCK, media_class=InMemory)
    if fault["do"] == "stored-not-final":
        # The client believes a 308 at the end and would send an empty chunk: it asks only after an error.
        while request.resumable_progress < len(data):
            request.next_chunk()
        request._in_error_state = True
    check(emulator, drive(request), data)
    assert emulator.consumed() == [1]


def test_retries_by_itself(emulator, youtube, data):
    emulator.faults({"on": "put", "do": "return-503", "times": 2})
    request = insert(youtube, data, BLOCK, media_class=InMemory)
    request._sleep = lambda seconds: None
    check(emulator, request.execute(num_retries=3), data)


def test_resumable_multipart_media_good_upload(emulator, youtube, data):
    """308 without Range, then with less and more, a new Location each time."""
    emulator.faults({"on": "put", "nth": 1, "do": "keep-none"}, {"on": "put", "nth": 2, "do": "keep-13B"},
                    {"on": "put", "nth": 3, "times": 10, "do": "new-location"})
    request = insert(youtube, data, BLOCK)
    assert request.next_chunk()[0].resumable_progress == 0
    assert request.next_chunk()[0].resumable_progress == 13
    location = request.resumable_uri
    assert request.next_chunk()[0].resumable_progress == 13 + BLOCK
    assert request.resumable_uri != location
    check(emulator, drive(request), data)


def test_resumable_media_fail_unknown_response_code_first_request(emulator, youtube, data):
    emulator.faults({"on": "start", "do": "return-400"})
    with pytest.raises(ResumableUploadError):
        insert(youtube, data).execute()


def test_resumable_media_fail_unknown_response_code_subsequent_request(emulator, youtube, data):
    """The reply to the last chunk is an error, and yet it had succeeded: the query answers with the video."""
    emulator.faults({"on": "put-final", "do": "keep-all-then-400"})
    request = insert(youtube, data)
    with pytest.raises(HttpError):
        request.execute()
    assert request._in_error_state
    check(emulator, request.execute(), data)


class Stream(io.BytesIO):
    """Of unknown length."""

    def seekable(self):
        return False


class UnknownSize(MediaIoBaseUpload):
    def size(self):
        return None

    def has_stream(self):
        return False


def test_resumable_media_handle_uploads_of_unknown_size(emulator, youtube, data):
    media = UnknownSize(Stream(data), "video/mp4", chunksize=BLOCK, resumable=True)
    request = youtube.videos().insert(part="snippet", body=BODY, media_body=media)
    check(emulator, request.execute(), data)
    ranges = [entry["content_range"] for entry in emulator.journal() if entry["op"].startswith("put")]
    assert ranges[0] == f"bytes 0-{BLOCK - 1}/*" and ranges[-1].endswith(f"/{len(data)}")


def test_resumable_media_handle_resume_of_upload_of_unknown_size(emulator, youtube, data):
    emulator.faults({"on": "put", "nth": 2, "do": "return-500-after-10K"})
    media = UnknownSize(Stream(data), "video/mp4", chunksize=BLOCK, resumable=True)
    request = youtube.videos().insert(part="snippet", body=BODY, media_body=media)
    check(emulator, drive(request), data)
    assert emulator.journal(op="query")[0]["content_range"] == "bytes */*"


@pytest.mark.parametrize("chunksize", [BLOCK, 2 * BLOCK])
def test_media_io_base_stream_chunksize_resume(emulator, youtube, data, chunksize):
    emulator.faults({"on": "put", "do": "return-503-after-200K"})
    request = insert(youtube, data, chunksize)
    with pytest.raises(HttpError):
        request.next_chunk()
    check(emulator, drive(request), data)


def test_media_io_base_stream_unlimited_chunksize_resume(emulator, youtube, data):
    """In one piece this version goes on with a wrong last byte (TOTAL - STORED - 1) and more bytes than it announces.
    The emulator does not take that."""
    emulator.faults({"on": "put", "do": "return-503-after-200K"})
    request = insert(youtube, data)
    with pytest.raises(HttpError):
        request.next_chunk()
    with pytest.raises((HttpError, OSError)):
        request.next_chunk()
    assert emulator.journal()[-1]["content_range"] == f"bytes 204800-{len(data) - 204800 - 1}/{len(data)}"
    assert emulator.journal()[-1]["status"] == 400
    assert emulator.videos() == []


def test_errors_are_read(emulator, youtube, data):
    with pytest.raises(ResumableUploadError) as refused:
        insert(youtube, data, body={"snippet": {"title": ""}}).execute()
    assert refused.value.resp.status == 400 and b"invalidTitle" in refused.value.content
    emulator.ctl("quota", {"project": 1, "uploads": 0})
    with pytest.raises(HttpError) as spent:
        insert(youtube, data, resumable=False).execute()
    assert spent.value.resp.status == 429 and "per day" in str(spent.value)
