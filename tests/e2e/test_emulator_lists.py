"""Lists and the work after an upload: processing, thumbnails, captions, playlists; and the control API itself."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import SCOPE, Emulator  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403


def upload(emulator, token, title="T", privacy="private", size=4, **kwargs):
    metadata = {"snippet": {"title": title}, "status": {"privacyStatus": privacy}}
    reply = emulator.put(emulator.start(token, size, metadata=metadata, **kwargs), token, b"x" * size)
    assert reply.status == 201
    return reply.json()["id"]


def get(emulator, token, path):
    return emulator.request("GET", "/youtube/v3/" + path, token=token)


def items(emulator, token, path):
    reply = get(emulator, token, path)
    assert reply.status == 200, reply
    return reply.json()["items"]


# ---- videos.list


def test_videos_list(emulator, token):
    one, two = upload(emulator, token, headers={"Slug": "one.mp4"}), upload(emulator, token, size=7)
    listed = items(emulator, token, f"videos?part=snippet,fileDetails,processingDetails,status&id={two},none,{one}")
    assert [item["id"] for item in listed] == [two, one]
    assert listed[0]["fileDetails"] == {"fileSize": "7", "fileType": "video"}
    assert listed[1]["fileDetails"]["fileName"] == "one.mp4"
    assert listed[0]["processingDetails"]["processingStatus"] == "processing"
    assert isinstance(listed[0]["processingDetails"]["processingProgress"]["timeLeftMs"], str)


def test_slug_may_stay_unseen(emulator, token):
    emulator.settings(slug_is_file_name=0)
    video = upload(emulator, token, headers={"Slug": "one.mp4"})
    assert "fileName" not in items(emulator, token, f"videos?part=fileDetails&id={video}")[0]["fileDetails"]


def test_owner_only_parts_and_private_videos(emulator, channel, other_channel, token):
    stranger = emulator.access_token(other_channel["id"])
    private, public = upload(emulator, token), upload(emulator, token, privacy="public")
    assert [item["id"] for item in items(emulator, stranger, f"videos?part=snippet&id={private},{public}")] == [public]
    reply = get(emulator, stranger, f"videos?part=fileDetails&id={public}")
    assert (reply.status, reply.reason()) == (403, "forbidden")


def test_repeated_parameters_are_as_good_as_commas(emulator, token):
    one, two = upload(emulator, token), upload(emulator, token)
    listed = items(emulator, token, f"videos?part=snippet&part=status&id={one}&id={two}")
    assert [set(item) for item in listed] == [{"kind", "etag", "id", "snippet", "status"}] * 2


def test_at_most_fifty_ids(emulator, token):
    ids = ",".join(["x"] * 50)
    assert get(emulator, token, "videos?part=id&id=" + ids).status == 200
    assert get(emulator, token, "videos?part=id&id=" + ids + ",x").status == 400


@pytest.mark.parametrize("scope,status", [("youtube", 200), ("youtube.readonly", 200), ("youtube.force-ssl", 200),
                                          ("youtubepartner", 200), ("youtube.upload", 403)])
def test_scopes_for_reading(emulator, channel, scope, status):
    token = emulator.access_token(channel["id"], scope=SCOPE + scope)
    assert get(emulator, token, "videos?part=id&id=x").status == status
    assert get(emulator, token, "channels?part=id&mine=true").status == status


@pytest.mark.parametrize("result,reason,field", [
    ("processed", None, None), ("failed", "codec", "failureReason"), ("rejected", "duplicate", "rejectionReason")])
def test_processing(emulator, channel, token, result, reason, field):
    emulator.ctl("processing", {"channel": channel["id"], "result": result, "reason": reason or ""})
    video = upload(emulator, token)
    path = f"videos?part=status,processingDetails&id={video}"
    assert items(emulator, token, path)[0]["status"]["uploadStatus"] == "uploaded"
    emulator.advance(2001)
    status = items(emulator, token, path)[0]["status"]
    assert status["uploadStatus"] == result
    assert not field or status[field] == reason


# ---- channels.list


def test_channels_list(emulator, channel, token):
    item = items(emulator, token, "channels?part=id,snippet,contentDetails,status&mine=true")[0]
    assert (item["id"], item["snippet"]["title"]) == (channel["id"], channel["title"])
    assert item["contentDetails"]["relatedPlaylists"]["uploads"] == "UU" + channel["id"][2:]
    assert item["status"]["longUploadsStatus"] == "allowed"
    assert get(emulator, token, "channels?part=id").status == 400
    assert get(emulator, token, "channels?part=nonsense&mine=true").status == 400


def test_account_without_channel_has_no_items(emulator):
    channel = emulator.ctl("channels", {"title": "without"})[0]
    emulator.ctl("channels", {"channel": channel["id"], "state": "absent"})
    reply = get(emulator, emulator.access_token(channel["id"]), "channels?part=id&mine=true")
    assert reply.status == 200 and "items" not in reply.json()


# ---- playlistItems.list: the uploads playlist


def test_uploads_newest_first_page_by_page(emulator, channel, token):
    videos = [upload(emulator, token, f"Title {i}") for i in range(7)]
    seen, page = [], ""
    while page is not None:
        reply = get(emulator, token, f"playlistItems?part=snippet,contentDetails&maxResults=3"
                                     f"&playlistId={channel['uploads']}{page}").json()
        seen += [item["contentDetails"]["videoId"] for item in reply["items"]]
        page = f"&pageToken={reply['nextPageToken']}" if "nextPageToken" in reply else None
        assert reply["pageInfo"]["totalResults"] == 7
    assert seen == videos[::-1]


def test_uploads_list_is_late(emulator, channel, token):
    emulator.settings(listing_delay_ms=60_000)
    video = upload(emulator, token)
    path = f"playlistItems?part=contentDetails&playlistId={channel['uploads']}"
    assert items(emulator, token, path) == []
    emulator.advance(60_001)
    assert items(emulator, token, path)[0]["contentDetails"]["videoId"] == video


def test_unknown_playlist_and_bad_pages(emulator, channel, token):
    assert get(emulator, token, "playlistItems?part=id&playlistId=PLnone").reason() == "playlistNotFound"
    for bad in ("maxResults=51", "maxResults=x", "pageToken=x"):
        assert get(emulator, token, f"playlistItems?part=id&playlistId={channel['uploads']}&{bad}").status == 400


def test_video_categories(emulator, token):
    listed = items(emulator, token, "videoCategories?part=snippet&regionCode=US")
    assignable = {item["id"]: item["snippet"]["assignable"] for item in listed}
    assert assignable["22"] is True and assignable["44"] is False


# ---- after the upload


def test_delete(emulator, token, other_channel):
    video = upload(emulator, token)
    stranger = emulator.access_token(other_channel["id"])
    assert emulator.request("DELETE", f"/youtube/v3/videos?id={video}", token=stranger).status == 403
    assert emulator.request("DELETE", f"/youtube/v3/videos?id={video}", token=token).status == 204
    assert items(emulator, token, f"videos?part=id&id={video}") == []
    assert emulator.request("DELETE", f"/youtube/v3/videos?id={video}", token=token).reason() == "videoNotFound"
    assert emulator.videos()[0]["hidden"], "the record stays for whoever counts"


def test_thumbnail(emulator, channel, token):
    video = upload(emulator, token)

    def set_thumbnail(body, content_type="image/png", video=video, token=token):
        return emulator.request("POST", "/upload/youtube/v3/thumbnails/set?videoId=" + video, body=body, token=token,
                                headers={"Content-Type": content_type})
    assert set_thumbnail(b"image" * 100).status == 200
    assert emulator.videos()[0]["thumbnail"] == {"type": "image/png", "bytes": 500}
    assert set_thumbnail(b"").reason() == "mediaBodyRequired"
    assert set_thumbnail(b"x", "text/plain").reason() == "invalidImage"
    assert set_thumbnail(b"x", video="none").reason() == "videoNotFound"
    unverified = emulator.ctl("channels", {"title": "unverified"})[0]
    emulator.ctl("channels", {"channel": unverified["id"], "verified": False})
    other = emulator.access_token(unverified["id"])
    assert set_thumbnail(b"x", video=upload(emulator, other), token=other).reason() == "forbidden"


def test_thumbnail_of_a_short_only_once_it_is_processed(emulator):
    shorts = emulator.ctl("channels", {"title": "shorts"})[0]
    emulator.ctl("channels", {"channel": shorts["id"], "shorts": True})
    token = emulator.access_token(shorts["id"])
    target = "/upload/youtube/v3/thumbnails/set?videoId=" + upload(emulator, token)

    def set_thumbnail():
        return emulator.request("POST", target, body=b"image", token=token, headers={"Content-Type": "image/jpeg"})
    assert set_thumbnail().reason() == "forbidden"
    emulator.advance(2001)
    assert set_thumbnail().status == 200


def test_captions(emulator, channel, token):
    video = upload(emulator, token)
    forced = emulator.access_token(channel["id"], scope=SCOPE + "youtube.force-ssl")

    def insert(token=forced, text="1\n00:00 --> 00:01\nhello\n", **snippet):
        snippet = {"videoId": video, "language": "en", "name": "English", **snippet}
        body = (f"--b\r\nContent-Type: application/json\r\n\r\n{json.dumps({'snippet': snippet})}\r\n"
                f"--b\r\nContent-Type: application/octet-stream\r\n\r\n{text}\r\n--b--\r\n")
        return emulator.request("POST", "/upload/youtube/v3/captions?part=snippet&uploadType=multipart", body=body,
                                token=token, headers={"Content-Type": "multipart/related; boundary=b"})
    assert insert(token=token).reason() == "insufficientPermissions"
    assert insert().status == 200
    again = insert()
    assert (again.status, again.reason()) == (409, "captionExists")
    assert insert(name="x" * 151).reason() == "nameTooLong"
    assert insert(text="", name="empty").reason() == "contentRequired"
    assert insert(videoId="none").reason() == "videoNotFound"
    assert [caption["name"] for caption in emulator.videos()[0]["captions"]] == ["English"]


def test_playlists(emulator, token, other_channel):
    video = upload(emulator, token)
    made = emulator.request("POST", "/youtube/v3/playlists?part=snippet", body={"snippet": {"title": "P"}},
                            token=token).json()

    def add(token=token, video=video, playlist=made["id"], kind="youtube#video"):
        return emulator.request("POST", "/youtube/v3/playlistItems?part=snippet", token=token, body={
            "snippet": {"playlistId": playlist, "resourceId": {"kind": kind, "videoId": video}}})
    assert add().status == 200
    again = add()
    assert (again.status, again.reason()) == (409, "videoAlreadyInPlaylist")
    assert add(video="none").reason() == "videoNotFound"
    assert add(playlist="none").reason() == "playlistNotFound"
    assert add(kind="youtube#channel").reason() == "invalidContentDetails"
    assert add(token=emulator.access_token(other_channel["id"])).reason() == "playlistItemsNotAccessible"
    listed = items(emulator, token, f"playlistItems?part=snippet&playlistId={made['id']}")
    assert [item["snippet"]["resourceId"]["videoId"] for item in listed] == [video]
    assert [item["id"] for item in items(emulator, token, "playlists?part=snippet&mine=true")] == [made["id"]]


# ---- the control API and the program


def test_many_channels(emulator):
    added = emulator.ctl("channels", {"count": 300})
    assert len({channel["id"] for channel in added}) == 300
    assert all(len(channel["id"]) == 24 and channel["id"].startswith("UC") for channel in added)


def test_reset_forgets_all_but_consents(emulator, channel, token):
    upload(emulator, token)
    emulator.faults({"on": "any", "do": "return-500"})
    emulator.ctl("reset", {})
    assert emulator.videos() == emulator.journal() == emulator.ctl("faults") == emulator.ctl("sessions") == []
    assert upload(emulator, token)
    emulator.ctl("reset", {"consents": True})
    assert emulator.start_reply(token).status == 401


def test_secrets_are_listed_for_those_who_look_for_them(emulator, channel):
    tokens = emulator.tokens(channel["id"])
    location = emulator.start(tokens["access_token"], 100)
    secrets = emulator.ctl("secrets")
    assert secrets["refresh_tokens"] == [tokens["refresh_token"]]
    assert secrets["access_tokens"] == [tokens["access_token"]]
    assert [upload_id in location for upload_id in secrets["upload_ids"]] == [True]
    assert emulator.client()["client_secret"] in secrets["client_secrets"]


def test_controls_that_do_not_exist_or_are_wrong(emulator):
    assert emulator.request("GET", "/_ctl/none").status == 404
    assert emulator.request("POST", "/_ctl/faults", body="{").status == 400
    assert emulator.request("POST", "/_ctl/settings", body={"none": 1}).status == 400
    assert emulator.request("POST", "/_ctl/clock", body={}).status == 400
    assert emulator.request("POST", "/_ctl/token", body={"channel": "none"}).status == 404


def test_unknown_path_and_method(emulator):
    assert emulator.request("GET", "/nothing").status == 404
    assert emulator.request("PATCH", "/youtube/v3/videos").status == 405


def test_same_seed_same_ids():
    with Emulator("--seed", "7") as one, Emulator("--seed", "7") as two, Emulator("--seed", "8") as three:
        assert one.channels() == two.channels() != three.channels()


def test_plain_http():
    with Emulator("--no-tls") as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")
        token = emulator.access_token(emulator.channels()[0]["id"])
        assert upload(emulator, token)


@pytest.mark.parametrize("options", [["--port", "x"], ["--port", "70000"], ["--nothing"], ["extra"],
                                     ["--cert", "/dev/null"]])
def test_wrong_usage(options):
    with pytest.raises(RuntimeError, match="usage: youtube-emulator"):
        Emulator(*options)
