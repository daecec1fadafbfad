#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- a harness ---- */

struct engine_config harness_config(void)
{
    struct engine_config config;
    engine_config_defaults(&config);
    config.chunk_bytes = CHUNK_GRANULE_BYTES;
    config.check_video = false;
    config.progress_every_ms = 0; /* after each chunk: so every trace shows it */
    return config;
}

struct harness *harness_new_with(const struct engine_config *config)
{
    struct harness *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    h->config = *config;
    h->engine = engine_init(malloc(engine_size(HARNESS_SLOTS)), config, HARNESS_SLOTS);
    h->wall_ms = HARNESS_WALL_MS;
    h->mono_ms = 1000000;
    h->entropy = 1;
    h->renews = h->tells = true;
    harness_tick(h); /* the first claim */
    harness_skip(h);
    return h;
}

struct harness *harness_new(void)
{
    struct engine_config config = harness_config();
    return harness_new_with(&config);
}

void harness_free(struct harness *h)
{
    free(h->engine);
    free(h);
}

/* ---- text ---- */

static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(char *text, const char *format, ...)
{
    size_t length = strlen(text);
    va_list args;
    va_start(args, format);
    int added = vsnprintf(text + length, HARNESS_TEXT_SIZE - length, format, args);
    va_end(args);
    assert_in_range(added, 0, HARNESS_TEXT_SIZE - length - 1);
}

static unsigned long long number(uint64_t value)
{
    return value;
}

static void append_state(char *text, const struct job_write *write)
{
    if (write->set_state)
        append(text, " -> %s%s%s", job_state_text(write->state), write->cause ? " " : "",
               job_cause_text(write->cause));
    if (write->release_lease)
        append(text, " release");
    if (write->set_channel)
        append(text, " channel %s", channel_state_text(write->channel));
    if (write->client_is_refused)
        append(text, " client refused");
}

static void append_upload(char *text, const struct job_write *write)
{
    if (write->set_session)
        append(text, " session");
    if (write->clear_session)
        append(text, " clear-session");
    if (write->set_finalizing)
        append(text, " finalizing");
    if (write->set_session_dead)
        append(text, " dead");
    if (write->set_confirmed)
        append(text, " confirmed %llu", number(write->confirmed_bytes));
    for (uint32_t i = 0; i < write->chunks.count; i++)
        append(text, " chunk %llu+%llu", number(write->chunks.items[i].first_byte),
               number(write->chunks.items[i].size_bytes));
}

static bool is_token_told(const struct job_write *write)
{
    return strcmp(write->note.what, "token taken") == 0;
}

static void append_counts(char *text, const struct job_write *write)
{
    if (is_token_told(write))
        append(text, " %s", write->note.message);
    if (write->count_attempt)
        append(text, " attempt");
    if (write->set_waits)
        append(text, " waits %u", write->waits);
    if (write->set_reconcile)
        append(text, " looks %u", write->reconcile_looks);
    if (write->set_check_looks)
        append(text, " check-looks %u", write->check_looks);
    if (write->set_video)
        append(text, " video %s", write->video_id);
    if (write->charge)
        append(text, " %s+%u", quota_bucket_text(write->charge), write->charge_amount);
    if (write->set_error)
        append(text, " (%s)", write->note.reason);
}

static void append_store(char *text, const struct job_write *write)
{
    append(text, "store");
    append_state(text, write);
    append_upload(text, write);
    append_counts(text, write);
}

static void append_action(struct harness *h, const struct action *action)
{
    if (h->text[0])
        append(h->text, "\n");
    if (action->slot)
        append(h->text, "%u: ", action->slot);
    if (action->type == ACTION_STORE)
        append_store(h->text, &action->write);
    else
        append(h->text, "%s", action_text(action->type));
    if (action->type == ACTION_TOKEN && action->token.fresh)
        append(h->text, " fresh");
    if (action->type == ACTION_PUT)
        append(h->text, " %llu+%llu%s", number(action->put.first_byte), number(action->put.size_bytes),
               action->put.completes ? " completes" : "");
    if (action->type == ACTION_CHECK_VIDEO)
        append(h->text, " %s", action->check.video_id);
    if (action->type == ACTION_ABORT)
        append(h->text, " %s", action_text(h->slots[action->slot].main.type));
}

