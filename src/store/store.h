/*
 * What is durable: tenants, clients, channels, tokens, jobs, uploads, quota and the audit trail.
 *
 * One interface; the SQL is shared by SQLite and Postgres ($1-style parameters, now_ms()), a driver (db.h) is
 * thin. A handle belongs to one thread and does not survive a fork; any number of handles and processes may
 * have the same store open. Times are epoch milliseconds on the database's clock: no instant is passed in
 * where the store can take its own. Nothing here knows a key: sealed values are opaque bytes.
 *
 * Errors: ERR_STORE (unavailable, disk full, corrupt: the message says which and what to do), ERR_BUSY
 * (locked longer than the bounded wait), ERR_SCHEMA (another version), ERR_NOT_FOUND, ERR_EXISTS,
 * ERR_INVALID. After ERR_STORE inside a transaction, roll back. After a failed sync of the disk every call on
 * the handle is ERR_STORE: open the store anew.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stddef.h>

#include "base/err.h"
#include "core/job.h"
#include "core/misuse.h"

struct store;

struct blob {
    const void *data; /* owned by whoever made it; NULL with len 0 for none */
    size_t len;
};

enum store_mode {
    STORE_CREATE, /* make it if missing, migrate it to this binary's version; safe to repeat and to race */
    STORE_USE,    /* must exist in this binary's version: ERR_NOT_FOUND (says `sluice init`), ERR_SCHEMA */
};

/* What the store at this URL needs of files and ports, for a sandbox; reads the environment, opens nothing.
 */
enum store_need {
    STORE_FILE,       /* to be read and written */
    STORE_FOLDER,     /* where files are made and removed */
    STORE_CREDENTIAL, /* to be read */
};
struct store_needs {
    void (*path)(void *ctx, const char *path, enum store_need need);
    void (*port)(void *ctx, uint16_t port); /* may be NULL */
    void *ctx;
};
void store_needs_of(const char *url, const struct store_needs *needs);

/* `url`: "sqlite:PATH", or a postgres:// URL as libpq understands it, whose password is never told. */
int store_open(const char *url, enum store_mode mode, struct store **ret, struct err *err) MUST_CHECK;
/* The URL without what is secret in it; the caller frees it. */
char *store_url_for_people(const char *url);
void store_close(struct store *store); /* NULL is fine; rolls back what was not committed */

/* Group commit: everything between begin and commit is durable when commit returns 0, or not at all. Each
 * function below is one transaction of its own outside of it, and all-or-nothing (a savepoint) inside of it.
 */
int store_begin(struct store *store, struct err *err) MUST_CHECK;
int store_commit(struct store *store, struct err *err) MUST_CHECK;
void store_rollback(struct store *store);
/* The end of a group that went as `code` says: commits it at 0, else rolls it back and returns `code`. */
int store_end(struct store *store, int code, struct err *err) MUST_CHECK;
/* After ERR_BUSY of a group: another transaction was in the way, and the same group, repeated as a whole, may
 * succeed. Outside of a group this is done here. */
bool store_was_conflict(const struct store *store);

int store_now(struct store *store, int64_t *ret_wall_ms, struct err *err) MUST_CHECK;
/* A full integrity check, for `sluice check`; 0 if sound, else ERR_STORE with what is wrong. */
int store_verify(struct store *store, struct err *err) MUST_CHECK;

/* ---- tenants and clients ---- */

int store_tenant_name(struct store *store, int64_t tenant, char ret[NAME_SIZE], struct err *err) MUST_CHECK;

struct store_client {
    int64_t id;
    int64_t tenant_id;
    char tenant[NAME_SIZE];
    char name[NAME_SIZE];
    char client_id[256]; /* Google's, public */
    char auth_uri[512];
    char token_uri[512];
    char kind[16]; /* "installed" or "web" */
    enum client_state state;
    char state_reason[MESSAGE_SIZE];
    int64_t state_at_ms; /* when that was set; 0: never */
    uint32_t uploads_per_day;
    uint32_t units_per_day;
    uint32_t channel_count;
};

/* The tenant is made if missing. An existing client of that name is replaced if its client_id is the same,
 * else ERR_EXISTS; one that Google had refused is active again. The id must be known before the secret can be
 * sealed, so: put with an empty secret, then set it. */
