/*
 * YouTube's wire: bytes <-> structs. Builds requests, parses replies, knows reasons, limits and OAuth
 * messages. No sockets, no clock, no state: pure functions, any thread. Facts are those of the sources named
 * at each function (docs/youtube-facts.md lists them).
 *
 * A `struct buf *ret` is initialised by the caller, with a cap of its choice, and appended to; what does not
 * fit sets its `overflowed`.
 */
#ifndef YOUTUBE_YOUTUBE_H
#define YOUTUBE_YOUTUBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/event.h"

/* Once, before any thread and any use of jansson, in each process that parses replies or client secrets:
 * jansson then takes its memory from base/mem.h and overwrites what it gives back. */
void yt_setup(void);

/* ---- requests ---- */

/* One request, ready for http: the shell adds Authorization, http adds Content-Length. All texts are owned;
 * release it also where building failed. */
struct yt_request {
    const char *method; /* static */
    struct buf url;     /* a session URL is a secret: released with buf_wipe */
    char *headers[8];   /* "Name: value", NULL-terminated */
    struct buf body;    /* "" : none */
    uint32_t units;     /* quota units of the shared bucket; uploads are counted apart [quota] */
};
void yt_request_release(struct yt_request *request); /* wipes */

/* POST /upload/youtube/v3/videos?uploadType=resumable&part=… [guide]. `metadata`: JSON as stored in the job
 * (metadata_json.h made it valid); `part` is exactly the objects in the body, `status` always with
 * privacyStatus. notifySubscribers becomes a query parameter. ERR_INVALID: the stored metadata is damaged, or
 * names no privacyStatus (YouTube would publish), or a text may not stand in a header. */
int yt_build_start(const char *api_root, const char *metadata_json, uint64_t size_bytes,
                   const char *content_type, const char *slug, struct yt_request *ret,
                   struct err *err) MUST_CHECK;
/* Ids that one videos.list call is given (the number YouTube takes is not documented). */
enum { YT_IDS_MAX = 50 };

/* PUT of [first_byte, first_byte+size_bytes) of total; the body itself is streamed by the shell [guide]. */
void yt_build_put(const char *session_url, uint64_t first_byte, uint64_t size_bytes, uint64_t total_bytes,
                  const char *content_type, struct yt_request *ret);
void yt_build_query(const char *session_url, uint64_t total_bytes, struct yt_request *ret);
void yt_build_cancel(const char *session_url, struct yt_request *ret);
void yt_build_channels_mine(const char *api_root, struct yt_request *ret);
/* `page_token`: NULL or "" for the first page. */
void yt_build_playlist_items(const char *api_root, const char *playlist, const char *page_token,
                             struct yt_request *ret);
/* 1 to YT_IDS_MAX ids. */
void yt_build_videos_list(const char *api_root, const char *const *ids, uint32_t count,
                          struct yt_request *ret);

/* The name sent as Slug and looked for as fileDetails.fileName when reconciling: "BASENAME [JOBID].ext", made
 * safe: at most 120 + 16 characters of it are kept, and what is not an ASCII letter, digit or one of
 * " ._-()+,=@" becomes '_'. */
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

/*
 * Fills status, reason, message, retry_after_ms (dates against wall_ms), range, is_override, video (id, etag,
 * matches) of `ret`, and nothing else of it. Location is handled by yt_location(). Never fails: what can't be
 * understood is left unknown (H13, H15, H16, P05, P07).
 *
 * reason: error.errors[0].reason, else the first error.details[].reason, else error.status, else `error`
 * where that is a text; only letters, digits, '_', '-', '.', else "". message: one line of valid UTF-8
 * without control characters and without secrets, also from HTML and plain text; where it is too long, the
 * part from "limit '" on is kept. range: RANGE_OK only for one header that is exactly "bytes=0-N", N < 2^63.
 * is_override: the header is there, whatever its value. video: only of a 200 or 201 without override; id ""
 * if the body is not a video with an id.
 */
void yt_parse_upload_reply(const struct yt_http *http, const struct yt_expected *expected, int64_t wall_ms,
                           struct reply *ret);
/* Takes a Location only if it is https (http only where api_root is), absolute, without userinfo, at most 4
 * KiB, and its origin is api_root's or, when that is Google's, one of www.googleapis.com and
 * youtube.googleapis.com on port 443 (docs/youtube-facts.md, "Hosts"). Copies it to `ret_url` (a secret).
 * Returns 1 taken, 0 absent, -1 refused with the reason in err (host only). Two Location headers are refused.
 */
int yt_location(const struct yt_http *http, const char *api_root, struct buf *ret_url, struct err *err);
/* Whether a session's URL may be sent an access token, as yt_location() asks; ERR_INVALID with the host only.
 * For one that was stored: api_root may be another one by now. */
int yt_check_session(const char *url, const char *api_root, struct err *err);
/* The raw uploader id header (a secret: it holds the upload_id), for the keyed digest; false if absent. */
bool yt_uploader_id(const struct yt_http *http, struct buf *ret);
/* ERR_INVALID unless api_root is https, or http to a loopback address where allow_plain. */
int yt_check_api_root(const char *api_root, bool allow_plain, struct err *err) MUST_CHECK;

