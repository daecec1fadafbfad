/* Leases, fences, writes and renewals. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "fixture.h"

static enum write_result renew(struct fixture *fix, const struct job_claim *claim, struct store_renewal *ret)
{
    assert_ok(store_renew(fix->store, lessee(fix, claim->id, claim->lease_epoch), claim->id,
                          claim->lease_epoch, LEASE_MS, ret, &fix->err),
              fix);
    return ret->result;
}

static void a_claim_leases_the_job(void **state)
{
    struct fixture *fix = *state;
    struct job_id id = add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    assert_string_equal(claim.id.text, id.text);
    assert_int_equal(claim.lease_epoch, 1);
    assert_int_equal(claim.state, JOB_UPLOADING);
    assert_int_equal(claim.size_bytes, 1000);
    assert_int_equal(claim.uploads_per_day, UPLOADS_PER_DAY_DEFAULT);
    struct store_job job = get_job(fix, id);
    assert_int_equal(job.state, JOB_UPLOADING);
    assert_string_equal(job.lease_owner, "w1");
    assert_int_equal(job.lease_until_ms, fix->now_ms + LEASE_MS);
    assert_string_equal(last_event(fix, id.text).what, "claimed");
    assert_string_equal(claim_one(fix, "w2").id.text, "");
}

/* The database's clock jumps ten years ahead, where it gives a lease, and back: no lease is for ever, and
 * whoever lost one by the first jump writes nothing more. */
static void d10_a_clock_that_jumps_ends_leases_and_makes_none_endless(void **state)
{
    struct fixture *fix = *state;
    const int64_t years_ms = 10 * 365 * INT64_C(86400000);
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim first = claim_one(fix, "w1");
    fix->now_ms += years_ms;
    struct job_claim second = claim_one(fix, "w2");
    assert_int_equal(second.lease_epoch, 2);
    struct job_write write = write_of(&first);
    assert_int_equal(do_store_write(fix, &write), WRITE_LEASE_LOST);
    fix->now_ms -= years_ms;
    assert_string_equal(claim_one(fix, "w3").id.text, ""); /* not early: w2 is at work */
    write = write_of(&second);
    assert_int_equal(do_store_write(fix, &write), WRITE_OK);
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
    struct job_claim third = claim_one(fix, "w3");
    assert_string_equal(third.id.text, first.id.text);
    assert_int_equal(third.lease_epoch, 3);
}

/* It jumps back before anybody looks: neither a renewal nor a claim leaves the job to the next one who comes.
 */
static void d10_a_clock_that_jumps_back_leaves_a_lease_to_its_worker(void **state)
{
    struct fixture *fix = *state;
    const int64_t years_ms = 10 * 365 * INT64_C(86400000);
    struct store_renewal renewal;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    claim_one(fix, "w1");
    fix->now_ms += years_ms;
    struct job_claim second = claim_one(fix, "w2");
    fix->now_ms -= years_ms;
    assert_int_equal(renew(fix, &second, &renewal), WRITE_OK);
    assert_string_equal(claim_one(fix, "w3").id.text, "");
    fix->now_ms += years_ms;
    struct job_claim third = claim_one(fix, "w3");
    assert_int_equal(third.lease_epoch, 3);
    move_to(fix, &third, JOB_QUEUED, CAUSE_NONE);
    fix->now_ms -= years_ms;
    assert_int_equal(claim_one(fix, "w4").lease_epoch, 4);
    assert_string_equal(claim_one(fix, "w5").id.text, "");
}

static void a_lease_is_taken_over_after_its_end_and_the_delay(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim first = claim_one(fix, "w1");
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS - 1;
    assert_string_equal(claim_one(fix, "w2").id.text, "");
    fix->now_ms += 1;
    struct job_claim second = claim_one(fix, "w2");
    assert_string_equal(second.id.text, first.id.text);
    assert_int_equal(second.lease_epoch, 2);
    assert_string_equal(last_event(fix, first.id.text).what, "taken over");
}

