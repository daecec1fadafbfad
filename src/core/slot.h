/*
 * Inside of the engine: a slot is one leased job, its facts, and what it waits for.
 *
 * The upload machine has no long list of states. A slot holds facts ("there is a session", "the offset is in
 * doubt"); upload_next() derives the next thing to do from them, one main action at a time; answers change
 * facts. So every order of answers, and every crash, comes back to the same question: what do we know, what
 * follows?
 */
#ifndef CORE_SLOT_H
#define CORE_SLOT_H

#include "core/budget.h"
#include "core/engine.h"

/* What an answered ACTION_STORE was for. */
enum store_use {
    STORE_RESERVE,  /* quota for the next start or look */
    STORE_TOKEN,    /* the line that says which token goes on with a session */
    STORE_SESSION,  /* the sealed session URL, before the first byte */
    STORE_FINALIZE, /* before a PUT that can complete the upload */
    STORE_DEAD,     /* the session is proven dead */
    STORE_VIDEO,    /* the video's id */
    STORE_SETTLE,   /* the outcome, with the lease given back */
};

struct slot {
    bool used;
    uint32_t index;
    struct job_claim job; /* as claimed, then kept up to date: the durable facts */

    /* ---- what is under way ---- */
    uint64_t op;            /* the main action; 0: none */
    enum action_type doing; /* of op */
    enum store_use storing; /* where doing is ACTION_STORE */
    struct job_write write; /* the main write, kept so that it can be repeated */
    bool write_again;
    bool aborting;        /* an ABORT for op was sent */
    uint64_t progress_op; /* a progress write beside the main action */
    uint64_t renew_op;
    int64_t renew_sent_mono_ms;

    /* ---- the lease ---- */
    int64_t renew_at_mono_ms;
    int64_t lease_end_mono_ms; /* a margin before the lease's end: from then on nothing may be sent */
    bool lost;                 /* forget the job as soon as nothing is under way */

    /* ---- facts of this lease ---- */
    bool source_checked;
    bool cdn_checked;
    bool has_token;
    int64_t token_end_mono_ms; /* 0: not known */
    char token_id[TOKEN_ID_SIZE];
    bool token_untold;   /* no line of the trail has named it */
    bool token_is_fresh; /* refreshed after a 401, and no success since */
    bool want_fresh_token;
    bool want_probe;           /* 401 with a fresh token: is it the token or the session? */
    bool session_open;         /* the shell holds the plain session URL */
    bool session_unsaved;      /* … and it is newer than the stored one */
    bool in_doubt;             /* ask the session before anything is sent */
    bool last_byte_may_be_out; /* of this job's session, by us or an earlier worker */
    bool had_last_byte_out;    /* … already before the PUT under way */
    bool reserved;             /* quota for the next start or look is charged */
    bool video_unsaved;        /* job.video_id is not stored yet */
    bool video_seen;
    bool whole; /* CHUNK_MODE_AUTO went over to one PUT */
    uint64_t put_first_byte, put_size_bytes;
    uint64_t best_bytes;          /* the most the server ever confirmed in this lease */
    struct chunk_digests digests; /* not stored yet */
    int64_t progress_at_mono_ms;  /* when progress was stored last */
    int64_t progress_due_mono_ms; /* the tick that is wanted for it; INT64_MAX: none */
    bool progress_unsaved;
    char etag[ETAG_SIZE];
    char warning[MESSAGE_SIZE]; /* the video exists, but not quite as asked */

    /* ---- trouble, counted since the last progress ---- */
    uint32_t tries;
    uint32_t rewinds;
    uint32_t stalls;
    uint32_t protocol_errors;
    uint32_t restarts;          /* new sessions after a dead one, in this lease; progress does not reset it */
    uint32_t pauses;            /* in this lease; progress does not reset it either */
    int64_t not_before_mono_ms; /* backing off until then */
    int64_t wake_mono_ms;       /* the tick that is wanted for it; INT64_MAX: an answer will wake it */
    struct audit_note last_error;
    bool is_blameless; /* … and it was not the channel's */

    /* ---- the outcome, once it is decided ---- */
    bool settling;
    bool cancel_session; /* DELETE it first, best effort */
    bool cancel_tried;
    struct job_write outcome;
};

/* Whom a retry budget belongs to (docs/faults.md section 3: per host, per client, per channel). */
enum destination_kind { DESTINATION_CLIENT, DESTINATION_CHANNEL };
struct destination {
    enum destination_kind kind;
    int64_t id; /* 0: free */
    int64_t used_mono_ms;
    struct budget budget;
};

struct engine {
    struct engine_config config;
    uint64_t last_op;
    bool draining;
    struct budget host;

    uint64_t claim_op;
    int64_t claim_at_mono_ms;
    int64_t trouble_until_mono_ms; /* until then a job's end is no reason to claim */
    int64_t claim_sent_mono_ms;
    uint32_t claim_count;
    bool woken; /* while a claim was under way */