int store_client_put(struct store *store, struct store_client *client, const char *who,
                     struct err *err) MUST_CHECK; /* fills id, tenant_id; `who` is for the trail */
int store_client_set_secret(struct store *store, int64_t client, struct blob sealed,
                            struct err *err) MUST_CHECK;
/* `ret_sealed`: caller frees data with mem_free; broker only. */
int store_client_get_secret(struct store *store, int64_t client, struct blob *ret_sealed,
                            struct err *err) MUST_CHECK;
int store_client_get(struct store *store, int64_t client, struct store_client *ret,
                     struct err *err) MUST_CHECK;
/* By name; `name` NULL or "": the tenant's only one, ERR_USAGE if there are several, ERR_NOT_FOUND if none.
 */
int store_client_find(struct store *store, const char *tenant, const char *name, struct store_client *ret,
                      struct err *err) MUST_CHECK;
int store_client_list(struct store *store, int (*row)(void *ctx, const struct store_client *client),
                      void *ctx, struct err *err) MUST_CHECK;
/* Stops all channels of a client, or lets them go on, each as it was: in the same transaction as their jobs,
 * as store_channel_set_state() does. What happens to a stopped client's channel meanwhile is kept for then.
 * The trail and an alarm tell of it. */
int store_client_set_state(struct store *store, int64_t client, enum client_state state, const char *reason,
                           const char *who, struct err *err) MUST_CHECK;
/* ERR_INVALID, saying why and what to do, unless it is active. */
int store_client_check(const struct store_client *client, struct err *err) MUST_CHECK;
/* ERR_EXISTS while channels use it. */
int store_client_remove(struct store *store, int64_t client, const char *who, struct err *err) MUST_CHECK;
/* Its jobs that are held for quota may be claimed again at once, in case there is more now. */
int store_client_limits(struct store *store, int64_t client, uint32_t uploads_per_day, uint32_t units_per_day,
                        const char *who, struct err *err) MUST_CHECK;

/* ---- channels and tokens ---- */

struct store_channel {
    int64_t id;
    int64_t tenant_id;
    int64_t client_id;
    char tenant[NAME_SIZE];
    char client[NAME_SIZE];
    char name[NAME_SIZE];
    char yt_channel_id[YT_CHANNEL_SIZE];
    char title[256];
    char uploads_playlist[YT_CHANNEL_SIZE];
    enum channel_state state;
    char state_reason[MESSAGE_SIZE];
    int64_t until_ms;             /* CHANNEL_LIMITED: 0 otherwise */
    bool is_client_stopped;       /* `state` is frozen and `state_reason` that of the client … */
    enum channel_state own_state; /* … and this what it would be else */
    uint32_t uploads_per_day;     /* of its own; 0: only its client's */
    uint32_t places;              /* jobs that may be leased at once now (core/window.h) */
    int64_t rest_until_ms;        /* places 0: until then; 0 otherwise */
    int64_t added_at_ms;
    bool has_token;
};

/* A new login, of a client that is active: makes the channel, or updates it if its yt_channel_id is the same
 * (else ERR_EXISTS: a channel never changes to another YouTube channel), stores the token and, where it was
 * held for want of one, makes the channel active and its `channel_auth` jobs queued. All in one transaction.
 */
struct store_login {
    struct store_channel
        channel; /* tenant_id, client_id, name, yt_channel_id, title, uploads_playlist; fills id */
    const char *scopes;
    const char *who; /* for the trail */
    /* Seals the refresh token once the channel's id is known (it is part of the sealed value's additional
     * data). The bytes stay the callback's and must live until store_channel_login() returns. NULL: there is
     * none, a token service keeps the login; one that is stored stays. */
    int (*seal)(void *ctx, int64_t tenant_id, int64_t channel_id, struct blob *ret_sealed, struct err *err);
    void *seal_ctx;
    const char *key_id;
};
int store_channel_login(struct store *store, struct store_login *login, struct err *err) MUST_CHECK;
int store_channel_get(struct store *store, int64_t channel, struct store_channel *ret,
                      struct err *err) MUST_CHECK;
int store_channel_find(struct store *store, const char *tenant, const char *name, struct store_channel *ret,
                       struct err *err) MUST_CHECK;