/* ---- the rules of the heart ---- */

static bool is_seen_by_youtube(enum action_type type)
{
    return type == ACTION_START || type == ACTION_PUT || type == ACTION_QUERY || type == ACTION_CANCEL ||
           type == ACTION_LIST_UPLOADS || type == ACTION_CHECK_VIDEO || type == ACTION_CHECK_CDN ||
           type == ACTION_PROBE_TOKEN;
}

static void check_action(const struct harness_slot *slot, const struct action *action)
{
    if (slot->main.op)
        fail_msg("%s while %s is under way", action_text(action->type), action_text(slot->main.type));
    if (action->type == ACTION_START && slot->has_session)
        fail_msg("a second session, while the first one is stored");
    if ((action->type == ACTION_PUT || action->type == ACTION_QUERY) && !slot->has_session)
        fail_msg("%s in a session that is not stored", action_text(action->type));
    if (action->type == ACTION_PUT && action->put.completes && !slot->finalizing)
        fail_msg("the last byte leaves before `finalizing` is stored");
}

static void keep_stored(struct harness_slot *slot, const struct job_write *write)
{
    if (write->set_session)
        slot->has_session = true;
    if (write->clear_session)
        slot->has_session = slot->finalizing = false;
    if (write->set_finalizing)
        slot->finalizing = true;
    if (write->set_confirmed)
        slot->stored_bytes = write->confirmed_bytes;
}

/* ---- actions ---- */

static void answer_now(struct harness *h, const struct action *action)
{
    struct event event = {.op = action->op, .slot = action->slot};
    if (action->type == ACTION_CLAIM) {
        event.type = EVENT_CLAIMED;
        event.claimed.ok = true;
        h->claim_op = 0;
    } else if (action->type == ACTION_STORE) {
        event.type = EVENT_STORED;
        event.stored.result = WRITE_OK;
        h->slots[action->slot].telling.op = 0;
    } else {
        event.type = EVENT_RENEWED;
        event.renewed.cancel_wanted = h->cancel_wanted;
        event.renewed.channel = h->channel;
        h->slots[action->slot].renewal.op = 0;
    }
    harness_event(h, &event);
}

/* Progress goes beside a main action, and only progress does; which of the two a store is shows its content.
 */
static bool is_progress(const struct job_write *write)
{
    return write->set_confirmed && !write->set_state && !write->set_session && !write->set_finalizing &&
           !write->clear_session && !write->set_video && !write->note.what[0];
}

static void take_action(struct harness *h, const struct action *action)
{
    struct harness_slot *slot = &h->slots[action->slot];
    if (action->type == ACTION_TRACE) {
        append(h->traces, "%s\n", action->trace.text);
        return;
    }
    if (action->type == ACTION_CLAIM) {
        h->claim_op = action->op;
        h->claim_count++;
        return;
    }
    if (action->type == ACTION_RENEW) {
        slot->renewal = *action;
        h->renew_count++;
        if (!h->renews)
            append_action(h, action);
        return;
    }
    if (h->tells && action->type == ACTION_STORE && is_token_told(&action->write)) {
        check_action(slot, action);
        slot->telling = *action;
        return;
    }
    append_action(h, action);
    if (action->type == ACTION_ABORT) {
        assert_true(slot->main.op != 0 && action->op == slot->main.op);
        return;
    }
    if (action->type == ACTION_FORGET) {
        assert_true(slot->main.op == 0 && slot->progress.op == 0);
        memset(slot, 0, sizeof(*slot));
        return;
    }
    h->last = *action;
    if (action->type == ACTION_STORE)
        h->write = action->write;
    if (action->type == ACTION_STORE && is_progress(&action->write)) {
        assert_true(slot->progress.op == 0);
        slot->progress = *action;
        return;
    }
    check_action(slot, action);
    slot->main = *action;
}

