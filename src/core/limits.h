/*
 * Every constant that limits something, in one place: sizes, counts, times. What an operator may change is a
 * configuration key (docs/configuration.md) whose default stands here.
 */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

/* ---- YouTube's own limits ([guide], [insert]: docs/youtube-facts.md names the sources) ---- */
#define CHUNK_GRANULE_BYTES     262144u       /* every chunk but the last is a multiple of it [guide] */
#define CHUNK_BYTES_DEFAULT     8388608u      /* 8 MiB: under 10 MB, 32 granules */
#define CHUNK_BYTES_MAX         9961472u      /* 38 granules, the largest under 10,000,000 bytes */
#define FILE_BYTES_MAX          274877906944u /* "256GB" [insert] */
#define UPLOADS_PER_DAY_DEFAULT 100           /* videos.insert calls a project and day [quota] */
#define UNITS_PER_DAY_DEFAULT   10000         /* the shared bucket [quota] */

/* ---- text sizes, terminating NUL included ---- */
#define JOB_ID_SIZE     27 /* 26 characters of Crockford's base 32: sortable by time */
#define NAME_SIZE       64 /* tenant, client, channel and worker names */
#define VIDEO_ID_SIZE   32 /* YouTube's are 11 characters today */
#define YT_CHANNEL_SIZE 64 /* YouTube's channel id, UC… */
#define ETAG_SIZE       128
#define REASON_SIZE     64  /* Google's error reason, as in errors[0].reason */
#define MESSAGE_SIZE    256 /* a message for people, cut */
#define DIGEST_SIZE     16  /* XXH3-128 */
#define REQUEST_ID_SIZE 33  /* keyed digest of the uploader id, hexadecimal */
#define TOKEN_ID_SIZE   33  /* keyed digest of an access token, hexadecimal */

/* ---- what comes from outside ---- */
#define CDN_URL_LEN_MAX     4096
#define SESSION_URL_LEN_MAX 4096     /* docs/youtube-facts.md 3.3 */
#define REPLY_BYTES_MAX     65536u   /* docs/faults.md H15 */
#define LIST_BYTES_MAX      1048576u /* a page of 50 items with long descriptions [videos] */
#define REPLY_HEADERS_MAX   32768u   /* docs/faults.md P12 */
#define METADATA_BYTES_MAX  131072u  /* a metadata file */

/* ---- retry (docs/faults.md section 3) ---- */
#define RETRY_BASE_MS        1000  /* full jitter: U(0, min(cap, base · 2^n)) */
#define RETRY_CAP_MS         64000 /* while the lease is held */
#define RETRY_TRIES_MAX      5     /* without progress; then the lease is given back */
#define WAIT_BASE_MS         60000 /* after that: U(half, all) of min(cap, base · 2^n) */
#define WAIT_CAP_MS          3600000
#define RETRY_AFTER_CAP_MS   3600000   /* a Retry-After over 1 h counts as 1 h */
#define RETRY_AFTER_KEEP_MS  64000     /* longer: the lease is given back meanwhile */
#define JOB_LIFE_MS          604800000 /* 7 days, then `failed` with the last reason */
#define CHANNEL_HOLD_MS      86400000  /* uploadLimitExceeded: about 24 h */
#define REWINDS_MAX          3         /* server's offset went back without net progress (P03) */
#define STALLS_MAX           5         /* replies that acknowledge nothing new (P06) */
#define PROTOCOL_ERRORS_MAX  3         /* impossible offsets (P04) before the job is held */
#define SESSION_RESTARTS_MAX 3    /* new sessions after a dead one without progress; then the job waits */
#define SOURCE_WAITS_MAX     3    /* waits for an unreadable source (EIO); then it is held */
#define PROGRESS_EVERY_MS    500  /* progress is stored at most this often … */
#define PROGRESS_DIGESTS_MAX 16   /* … or when this many chunks were sent since */
#define TROUBLE_PAUSE_MS     5000 /* no claims for this long after a certificate or a local resource failed */
#define RECONCILE_LOOKS_MAX  6    /* lists of the channel's uploads before absence is believed … */
#define RECONCILE_SPAN_MS    3600000 /* … and they span at least this long */
#define LOOK_PAGES_MAX       4      /* pages of the uploads playlist in one look, each with one videos.list */
#define VIDEO_LOOK_PAGES_MAX 10     /* of the same list, in one look for videos that no job made */
#define RECONCILE_SKEW_MS    600000 /* YouTube's clock against ours, when a video's time is compared */
#define CHECK_LOOKS_MAX      6      /* videos.list without the new video before an alarm (P15) */
#define QUOTA_SOFT_PERCENT   90     /* of a client's uploads; what is above is for raised priority */
#define QUOTA_JITTER_MS      300000 /* resume this much after midnight Pacific, at random */

/* ---- leases (docs/faults.md section 4) ---- */
#define LEASE_MS_DEFAULT  45000
#define LEASE_MARGIN_MS   10000 /* transfers stop this long before the lease ends; at most a quarter of it */
#define TAKEOVER_DELAY_MS 5000  /* a lease that ran out is taken over this much later */
/* Nothing is set further ahead than this: a wait, a hold, a limit, a lease that is was set by a clock that
 * was wrong (X05). */
#define AHEAD_MAX_MS    93600000
#define POLL_MS         1000 /* claims are tried at least this often, jittered */
#define CLAIM_BATCH_MAX 32

/* ---- a channel's window (docs/faults.md section 3; window.h) ---- */
#define WINDOW_START   5
#define WINDOW_MAX     20
#define WINDOW_REST_MS 300000 /* after a failed cohort, before one job may try */

/* ---- the engine ---- */
#define CONCURRENCY_DEFAULT 16
#define SLOTS_MAX           1024
/* One step's actions; what does not fit is done at the next tick, which is due at once. */
#define ACTIONS_MAX    64
#define CANDIDATES_MAX 8 /* videos of one look that may be ours */

#endif