static void a_renewal_moves_the_end_of_the_lease(void **state)
{
    struct fixture *fix = *state;
    struct store_renewal renewal;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim first = claim_one(fix, "w1");
    /* Even one whose end is past and was noticed, as long as nobody took the job over. */
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS + 1;
    struct store_reach nowhere = {.tenants = "nobody"};
    struct job_claim none;
    assert_int_equal(claim_reach(fix, "w2", &nowhere, 1, &none), 0);
    assert_int_equal(renew(fix, &first, &renewal), WRITE_OK);
    assert_false(renewal.cancel_wanted);
    assert_int_equal(renewal.channel, CHANNEL_ACTIVE);
    assert_string_equal(claim_one(fix, "w2").id.text, "");
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
    assert_string_equal(claim_one(fix, "w2").id.text, first.id.text);
}

static void a_lease_given_back_has_no_delay(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim first = claim_one(fix, "w1");
    struct job_write write = write_of(&first);
    write.release_lease = true;
    must_write(fix, &write);
    assert_string_equal(get_job(fix, first.id).lease_owner, "");
    assert_int_equal(claim_one(fix, "w2").lease_epoch, 2);
}

static void x07_old_epoch_writes_nothing(void **state)
{
    struct fixture *fix = *state;
    struct store_renewal renewal;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim old = claim_one(fix, "w1");
    fix->now_ms += LEASE_MS + TAKEOVER_DELAY_MS;
    struct job_claim new = claim_one(fix, "w2");
    uint32_t events = count_events(fix, NULL, NULL);
    struct job_write write = move_of(&old, JOB_HELD, CAUSE_CHANNEL_AUTH);
    write.set_session = write.set_finalizing = write.count_attempt = true;
    write.set_confirmed = true;
    write.confirmed_bytes = 500;
    write.chunks = (struct chunk_digests){.count = 1, .items = {{.size_bytes = 500}}};
    write.charge = BUCKET_UPLOADS;
    write.charge_amount = 1;
    write.set_channel = true;
    write.channel = CHANNEL_AUTH;
    write.set_error = true;
    snprintf(write.note.what, sizeof(write.note.what), "never");
    assert_int_equal(do_store_write(fix, &write), WRITE_LEASE_LOST);
    assert_int_equal(renew(fix, &old, &renewal), WRITE_LEASE_LOST);
    assert_int_equal(count_events(fix, NULL, NULL), events);
    struct store_job job = get_job(fix, old.id);
    assert_int_equal(job.state, JOB_UPLOADING);
    assert_int_equal(job.lease_epoch, new.lease_epoch);
    assert_false(job.has_session || job.finalizing);
    assert_int_equal(job.confirmed_bytes + job.upload_attempts, 0);
    assert_int_equal(get_channel(fix, old.channel_id).state, CHANNEL_ACTIVE);
    assert_int_equal(number(fix, "select count(*) from chunk"), 0);
    assert_int_equal(number(fix, "select count(*) from quota"), 0);
}

/* The claim was lost with a fail-over, and the next one has its epoch again. */
static void d03_an_epoch_given_twice_lets_only_its_worker_write(void **state)
{
    struct fixture *fix = *state;
    struct store_renewal renewal;
    enum write_result result;
    char message[256];
    add_job(fix, make_channel(fix, "t", "c"), "A1");
    struct job_claim old = claim_one(fix, "w1");
    assert_int_equal(number(fix, "select count(*) from job where lease_owner = 'w1'"), 1);
    assert_int_equal(run_sql(fix, "update job set lease_owner = 'w2'", message), 0);
    struct job_write write = move_of(&old, JOB_WAITING, CAUSE_NONE);
    assert_ok(store_write(fix->store, "w1", &write, (struct blob){0}, &result, &fix->err), fix);
    assert_int_equal(result, WRITE_LEASE_LOST);
    assert_ok(store_renew(fix->store, "w1", old.id, old.lease_epoch, LEASE_MS, &renewal, &fix->err), fix);
    assert_int_equal(renewal.result, WRITE_LEASE_LOST);
    assert_ok(store_job_set_fingerprint(fix->store, "w1", old.id, old.lease_epoch, "v1:1000:0:0:0:abc",
                                        &result, &fix->err),
              fix);
    assert_int_equal(result, WRITE_LEASE_LOST);
    assert_ok(store_renew(fix->store, "w2", old.id, old.lease_epoch, LEASE_MS, &renewal, &fix->err), fix);
    assert_int_equal(renewal.result, WRITE_OK);
}

