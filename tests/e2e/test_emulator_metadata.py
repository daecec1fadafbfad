"""The emulator refuses metadata as YouTube does: reason by reason, at the exact limits."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import UPLOAD_PATH  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403

ALL_PARTS = "snippet,status,localizations,recordingDetails,paidProductPlacementDetails"


def resource(snippet=None, status=None, **sections):
    return {"snippet": {"title": "T", **(snippet or {})},
            "status": {"privacyStatus": "private", **(status or {})}, **sections}


def start(emulator, token, metadata, part=ALL_PARTS):
    return emulator.start_reply(token, 10, metadata=metadata, part=part)


GOOD = [
    resource({"title": "x" * 100}),
    resource({"title": "é" * 100}),
    resource({"description": "x" * 5000}),
    resource({"description": "é" * 2500}),
    resource({"tags": ["x" * 500]}),
    resource({"tags": ["a" * 249, "b" * 250]}),
    resource({"tags": ["a " + "b" * 496]}),
    resource({"tags": []}),
    resource({"categoryId": "22"}),
    resource({"defaultLanguage": "en-GB", "defaultAudioLanguage": "zh-Hant-TW"}),
    resource(status={"publishAt": "2030-01-01T00:00:00Z"}),
    resource(status={"license": "creativeCommon", "embeddable": False, "selfDeclaredMadeForKids": True}),
    resource({"defaultLanguage": "en"}, localizations={"de": {"title": "Titel", "description": "Text"}}),
    resource(recordingDetails={"recordingDate": "2026-05-01"}),
    resource(paidProductPlacementDetails={"hasPaidProductPlacement": True}),
]

BAD = [
    (resource({"title": ""}), 400, "invalidTitle"),
    ({"status": {"privacyStatus": "private"}}, 400, "invalidTitle"),
    (resource({"title": "x" * 101}), 400, "invalidTitle"),
    (resource({"title": "é" * 101}), 400, "invalidTitle"),
    (resource({"title": "a<b"}), 400, "invalidTitle"),
    (resource({"title": "a>b"}), 400, "invalidTitle"),
    (resource({"title": 7}), 400, "invalidTitle"),
    (resource({"description": "x" * 5001}), 400, "invalidDescription"),
    (resource({"description": "é" * 2501}), 400, "invalidDescription"),
    (resource({"description": "<b>"}), 400, "invalidDescription"),
    (resource({"tags": ["x" * 501]}), 400, "invalidTags"),
    (resource({"tags": ["a" * 250, "b" * 250]}), 400, "invalidTags"),
    (resource({"tags": ["a " + "b" * 497]}), 400, "invalidTags"),
    (resource({"tags": "one"}), 400, "invalidTags"),
    (resource({"categoryId": 22}), 400, "invalidCategoryId"),
    (resource({"categoryId": "44"}), 400, "invalidCategoryId"),
    (resource({"categoryId": "999"}), 400, "invalidCategoryId"),
    (resource(localizations={"de": {"title": "Titel"}}), 400, "defaultLanguageNotSet"),
    (resource({"defaultLanguage": "english"}), 400, "invalidVideoMetadata"),
    (resource({"defaultLanguage": "en"}, localizations={"de": {"title": ""}}), 400, "invalidVideoMetadata"),
    (resource(status={"privacyStatus": "secret"}), 403, "forbiddenPrivacySetting"),
    (resource(status={"license": "mit"}), 403, "forbiddenLicenseSetting"),
    (resource(status={"publishAt": "tomorrow"}), 400, "invalidPublishAt"),
    (resource(status={"publishAt": "2030-01-01T00:00:00Z", "privacyStatus": "unlisted"}), 400, "invalidPublishAt"),
    (resource(status={"embeddable": "yes"}), 400, "invalidVideoMetadata"),
    (resource(recordingDetails={"recordingDate": "May"}), 400, "invalidRecordingDetails"),
    (resource(recordingDetails=[]), 400, "invalidVideoMetadata"),
]


@pytest.mark.parametrize("metadata", GOOD, ids=range(len(GOOD)))
def test_good_metadata(emulator, token, metadata):
    assert start(emulator, token, metadata).status == 200


@pytest.mark.parametrize("metadata,status,reason", BAD, ids=[f"{reason}-{i}" for i, (_, _, reason) in enumerate(BAD)])
def test_h11_bad_metadata(emulator, token, metadata, status, reason):
    reply = start(emulator, token, metadata)
    assert (reply.status, reply.reason()) == (status, reason)
    assert emulator.ctl("sessions") == []


def test_error_has_googles_shape(emulator, token):
    error = start(emulator, token, resource({"title": ""})).json()["error"]
    detail = error["errors"][0]
    assert (error["code"], error["message"]) == (400, detail["message"])
    assert detail["domain"] == "youtube.video" and detail["location"] == "body.snippet.title"


@pytest.mark.parametrize("body,content_type,reason", [
    (b"{", "application/json", "parseError"),
    (b"[]", "application/json", "parseError"),
    (b"", "application/json", "parseError"),
    (b'{"snippet": {"title": "T"}}', "text/plain", "badRequest"),
])
def test_bad_body(emulator, token, body, content_type, reason):
    reply = emulator.request("POST", UPLOAD_PATH + "?uploadType=resumable&part=snippet", body=body, token=token,
                             headers={"Content-Type": content_type})
    assert (reply.status, reply.reason()) == (400, reason)


@pytest.mark.parametrize("part,reason", [("", "required"), ("snippet,nonsense", "invalidParameter")])
def test_bad_part(emulator, token, part, reason):
    assert start(emulator, token, resource(), part=part).reason() == reason


@pytest.mark.parametrize("headers,status,reason", [
    ({"Slug": "a/b.mp4"}, 400, "invalidFilename"),
    ({"X-Upload-Content-Type": "image/png"}, 400, "badRequest"),
    ({"X-Upload-Content-Length": "-1"}, 400, "badRequest"),
    ({"X-Upload-Content-Length": "274877906945"}, 413, "uploadTooLarge"),
])
def test_bad_headers(emulator, token, headers, status, reason):
    reply = emulator.start_reply(token, headers=headers)
    assert (reply.status, reply.reason()) == (status, reason)


@pytest.mark.parametrize("size", [2**31, 2**32 + 1, 274877906944])
def test_f11_large_sizes_are_exact(emulator, token, size):
    emulator.start(token, size)
    assert emulator.ctl("sessions")[0]["total_bytes"] == size


def upload(emulator, token, metadata, part=ALL_PARTS):
    reply = emulator.put(emulator.start(token, 4, metadata=metadata, part=part), token, b"data")
    assert reply.status == 201
    return reply.json()


def test_reply_shows_the_parts_asked_for(emulator, token):
    video = upload(emulator, token, resource({"tags": ["a", "b"], "categoryId": "10"}), "snippet,status")
    assert set(video) == {"kind", "etag", "id", "snippet", "status"}
    assert video["snippet"]["tags"] == ["a", "b"] and video["snippet"]["categoryId"] == "10"
    assert video["status"]["uploadStatus"] == "uploaded"


def test_omitted_privacy_is_public(emulator, token):
    assert upload(emulator, token, {"snippet": {"title": "T"}, "status": {}})["status"]["privacyStatus"] == "public"


def test_status_outside_of_part_is_ignored_and_the_video_public(emulator, token):
    """The trap: a privacyStatus in the body does not count unless `part` names `status`."""
    upload(emulator, token, resource(), "snippet")
    assert emulator.videos()[0]["metadata"]["status"]["privacyStatus"] == "public"


def test_publish_at_publishes_on_time_and_in_the_past_at_once(emulator, channel):
    march, november = {"publishAt": "2030-03-01T00:00:00Z"}, {"publishAt": "2030-11-01T00:00:00Z"}
    emulator.ctl("clock", {"now_ms": 1_900_000_000_000})  # 2030-03-17
    token = emulator.access_token(channel["id"])
    assert upload(emulator, token, resource(status=march))["status"]["privacyStatus"] == "public"
    later = upload(emulator, token, resource(status=november))
    assert later["status"]["privacyStatus"] == "private"
    emulator.ctl("clock", {"now_ms": 1_920_000_000_000})  # 2030-11-04
    token = emulator.access_token(channel["id"])
    listed = emulator.request("GET", "/youtube/v3/videos?part=status&id=" + later["id"], token=token).json()
    assert listed["items"][0]["status"]["privacyStatus"] == "public"