static void answer_by_itself(struct harness *h)
{
    if (h->claim_op)
        answer_now(h, &(struct action){.type = ACTION_CLAIM, .op = h->claim_op});
    for (uint32_t i = 0; i < HARNESS_SLOTS; i++)
        if (h->slots[i].telling.op)
            answer_now(h, &h->slots[i].telling);
    for (uint32_t i = 0; i < HARNESS_SLOTS; i++)
        if (h->renews && h->slots[i].renewal.op)
            answer_now(h, &h->slots[i].renewal);
}

void harness_event(struct harness *h, struct event *event)
{
    struct actions actions;
    event->now.wall_ms = h->wall_ms;
    event->now.mono_ms = h->mono_ms;
    event->entropy = h->entropy++;
    engine_step(h->engine, event, &actions);
    for (uint32_t i = 0; i < actions.count; i++)
        take_action(h, &actions.items[i]);
    answer_by_itself(h);
}

void harness_tick(struct harness *h)
{
    struct event event = {.type = EVENT_TICK};
    harness_event(h, &event);
}

void harness_drain(struct harness *h)
{
    struct event event = {.type = EVENT_DRAIN};
    harness_event(h, &event);
}

/* ---- time ---- */

static void pass(struct harness *h, int64_t ms)
{
    h->wall_ms += ms;
    h->mono_ms += ms;
}

void harness_advance(struct harness *h, int64_t ms)
{
    int64_t end_ms = h->mono_ms + ms;
    for (;;) {
        int64_t next_ms = engine_next_tick_mono_ms(h->engine);
        if (next_ms > end_ms)
            break;
        pass(h, next_ms > h->mono_ms ? next_ms - h->mono_ms : 0);
        harness_tick(h);
    }
    pass(h, end_ms - h->mono_ms);
}

void harness_stop(struct harness *h, int64_t ms)
{
    pass(h, ms);
}

int64_t harness_wait(struct harness *h, int64_t max_ms)
{
    int64_t begin_ms = h->mono_ms;
    while (h->slots[0].main.op == 0) {
        int64_t next_ms = engine_next_tick_mono_ms(h->engine);
        if (next_ms > begin_ms + max_ms)
            fail_msg("nothing was started within %lld ms", (long long)max_ms);
        pass(h, next_ms > h->mono_ms ? next_ms - h->mono_ms : 0);
        harness_tick(h);
    }
    return h->mono_ms - begin_ms;
}

/* ---- expectations ---- */

void harness_expect(struct harness *h, const char *const *lines, const char *file, int line)
{
    char expected[HARNESS_TEXT_SIZE] = "";
    for (; *lines; lines++)
        append(expected, "%s%s", expected[0] ? "\n" : "", *lines);
    if (strcmp(expected, h->text) != 0) {
        print_message("# expected:\n%s\n# asked for:\n%s\n# traces:\n%s", expected, h->text, h->traces);
        _fail(file, line);
    }
    harness_skip(h);
}

void harness_skip(struct harness *h)
{
    h->text[0] = '\0';
}

void assert_outcome(const struct harness *h, enum job_state state, enum job_cause cause, int64_t from_ms,
                    int64_t to_ms)
{
    const struct job_write *write = &h->write;
    assert_true(write->set_state && write->release_lease);
    assert_string_equal(job_state_text(write->state), job_state_text(state));
    assert_string_equal(job_cause_text(write->cause), job_cause_text(cause));
    if (from_ms == 0 && to_ms == 0) {
        assert_int_equal(write->next_at_ms, 0);
        return;
    }
    assert_true(write->next_at_ms >= h->wall_ms + from_ms);
    assert_true(write->next_at_ms <= h->wall_ms + to_ms);
}

/* ---- claims ---- */

/* The claim is asked for at the next tick that wants one. */
uint32_t harness_claim(struct harness *h, const struct job_claim *claim)
{
    struct actions actions;
    harness_advance(h, 2 * POLL_MS);
    struct event wake = {.type = EVENT_WAKE, .entropy = 1};
    wake.now.wall_ms = h->wall_ms;
    wake.now.mono_ms = h->mono_ms;
    engine_step(h->engine, &wake, &actions);
    assert_int_equal(actions.count, 1);
    assert_int_equal(actions.items[0].type, ACTION_CLAIM);
    uint64_t op = actions.items[0].op;
    uint32_t slot = engine_next_slot(h->engine);
    h->slots[slot] = (struct harness_slot){.used = true,
                                           .has_session = claim->has_session,
                                           .finalizing = claim->finalizing,
                                           .stored_bytes = claim->confirmed_bytes};
    struct event job = {.type = EVENT_JOB, .op = op, .slot = slot, .job = *claim};
    harness_event(h, &job);
    struct event claimed = {.type = EVENT_CLAIMED, .op = op, .claimed = {.ok = true, .claimed_count = 1}};
    harness_event(h, &claimed);
    return slot;
}