static void x07_two_workers_with_one_name_and_lease(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim one = claim_one(fix, "same");
    struct job_claim two = one; /* a second process that believes it has the lease */
    struct job_write done = move_of(&one, JOB_WAITING, CAUSE_NONE);
    done.next_at_ms = fix->now_ms + 1000;
    must_write(fix, &done);
    struct job_write late = write_of(&two);
    late.set_confirmed = true;
    late.confirmed_bytes = 10;
    assert_int_equal(do_store_write(fix, &late), WRITE_LEASE_LOST);
    fix->now_ms += 1000;
    assert_int_equal(claim_one(fix, "same").lease_epoch, 2);
    assert_int_equal(do_store_write(fix, &late), WRITE_LEASE_LOST);
    assert_int_equal(get_job(fix, one.id).confirmed_bytes, 0);
}

static void a_write_sets_what_it_says_and_nothing_else(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    struct job_write write = write_of(&claim);
    write.set_session = true;
    write.count_attempt = true;
    snprintf(write.note.what, sizeof(write.note.what), "session opened");
    snprintf(write.note.request_id, sizeof(write.note.request_id), "abcd");
    must_write(fix, &write);
    struct store_job job = get_job(fix, claim.id);
    assert_true(job.has_session);
    assert_int_equal(job.session_at_ms, fix->now_ms);
    assert_int_equal(job.upload_attempts, 1);
    struct store_event event = last_event(fix, claim.id.text);
    assert_string_equal(event.what, "session opened");
    assert_string_equal(event.request_id, "abcd");
    assert_string_equal(event.from_state, "");
    assert_int_equal(event.lease_epoch, 1);

    uint32_t events = count_events(fix, NULL, NULL);
    fix->now_ms += 5000;
    write = write_of(&claim);
    write.set_confirmed = true;
    write.confirmed_bytes = 600;
    write.chunks = (struct chunk_digests){
        .count = 1, .items = {{.first_byte = 0, .size_bytes = 600, .digest = "0123456789abcde"}}};
    must_write(fix, &write);
    job = get_job(fix, claim.id);
    assert_int_equal(job.confirmed_bytes, 600);
    assert_true(job.has_session);
    assert_int_equal(count_events(fix, NULL, NULL), events); /* progress is no audit line */
    assert_int_equal(number(fix, "select last_byte_uploaded from upload"), 599);

    write = write_of(&claim);
    write.set_session = true; /* another address of the same session */
    must_write(fix, &write);
    job = get_job(fix, claim.id);
    assert_int_equal(job.confirmed_bytes, 600);
    assert_int_equal(job.session_at_ms, fix->now_ms - 5000);

    write = write_of(&claim);
    write.clear_session = write.set_session = true;
    must_write(fix, &write);
    job = get_job(fix, claim.id);
    assert_int_equal(job.confirmed_bytes, 0);
    assert_int_equal(job.session_at_ms, fix->now_ms);
    assert_int_equal(number(fix, "select count(*) from chunk"), 0);
}

static void a_claim_hands_over_what_was_stored(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    struct job_write write = move_of(&claim, JOB_WAITING, CAUSE_NONE);
    write.set_session = write.set_finalizing = write.set_session_dead = true;
    write.set_confirmed = true;
    write.confirmed_bytes = 1000;
    write.set_waits = true;
    write.waits = 3;
    write.set_reconcile = true;
    write.reconcile_looks = 2;
    write.reconcile_from_ms = 77;
    write.set_check_looks = true;
    write.check_looks = 5;
    must_write(fix, &write);
    struct store_work work;
    uint32_t count;
    struct store_reach reach = {.region = ""};
    assert_ok(store_claim(fix->store, "w2", &reach, 1, LEASE_MS, &work, &count, &fix->err), fix);
    assert_int_equal(count, 1);
    assert_true(work.claim.has_session && work.claim.finalizing && work.claim.session_dead);
    assert_int_equal(work.claim.confirmed_bytes, 1000);
    assert_int_equal(work.claim.waits, 3);
    assert_int_equal(work.claim.reconcile_looks, 2);
    assert_int_equal(work.claim.reconcile_from_ms, 77);
    assert_int_equal(work.claim.check_looks, 5);
    assert_int_equal(work.sealed_session.len, 14);
    assert_memory_equal(work.sealed_session.data, "sealed session", 14);
    assert_string_equal(work.storage_path, "clip.mp4");
    assert_string_equal(work.metadata, "{}");
    assert_string_equal(work.uploads_playlist, "UU-uploads");
    assert_string_equal(work.tenant, "t");
    store_work_release(&work);
}

