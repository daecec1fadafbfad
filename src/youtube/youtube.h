/*
 * YouTube's wire: bytes <-> structs. Builds requests, parses replies, knows reasons, limits and OAuth
 * messages. No sockets, no clock, no state: pure functions, any thread. Facts are those of the sources named
 * at each function (docs/youtube-facts.md lists them).
 */
#ifndef YOUTUBE_YOUTUBE_H
#define YOUTUBE_YOUTUBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/event.h"

/* ---- requests ---- */

/* One request, ready for http: the shell adds the Authorization header. All texts are owned. */
struct yt_request {
    const char *method; /* static */
    struct buf url;     /* a session URL is a secret: released with buf_wipe */
    char *headers[8];   /* "Name: value", NULL-terminated */
    struct buf body;    /* "" : none */
    uint32_t units;     /* quota units of the shared bucket; uploads are counted apart [quota] */
};
void yt_request_release(struct yt_request *request); /* wipes */

/* POST /upload/youtube/v3/videos?uploadType=resumable&part=… [guide]. `metadata`: JSON as stored in the job
 * (metadata.h made it valid); `part` is exactly the objects in the body, `status` always with privacyStatus.
 * notifySubscribers becomes a query parameter. */
int yt_build_start(const char *api_root, const char *metadata_json, uint64_t size_bytes,
                   const char *content_type, const char *slug, struct yt_request *ret,
                   struct err *err) MUST_CHECK;
/* PUT of [first_byte, first_byte+size_bytes) of total; the body itself is streamed by the shell [guide]. */
void yt_build_put(const char *session_url, uint64_t first_byte, uint64_t size_bytes, uint64_t total_bytes,
                  const char *content_type, struct yt_request *ret);
void yt_build_query(const char *session_url, uint64_t total_bytes, struct yt_request *ret);
void yt_build_cancel(const char *session_url, struct yt_request *ret);
void yt_build_channels_mine(const char *api_root, struct yt_request *ret);
void yt_build_playlist_items(const char *api_root, const char *playlist, const char *page_token,
                             struct yt_request *ret);
void yt_build_videos_list(const char *api_root, const char *const *ids, uint32_t count,
                          struct yt_request *ret);

/* The name sent as Slug and looked for as fileDetails.fileName when reconciling: "BASENAME [JOBID].ext", made
 * safe. */
void yt_slug(const char *storage_path, const char *job_id, char ret[256]);
/* video/mp4 … by extension; "application/octet-stream" otherwise [insert]. */
const char *yt_content_type(const char *storage_path);

/* ---- replies ---- */

/* What HTTP brought, as src/http hands it over. */
struct yt_http {
    int status;
    const char *headers; /* "Name: value\n" lines */
    const char *body;
    uint64_t body_len;
    bool body_is_cut;
};

/* What is compared with the reply's video. */
struct yt_expected {
    const char *metadata_json;
    uint64_t size_bytes;
    const char *slug;
};

/* Fills status, reason, message, retry_after_ms (dates against wall_ms), range, is_override, video (id, etag,
 * matches) of `ret`. Location is handled by yt_location(). Never fails: what can't be understood is left
 * unknown (H13, H15, H16, P05, P07). */
void yt_parse_upload_reply(const struct yt_http *http, const struct yt_expected *expected, int64_t wall_ms,
                           struct reply *ret);
/* Takes a Location only if it is https (http only where api_root is), absolute, without userinfo, at most 4
 * KiB, and its origin is api_root's or, when that is Google's, one of www.googleapis.com and
 * youtube.googleapis.com on port 443 (youtube.md 3.3). Copies it to `ret_url` (a secret). Returns 1 taken, 0
 * absent, -1 refused with the reason in err (host only). */
int yt_location(const struct yt_http *http, const char *api_root, struct buf *ret_url, struct err *err);
/* The raw uploader id header (a secret, youtube.md 1.2), for the keyed digest; false if absent. */
bool yt_uploader_id(const struct yt_http *http, struct buf *ret);
/* ERR_INVALID unless api_root is https, or http to a loopback address where allow_plain. */
int yt_check_api_root(const char *api_root, bool allow_plain, struct err *err) MUST_CHECK;

