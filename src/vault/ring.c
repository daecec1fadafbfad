/* Root keys from their source. */
#include "vault/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "vault/ring_inside.h"

enum source_kind { SOURCE_FILE, SOURCE_CREDENTIAL, SOURCE_VARIABLE, SOURCE_COMMAND };

struct vault_ring {
    struct vault_key *keys[VAULT_RING_MAX];
    bool is_next[VAULT_RING_MAX];
    size_t count;
    enum source_kind kind;
    char *where; /* path, name or words */
    char *name;
};

/* ---- lines ---- */

static bool is_key_line(const char *line)
{
    unsigned char ignored[KEY_ROOT_BYTES];
    char digits[2 * KEY_ROOT_BYTES + 1];
    memcpy(digits, line + KEY_HEAD_LEN, sizeof(digits) - 1);
    digits[sizeof(digits) - 1] = '\0';
    bool is_one =
        memcmp(line, KEY_LINE_HEAD, KEY_HEAD_LEN) == 0 && text_unhex(ignored, KEY_ROOT_BYTES, digits);
    secret_wipe(ignored, sizeof(ignored));
    secret_wipe(digits, sizeof(digits));
    return is_one;
}

static bool add_line(struct key_lines *lines, const char *line, size_t len)
{
    bool is_next =
        len == KEY_LINE_LEN + KEY_NEXT_LEN && memcmp(line + KEY_LINE_LEN, KEY_LINE_NEXT, KEY_NEXT_LEN) == 0;
    if (lines->count == VAULT_RING_MAX || (len != KEY_LINE_LEN && !is_next) || !is_key_line(line))
        return false;
    lines->lines[lines->count].text = line;
    lines->lines[lines->count++].is_next = is_next;
    return true;
}

bool key_lines_parse(const char *text, size_t len, struct key_lines *ret)
{
    *ret = (struct key_lines){.count = 0};
    size_t next_count = 0;
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t line_len = newline ? (size_t)(newline - (text + at)) : len - at;
        if (!add_line(ret, text + at, line_len))
            return false;
        next_count += ret->lines[ret->count - 1].is_next;
        at += line_len + 1;
    }
    /* The first is the one that wraps. */
    return ret->count > 0 && !ret->lines[0].is_next && next_count <= 1;
}

struct vault_key *key_of_line(const char *line)
{
    struct secret digits AUTO_SECRET = {0}, root AUTO_SECRET = {0};
    secret_set(&digits, line + KEY_HEAD_LEN, 2 * (size_t)KEY_ROOT_BYTES);
    secret_reserve(&root, KEY_ROOT_BYTES);
    text_unhex(root.data, KEY_ROOT_BYTES, digits.data);
    return vault_key_new((const unsigned char *)root.data);
}

/* ---- sources ---- */

static int read_variable(const char *name, struct secret *ret, size_t *ret_len, struct err *err)
{
    char *value = getenv(name);
    if (!value || !*value)
        return err_set(err, ERR_NOT_FOUND, "the variable %s, which is to hold the key, is not set", name);
    *ret_len = strlen(value);
    secret_set(ret, value, *ret_len);
    LOG(LOG_WARN, "the key is in the environment, where other programs of this user and crash reports may "
                  "see it: better set key_file, key_credential or key_command");
    return 0;
}

static int read_file(const struct vault_ring *ring, struct secret *ret, size_t *ret_len, struct err *err)
{
    if (ring->kind == SOURCE_CREDENTIAL && ring->where[0] != '/')
        return err_set(err, ERR_NOT_FOUND,
                       "key_credential is %s, but systemd has handed over none ($CREDENTIALS_DIRECTORY is "
                       "not set): is LoadCredential= in the unit?",
                       ring->where);
    int code =
        key_file_read(ring->where, ring->kind == SOURCE_FILE ? "key file" : "credential", ret, ret_len, err);
    if (code == ERR_NOT_FOUND && ring->kind == SOURCE_FILE)
        return err_set(err, ERR_NOT_FOUND,
                       "there is no key file %s: run `sluice init`, or bring back the key "
                       "that this store was made with",
                       ring->where);
    return code;
}

static int read_source(const struct vault_ring *ring, struct secret *ret, size_t *ret_len, struct err *err)
{
    if (ring->kind == SOURCE_VARIABLE)
        return read_variable(ring->where, ret, ret_len, err);
    if (ring->kind == SOURCE_COMMAND)
        return key_command_read(ring->where, ret, ret_len, err);
    return read_file(ring, ret, ret_len, err);
}