static void a_terminal_move_drops_the_session(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    struct job_write write = write_of(&claim);
    write.set_session = write.set_confirmed = true;
    write.confirmed_bytes = 400;
    write.chunks = (struct chunk_digests){.count = 1, .items = {{.size_bytes = 400}}};
    must_write(fix, &write);
    write = move_of(&claim, JOB_FAILED, CAUSE_NONE);
    write.set_error = true;
    snprintf(write.note.what, sizeof(write.note.what), "failed");
    snprintf(write.note.reason, sizeof(write.note.reason), "invalidTitle");
    snprintf(write.note.message, sizeof(write.note.message), "the title is no good");
    must_write(fix, &write);
    struct store_job job = get_job(fix, claim.id);
    assert_int_equal(job.state, JOB_FAILED);
    assert_int_equal(job.finished_at_ms, fix->now_ms);
    assert_false(job.has_session);
    assert_string_equal(job.lease_owner, "");
    assert_string_equal(job.error_reason, "invalidTitle");
    assert_int_equal(job.confirmed_bytes, 400);
    assert_int_equal(number(fix, "select count(*) from chunk"), 0);
    struct store_event event = last_event(fix, claim.id.text);
    assert_string_equal(event.from_state, "uploading");
    assert_string_equal(event.to_state, "failed");
    assert_string_equal(event.message, "the title is no good");
}

static void a_video_belongs_to_one_job_of_a_channel(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "JOB1");
    add_job(fix, channel, "JOB2");
    struct job_claim claims[2];
    assert_int_equal(claim_many(fix, "w1", 2, claims), 2);
    struct job_write write = move_of(&claims[0], JOB_FINISHING, CAUSE_NONE);
    write.set_video = true;
    snprintf(write.video_id, sizeof(write.video_id), "abcdefghijk");
    snprintf(write.etag, sizeof(write.etag), "etag1");
    must_write(fix, &write);
    assert_string_equal(get_job(fix, claims[0].id).video_id, "abcdefghijk");
    assert_string_equal(get_job(fix, claims[0].id).etag, "etag1");
    uint32_t events = count_events(fix, NULL, NULL);
    write.id = claims[1].id;
    write.set_confirmed = true;
    write.confirmed_bytes = 9;
    write.charge = BUCKET_UNITS;
    write.charge_amount = 1;
    assert_int_equal(do_store_write(fix, &write), WRITE_VIDEO_TAKEN);
    struct store_job job = get_job(fix, claims[1].id);
    assert_int_equal(job.state, JOB_UPLOADING);
    assert_int_equal(job.confirmed_bytes, 0);
    assert_int_equal(count_events(fix, NULL, NULL), events);
    assert_int_equal(number(fix, "select count(*) from quota"), 0);
}

static void impossible_writes_are_refused_whole(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    enum write_result result;
    struct job_write write = write_of(&claim);
    write.set_confirmed = true;
    write.confirmed_bytes = 1001;
    assert_code(store_write(fix->store, "w1", &write, (struct blob){0}, &result, &fix->err), ERR_INVALID);
    assert_int_equal(result, WRITE_FAILED);
    write = write_of(&claim);
    write.set_session = true;
    assert_code(store_write(fix->store, "w1", &write, (struct blob){0}, &result, &fix->err), ERR_INVALID);
    write = move_of(&claim, JOB_HELD, CAUSE_NONE);
    write.set_confirmed = true;
    write.confirmed_bytes = 10;
    assert_code(store_write(fix->store, "w1", &write, (struct blob){0}, &result, &fix->err), ERR_INVALID);
    assert_int_equal(get_job(fix, claim.id).confirmed_bytes, 0);
    assert_int_equal(get_job(fix, claim.id).state, JOB_UPLOADING);
}

