/*
 * Drives src/core/engine.c event by event, in virtual time, and shows what it asks for as text.
 *
 *     struct harness *h = harness_new();
 *     harness_claim(h, &claim);      EXPECT(h, "token");
 *     answer_token(h, TOKEN_OK);     EXPECT(h, "check source");
 *
 * Each line of text is one action. A test answers it, and says with EXPECT what must follow, neither more nor
 * less. What is the same in every test is done by itself: claims that find nothing, and renewals of the lease
 * (`renews` false: by the test). Traces are kept apart.
 *
 * The harness holds a model of what is stored, and with every action it checks the rules of the heart: one
 * main action a slot, no byte to a session that is not stored, no last byte before `finalizing` is, and
 * nothing that YouTube can see after the lease is over.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include "unit.h"

#include <string.h>

#include "core/engine.h"

enum { HARNESS_SLOTS = 4, HARNESS_TEXT_SIZE = 8192 };
#define HARNESS_WALL_MS INT64_C(1790000000000) /* 2026-09-21 14:13:20 UTC, 07:13:20 in Los Angeles */
#define HARNESS_MIDNIGHT_MS                                                                                  \
    INT64_C(1790060400000) /* 2026-09-22 07:00:00 UTC, the next midnight in Los Angeles */
#define CHUNK ((uint64_t)CHUNK_GRANULE_BYTES)

struct harness_slot {
    bool used;
    struct action main; /* the one that waits for its answer; op 0: none */
    struct action progress;
    struct action renewal, telling;
    /* what is stored */
    bool has_session, finalizing;
    uint64_t stored_bytes;
};

struct harness {
    struct engine *engine;
    struct engine_config config;
    int64_t wall_ms, mono_ms;
    uint64_t entropy;
    bool tells;  /* writes that only name a token in the trail are answered at once, and not expected */
    bool renews; /* renewals are answered at once, with what stands below */
    bool cancel_wanted;
    enum channel_state channel;
    uint64_t claim_op;
    uint32_t claim_count;
    uint32_t renew_count;
    uint32_t token_count;
    struct harness_slot slots[HARNESS_SLOTS];
    struct job_write write; /* the last ACTION_STORE */
    struct action last;     /* the last action of a kind that has an op */
    char text[HARNESS_TEXT_SIZE];
    char traces[HARNESS_TEXT_SIZE];
};

/* With the default configuration, 256 KiB chunks, and `check_video` off. */
struct harness *harness_new(void);
struct harness *harness_new_with(const struct engine_config *config);
void harness_free(struct harness *h);
struct engine_config harness_config(void);

/* A job of `size_bytes` that nobody had before, on channel 1 of client 1. */
struct job_claim claim_of(uint64_t size_bytes);
/* The same after another worker had it: with a session that holds `confirmed_bytes`. */
struct job_claim claim_with_session(uint64_t size_bytes, uint64_t confirmed_bytes);
/* Hands the job over, and ends the claim. Returns its slot. */
uint32_t harness_claim(struct harness *h, const struct job_claim *claim);

/* Compares what the engine asked for since the last EXPECT. */
#define EXPECT(h, ...)    harness_expect(h, (const char *const[]){__VA_ARGS__, NULL}, __FILE__, __LINE__)
#define EXPECT_NOTHING(h) harness_expect(h, (const char *const[]){NULL}, __FILE__, __LINE__)
void harness_expect(struct harness *h, const char *const *lines, const char *file, int line);
/* Forgets it. */
void harness_skip(struct harness *h);

void harness_event(struct harness *h, struct event *event);
void harness_tick(struct harness *h);
/* Time passes, with every tick that the engine wants. */
void harness_advance(struct harness *h, int64_t ms);
/* Time passes, and nobody is told (SIGSTOP, suspend). */
void harness_stop(struct harness *h, int64_t ms);
/* Until the engine starts something; returns how long that took, and fails the test after `max_ms`. */
int64_t harness_wait(struct harness *h, int64_t max_ms);
void harness_drain(struct harness *h);

/* ---- answers to slot 0's main action; it must be of that kind ---- */

void answer_token(struct harness *h, enum token_result result);
/* … that may be used until then. */
void answer_token_until(struct harness *h, int64_t expires_at_mono_ms);
void answer_source(struct harness *h, enum source_result result);
void answer_opened(struct harness *h, enum open_result result);
void answer_stored(struct harness *h, enum write_result result);
/* … to the progress write that goes beside a PUT. */
void answer_progress(struct harness *h, enum write_result result);
void answer_renewed(struct harness *h, enum write_result result);
void answer(struct harness *h, struct reply reply);
void answer_in(struct harness *h, uint32_t slot, struct reply reply);

/* Replies. */
struct reply reply_of(int status);
struct reply reply_reason(int status, const char *reason);
struct reply reply_message(int status, const char *reason, const char *message);
struct reply reply_after(int status, int64_t retry_after_ms);
struct reply reply_location(void);
struct reply reply_range(uint64_t stored_bytes); /* 308; 0: no Range */
struct reply reply_video(const char *video_id);  /* 201 */
struct reply reply_transport(enum transport transport);
struct reply reply_lost(const struct harness *h); /* the whole body left, the reply never came */
struct reply reply_list(uint32_t count, const struct video_facts *candidates); /* complete */
struct reply
reply_seen(const struct video_facts *video); /* what videos.list tells of a video; NULL: nothing */
struct video_facts facts_of(const char *video_id, enum match file_name, enum match size, enum match title);

/* ---- ways to a place; what happened on them is skipped ---- */

/* A new job whose first PUT is under way. */
void reach_put(struct harness *h, uint64_t size_bytes);
/* A taken-over job whose query is under way. */
void reach_query(struct harness *h, const struct job_claim *claim);

/* A new job of five chunks whose START is under way. */
struct harness *harness_at_start(void);
/* … whose second PUT is. */
struct harness *harness_in_mid_file(void);
/* A job of one chunk: the PUT under way can complete the upload. */
struct harness *harness_at_last_put(void);

/* The lease's end is about to be stored: `state` and `cause`, at a time in [from, to] from now; 0, 0: without
 * one. */
void assert_outcome(const struct harness *h, enum job_state state, enum job_cause cause, int64_t from_ms,
                    int64_t to_ms);

#endif