    uint32_t active_count;
    uint32_t slot_count;
    uint32_t destination_count;
    struct slot *slots;
    struct destination *destinations;

    /* the event being handled */
    struct {
        int64_t wall_ms;
        int64_t mono_ms;
        uint64_t entropy;
    } now;
    struct actions *actions;
};

/* ---- slot.c: what all the others stand on ---- */

/* A fresh action; `op` numbered, unless the type has none. */
struct action *engine_emit(struct engine *engine, struct slot *slot, enum action_type type);
/* Emits the slot's main action and remembers it. */
struct action *slot_start(struct engine *engine, struct slot *slot, enum action_type type);
/* Room for what one slot may need in one step. */
bool engine_has_room(const struct engine *engine);
uint64_t engine_entropy(struct engine *engine);
void slot_abort(struct engine *engine, struct slot *slot);
void slot_lose(struct engine *engine, struct slot *slot, const char *why);
int64_t slot_retry_permission(struct engine *engine, struct slot *slot);
/* Nothing is begun for the job until then. */
void slot_pause(struct slot *slot, int64_t until_mono_ms);
void slot_count_request(struct engine *engine, struct slot *slot);
/* The next PUT: its size, and whether it can complete the upload. */
uint64_t slot_chunk_bytes(const struct engine *engine, const struct slot *slot);
bool slot_put_completes(const struct engine *engine, const struct slot *slot);

/* ---- upload.c: what follows from the facts ---- */

void upload_begin(struct engine *engine, struct slot *slot, const struct job_claim *job);
/* Does the next thing, if any; called after every event that concerned the slot. */
void upload_next(struct engine *engine, struct slot *slot);

/* ---- store answers, progress: save.c ---- */

void save_begin(struct engine *engine, struct slot *slot, enum store_use use, const struct job_write *write);
void save_progress(struct engine *engine, struct slot *slot);
void save_on_stored(struct engine *engine, struct slot *slot, enum write_result result);
void save_on_progress_stored(struct engine *engine, struct slot *slot, enum write_result result);
struct job_write save_write(const struct slot *slot);

/* ---- reply.c: what an answer changes ---- */

void reply_handle(struct engine *engine, struct slot *slot, enum action_type doing,
                  const struct reply *reply);
void reply_after_lease(struct slot *slot, enum action_type doing, const struct reply *reply);
void reply_on_token(struct engine *engine, struct slot *slot, const struct event *event);
void reply_on_source(struct engine *engine, struct slot *slot, const struct event *event);
void reply_on_opened(struct engine *engine, struct slot *slot, enum open_result result);

/* ---- cdn.c ---- */

void cdn_on_reply(struct engine *engine, struct slot *slot, const struct reply *reply);

/* ---- reconcile.c ---- */

void reconcile_on_list(struct engine *engine, struct slot *slot, const struct reply *reply);
void session_is_gone(struct engine *engine, struct slot *slot, const struct reply *reply);

/* ---- settle.c: how a lease ends ---- */

void settle_hold(struct slot *slot, enum job_cause cause, const char *reason, const char *message);
void settle_hold_until(struct slot *slot, enum job_cause cause, int64_t next_at_ms,
                       const struct audit_note *note);
void settle_fail(struct slot *slot, const struct audit_note *note);
void settle_without_session(struct slot *slot);
void settle_source_changed(struct slot *slot, const char *message);
void settle_wait(struct engine *engine, struct slot *slot, int64_t at_least_ms);
void settle_wait_until(struct slot *slot, int64_t next_at_ms, const struct audit_note *note);
void settle_give_back(struct engine *engine, struct slot *slot);
void settle_cancelled(struct slot *slot);
void settle_completed(struct slot *slot);
void settle_channel(struct slot *slot, enum channel_state state, int64_t until_ms,
                    const struct audit_note *note);
void settle_client(struct slot *slot, const struct audit_note *note);
/* `spent`: the bucket that YouTube says is used up; BUCKET_NONE: our own ledger said so. */
void settle_quota(struct engine *engine, struct slot *slot, enum quota_bucket spent,
                  const struct audit_note *note);
/* Backs off in place, or gives the lease back where that has gone on for too long; the channel's window
 * learns. */
void retry_later(struct engine *engine, struct slot *slot, const struct audit_note *note,
                 int64_t retry_after_ms);
/* As retry_later(), where what fails is here (disk, descriptors, broker) or at the token endpoint: no
 * channel's window shrinks for it. */
void retry_without_blame(struct engine *engine, struct slot *slot, const struct audit_note *note,
                         int64_t retry_after_ms);

struct audit_note note_make(const char *what, const char *reason, const char *message);
struct audit_note note_of_reply(const char *what, const struct reply *reply);

/* ---- trace.c ---- */

void trace(struct engine *engine, const struct slot *slot, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void trace_detail(struct engine *engine, const struct slot *slot, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