static void a_fingerprint_is_set_once_under_the_lease(void **state)
{
    struct fixture *fix = *state;
    enum write_result result;
    struct store_job_new new = new_job(make_channel(fix, "t", "c"), "JOB1");
    new.fingerprint = "";
    add(fix, &new);
    struct job_claim claim = claim_one(fix, "w1");
    const struct {
        int64_t epoch;
        const char *text;
        enum write_result result;
    } steps[] = {{2, "v1:a", WRITE_LEASE_LOST},
                 {1, "v1:a", WRITE_OK},
                 {1, "v1:a", WRITE_OK},
                 {1, "v1:b", WRITE_LEASE_LOST}};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_ok(store_job_set_fingerprint(fix->store, "w1", claim.id, steps[i].epoch, steps[i].text,
                                            &result, &fix->err),
                  fix);
        assert_int_equal(result, steps[i].result);
    }
    assert_int_equal(number(fix, "select count(*) from job where fingerprint = 'v1:a'"), 1);
}

/* ---- quota ---- */

static enum write_result charge(struct fixture *fix, const struct job_claim *claim, uint32_t amount,
                                uint32_t limit, int32_t day)
{
    struct job_write write = write_of(claim);
    write.charge = BUCKET_UPLOADS;
    write.charge_amount = amount;
    write.charge_limit = limit;
    write.pacific_day = day;
    write.count_attempt = true;
    return do_store_write(fix, &write);
}

static int sum_uploads(void *ctx, const struct store_quota *quota)
{
    if (quota->channel[0])
        return 0;
    if (quota->bucket == BUCKET_UPLOADS)
        *(uint32_t *)ctx += quota->used;
    assert_int_equal(quota->limit,
                     quota->bucket == BUCKET_UPLOADS ? UPLOADS_PER_DAY_DEFAULT : UNITS_PER_DAY_DEFAULT);
    return 0;
}

static uint32_t uploads_used(struct fixture *fix, int32_t day)
{
    uint32_t used = 0;
    assert_ok(store_quota_list(fix->store, day, sum_uploads, &used, &fix->err), fix);
    return used;
}

static void a_full_bucket_of_the_client_refuses_all_its_channels(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c1"), "JOB1");
    add_job(fix, make_channel(fix, "t", "c2"), "JOB2");
    struct job_claim claims[2];
    assert_int_equal(claim_many(fix, "w1", 2, claims), 2);
    assert_int_equal(charge(fix, &claims[0], 2, 5, 100), WRITE_OK);
    assert_int_equal(charge(fix, &claims[1], 2, 5, 100), WRITE_OK);
    assert_int_equal(charge(fix, &claims[1], 2, 5, 100), WRITE_QUOTA_FULL);
    assert_int_equal(get_job(fix, claims[1].id).upload_attempts, 1);
    assert_int_equal(uploads_used(fix, 100), 4);
    assert_int_equal(charge(fix, &claims[1], 1, 5, 100), WRITE_OK);
    assert_int_equal(charge(fix, &claims[0], 1, 5, 100), WRITE_QUOTA_FULL);
    assert_int_equal(charge(fix, &claims[0], 1, 5, 101), WRITE_OK); /* another day */
    assert_int_equal(charge(fix, &claims[0], 7, 0, 100), WRITE_OK); /* counted without a limit */
    assert_int_equal(uploads_used(fix, 100), 12);
    assert_int_equal(number(fix, "select count(*) from quota where pacific_day = 100"), 2);
}

/* ---- groups ---- */

