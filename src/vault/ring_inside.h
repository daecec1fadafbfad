/* What ring.c, key_file.c and key_command.c share. For src/vault alone. */
#ifndef VAULT_RING_INSIDE_H
#define VAULT_RING_INSIDE_H

#include "vault/key.h"
#include "vault/ring.h"

#define KEY_LINE_HEAD "sluice-key-1 "
#define KEY_LINE_NEXT " next"

enum {
    KEY_HEAD_LEN = sizeof(KEY_LINE_HEAD) - 1,
    KEY_LINE_LEN = KEY_HEAD_LEN + 2 * KEY_ROOT_BYTES,
    KEY_NEXT_LEN = sizeof(KEY_LINE_NEXT) - 1,
    KEY_TEXT_MAX = VAULT_RING_MAX * (KEY_LINE_LEN + KEY_NEXT_LEN + 1),
};

/* The lines of a ring's text; `text` points into what was read. */
struct key_lines {
    struct {
        const char *text; /* KEY_LINE_LEN characters */
        bool is_next;
    } lines[VAULT_RING_MAX];
    size_t count;
};
/* False: these are no keys. */
bool key_lines_parse(const char *text, size_t len, struct key_lines *ret);
/* The key of a line; caller frees it. */
struct vault_key *key_of_line(const char *line);

/* The whole of a key file, zero-terminated, in locked memory. */
int key_file_read(const char *path, const char *what, struct secret *ret, size_t *ret_len,
                  struct err *err) MUST_CHECK;
/* What the command prints. */
int key_command_read(const char *words, struct secret *ret, size_t *ret_len, struct err *err) MUST_CHECK;

#endif
