#include "vault/message.h"

#include <assert.h>
#include <string.h>

#include "vault/seal.h"

enum { KIND_END, KIND_NUMBER, KIND_TEXT, KIND_BYTES };
enum { HEAD_BYTES = 9, FIELD_HEAD_BYTES = 5, FIRST_FRAME_BYTES = 200 };

struct field_rule {
    unsigned char kind;
    uint32_t len_max; /* of texts without their NUL */
};

#define NUMBER                                                                                               \
    {                                                                                                        \
        KIND_NUMBER, 8                                                                                       \
    }
#define TEXT(max)                                                                                            \
    {                                                                                                        \
        KIND_TEXT, max                                                                                       \
    }
#define BYTES(max)                                                                                           \
    {                                                                                                        \
        KIND_BYTES, max                                                                                      \
    }

static const struct {
    const char *name;
    struct field_rule fields[MESSAGE_FIELDS_MAX];
} rules[MESSAGE_TYPE_COUNT] = {
    [MESSAGE_CONFIG] = {"config", {TEXT(4096), TEXT(4096), TEXT(512),  TEXT(4096), TEXT(512),  NUMBER,
                                   NUMBER,     NUMBER,     TEXT(4096), TEXT(127),  TEXT(4096), NUMBER,
                                   TEXT(1024), TEXT(4096), TEXT(4096), TEXT(4096), TEXT(4096), TEXT(4096),
                                   NUMBER,     TEXT(4096), TEXT(63),   NUMBER}},
    [MESSAGE_TOKEN] = {"token", {NUMBER, NUMBER, TEXT(32), NUMBER, NUMBER}},
    [MESSAGE_SEAL] = {"seal", {NUMBER, TEXT(32), TEXT(4096)}},
    [MESSAGE_OPEN] = {"open", {NUMBER, TEXT(32), BYTES(VAULT_SEALED_MAX)}},
    [MESSAGE_IMPORT] = {"import", {TEXT(63), TEXT(63), BYTES(32768)}},
    [MESSAGE_LOGIN] = {"login", {TEXT(63), NUMBER, TEXT(63), TEXT(63), TEXT(4096), TEXT(256), TEXT(1024)}},
    [MESSAGE_ADOPT] = {"adopt", {TEXT(63), NUMBER, TEXT(63), TEXT(63)}},
    [MESSAGE_DEVICE] = {"device", {TEXT(63), NUMBER, TEXT(63), TEXT(63)}},
    [MESSAGE_POLL] = {"poll", {NUMBER}},
    [MESSAGE_TAKE] = {"take", {TEXT(63), NUMBER, TEXT(63), TEXT(63), BYTES(32768)}},
    [MESSAGE_REMOVE] = {"remove", {NUMBER, NUMBER}},
    [MESSAGE_SIGN] = {"sign", {TEXT(4096)}},
    [MESSAGE_PROBE] = {"probe", {NUMBER}},
    [MESSAGE_HELLO] = {"hello", {BYTES(32)}},
    [MESSAGE_TOKEN_ANSWER] = {"token answer", {NUMBER, TEXT(4096), NUMBER, NUMBER, TEXT(1023)}},
    [MESSAGE_SEALED] = {"sealed", {NUMBER, BYTES(VAULT_SEALED_MAX)}},
    [MESSAGE_OPENED] = {"opened", {NUMBER, TEXT(4096)}},
    [MESSAGE_CLIENT] = {"client",
                        {NUMBER, NUMBER, TEXT(63), TEXT(63), TEXT(255), TEXT(511), TEXT(511), TEXT(15),
                         NUMBER, NUMBER, NUMBER}},
    [MESSAGE_CHANNEL] = {"channel",
                         {NUMBER, NUMBER, NUMBER, TEXT(63), TEXT(63), TEXT(63), TEXT(63), TEXT(255), TEXT(63),
                          NUMBER, TEXT(255), NUMBER, NUMBER, NUMBER}},
    [MESSAGE_DEVICE_CODE] = {"device code", {TEXT(63), TEXT(511), NUMBER}},
    [MESSAGE_REMOVED] = {"removed", {NUMBER}},
    [MESSAGE_PROBED] = {"probed", {NUMBER, TEXT(1023)}},
    [MESSAGE_SIGNED] = {"signed", {NUMBER, TEXT(8192), TEXT(1023)}},
    [MESSAGE_ERROR] = {"error", {NUMBER, TEXT(1023)}},
};

const char *message_name(enum message_type type)
{
    return rules[type].name;
}

static void write_number(unsigned char *ret, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        ret[i] = (unsigned char)(number >> (8 * (bytes - 1 - i)));
}

static uint64_t read_number(const unsigned char *from, int bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++)
        number = number << 8 | from[i];
    return number;
}

/* ---- reading ---- */