struct yt_channel {
    char id[YT_CHANNEL_SIZE];
    char title[256];
    char uploads_playlist[YT_CHANNEL_SIZE];
    char long_uploads_status[32];
};
/* 0; ERR_NOT_FOUND: the account has no channel; ERR_AUTH: refused (reason in message); ERR_LIMIT; ERR_IO:
 * passing or unreadable. */
int yt_parse_channels(const struct yt_http *http, struct yt_channel *ret, struct err *err) MUST_CHECK;

/* One page of the uploads playlist: video ids and times, newest first. */
struct yt_page {
    struct {
        char id[VIDEO_ID_SIZE];
        int64_t published_at_ms;
    } items[50];
    uint32_t count;
    char next_page[128]; /* "" : last */
};
/* For both: false if the reply is not a good one; then `ret_reply` holds status, reason, message for
 * classification. */
bool yt_parse_playlist_items(const struct yt_http *http, struct yt_page *ret, struct reply *ret_reply);
/* Fills candidates[] (those whose title or size or file name match at all) from a videos.list reply,
 * appending. */
bool yt_parse_videos(const struct yt_http *http, const struct yt_expected *expected, struct reply *ret_reply);

/* ---- OAuth [oauth, native, device] ---- */

struct yt_client_secret {
    char kind[16]; /* installed, web */
    char client_id[256];
    char project_id[128];
    char auth_uri[512];
    char token_uri[512];
    char redirect_uri[512]; /* the first registered one; "" if none */
    /* client_secret is a secret: points into memory the caller wipes */
    char client_secret[256];
};
/* A client_secret*.json: top key `installed` or `web`. URIs must be https, or http to loopback. ERR_INVALID
 * names the key. */
int yt_parse_client_secret(const char *json, size_t len, struct yt_client_secret *ret,
                           struct err *err) MUST_CHECK;

#define YT_SCOPES_DEFAULT                                                                                    \
    "https://www.googleapis.com/auth/youtube.upload https://www.googleapis.com/auth/youtube.readonly"
#define YT_SCOPES_DEVICE "https://www.googleapis.com/auth/youtube"
/* What is missing of what uploading needs (videos.insert and channels.list/videos.list); NULL: nothing. */
const char *yt_missing_scope(const char *granted);

/* The page to send a person to; PKCE S256 challenge and state are made by the caller. */
void yt_build_auth_url(const char *auth_uri, const char *client_id, const char *redirect_uri,
                       const char *scopes, const char *state, const char *challenge, struct buf *ret);
/* Form bodies for the token endpoint; `ret` holds secrets: buf_wipe it. */
void yt_build_code_exchange(const char *client_id, const char *client_secret, const char *code,
                            const char *verifier, const char *redirect_uri, struct buf *ret);
void yt_build_refresh(const char *client_id, const char *client_secret, const char *refresh_token,
                      struct buf *ret);
void yt_build_revoke(const char *token, struct buf *ret);

enum { YT_ACCESS_TOKEN_SIZE = 2049, YT_REFRESH_TOKEN_SIZE = 1025 };
struct yt_token_reply {
    enum token_result result;                  /* TOKEN_OK, TRANSIENT, REVOKED, CLIENT */
    char access_token[YT_ACCESS_TOKEN_SIZE];   /* only characters that may stand in a header (K05) */
    char refresh_token[YT_REFRESH_TOKEN_SIZE]; /* "" : none in the reply */
    char scope[512];
    int64_t expires_in_ms;      /* clamped to 60 s … 24 h; missing, 0 or negative: 60 s (K05) */
    char message[MESSAGE_SIZE]; /* error and description, no secret */
    int64_t retry_after_ms;     /* -1: none */
};
/* Any reply of the token endpoint, by youtube.md section 8's table; unknown error: 5xx and 429 are TRANSIENT,
 * 4xx REVOKED-like by table. */
void yt_parse_token_reply(const struct yt_http *http, struct yt_token_reply *ret);

#endif
