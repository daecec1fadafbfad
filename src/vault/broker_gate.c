/* When not to ask a token endpoint: pauses after failures, and clients that it refused. */
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "core/backoff.h"
#include "vault/tokens.h"

enum {
    /* So many failures in a row speak of the endpoint; fewer may be one channel's own trouble. */
    FAILURES_OF_CLIENT = 3,
};

void pause_extend(struct pause *pause, int64_t now_mono_ms, int64_t retry_after_ms)
{
    int64_t wait_ms = backoff_half_ms(RETRY_BASE_MS, RETRY_CAP_MS, pause->failures, random_u64());
    if (retry_after_ms > RETRY_AFTER_CAP_MS)
        retry_after_ms = RETRY_AFTER_CAP_MS;
    if (wait_ms < retry_after_ms)
        wait_ms = retry_after_ms;
    pause->failures++;
    pause->until_mono_ms = now_mono_ms + wait_ms;
}

int64_t pause_left_ms(const struct pause *pause, int64_t now_mono_ms)
{
    return pause->until_mono_ms > now_mono_ms ? pause->until_mono_ms - now_mono_ms : 0;
}

static bool is_refused(const struct gate *gate, const unsigned char secret_digest[ROW_DIGEST_BYTES],
                       int64_t now_mono_ms)
{
    return now_mono_ms < gate->refused_until_mono_ms &&
           memcmp(gate->refused_secret, secret_digest, ROW_DIGEST_BYTES) == 0;
}

bool gate_may_pass(struct gate *gate, const unsigned char secret_digest[ROW_DIGEST_BYTES],
                   int64_t now_mono_ms, enum token_result *ret_result, const char **ret_message,
                   int64_t *ret_wait_ms)
{
    *ret_wait_ms = -1;
    if (is_refused(gate, secret_digest, now_mono_ms)) {
        *ret_result = TOKEN_CLIENT;
        *ret_message = gate->refused_message;
        return false;
    }
    if (gate->pause.failures < FAILURES_OF_CLIENT)
        return true;
    int64_t left_ms = pause_left_ms(&gate->pause, now_mono_ms);
    if (left_ms == 0 && !gate->is_probing) {
        gate->is_probing = true;
        return true;
    }
    *ret_result = TOKEN_TRANSIENT;
    *ret_message = "the token endpoint is in trouble; it is asked again soon";
    *ret_wait_ms = left_ms > RETRY_BASE_MS ? left_ms : RETRY_BASE_MS;
    return false;
}

void gate_refused(struct gate *gate, const unsigned char secret_digest[ROW_DIGEST_BYTES], int64_t now_mono_ms,
                  const char *message)
{
    gate->is_probing = false;
    gate->refused_until_mono_ms = now_mono_ms + REFUSED_MS;
    memcpy(gate->refused_secret, secret_digest, ROW_DIGEST_BYTES);
    text_copy(gate->refused_message, sizeof(gate->refused_message), message);
}

void gate_failed(struct gate *gate, int64_t now_mono_ms, int64_t retry_after_ms)
{
    gate->is_probing = false;
    pause_extend(&gate->pause, now_mono_ms, retry_after_ms);
}

void gate_passed(struct gate *gate)
{
    gate->is_probing = false;
    gate->pause = (struct pause){0};
}