static void drop_keys(struct vault_ring *ring)
{
    for (size_t i = 0; i < ring->count; i++)
        vault_key_free(ring->keys[i]);
    ring->count = 0;
}

static int fill(struct vault_ring *ring, struct err *err)
{
    struct secret text AUTO_SECRET = {0};
    struct key_lines lines;
    size_t len = 0;
    int code = read_source(ring, &text, &len, err);
    if (code != 0)
        return code;
    if (!key_lines_parse(text.data, len, &lines))
        return err_set(err, ERR_AUTH, "%s is not a key of sluice", ring->name);
    drop_keys(ring);
    for (; ring->count < lines.count; ring->count++) {
        ring->keys[ring->count] = key_of_line(lines.lines[ring->count].text);
        ring->is_next[ring->count] = lines.lines[ring->count].is_next;
    }
    return 0;
}

/* ---- life ---- */

static const struct {
    const char *prefix;
    const char *name;
} kinds[] = {[SOURCE_FILE] = {"file:", "the key file "},
             [SOURCE_CREDENTIAL] = {"credential:", "the credential "},
             [SOURCE_VARIABLE] = {"variable:", "the variable "},
             [SOURCE_COMMAND] = {"command:", "the output of "}};

static const char *after(const char *source, enum source_kind kind)
{
    const char *prefix = kinds[kind].prefix;
    return text_starts_with(source, prefix) ? source + strlen(prefix) : NULL;
}

const char *vault_ring_source_path(const char *source)
{
    const char *path = after(source, SOURCE_FILE);
    if (!path)
        path = after(source, SOURCE_CREDENTIAL);
    if (!path)
        path = source;
    return path[0] == '/' ? path : NULL;
}

const char *vault_ring_source_variable(const char *source)
{
    return after(source, SOURCE_VARIABLE);
}

static void set_source(struct vault_ring *ring, const char *source)
{
    size_t kind = 0;
    while (kind < ARRAY_LEN(kinds) && !text_starts_with(source, kinds[kind].prefix))
        kind++;
    bool is_bare = kind == ARRAY_LEN(kinds);
    ring->kind = is_bare ? SOURCE_FILE : (enum source_kind)kind;
    ring->where = mem_dup(source + (is_bare ? 0 : strlen(kinds[kind].prefix)));
    /* A command's arguments are nobody's business: its path is enough. */
    size_t shown = ring->kind == SOURCE_COMMAND ? strcspn(ring->where, " ") : strlen(ring->where);
    ring->name = mem_printf("%s%.*s", kinds[ring->kind].name, (int)shown, ring->where);
}

int vault_ring_load(const char *source, struct vault_ring **ret, struct err *err)
{
    struct vault_ring *ring = mem_alloc(sizeof(*ring));
    set_source(ring, source);
    int code = fill(ring, err);
    if (code == 0)
        *ret = ring;
    else
        vault_ring_free(ring);
    return code;
}

int vault_ring_reload(struct vault_ring *ring, struct err *err)
{
    return ring->kind == SOURCE_FILE || ring->kind == SOURCE_CREDENTIAL ? fill(ring, err) : 0;
}

void vault_ring_wipe_source(const char *source)
{
    const char *name = vault_ring_source_variable(source);
    char *value = name ? getenv(name) : NULL;
    if (!value)
        return;
    secret_wipe(value, strlen(value));
    unsetenv(name);
}

void vault_ring_free(struct vault_ring *ring)
{
    if (!ring)
        return;
    drop_keys(ring);
    mem_free(ring->where);
    mem_free(ring->name);
    mem_free(ring);
}

/* ---- looking ---- */

const struct vault_key *vault_ring_current(const struct vault_ring *ring)
{
    return ring->keys[0];
}

const struct vault_key *vault_ring_find(const struct vault_ring *ring, const char *id)
{
    for (size_t i = 0; i < ring->count; i++)
        if (strcmp(ring->keys[i]->id_text, id) == 0)
            return ring->keys[i];
    return NULL;
}

size_t vault_ring_count(const struct vault_ring *ring)
{
    return ring->count;
}

const char *vault_ring_id(const struct vault_ring *ring, size_t at)
{
    return ring->keys[at]->id_text;
}

bool vault_ring_is_next(const struct vault_ring *ring, size_t at)
{
    return ring->is_next[at];
}

const char *vault_ring_file(const struct vault_ring *ring)
{
    return ring->kind == SOURCE_FILE ? ring->where : NULL;
}

const char *vault_ring_name(const struct vault_ring *ring)
{
    return ring->name;
}
