/*
 * Inside the store, and for its tests: the handle, transactions, and what the subjects share. Functions whose
 * names begin with `do_` belong to a transaction that the caller has begun.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store/db.h"
#include "store/store.h"

struct store {
    struct db *db;
    bool in_group;       /* between store_begin and store_commit */
    bool group_lost;     /* the engine ended the group by itself: only a rollback helps */
    int64_t tenant_turn; /* claim: tenants after this id are looked at first */
};

/* ---- transactions (store.c) ---- */

/* A step is one public function's transaction, or its savepoint inside a group. */
int step_begin(struct store *store, struct err *err) MUST_CHECK;
/* Ends it: keeps the changes if rc is 0, else undoes them. STEP_UNDO undoes and gives 0: an outcome that is
 * no error. */
#define STEP_UNDO 1
int step_end(struct store *store, int rc, struct err *err) MUST_CHECK;
/* Whether to do the whole step once more: another transaction was in its way, and it is not part of a group,
 * which can only be repeated as a whole. */
bool step_again(struct store *store, int rc, int *tries);
/* A whole step, also repeated; `call` is its inside and begins at nothing each time. */
#define STEP(store, err, call)                                                                               \
    ({                                                                                                       \
        int step_rc, step_tries = 0;                                                                         \
        do {                                                                                                 \
            step_rc = step_begin(store, err);                                                                \
            if (step_rc == 0)                                                                                \
                step_rc = step_end(store, call, err);                                                        \
        } while (step_again(store, step_rc, &step_tries));                                                   \
        step_rc;                                                                                             \
    })

/* ---- tests only ---- */

void store_set_clock(struct store *store, int64_t (*now_ms)(void *ctx), void *ctx);
/* How long locks are waited for; answers of a server four times as long. */
void store_set_busy_wait(struct store *store, int wait_ms);

/* ---- shared by subjects ---- */

#define copy_text(ret, text) text_copy((ret), sizeof(ret), (text))
int copy_blob(const struct db_stmt *stmt, int column,
              struct blob *ret); /* 1 if there was one; caller frees */

int find_tenant(struct store *store, const char *name, int64_t *ret,
                struct err *err) MUST_CHECK; /* ERR_NOT_FOUND */
/* Also locks it, as what follows adds something by a name that must be free. */
int make_tenant(struct store *store, const char *name, int64_t *ret, struct err *err) MUST_CHECK;
/* Until the transaction ends nobody else changes the tenant's clients and channels. */
int lock_tenant(struct store *store, int64_t tenant, struct err *err) MUST_CHECK;

/* job.passed_ms beside a lease that is set: a clock that was years ahead and is not any more (D10) would else
 * leave the job claimable while it is leased. */
#define PASSED_MS "case when job.passed_ms > now_ms() then now_ms() else job.passed_ms end"

/* An audit line about a job or a channel; NULL texts are "". */
struct trail {
    const char *job;
    int64_t tenant_id, channel_id;
    const char *who, *what, *from, *to, *cause;
    int64_t lease_epoch;
    const struct audit_note *note; /* reason, message, status, request id; NULL: none */
};
int do_trail(struct store *store, const struct trail *trail, int64_t *ret_id /* or NULL */,
             struct err *err) MUST_CHECK;
/* Several in one statement; of one job, if ids are asked for, no more than one line. */
int do_trail_many(struct store *store, const struct trail *lines, uint32_t count,
                  int64_t *ret_ids /* or NULL */, struct err *err) MUST_CHECK;

/* Why a channel's jobs cannot be sent now; `limited` whose time is past counts as active. */
struct gate {
    enum channel_state state;
    int64_t until_ms;
};
/* It stays so until the transaction ends: for who puts a job where the gate says. */
int do_keep_gate(struct store *store, int64_t channel, struct gate *ret, struct err *err) MUST_CHECK;
/* The same of several, or just as they are; ids ascend, each once. */
struct channel_gate {
    int64_t channel_id;
    struct gate gate;
    int64_t tenant_id;
    bool is_removed;
};
int do_keep_gates(struct store *store, struct channel_gate *gates, uint32_t count,
                  struct err *err) MUST_CHECK;
int do_look_at_gates(struct store *store, struct channel_gate *gates, uint32_t count,
                     struct err *err) MUST_CHECK;
