/*
 * Access tokens on request: is the asking job leased, is there a token in the cache, is a flight under way
 * already, was the login refused for good? Only then a new flight (broker_flight.c).
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "core/backoff.h"
#include "vault/tokens.h"

enum {
    BUCKET_COUNT = 1024,
    FLIGHTS_MAX = 16,    /* that ask the network at one time (L03) */
    WAIT_MS_MAX = 25000, /* of a request for a flight; the parent waits longer */
    SPARE_MS = 30000,    /* a token with less life than this is not handed out */
    UNUSED_MS = 3600000,
    FROZEN_MS = 300000, /* it is a person who lifts that */
};

struct token_waiter {
    struct token_waiter *next;
    uint64_t id;
    uint64_t job;
    bool fresh;
    int64_t since_mono_ms;
};

struct tokens {
    struct child *child;
    struct token_entry *buckets[BUCKET_COUNT];
    struct gate *gates;
    struct token_entry *first_to_start, *last_to_start;
    uint32_t aloft_count;
    bool is_starting;
    uint32_t leaseless_count; /* since then */
    int64_t leaseless_since_mono_ms;
};

/* ---- the table ---- */

struct tokens *tokens_new(struct child *child)
{
    struct tokens *tokens = mem_alloc(sizeof(*tokens));
    tokens->child = child;
    return tokens;
}

static void entry_free(struct token_entry *entry)
{
    while (entry->waiters) {
        struct token_waiter *waiter = entry->waiters;
        entry->waiters = waiter->next;
        mem_free(waiter);
    }
    secret_release(&entry->access);
    secret_release(&entry->unsaved);
    mem_free(entry);
}

void tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return;
    for (size_t i = 0; i < BUCKET_COUNT; i++)
        while (tokens->buckets[i]) {
            struct token_entry *entry = tokens->buckets[i];
            tokens->buckets[i] = entry->next;
            entry_free(entry);
        }
    while (tokens->gates) {
        struct gate *gate = tokens->gates;
        tokens->gates = gate->next;
        mem_free(gate);
    }
    mem_free(tokens);
}

static struct token_entry **bucket_of(struct tokens *tokens, int64_t channel_id)
{
    return &tokens->buckets[(uint64_t)channel_id % BUCKET_COUNT];
}

static struct token_entry *entry_find(struct tokens *tokens, int64_t channel_id)
{
    struct token_entry *entry = *bucket_of(tokens, channel_id);
    while (entry && entry->channel_id != channel_id)
        entry = entry->next;
    return entry;
}

static struct token_entry *entry_of(struct tokens *tokens, int64_t channel_id, int64_t tenant_id)
{
    struct token_entry *entry = entry_find(tokens, channel_id);
    if (entry)
        return entry;
    entry = mem_alloc(sizeof(*entry));
    entry->tokens = tokens;
    entry->channel_id = channel_id;
    entry->tenant_id = tenant_id;
    entry->next = *bucket_of(tokens, channel_id);
    *bucket_of(tokens, channel_id) = entry;
    return entry;
}

struct gate *gate_of(struct tokens *tokens, int64_t client_id)
{
    struct gate *gate = tokens->gates;
    while (gate && gate->client_id != client_id)
        gate = gate->next;
    if (gate)
        return gate;
    gate = mem_alloc(sizeof(*gate));
    gate->client_id = client_id;
    gate->next = tokens->gates;
    tokens->gates = gate;
    return gate;
}

/* ---- answers ---- */

struct answer {
    enum token_result result;
    const char *access;
    int64_t expires_at_mono_ms;
    int64_t retry_after_ms;
    const char *message;
};

static void answer(struct tokens *tokens, uint64_t id, const struct answer *answer)
{
    struct message_out out;
    message_start(&out, MESSAGE_TOKEN_ANSWER, id);
    message_put_number(&out, answer->result);
    message_put_text(&out, answer->access);
    message_put_number(&out, answer->expires_at_mono_ms);
    message_put_number(&out, answer->retry_after_ms);
    message_put_text(&out, answer->message);
    child_answer(tokens->child, &out);
}