int store_channel_list(struct store *store, const char *tenant /* NULL: all */,
                       int (*row)(void *ctx, const struct store_channel *channel), void *ctx,
                       struct err *err) MUST_CHECK;
/* Moves the channel and, in the same transaction, its jobs that are not leased: to held with the state's
 * cause, or from held with that cause to queued. Leased jobs follow at their next renewal. `who` goes to the
 * audit trail. */
int store_channel_set_state(struct store *store, int64_t channel, enum channel_state state, int64_t until_ms,
                            const char *reason, const char *who, struct err *err) MUST_CHECK;
/* A daily limit of the channel's own beneath its client's; 0: none. Holds for quota are looked at again. */
int store_channel_limits(struct store *store, int64_t channel, uint32_t uploads_per_day, const char *who,
                         struct err *err) MUST_CHECK;
/* ERR_EXISTS while it has jobs that are not terminal. Its finished jobs and their audit trail stay readable.
 */
int store_channel_remove(struct store *store, int64_t channel, const char *who, struct err *err) MUST_CHECK;

struct store_token {
    struct blob sealed; /* get: caller frees data */
    char scopes[512];
    char key_id[32];
};
int store_token_get(struct store *store, int64_t channel, struct store_token *ret,
                    struct err *err) MUST_CHECK;
/* A rotated refresh token (K06). */
int store_token_set(struct store *store, int64_t channel, struct blob sealed, const char *scopes,
                    const char *key_id, struct err *err) MUST_CHECK;

/* ---- jobs ---- */

struct store_job_new {
    struct job_id id; /* made by the caller */
    int64_t channel_id;
    const char *region; /* "" : any */
    int priority;       /* higher first; 0 is usual */
    const char *storage_path;
    uint64_t size_bytes;
    const char *fingerprint; /* text of src/media; "" : the first worker takes it */
    const char *title;
    const char *metadata; /* JSON, validated */
    const char *idempotency_key;
    const char *params_digest; /* of everything that makes this job what it is */
    const char *cdn_url;       /* "" : none */
    const char *who;           /* operator, for the audit trail */
};
/* The same key with the same parameters: 0 with *ret_existed and the id of the job that is there. The same
 * key with others: ERR_EXISTS, ret_id = that job. A job of a channel that is not active begins `held` with
 * the channel's cause. */
int store_job_add(struct store *store, const struct store_job_new *job, struct job_id *ret_id,
                  bool *ret_existed, struct err *err) MUST_CHECK;
/* Several: all of them or none. ERR_EXISTS: those that `is_refused` have the keys of other jobs, whose ids
 * they have then; the message is about the first. */
struct store_add_item {
    const struct store_job_new *job;
    struct job_id id; /* returned, as the next two */
    bool existed;
    bool is_refused;
};
int store_job_add_many(struct store *store, struct store_add_item *items, uint32_t count,
                       struct err *err) MUST_CHECK;

/* A job as people see it. Texts belong to the row and live as long as the callback, or until
 * store_job_release(). */
struct store_job {
    struct job_id id;
    char tenant[NAME_SIZE], channel[NAME_SIZE], region[NAME_SIZE];
    int64_t tenant_id, client_id, channel_id;
    int priority;
    enum job_state state;
    enum job_cause cause;
    int64_t next_at_ms, added_at_ms, changed_at_ms, finished_at_ms;
    char *storage_path, *fingerprint, *title, *metadata, *idempotency_key, *params_digest, *cdn_url;
    uint64_t size_bytes, confirmed_bytes;
    uint32_t upload_attempts, waits;
    bool has_session, finalizing, session_dead, cancel_wanted;
    char lease_owner[NAME_SIZE];
    enum channel_state channel_state;
    char channel_reason[MESSAGE_SIZE]; /* why the channel is in that state */
    int64_t lease_epoch, lease_until_ms, session_at_ms;
    char video_id[VIDEO_ID_SIZE], etag[ETAG_SIZE];
    char error_reason[REASON_SIZE], error_message[MESSAGE_SIZE];
};
void store_job_release(struct store_job *job);
/* `id` may be an unambiguous prefix of at least 6 characters (ERR_NOT_FOUND, ERR_USAGE where several match).
 */
int store_job_find(struct store *store, const char *id, struct store_job *ret, struct err *err) MUST_CHECK;