static void a_group_is_kept_or_lost_as_one(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    add_job(fix, channel, "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    assert_ok(store_begin(fix->store, &fix->err), fix);
    struct job_write write = write_of(&claim);
    write.set_confirmed = true;
    write.confirmed_bytes = 10;
    must_write(fix, &write);
    /* One that is refused takes nothing with it. */
    struct job_write stale = write;
    stale.lease_epoch = 99;
    stale.confirmed_bytes = 20;
    assert_int_equal(do_store_write(fix, &stale), WRITE_LEASE_LOST);
    struct job_write bad = move_of(&claim, JOB_HELD, CAUSE_NONE);
    enum write_result result;
    assert_code(store_write(fix->store, "w1", &bad, (struct blob){0}, &result, &fix->err), ERR_INVALID);
    assert_ok(store_commit(fix->store, &fix->err), fix);
    assert_int_equal(get_job(fix, claim.id).confirmed_bytes, 10);
    assert_ok(store_begin(fix->store, &fix->err), fix);
    write.confirmed_bytes = 30;
    must_write(fix, &write);
    add_job(fix, channel, "JOB2");
    store_rollback(fix->store);
    assert_int_equal(get_job(fix, claim.id).confirmed_bytes, 10);
    assert_int_equal(number(fix, "select count(*) from job"), 1);
    assert_code(store_commit(fix->store, &fix->err), ERR_INTERNAL);
}

static void a_group_ends_as_it_went(void **state)
{
    struct fixture *fix = *state;
    int64_t channel = make_channel(fix, "t", "c");
    assert_ok(store_begin(fix->store, &fix->err), fix);
    add_job(fix, channel, "JOB1");
    err_set(&fix->err, ERR_EXISTS, "the reason");
    assert_code(store_end(fix->store, ERR_EXISTS, &fix->err), ERR_EXISTS);
    assert_string_equal(fix->err.message, "the reason");
    assert_int_equal(number(fix, "select count(*) from job"), 0);
    assert_ok(store_begin(fix->store, &fix->err), fix);
    add_job(fix, channel, "JOB1");
    assert_ok(store_end(fix->store, 0, &fix->err), fix);
    assert_int_equal(number(fix, "select count(*) from job"), 1);
    assert_code(store_end(fix->store, 0, &fix->err), ERR_INTERNAL);
}

static int count_chunk(void *ctx, const struct chunk_digest *chunk)
{
    uint64_t *next = ctx;
    assert_int_equal(chunk->first_byte, *next);
    assert_int_equal(chunk->digest[0], (unsigned char)(*next / 100));
    *next += chunk->size_bytes;
    return 0;
}

static void chunks_are_listed_in_order(void **state)
{
    struct fixture *fix = *state;
    add_job(fix, make_channel(fix, "t", "c"), "JOB1");
    struct job_claim claim = claim_one(fix, "w1");
    uint64_t firsts[] = {100, 0, 200, 100};
    for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
        struct job_write write = write_of(&claim);
        write.chunks =
            (struct chunk_digests){.count = 1, .items = {{.first_byte = firsts[i], .size_bytes = 100}}};
        write.chunks.items[0].digest[0] = (unsigned char)(firsts[i] / 100);
        must_write(fix, &write);
    }
    uint64_t next = 0;
    assert_ok(store_chunk_list(fix->store, claim.id, count_chunk, &next, &fix->err), fix);
    assert_int_equal(next, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_claim_leases_the_job),
        TEST(d10_a_clock_that_jumps_ends_leases_and_makes_none_endless),
        TEST(d10_a_clock_that_jumps_back_leaves_a_lease_to_its_worker),
        TEST(a_lease_is_taken_over_after_its_end_and_the_delay),
        TEST(a_renewal_moves_the_end_of_the_lease),
        TEST(a_lease_given_back_has_no_delay),
        TEST(x07_old_epoch_writes_nothing),
        TEST(d03_an_epoch_given_twice_lets_only_its_worker_write),
        TEST(x07_two_workers_with_one_name_and_lease),
        TEST(a_write_sets_what_it_says_and_nothing_else),
        TEST(a_claim_hands_over_what_was_stored),
        TEST(a_terminal_move_drops_the_session),
        TEST(a_video_belongs_to_one_job_of_a_channel),
        TEST(impossible_writes_are_refused_whole),
        TEST(a_fingerprint_is_set_once_under_the_lease),
        TEST(a_full_bucket_of_the_client_refuses_all_its_channels),
        TEST(a_group_is_kept_or_lost_as_one),
        TEST(a_group_ends_as_it_went),
        TEST(chunks_are_listed_in_order),
    };
    return RUN_UNIT_TESTS(tests);
}