static void answer_without(struct tokens *tokens, uint64_t id, enum token_result result,
                           int64_t retry_after_ms, const char *message)
{
    answer(tokens, id,
           &(struct answer){.result = result, .retry_after_ms = retry_after_ms, .message = message});
}

/* ---- who got what ---- */

static void note_handout(struct token_entry *entry, uint64_t job)
{
    uint32_t at = 0;
    while (at < entry->handout_count && at < HANDOUTS_MAX && entry->handouts[at].job != job)
        at++;
    if (at == entry->handout_count || at == HANDOUTS_MAX)
        at = entry->handout_count++ % HANDOUTS_MAX;
    entry->handouts[at].job = job;
    entry->handouts[at].serial = entry->serial;
}

/* Which token the job had so far. One that is not remembered may have had the last one. */
static uint64_t serial_of(const struct token_entry *entry, uint64_t job)
{
    for (uint32_t i = 0; i < HANDOUTS_MAX && i < entry->handout_count; i++)
        if (entry->handouts[i].job == job)
            return entry->handouts[i].serial;
    return entry->serial;
}

static bool can_hand_out(const struct token_entry *entry, uint64_t job, bool fresh, int64_t until_mono_ms)
{
    if (!entry->access.data || clock_mono_ms() >= until_mono_ms)
        return false;
    return !fresh || serial_of(entry, job) < entry->serial;
}

static void hand_out(struct token_entry *entry, uint64_t id, uint64_t job)
{
    note_handout(entry, job);
    answer(entry->tokens, id,
           &(struct answer){.result = TOKEN_OK,
                            .access = entry->access.data,
                            .expires_at_mono_ms = entry->expires_at_mono_ms,
                            .retry_after_ms = -1});
    videos_look(entry->tokens->child, entry);
}

/* ---- starting flights ---- */

static void start_flights(struct tokens *tokens)
{
    if (tokens->is_starting || tokens->child->is_closing)
        return; /* a flight landed from within its start: the loop below goes on */
    tokens->is_starting = true;
    while (tokens->first_to_start && tokens->aloft_count < FLIGHTS_MAX) {
        struct token_entry *entry = tokens->first_to_start;
        tokens->first_to_start = entry->next_to_start;
        if (!tokens->first_to_start)
            tokens->last_to_start = NULL;
        entry->next_to_start = NULL;
        tokens->aloft_count++;
        flight_start(tokens->child, entry);
    }
    tokens->is_starting = false;
}

static void want_flight(struct token_entry *entry)
{
    struct tokens *tokens = entry->tokens;
    entry->in_flight = true;
    if (tokens->last_to_start)
        tokens->last_to_start->next_to_start = entry;
    else
        tokens->first_to_start = entry;
    tokens->last_to_start = entry;
    start_flights(tokens);
}

static void wait_for_flight(struct token_entry *entry, const struct token_waiter *ask)
{
    struct token_waiter *waiter = mem_alloc(sizeof(*waiter));
    *waiter = *ask;
    waiter->next = entry->waiters;
    entry->waiters = waiter;
    entry->wants_fresh = entry->wants_fresh || ask->fresh;
    if (!entry->in_flight)
        want_flight(entry);
}

/* ---- refusals ---- */

static void remember_refusal(struct token_entry *entry, const struct landing *landing, int64_t now_mono_ms)
{
    if (!landing->row)
        return;
    entry->refused = landing->result;
    entry->refused_until_mono_ms = now_mono_ms + REFUSED_MS;
    memcpy(entry->refused_row, landing->row, ROW_DIGEST_BYTES);
    text_copy(entry->refused_message, sizeof(entry->refused_message), landing->message);
}

