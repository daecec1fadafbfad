/*
 * Inside of the worker: what belongs to a slot, and who carries out which action. None of this decides
 * anything about a job.
 *
 * worker.c  start, loop, signals, drain, progress
 * shell.c   feeds events to the engine and hands its actions on
 * near.c    what is near: store and broker
 * source.c  the source file
 * call.c    one HTTP exchange with YouTube each: start, put, query, cancel, probe
 * look.c    several exchanges, one answer: the channel's uploads, a video
 * cdn.c     how large the CDN's copy of the file is
 * notify.c  tells of alarms
 * tell.c    counts what goes by, and puts a view of it up on the board
 */
#ifndef WORKER_SHELL_H
#define WORKER_SHELL_H

#include "base/clock.h"
#include "base/text.h"
#include "http/http.h"
#include "media/media.h"
#include "vault/broker.h"
#include "worker/confine.h"
#include "worker/store_thread.h"
#include "worker/watch_thread.h"
#include "worker/worker.h"
#include "youtube/youtube.h"

/* A source file that outlives its slot where a reader still touches it. Counted by its users on the loop. */
struct source {
    struct media_file *file;
    uint32_t users;
};

/* What belongs to a slot's job. */
struct task {
    struct worker *worker;
    uint32_t slot;
    bool used;
    struct store_work work; /* owned */
    struct source *source;  /* NULL until it was checked */
    struct secret session_url;
    struct secret access_token;
    char slug[256];
    char request_id[REQUEST_ID_SIZE]; /* of the session, once known */
    /* What is under way: one of them at most. */
    struct call *call;             /* an exchange */
    struct asked *asked;           /* a question to the broker */
    struct comparison *comparison; /* of the source */
    uint64_t sent_bytes;           /* of the PUT under way */
    int64_t claimed_at_mono_ms;
    bool has_begun;  /* a byte of the file went out in this lease */
    bool is_settled; /* how the lease ends is stored */
};

struct worker {
    const struct settings *settings;
    const struct worker_options *options;
    char name[NAME_SIZE];
    uv_loop_t loop;
    uv_timer_t tick;
    uv_timer_t housekeeping;
    uv_signal_t signals[3];
    struct engine *engine;
    struct http *http;
    struct http *cdn_http; /* to CDNs, apart from what goes to YouTube */
    struct confinement confinement;
    struct broker *broker;
    struct store_thread *store;
    struct watch_thread *watch; /* tells when there may be work */
    struct media_root *media_root;
    uint32_t slot_count;
    struct task *tasks; /* slot_count of them */

    struct event *pending; /* answers that came while the engine was at work; a bounded ring */
    uint32_t pending_first, pending_count, pending_size;
    bool pumping;
    struct actions actions;

    struct counts counts;
    /* Counts the queue, and looks for misuse, on a handle of its own; NULL where it does neither. */
    struct store_thread *leases; /* the same as `store`, where a handle of their own is of no use */
    struct store_thread *looker;
    struct notify *notify; /* NULL: alarms are told nowhere */
    bool alarms_asked;
    int64_t alarms_due_mono_ms;
    struct queue *queue; /* as it was counted last; NULL: not yet */
    bool queue_asked;
    int64_t queue_due_mono_ms;
    int64_t started_at_mono_ms;
    int64_t broker_pid;

    int64_t seen_at_mono_ms;
    bool draining;
    bool interrupted;
    bool has_work;
    bool backlog_asked;
    bool closed;
};

/* ---- worker.c ---- */

/* Sets the timer to what the engine wants next, and ends the loop once it is idle. */
void worker_after_step(struct worker *worker);

/* ---- tell.c ---- */

/* Puts a view up, and has the queue counted where that is due; does nothing without a board. */
void tell(struct worker *worker);
/* What the engine made of an event; `before`: how the event's slot stood, NULL if it was free. */
void tell_step(struct worker *worker, const struct event *event, const struct engine_view *before);
void tell_claimed(struct task *task);
void tell_written(struct task *task, const struct job_write *write, enum write_result result);
void tell_forgotten(struct task *task);
void tell_first_byte(struct task *task);
/* Of the PUT under way, up to now. */
void tell_sent(struct task *task, uint64_t sent_bytes);

/* ---- shell.c ---- */

/* An event of a task's slot; `op` as in the action that is answered. Fill in the rest, then answer(). */
struct event event_make(enum event_type type, uint32_t slot, uint64_t op);
/* Hands an event to the engine, now or when it has done with the present one. */
void answer(struct worker *worker, const struct event *event);
void worker_tell_progress(struct worker *worker, uint32_t slot);
void task_release(struct task *task);

/* ---- near.c ---- */

void near_claim(struct worker *worker, const struct action *action);
void near_store(struct task *task, const struct action *action);
void near_renew(struct task *task, const struct action *action);
void near_token(struct task *task, const struct action *action);
void near_open_session(struct task *task, const struct action *action);
void near_sign_url(struct task *task, const struct action *action); /* cdn_signed() gets the answer */
/* A broker that hangs holds nobody up: the question is answered here, and the broker's answer dropped. */
void near_abort(struct task *task, uint64_t op);

/* ---- source.c ---- */

void source_check(struct task *task, const struct action *action);
void source_abort(struct task *task, uint64_t op);
struct source *source_use(struct source *source);
void source_drop(struct source *source); /* NULL is fine */

/* ---- call.c, look.c ---- */

void call_start(struct task *task, const struct action *action);
void call_put(struct task *task, const struct action *action);
void call_query(struct task *task, const struct action *action);
void call_cancel(struct task *task, const struct action *action);
void call_probe(struct task *task, const struct action *action);
void look_list(struct task *task, const struct action *action);
void look_check(struct task *task, const struct action *action);
void call_abort(struct task *task, uint64_t op);

/* ---- notify.c ---- */

int notify_open(struct worker *worker, struct err *err) MUST_CHECK;
/* Tells the alarms that are due, one after another; does nothing without a notify_url. */
void notify_tell(struct worker *worker);
void notify_hang_up(struct worker *worker); /* before the store's threads end */
void notify_free(struct worker *worker);    /* after they have */

/* ---- cdn.c ---- */

int cdn_open(struct worker *worker, struct err *err) MUST_CHECK;
void cdn_check(struct task *task, const struct action *action);
void cdn_signed(struct task *task, uint64_t op, const struct broker_signed *signed_url);

/* One exchange of a task. `yt` is taken over; `done` comes once, later; the reply it gets has transport,
 * status, sent_bytes and times, the rest is for `done` to parse out of `http`. */
struct call;
typedef void call_done(struct call *call, const struct http_reply *http, struct reply *reply);
struct call {
    struct task *task;
    uint64_t op;
    enum action_type doing;
    struct yt_request yt;
    struct http_request *request;
    struct media_reader *reader; /* PUT only */
    uint64_t put_first_byte, put_size_bytes;
    call_done *done;
    struct look *look; /* look.c's; owned */
};
/* With the task's token, to YouTube. */
void call_send(struct call *call, int64_t deadline_ms);
/* Without any token; headers as they stand in `yt`. */
void call_send_bare(struct call *call, struct http *http, size_t reply_len_max, int64_t deadline_ms);
/* A request that is not even begun is answered as our own trouble; the message tells. */
void call_answer_unsent(struct call *call, const struct err *err);
/* The call's one answer, for the engine; it is freed. */
void call_answer(struct call *call, const struct reply *reply);
struct call *call_new(struct task *task, const struct action *action, call_done *done);
struct yt_http call_yt_http(const struct http_reply *http);
struct yt_expected call_expected(const struct task *task);

#endif