struct yt_channel {
    char id[YT_CHANNEL_SIZE];
    char title[256];
    char uploads_playlist[YT_CHANNEL_SIZE];
    char long_uploads_status[32];
};
/* 0; ERR_NOT_FOUND: the account has no channel; ERR_AUTH: refused (reason in message); ERR_LIMIT: a day's
 * quota; ERR_IO: passing or unreadable. title: "" if unknown, made fit for a terminal. */
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
/*
 * For these three: false if the reply is not a good one, understood from end to end; then status, reason,
 * message, retry_after_ms of `ret_reply` are for classification. They are filled in any case.
 */
/* published_at_ms: when the item came into the playlist, else when the video was published; 0: not told. */
bool yt_parse_playlist_items(const struct yt_http *http, struct yt_page *ret, struct reply *ret_reply);
/* Appends candidates from a videos.list reply: every video of it but those whose title is MATCH_NO while
 * file_name is not MATCH_YES; the engine weighs them. Beyond CANDIDATES_MAX they are dropped and
 * list_is_complete becomes false; it is not touched otherwise, nor is `video`. */
bool yt_parse_videos(const struct yt_http *http, const struct yt_expected *expected, struct reply *ret_reply);
/* The reply to videos.list of one id: its only or first video becomes `video`; id "": YouTube knows none. */
bool yt_parse_video(const struct yt_http *http, const struct yt_expected *expected, struct reply *ret_reply);

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
/* A client_secret*.json: top key `installed` or `web`; `web` wins where both have a client_id, as in
 * youtubeuploader. client_id, client_secret, auth_uri and token_uri are required; client_id alone where not
 * `for_logins`, and the secret is then left out of `ret`. URIs must be https, or http to loopback; redirect
 * URIs may be of any scheme. ERR_INVALID names the key, never a value. */
int yt_parse_client_secret(const char *json, size_t len, bool for_logins, struct yt_client_secret *ret,
                           struct err *err) MUST_CHECK;

#define YT_SCOPES_DEFAULT                                                                                    \
    "https://www.googleapis.com/auth/youtube.upload https://www.googleapis.com/auth/youtube.readonly"
#define YT_SCOPES_DEVICE "https://www.googleapis.com/auth/youtube"
/* What is missing of what uploading needs (videos.insert and channels.list/videos.list), a static text; NULL:
 * nothing. `granted`: the `scope` of a token reply, blanks between. */
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

/* The device flow: of a client of type "TVs and Limited Input devices" only, and never for youtube.upload
 * [device]. */
void yt_build_device_code(const char *client_id, const char *scopes, struct buf *ret);
void yt_build_device_poll(const char *client_id, const char *client_secret, const char *device_code,
                          struct buf *ret);

enum { YT_ACCESS_TOKEN_SIZE = 2049, YT_REFRESH_TOKEN_SIZE = 1025 };
struct yt_token_reply {
    enum token_result result; /* TOKEN_OK, TRANSIENT, REVOKED, CLIENT */
    char error[REASON_SIZE];  /* the endpoint's own name for it: invalid_grant …; "" : none */
    char access_token[YT_ACCESS_TOKEN_SIZE];   /* only characters that may stand in a header (K05) */
    char refresh_token[YT_REFRESH_TOKEN_SIZE]; /* "" : none in the reply */
    char scope[512];
    int64_t expires_in_ms;      /* clamped to 60 s … 24 h; missing, 0 or negative: 60 s (K05) */
    char message[MESSAGE_SIZE]; /* error and description, no secret */
    int64_t retry_after_ms;     /* -1: none */
};
/*
 * Any reply of the token endpoint, by the table in docs/youtube-facts.md. 5xx and 429 are TRANSIENT whatever
 * they say; unknown errors are REVOKED with another 4xx; a reply that names no error at all does not speak
 * for the endpoint and is TRANSIENT. A 200 whose access token is missing, too long or may not stand in a
 * header is TRANSIENT, too (K05). scope: words that do not fit are left out. retry_after_ms: a date counts
 * from the reply's own Date header.
 */
void yt_parse_token_reply(const struct yt_http *http, struct yt_token_reply *ret);

struct yt_device_code {
    char device_code[512]; /* a secret: whoever has it gets the login */
    char user_code[64];
    char url[512];         /* where a person enters it; https, or http to loopback */
    int64_t expires_in_ms; /* 1 minute to 1 day; 30 minutes if not told */
    int64_t interval_ms;   /* 1 to 60 s; 5 s if not told */
};
/* The reply to yt_build_device_code(). ERR_AUTH: refused, for good; ERR_IO: passing or unreadable. Wipe
 * `ret`.
 */
int yt_parse_device_code(const struct yt_http *http, struct yt_device_code *ret, struct err *err) MUST_CHECK;

/*
 * A login that another program has made: a file of youtubeuploader (request.token), of
 * tokland/youtube-upload and what else is written by oauth2client, or of google-auth ("authorized user",
 * token.json). Told apart by their keys. Nothing of it counts but the refresh token and whose client it is
 * of: access tokens are got anew, and a token_uri in it is never asked.
 */
struct yt_token_file {
    const char *kind;    /* static: the program that writes such files */
    char client_id[256]; /* "": the file does not say (youtubeuploader) */
    char refresh_token[YT_REFRESH_TOKEN_SIZE];
};
/* ERR_INVALID says what is wrong with the file and what to do, never a value of it. Wipe `ret`. */
int yt_parse_token_file(const char *json, size_t len, struct yt_token_file *ret, struct err *err) MUST_CHECK;

#endif