/* A new login, which another process may have stored, lifts it. */
static bool is_still_refused(struct token_entry *entry)
{
    if (entry->refused == TOKEN_OK)
        return false;
    struct store_token token;
    bool is_same = false;
    if (store_token_get(entry->tokens->child->store, entry->channel_id, &token, NULL) == 0) {
        unsigned char row[ROW_DIGEST_BYTES];
        vault_sha256(token.sealed.data, token.sealed.len, row);
        mem_free((void *)token.sealed.data);
        is_same = memcmp(row, entry->refused_row, sizeof(row)) == 0;
    }
    if (!is_same || clock_mono_ms() >= entry->refused_until_mono_ms)
        entry->refused = TOKEN_OK;
    return entry->refused != TOKEN_OK;
}

/* ---- asking ---- */

static bool is_leased(const struct store_job *job, const struct message *ask, int64_t now_wall_ms)
{
    return strcmp(job->id.text, ask->fields[ASK_JOB].text) == 0 &&
           job->tenant_id == ask->fields[ASK_TENANT_ID].number &&
           job->channel_id == ask->fields[ASK_CHANNEL_ID].number &&
           job->lease_epoch == ask->fields[ASK_EPOCH].number && job->lease_owner[0] &&
           (job->state == JOB_UPLOADING || job->state == JOB_FINISHING) && job->lease_until_ms > now_wall_ms;
}

static bool may_write_leaseless(struct tokens *tokens)
{
    int64_t now_mono_ms = clock_mono_ms();
    if (tokens->leaseless_count == 0 || now_mono_ms - tokens->leaseless_since_mono_ms >= LEASELESS_MS) {
        tokens->leaseless_count = 0;
        tokens->leaseless_since_mono_ms = now_mono_ms;
    }
    return tokens->leaseless_count++ < LEASELESS_LINES_MAX;
}

static void refuse_without_lease(struct tokens *tokens, const struct message *ask)
{
    struct store_channel channel;
    const char *job = ask->fields[ASK_JOB].text;
    bool is_told = may_write_leaseless(tokens);
    if (is_told)
        LOG(LOG_WARN, "a token was asked for without a lease", F_STR("job", job),
            F_I64("channel", ask->fields[ASK_CHANNEL_ID].number),
            F_I64("epoch", ask->fields[ASK_EPOCH].number));
    if (is_told &&
        store_channel_get(tokens->child->store, ask->fields[ASK_CHANNEL_ID].number, &channel, NULL) == 0)
        audit_write(
            tokens->child,
            &(struct audit){.channel = &channel, .job = job, .what = "token refused", .reason = "no lease"});
    answer_without(tokens, ask->id, TOKEN_TRANSIENT, -1, "the lease does not cover this job and channel");
}

/* Answers where it is another's. */
static bool check_tenant(struct tokens *tokens, const struct message *ask)
{
    struct err err = {0};
    if (child_check_tenant_id(tokens->child, ask->fields[ASK_TENANT_ID].number, &err) == 0)
        return true;
    answer_without(tokens, ask->id, TOKEN_TRANSIENT, -1, err.message);
    return false;
}

/* Whoever froze the channel, or its client, wants nothing to be done with its login, whatever is in the
 * cache. The worker gives the job back, or sees it at its next renewal. */
static void refuse_frozen(struct tokens *tokens, const struct message *ask, const struct store_job *job)
{
    char message[MESSAGE_SIZE * 2];
    snprintf(message, sizeof(message), "channel %s is frozen: %s", job->channel, job->channel_reason);
    answer_without(tokens, ask->id, TOKEN_TRANSIENT, FROZEN_MS, message);
}