/* ---- answers ---- */

static struct event answer_to(struct harness *h, uint32_t slot, enum action_type type,
                              enum event_type event_type)
{
    struct action *main = &h->slots[slot].main;
    if (main->op == 0)
        fail_msg("%s is answered, but nothing was asked for", action_text(type));
    if (main->type != type)
        fail_msg("%s is answered, but %s was asked for", action_text(type), action_text(main->type));
    struct event event = {.type = event_type, .op = main->op, .slot = slot};
    main->op = 0;
    return event;
}

void answer_token(struct harness *h, enum token_result result)
{
    struct event event = answer_to(h, 0, ACTION_TOKEN, EVENT_TOKEN);
    event.token.result = result;
    event.token.retry_after_ms = -1;
    snprintf(event.token.id, sizeof(event.token.id), "t%u", ++h->token_count);
    harness_event(h, &event);
}

void answer_token_until(struct harness *h, int64_t expires_at_mono_ms)
{
    struct event event = answer_to(h, 0, ACTION_TOKEN, EVENT_TOKEN);
    event.token.retry_after_ms = -1;
    event.token.expires_at_mono_ms = expires_at_mono_ms;
    harness_event(h, &event);
}

void answer_source(struct harness *h, enum source_result result)
{
    struct event event = answer_to(h, 0, ACTION_CHECK_SOURCE, EVENT_SOURCE);
    event.source.result = result;
    harness_event(h, &event);
}

void answer_opened(struct harness *h, enum open_result result)
{
    struct event event = answer_to(h, 0, ACTION_OPEN_SESSION, EVENT_OPENED);
    event.opened.result = result;
    harness_event(h, &event);
}

void answer_stored(struct harness *h, enum write_result result)
{
    struct event event = answer_to(h, 0, ACTION_STORE, EVENT_STORED);
    if (result == WRITE_OK)
        keep_stored(&h->slots[0], &h->slots[0].main.write);
    event.stored.result = result;
    harness_event(h, &event);
}

void answer_progress(struct harness *h, enum write_result result)
{
    struct action *progress = &h->slots[0].progress;
    assert_true(progress->op != 0);
    struct event event = {.type = EVENT_STORED, .op = progress->op, .stored = {.result = result}};
    if (result == WRITE_OK)
        keep_stored(&h->slots[0], &progress->write);
    progress->op = 0;
    harness_event(h, &event);
}

void answer_renewed(struct harness *h, enum write_result result)
{
    struct action *renewal = &h->slots[0].renewal;
    assert_true(renewal->op != 0);
    struct event event = {.type = EVENT_RENEWED, .op = renewal->op};
    event.renewed.result = result;
    event.renewed.cancel_wanted = h->cancel_wanted;
    event.renewed.channel = h->channel;
    renewal->op = 0;
    harness_event(h, &event);
}

void answer_in(struct harness *h, uint32_t slot, struct reply reply)
{
    enum action_type type = h->slots[slot].main.type;
    assert_true(is_seen_by_youtube(type));
    if (type == ACTION_PUT && reply.transport == TRANSPORT_OK && reply.sent_bytes == 0)
        reply.sent_bytes = h->slots[slot].main.put.size_bytes;
    if (type == ACTION_PUT && reply.sent_bytes == h->slots[slot].main.put.size_bytes) {
        reply.chunk.first_byte = h->slots[slot].main.put.first_byte;
        reply.chunk.size_bytes = reply.sent_bytes;
    }
    struct event event = answer_to(h, slot, type, EVENT_REPLY);
    event.reply = reply;
    harness_event(h, &event);
}

void answer(struct harness *h, struct reply reply)
{
    answer_in(h, 0, reply);
}