struct store_job_filter {
    int state;          /* -1: any */
    int64_t channel_id; /* 0: any; else `tenant` is not asked for */
    const char *tenant; /* NULL: any */
    uint32_t limit;     /* 0: all */
};
/* Newest first. A callback that returns non-zero ends the walk and is returned. */
int store_job_list(struct store *store, const struct store_job_filter *filter,
                   int (*row)(void *ctx, const struct store_job *job), void *ctx, struct err *err) MUST_CHECK;

/* Operator's verbs; each with an audit line. ERR_INVALID (with why) where the job's state does not allow it.
 */
/* A job without a lease and without a session is cancelled at once (*ret_done); any other is marked and made
 * claimable, and a worker cancels its session first. ERR_INVALID too for a job whose video exists or may
 * exist. */
int store_job_cancel(struct store *store, struct job_id id, const char *who, bool *ret_done,
                     struct err *err) MUST_CHECK;
/* failed, cancelled, held (any cause but ambiguous) or waiting -> queued. A failed or cancelled one starts
 * anew at byte 0. */
int store_job_retry(struct store *store, struct job_id id, const char *who, struct err *err) MUST_CHECK;
/* held ambiguous or corrupt -> completed with that video, or (video NULL) -> queued with a new session. */
int store_job_resolve(struct store *store, struct job_id id, const char *video_id, const char *who,
                      struct err *err) MUST_CHECK;

/* ---- work ---- */

struct store_reach {
    const char *region; /* a worker's own; it also gets jobs without one. "" : only those without, unless
                           any_region */
    bool any_region;
    const char *tenants;     /* "a,b"; "" : all */
    int64_t per_channel_max; /* leased jobs a channel may have at once, beside its window; 0: no limit */
    int64_t per_tenant_max;  /* and a tenant, about: claims of several workers may cross; 0: no limit */
    const struct job_id *only_jobs; /* these and no others, whoever's turn it is, if count > 0 */
    uint32_t only_job_count;
};

/* What a worker needs to send a job beyond the engine's part; texts are owned: free with
 * store_work_release(). */
struct store_work {
    struct job_claim claim;
    char tenant[NAME_SIZE];
    char channel[NAME_SIZE];
    char uploads_playlist[YT_CHANNEL_SIZE];
    char yt_channel_id[YT_CHANNEL_SIZE];
    char *storage_path;
    char *fingerprint;
    char *metadata;
    char *cdn_url;              /* "": none; may hold a signature, so it is not for logs */
    struct blob sealed_session; /* owned; len 0: none */
};
void store_work_release(struct store_work *work);

/* Leases up to `max` jobs: epoch + 1, state uploading or finishing, audit line each. Claimable are: queued;
 * waiting, finishing, and held for a timed cause, once next_at_ms is past; uploading and finishing whose
 * lease ended more than TAKEOVER_DELAY_MS ago; any with cancel_wanted that is not leased. Channel must be
 * active (limited: until_ms past, which makes it active) unless cancel is wanted or the video exists. Tenants
 * and channels take turns; higher priority first within a channel, then older first. */
int store_claim(struct store *store, const char *worker, const struct store_reach *reach, uint32_t max,
                int64_t lease_ms, struct store_work *ret_works, uint32_t *ret_count,
                struct err *err) MUST_CHECK;

/* A job_write (core/job.h), fenced: by its epoch, and by the worker that has the lease, since after a
 * fail-over that lost a claim the next one gets the same epoch (D03). `sealed_session` is used where
 * set_session is. Outcomes are data: *ret_result. Only when the store itself fails it returns an error
 * (ret_result is then WRITE_FAILED and nothing was written). */
int store_write(struct store *store, const char *worker, const struct job_write *write,
                struct blob sealed_session, enum write_result *ret_result, struct err *err) MUST_CHECK;

/* Several writes, as one after another would be: of the same job in their order. It is one transaction, where
 * each that is refused has its own answer and takes nothing else with it. An error of the call: nothing was
 * written. */
struct store_write_item {
    const struct job_write *write;
    struct blob sealed_session;
    enum write_result result; /* returned */
    int rc;                   /* 0; or why it was refused: result is then WRITE_FAILED */
    struct err err;
};
int store_write_many(struct store *store, const char *worker, struct store_write_item *items, uint32_t count,
                     struct err *err) MUST_CHECK;