/* Answers where the lease does not hold, or cannot be looked up, and where nothing may be handed out. */
static bool check_lease(struct tokens *tokens, const struct message *ask)
{
    struct store *store = tokens->child->store;
    struct err err = {0};
    struct store_job job;
    int64_t now_wall_ms = 0;
    int code = store_now(store, &now_wall_ms, &err);
    bool is_ours = false, is_frozen = false;
    if (code == 0)
        code = store_job_find(store, ask->fields[ASK_JOB].text, &job, &err);
    if (code == 0) {
        is_ours = is_leased(&job, ask, now_wall_ms);
        is_frozen = is_ours && job.channel_state == CHANNEL_FROZEN;
        if (is_frozen)
            refuse_frozen(tokens, ask, &job);
        store_job_release(&job);
    }
    if (is_ours)
        return !is_frozen;
    if (code == 0 || code == ERR_NOT_FOUND || code == ERR_USAGE || code == ERR_INVALID)
        refuse_without_lease(tokens, ask);
    else
        answer_without(tokens, ask->id, TOKEN_TRANSIENT, -1, err.message);
    return false;
}

static uint64_t job_digest(const char *job)
{
    unsigned char digest[32];
    uint64_t number;
    vault_sha256(job, strlen(job), digest);
    memcpy(&number, digest, sizeof(number));
    return number;
}

static void serve(struct token_entry *entry, const struct token_waiter *ask)
{
    int64_t pause_ms = pause_left_ms(&entry->pause, ask->since_mono_ms);
    /* While renewing fails, the old token serves to its end. */
    int64_t until_mono_ms = pause_ms > 0 ? entry->expires_at_mono_ms - SPARE_MS : entry->renew_at_mono_ms;
    if (entry->in_flight)
        wait_for_flight(entry, ask);
    else if (can_hand_out(entry, ask->job, ask->fresh, until_mono_ms))
        hand_out(entry, ask->id, ask->job);
    else if (is_still_refused(entry))
        answer_without(entry->tokens, ask->id, entry->refused, -1, entry->refused_message);
    else if (pause_ms > 0)
        answer_without(entry->tokens, ask->id, TOKEN_TRANSIENT, pause_ms,
                       "the last refresh failed; it is tried again soon");
    else
        wait_for_flight(entry, ask);
}

void tokens_ask(struct tokens *tokens, const struct message *ask)
{
    if (!check_tenant(tokens, ask) || !check_lease(tokens, ask))
        return;
    struct token_entry *entry =
        entry_of(tokens, ask->fields[ASK_CHANNEL_ID].number, ask->fields[ASK_TENANT_ID].number);
    entry->used_at_mono_ms = clock_mono_ms();
    serve(entry, &(struct token_waiter){.id = ask->id,
                                        .job = job_digest(ask->fields[ASK_JOB].text),
                                        .fresh = ask->fields[ASK_FRESH].number != 0,
                                        .since_mono_ms = entry->used_at_mono_ms});
}

/* ---- landing ---- */

static void take_access(struct token_entry *entry, const struct landing *landing, int64_t now_mono_ms)
{
    /* Tokens that were got together are not renewed together (L03). */
    int64_t early_ms = jitter_between(landing->life_ms / 12, landing->life_ms / 6, random_u64());
    /* A token service may hand out the one that is here already. */
    entry->serial += !secret_equals(&entry->access, landing->access);
    secret_move(&entry->access, landing->access);
    entry->expires_at_mono_ms = now_mono_ms + landing->life_ms;
    entry->renew_at_mono_ms = entry->expires_at_mono_ms - early_ms;
    entry->pause = (struct pause){0};
    entry->refused = TOKEN_OK;
}

static void settle(struct token_entry *entry, const struct landing *landing)
{
    int64_t now_mono_ms = clock_mono_ms();
    if (landing->result == TOKEN_OK) {
        take_access(entry, landing, now_mono_ms);
    } else if (landing->is_early) {
        entry->pause.until_mono_ms = now_mono_ms + landing->retry_after_ms;
    } else if (landing->result == TOKEN_TRANSIENT) {
        pause_extend(&entry->pause, now_mono_ms, landing->retry_after_ms);
    } else if (landing->result == TOKEN_FROZEN) {
        secret_release(&entry->access); /* a person lifts it, and nothing here would notice: ask again then */
    } else if (landing->result != TOKEN_CLIENT) {
        secret_release(&entry->access);
        remember_refusal(entry, landing, now_mono_ms);
    }
}