static bool field_is_sound(const struct field_rule *rule, const unsigned char *data, size_t len)
{
    if (rule->kind == KIND_NUMBER)
        return len == 8;
    if (rule->kind == KIND_BYTES)
        return len <= rule->len_max;
    return len >= 1 && len <= (size_t)rule->len_max + 1 && memchr(data, '\0', len) == data + len - 1;
}

/* Returns how many bytes the field takes; 0: not as its rule says. */
static size_t parse_field(const struct field_rule *rule, const unsigned char *data, size_t len,
                          struct message_field *ret)
{
    if (len < FIELD_HEAD_BYTES || data[0] != rule->kind)
        return 0;
    size_t field_len = read_number(data + 1, 4);
    if (field_len > len - FIELD_HEAD_BYTES || !field_is_sound(rule, data + FIELD_HEAD_BYTES, field_len))
        return 0;
    ret->text = (const char *)data + FIELD_HEAD_BYTES;
    ret->len = rule->kind == KIND_TEXT ? field_len - 1 : field_len;
    if (rule->kind == KIND_NUMBER)
        ret->number = (int64_t)read_number(data + FIELD_HEAD_BYTES, 8);
    return FIELD_HEAD_BYTES + field_len;
}

int message_parse(const void *frame, size_t len, struct message *ret, struct err *err)
{
    const unsigned char *data = frame;
    if (len < HEAD_BYTES || len > MESSAGE_LEN_MAX || data[0] >= MESSAGE_TYPE_COUNT)
        return err_set(err, ERR_INVALID, "a message of an unknown kind (%zu bytes)", len);
    struct message message = {.type = (enum message_type)data[0], .id = read_number(data + 1, 8)};
    const struct field_rule *fields = rules[message.type].fields;
    size_t at = HEAD_BYTES;
    for (unsigned i = 0; i < MESSAGE_FIELDS_MAX && fields[i].kind != KIND_END; i++) {
        size_t took = parse_field(&fields[i], data + at, len - at, &message.fields[i]);
        if (!took)
            return err_set(err, ERR_INVALID, "field %u of a '%s' message is malformed", i,
                           message_name(message.type));
        at += took;
    }
    if (at != len)
        return err_set(err, ERR_INVALID, "%zu bytes too many in a '%s' message", len - at,
                       message_name(message.type));
    *ret = message;
    return 0;
}

/* ---- writing ---- */

static void put(struct message_out *out, const void *data, size_t len)
{
    if (out->len + len > out->frame.len) {
        struct secret larger AUTO_SECRET = {0};
        secret_reserve(&larger, (out->len + len) * 2);
        memcpy(larger.data, out->frame.data, out->len);
        secret_move(&out->frame, &larger);
    }
    if (len)
        memcpy(out->frame.data + out->len, data, len);
    out->len += len;
}

void message_start(struct message_out *out, enum message_type type, uint64_t id)
{
    unsigned char head[MESSAGE_HEAD_BYTES + HEAD_BYTES] = {0};
    *out = (struct message_out){.type = type};
    secret_reserve(&out->frame, FIRST_FRAME_BYTES);
    head[MESSAGE_HEAD_BYTES] = (unsigned char)type;
    write_number(head + MESSAGE_HEAD_BYTES + 1, id, 8);
    put(out, head, sizeof(head));
}

static void put_field(struct message_out *out, unsigned char kind, const void *data, size_t len)
{
    assert(out->field_count < MESSAGE_FIELDS_MAX);
    const struct field_rule *rule = &rules[out->type].fields[out->field_count++];
    assert(rule->kind == kind);
    if (!field_is_sound(rule, data, len)) {
        out->overflowed = true;
        return;
    }
    unsigned char head[FIELD_HEAD_BYTES] = {kind};
    write_number(head + 1, len, 4);
    put(out, head, sizeof(head));
    put(out, data, len);
}

void message_put_number(struct message_out *out, int64_t number)
{
    unsigned char bytes[8];
    write_number(bytes, (uint64_t)number, 8);
    put_field(out, KIND_NUMBER, bytes, sizeof(bytes));
}

void message_put_text(struct message_out *out, const char *text)
{
    put_field(out, KIND_TEXT, text ? text : "", text ? strlen(text) + 1 : 1);
}

void message_put_bytes(struct message_out *out, const void *data, size_t len)
{
    put_field(out, KIND_BYTES, data, len);
}

bool message_finish(struct message_out *out, struct secret *ret, size_t *ret_len)
{
    assert(out->field_count == MESSAGE_FIELDS_MAX ||
           rules[out->type].fields[out->field_count].kind == KIND_END);
    if (out->overflowed || out->len - MESSAGE_HEAD_BYTES > MESSAGE_LEN_MAX) {
        secret_release(&out->frame);
        return false;
    }
    write_number((unsigned char *)out->frame.data, out->len - MESSAGE_HEAD_BYTES, 4);
    secret_move(ret, &out->frame);
    *ret_len = out->len;
    return true;
}