struct store_renewal {
    enum write_result result; /* OK or LEASE_LOST */
    bool cancel_wanted;
    enum channel_state channel;
};
int store_renew(struct store *store, const char *worker, struct job_id id, int64_t lease_epoch,
                int64_t lease_ms, struct store_renewal *ret, struct err *err) MUST_CHECK;
/* Several, each of another job or epoch. */
struct store_renew_item {
    struct job_id id;
    int64_t lease_epoch;
    struct store_renewal renewal; /* returned */
};
int store_renew_many(struct store *store, const char *worker, struct store_renew_item *items, uint32_t count,
                     int64_t lease_ms, struct err *err) MUST_CHECK;

/* Of a job that was added without one; fenced as a write is. *ret_result: WRITE_OK, also if it is the same
 * already; WRITE_LEASE_LOST, also if it is another one. */
int store_job_set_fingerprint(struct store *store, const char *worker, struct job_id id, int64_t lease_epoch,
                              const char *fingerprint, enum write_result *ret_result,
                              struct err *err) MUST_CHECK;

/* The digests of what was sent of a job, by first byte; for the comparison before a resumed upload goes on.
 */
int store_chunk_list(struct store *store, struct job_id id,
                     int (*row)(void *ctx, const struct chunk_digest *chunk), void *ctx,
                     struct err *err) MUST_CHECK;

/* A worker says that it lives, and what it is; `status` shows those seen in the last minute. */
int store_worker_seen(struct store *store, const char *worker, const char *region, uint32_t active,
                      struct err *err) MUST_CHECK;
int store_worker_gone(struct store *store, const char *worker, struct err *err) MUST_CHECK;

/* Jobs of the reach by what a draining worker must know. */
struct store_backlog {
    uint64_t runnable;  /* claimable now */
    uint64_t leased;    /* by anyone */
    int64_t next_at_ms; /* soonest of the timed ones; 0: none */
};
int store_backlog(struct store *store, const struct store_reach *reach, struct store_backlog *ret,
                  struct err *err) MUST_CHECK;

/* ---- looking ---- */

struct store_depth {
    char channel[NAME_SIZE], tenant[NAME_SIZE], region[NAME_SIZE];
    enum job_state state;
    enum job_cause cause;
    uint64_t count;
    uint64_t bytes;
};
int store_depth_list(struct store *store, int (*row)(void *ctx, const struct store_depth *depth), void *ctx,
                     struct err *err) MUST_CHECK;

/* The jobs that are not at their end, over all channels of a tenant: what waits, and for what. It counts
 * index entries, of which there are as many as such jobs; those at their end cost nothing. Takes no lock. */
struct store_queue {
    char tenant[NAME_SIZE], region[NAME_SIZE];
    enum job_state state;
    enum job_cause cause;
    bool rests; /* queued, but the windows of their channels are closed (core/window.h) */
    uint64_t count;
    uint64_t bytes;
};
int store_queue_list(struct store *store, int (*row)(void *ctx, const struct store_queue *queue), void *ctx,
                     struct err *err) MUST_CHECK;

/* A client's bucket, or (uploads only) a channel's part of it where it has used some or has a limit of its
 * own. */
struct store_quota {
    char tenant[NAME_SIZE], client[NAME_SIZE];
    char channel[NAME_SIZE]; /* "" : the client's */
    enum quota_bucket bucket;
    int32_t pacific_day;
    uint32_t used, limit; /* limit 0: none of its own */
    uint32_t drift;       /* of `used`: what YouTube had counted and our ledger had not expected */
};
int store_quota_list(struct store *store, int32_t pacific_day,
                     int (*row)(void *ctx, const struct store_quota *quota), void *ctx,
                     struct err *err) MUST_CHECK;

/* Units spent outside of a job's own writes (the broker's channels.list). Never refused. */
struct store_charge {
    int64_t client_id, channel_id; /* channel_id 0: not known */
    int32_t pacific_day;
    uint32_t units;
    const char *who, *calls; /* for the trail */
};
int store_quota_charge(struct store *store, const struct store_charge *charge, struct err *err) MUST_CHECK;

/* The same, unless the client would have spent more than this part of its day: then nothing is counted, and
 * *ret_fits is false. */