/* Puts a channel into such a list, if it is not there yet; `gates` has room for it. */
void gates_add(struct channel_gate *gates, uint32_t *count, int64_t channel);
const struct channel_gate *gates_find(const struct channel_gate *gates, uint32_t count, int64_t channel);
/* The same against everybody, if nobody has it already: 1: it is kept; 0: somebody is at it. */
int do_take_gate(struct store *store, int64_t channel, struct gate *ret, struct err *err) MUST_CHECK;

/* The channel's state and its jobs that are not leased, with their audit lines (channel_state.c). */
struct channel_change {
    int64_t channel;
    enum channel_state state;
    int64_t until_ms;
    const char *reason;
    const char *who;
    bool is_to_be_told; /* a finding: raise an alarm where it stops the channel */
};
int do_channel_state(struct store *store, const struct channel_change *change, struct err *err) MUST_CHECK;
/* A worker's finding: it never lifts what an operator has set. */
int do_channel_finding(struct store *store, const struct channel_change *change, struct err *err) MUST_CHECK;
/* With its client, which is stopped: the channel's own state waits behind that. Or on without it. */
int do_channel_stop(struct store *store, const struct channel_change *change, struct err *err) MUST_CHECK;
int do_channel_go_on(struct store *store, const struct channel_change *change, struct err *err) MUST_CHECK;

/* The client's state and that of its channels (client_state.c). */
struct client_change {
    int64_t client;
    enum client_state state;
    const char *reason;
    const char *who;
};
int do_client_state(struct store *store, const struct client_change *change, struct err *err) MUST_CHECK;
/* Workers found that Google refuses the client of this channel. */
int do_client_refused(struct store *store, int64_t channel, const char *reason, const char *who,
                      struct err *err) MUST_CHECK;
/* It stays as it is until the transaction ends; ERR_INVALID where it is stopped. */
int do_keep_active_client(struct store *store, int64_t client, struct store_client *ret,
                          struct err *err) MUST_CHECK;

/* Holds the channel's jobs that it can't send: those whose worker died before it saw the channel's state.
 * Some of them, if others are at work here: the next claim comes by again. */
int do_hold_stray_jobs(struct store *store, int64_t channel, const char *who, struct err *err) MUST_CHECK;
/* Limited channels whose time is over become active. */
int do_open_limited_channels(struct store *store, const char *who, struct err *err) MUST_CHECK;

/* Quota reservations, admitted in their order as far as there is room; nothing is written for those that are
 * full. */
struct charge {
    const struct job_write *write;
    int64_t client_id, channel_id;
    bool is_full; /* returned */
};
int do_charge_many(struct store *store, struct charge *charges, uint32_t count, struct err *err) MUST_CHECK;
/* What `write->spent` says. */
int do_note_spent(struct store *store, const char *worker, int64_t channel, const struct job_write *write,
                  struct err *err) MUST_CHECK;
/* After a limit of the client, or of one of its channels, was changed. */
int do_recheck_quota_holds(struct store *store, int64_t client, struct err *err) MUST_CHECK;

/* What the ends of leases teach the channels' windows (window.c). */
struct lesson {
    int64_t tenant_id, channel_id;
    enum feedback feedback;
};
int do_learn_many(struct store *store, const struct lesson *lessons, uint32_t count,
                  struct err *err) MUST_CHECK;

/* Lines of the trail that count for a signal; ids are 0 where it is not about one channel, or client. */
struct sign {
    enum misuse_signal signal;
    int64_t tenant_id, channel_id, client_id;
    uint32_t count;
    char reasons[128]; /* those that the alarm names, as far as there is room */
};
/* A channel (or a client) was stopped: an alarm that stays open until it goes on. */
struct stop {
    int64_t tenant_id, channel_id, client_id; /* one of the last two is 0 */
    const char *message;
    const char *who;
};
int do_raise_stop(struct store *store, const struct stop *stop, struct err *err) MUST_CHECK;
int do_close_stop(struct store *store, const struct stop *stop, struct err *err) MUST_CHECK;
/* Adds them to the tally, and raises an alarm where they are enough. Nobody else may be at the tenant's. */
int do_count_sign(struct store *store, const struct sign *sign, const char *who, bool *ret_is_new,
                  struct err *err) MUST_CHECK;

#endif