static void answer_waiter(struct token_entry *entry, const struct token_waiter *waiter,
                          const struct landing *landing)
{
    int64_t usable_until_ms = entry->expires_at_mono_ms - SPARE_MS;
    if (landing->result == TOKEN_OK || (landing->result == TOKEN_TRANSIENT &&
                                        can_hand_out(entry, waiter->job, waiter->fresh, usable_until_ms)))
        hand_out(entry, waiter->id, waiter->job);
    else
        answer_without(entry->tokens, waiter->id, landing->result,
                       landing->result == TOKEN_TRANSIENT ? pause_left_ms(&entry->pause, clock_mono_ms())
                                                          : -1,
                       landing->message);
}

/* It asked for a fresh one while a flight was aloft that could bring the old one, and did. */
static bool must_wait_on(const struct token_entry *entry, const struct token_waiter *waiter,
                         const struct landing *landing)
{
    return landing->result == TOKEN_OK && !landing->is_fresh && waiter->fresh &&
           serial_of(entry, waiter->job) == entry->serial;
}

/* Those that stay are the entry's waiters again. */
static void answer_waiters(struct token_entry *entry, const struct landing *landing)
{
    struct token_waiter *waiters = entry->waiters;
    entry->waiters = NULL;
    while (waiters) {
        struct token_waiter *waiter = waiters;
        waiters = waiter->next;
        if (must_wait_on(entry, waiter, landing)) {
            waiter->next = entry->waiters;
            entry->waiters = waiter;
            continue;
        }
        answer_waiter(entry, waiter, landing);
        mem_free(waiter);
    }
}

void tokens_landed(struct token_entry *entry, const struct landing *landing)
{
    struct tokens *tokens = entry->tokens;
    assert(entry->in_flight && tokens->aloft_count > 0);
    entry->in_flight = false;
    tokens->aloft_count--;
    settle(entry, landing);
    answer_waiters(entry, landing);
    entry->wants_fresh = entry->waiters != NULL;
    if (entry->waiters) {
        want_flight(entry); /* what is to be forgotten stays for its landing */
    } else if (entry->is_forgotten) {
        entry->is_forgotten = false;
        tokens_forget(tokens, entry->channel_id);
    }
    start_flights(tokens);
}

/* ---- time and change ---- */

void tokens_forget(struct tokens *tokens, int64_t channel_id)
{
    struct token_entry **at = bucket_of(tokens, channel_id);
    while (*at && (*at)->channel_id != channel_id)
        at = &(*at)->next;
    struct token_entry *entry = *at;
    if (!entry)
        return;
    if (entry->in_flight) {
        entry->is_forgotten = true;
        return;
    }
    *at = entry->next;
    entry_free(entry);
}

static void answer_late(struct token_entry *entry, int64_t now_mono_ms)
{
    struct token_waiter **at = &entry->waiters;
    while (*at) {
        struct token_waiter *waiter = *at;
        if (now_mono_ms - waiter->since_mono_ms < WAIT_MS_MAX) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        answer_without(entry->tokens, waiter->id, TOKEN_TRANSIENT, RETRY_BASE_MS,
                       "the token endpoint takes its time");
        mem_free(waiter);
    }
}

void tokens_tick(struct tokens *tokens, int64_t now_mono_ms)
{
    for (size_t i = 0; i < BUCKET_COUNT; i++)
        for (struct token_entry *entry = tokens->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            answer_late(entry, now_mono_ms);
            /* A refresh token that the store did not take stays: it is nowhere else. */
            if (!entry->in_flight && !entry->unsaved.data && now_mono_ms - entry->used_at_mono_ms > UNUSED_MS)
                tokens_forget(tokens, entry->channel_id);
        }
}

bool tokens_is_busy(const struct tokens *tokens)
{
    return tokens->aloft_count > 0;
}
