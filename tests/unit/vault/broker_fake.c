/*
 * A child that misbehaves (X06): it says hello, and then, to the first question, what the configuration's
 * `store` names. The second child of a test (the file that `key_source` names exists then) behaves.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/event.h"
#include "vault/message.h"

static char frame[MESSAGE_LEN_MAX];
static char mode[64];

static bool read_all(char *ret, size_t len)
{
    while (len) {
        ssize_t got = read(3, ret, len);
        if (got <= 0)
            return false;
        ret += got;
        len -= (size_t)got;
    }
    return true;
}

static bool read_message(struct message *ret)
{
    unsigned char head[4];
    if (!read_all((char *)head, 4))
        return false;
    size_t len = (size_t)head[2] << 8 | head[3];
    return read_all(frame, len) && message_parse(frame, len, ret, NULL) == 0;
}

static void send_message(struct message_out *out)
{
    struct secret bytes AUTO_SECRET = {0};
    size_t len;
    if (!message_finish(out, &bytes, &len) || write(3, bytes.data, len) != (ssize_t)len)
        exit(9);
}

static void greet(const struct message *config)
{
    struct message_out out;
    message_start(&out, MESSAGE_HELLO, config->id);
    message_put_bytes(&out, "0123456789abcdef0123456789abcdef", 32);
    send_message(&out);
}

static void behave(const struct message *ask)
{
    struct message_out out;
    message_start(&out, MESSAGE_SEALED, ask->id);
    message_put_number(&out, OPEN_OK);
    message_put_bytes(&out, "sealed", 6);
    send_message(&out);
}

static void answer_another_kind(const struct message *ask)
{
    struct message_out out;
    message_start(&out, MESSAGE_OPENED, ask->id);
    message_put_number(&out, OPEN_OK);
    message_put_text(&out, "https://elsewhere.example/");
    send_message(&out);
}

static void answer_nobody(const struct message *ask)
{
    struct message other = *ask;
    other.id += 1000;
    behave(&other);
}

static void misbehave(const struct message *ask)
{
    static const char garbage[] = "\0\0\0\5hello, this is not a message of ours";
    static const char endless[] = "\xff\xff\xff\xff";
    if (strcmp(mode, "garbage") == 0 && write(3, garbage, sizeof(garbage)) > 0)
        pause();
    else if (strcmp(mode, "endless") == 0 && write(3, endless, 4) > 0)
        pause();
    else if (strcmp(mode, "another kind") == 0)
        answer_another_kind(ask);
    else if (strcmp(mode, "nobody") == 0)
        answer_nobody(ask);
    else if (strcmp(mode, "exit") == 0)
        exit(0);
    pause(); /* "mute" */
}

int main(void)
{
    struct message message;
    vault_start();
    if (!read_message(&message) || message.type != MESSAGE_CONFIG)
        return 1;
    strncpy(mode, message.fields[CONFIG_STORE].text, sizeof(mode) - 1);
    if (strcmp(mode, "no hello") == 0)
        return 0;
    if (strcmp(mode, "mute from the start") == 0)
        pause();
    int marker = open(message.fields[CONFIG_KEY_SOURCE].text, O_CREAT | O_EXCL | O_WRONLY, 0600);
    greet(&message);
    while (read_message(&message))
        if (marker >= 0)
            misbehave(&message);
        else
            behave(&message);
    return 0;
}
