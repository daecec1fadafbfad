#include "sessions.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "tokens.h"

static void set_digest(struct session *session)
{
    unsigned char digest[32];
    gnutls_hash_fast(GNUTLS_DIG_SHA256, session->id, strlen(session->id), digest);
    text_hex(session->digest, digest, DIGEST_LEN / 2);
}

struct session *sessions_add(struct sessions *sessions, struct channel *channel, struct client *client,
                             json_t *metadata)
{
    struct session *session = mem_alloc(sizeof *session);
    *session = (struct session){.references = 1,
                                .id = token_text("AEnB2U"),
                                .channel = channel,
                                .client = client,
                                .metadata = metadata};
    set_digest(session);
    gnutls_hash_init(&session->hash, GNUTLS_DIG_SHA256);
    map_put(&sessions->by_id, session->id, session);
    return session;
}

struct session *sessions_find(struct sessions *sessions, const char *id)
{
    return map_get(&sessions->by_id, id);
}

struct session *sessions_find_digest(struct sessions *sessions, const char *digest)
{
    for (size_t i = 0; digest && i < sessions->by_id.size; i++) {
        struct session *session = sessions->by_id.slots[i].value;
        if (session && strcmp(session->digest, digest) == 0)
            return session;
    }
    return NULL;
}

static void forget(void *session)
{
    session_end(session, 404);
    ((struct session *)session)->video = NULL;
    session_drop(session);
}

void sessions_clear(struct sessions *sessions)
{
    map_clear(&sessions->by_id, forget);
}

struct session *session_take(struct session *session)
{
    if (session)
        session->references++;
    return session;
}

void session_drop(struct session *session)
{
    if (!session || --session->references > 0)
        return;
    if (session->hash)
        gnutls_hash_deinit(session->hash, NULL);
    json_decref(session->metadata);
    mem_free(session->id);
    mem_free(session->slug);
    mem_free(session);
}

void session_end(struct session *session, int status)
{
    session->state = SESSION_GONE;
    session->gone_status = status;
    session->generation++;
}

static json_t *describe(const struct session *session)
{
    static const char *const states[] = {[SESSION_OPEN] = "open",
                                         [SESSION_FINISHED] = "finished",
                                         [SESSION_CANCELLED] = "cancelled",
                                         [SESSION_GONE] = "gone"};
    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:I, s:I, s:I}", "session", session->digest, "channel",
                     session->channel->id, "state", states[session->state], "created_at_ms",
                     (json_int_t)session->created_at_ms, "total_bytes",
                     session->has_total ? json_integer((json_int_t)session->total_bytes) : json_null(),
                     "stored_bytes", (json_int_t)session->stored_bytes, "received_bytes",
                     (json_int_t)session->received_bytes, "puts", (json_int_t)session->put_count);
}

json_t *sessions_list(const struct sessions *sessions)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sessions->by_id.size; i++)
        if (sessions->by_id.slots[i].value)
            json_array_append_new(list, describe(sessions->by_id.slots[i].value));
    return list;
}
