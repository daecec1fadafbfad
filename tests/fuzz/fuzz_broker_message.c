/*
 * Messages between the broker and its parent (X06): what parses is exactly what writing its fields again
 * gives, so there is one form of each message, and nothing is read beyond the frame.
 */
#include "fuzz.h"
#include "vault/message.h"

enum { KIND_NUMBER = 1, KIND_TEXT, KIND_BYTES };

static void put_again(struct message_out *out, const struct message_field *field)
{
    unsigned char kind = (unsigned char)field->text[-5];
    if (kind == KIND_NUMBER)
        message_put_number(out, field->number);
    else if (kind == KIND_TEXT)
        message_put_text(out, field->text);
    else
        message_put_bytes(out, field->text, field->len);
    CHECK(kind != KIND_TEXT || strlen(field->text) == field->len);
}

static void check_form(const struct message *message, const uint8_t *data, size_t size)
{
    struct message_out out;
    struct secret frame AUTO_SECRET = {0};
    size_t len;
    message_start(&out, message->type, message->id);
    for (unsigned i = 0; i < MESSAGE_FIELDS_MAX && message->fields[i].text; i++)
        put_again(&out, &message->fields[i]);
    CHECK(message_finish(&out, &frame, &len));
    CHECK(len == size + MESSAGE_HEAD_BYTES);
    CHECK(memcmp(frame.data + MESSAGE_HEAD_BYTES, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool has_started;
    struct message message;
    struct err err = {0};
    if (!has_started)
        vault_start();
    has_started = true;
    /* A copy of exact length, so that the sanitizer sees each byte read too far. */
    uint8_t *frame AUTO_FREE = mem_alloc(size);
    if (size)
        memcpy(frame, data, size);
    int code = message_parse(frame, size, &message, &err);
    CHECK(code == 0 || code == ERR_INVALID);
    if (code == 0)
        check_form(&message, frame, size);
    return 0;
}