int store_quota_charge_below(struct store *store, const struct store_charge *charge, uint32_t percent,
                             bool *ret_fits, struct err *err) MUST_CHECK;

struct store_worker {
    char name[NAME_SIZE], region[NAME_SIZE];
    int64_t started_at_ms, seen_at_ms;
    uint32_t active;
};
/* Those seen in the last minute. */
int store_worker_list(struct store *store, int (*row)(void *ctx, const struct store_worker *worker),
                      void *ctx, struct err *err) MUST_CHECK;

struct store_event {
    int64_t id, at_ms;
    char job[JOB_ID_SIZE]; /* "" : not about a job */
    char tenant[NAME_SIZE], channel[NAME_SIZE];
    char who[NAME_SIZE]; /* worker, broker or operator */
    char what[64];
    char from_state[16], to_state[16], cause[32]; /* "" : no move */
    int64_t lease_epoch;
    int http_status;
    char reason[REASON_SIZE], message[MESSAGE_SIZE], request_id[REQUEST_ID_SIZE];
};
int store_event_add(struct store *store, const struct store_event *event,
                    struct err *err) MUST_CHECK; /* id, at_ms ignored */
/* Oldest first; `job` NULL: everything. */
int store_event_list(struct store *store, const char *job,
                     int (*row)(void *ctx, const struct store_event *event), void *ctx,
                     struct err *err) MUST_CHECK;

#define EVENT_KEPT_MS 2592000000 /* 30 days: no line is removed before, whoever asks */
struct store_event_query {
    const char *job;       /* NULL: any */
    int64_t after_id;      /* 0: from the first */
    int64_t old_before_ms; /* not 0: of lines older than that those of no job, or of a job that came to its
                              end before; any job */
};
/* The next lines by id; fewer than `max`: that was all. */
int store_event_page(struct store *store, const struct store_event_query *query, struct store_event *ret,
                     uint32_t max, uint32_t *ret_count, struct err *err) MUST_CHECK;
/* Removes lines that have been archived; younger ones than EVENT_KEPT_MS stay, and those of jobs that are not
 * at their end. */
int store_event_remove(struct store *store, const int64_t *ids, uint32_t count, struct err *err) MUST_CHECK;

/* ---- alarms ---- */

struct store_alarm {
    int64_t id;
    char tenant[NAME_SIZE];
    char channel[NAME_SIZE], yt_channel_id[YT_CHANNEL_SIZE]; /* "" : it is not about one channel */
    char client[NAME_SIZE];                                  /* "" : it is not about one client */
    enum misuse_signal signal;
    uint64_t count; /* lines of the trail */
    int64_t since_ms, last_at_ms;
    int64_t closed_at_ms;       /* 0: open */
    char message[MESSAGE_SIZE]; /* for people */
    char reaction[32];          /* "notified", "channel frozen", "jobs held" */
};

/* Counts what the trail got since somebody looked, for every tenant for which nobody did in the last
 * `every_ms`, and raises alarms: each with its reaction and its line, all in one transaction. A signal whose
 * alarm is open raises no other, it adds to that one's count. *ret_raised: new ones. Some of the trail where
 * it has grown by very much: the next look goes on. */
int store_alarm_look(struct store *store, const char *who, int64_t every_ms, uint32_t *ret_raised,
                     struct err *err) MUST_CHECK;
/* Oldest first; `all`: closed ones too. */
int store_alarm_list(struct store *store, bool all, int (*row)(void *ctx, const struct store_alarm *alarm),
                     void *ctx, struct err *err) MUST_CHECK;
/* An open alarm that nobody was told of and whose time has come, else ret->id is 0. Whoever gets it has
 * `within_ms` to tell; after that, and a pause that grows with the tries (full jitter by `entropy`), it is
 * due again. */
int store_alarm_untold(struct store *store, int64_t within_ms, uint64_t entropy, struct store_alarm *ret,
                       struct err *err) MUST_CHECK;
/* It was told. ERR_NOT_FOUND. */
int store_alarm_told(struct store *store, int64_t alarm, struct err *err) MUST_CHECK;
/* A person has dealt with it. What was frozen stays so. ERR_NOT_FOUND: there is no open one. */
int store_alarm_close(struct store *store, int64_t alarm, const char *who, struct err *err) MUST_CHECK;

#endif
