/*
 * `audit archive`: old lines of the trail go to a file.
 *
 * First all of them are written to FILE.part, which is synced and then named FILE. Only then lines are
 * removed, and only those that the file has, word for word: it is read again beside the store, both in the
 * order of the ids. So a kill at any moment loses nothing: before the renaming it begins anew, after it it
 * goes on with the file that is there. Each batch is removed in the transaction that notes it in the trail.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "cli/audit.h"
#include "cli/output.h"
#include "vault/sha256.h"

enum { PAGE = 500, LINE_BYTES_MAX = 65536 };

struct archive {
    struct cli *cli;
    const char *path;
    int64_t before_ms;
    struct store_event *page; /* owned; PAGE of them */
    uint32_t count;           /* in it */
    int64_t after_id;         /* the last of the page before */
    FILE *file;
    char sha256[65];                 /* of the file, once it is known */
    uint64_t written, removed, left; /* lines; left: old ones that the file does not have */
};

static int file_error(const struct archive *archive, const char *doing, struct err *err)
{
    return err_set_errno(err, ERR_IO, errno, "%s %s", doing, archive->path);
}

/* 1: there are more lines in archive->page; 0: that was all. */
static int next_page(struct archive *archive, struct err *err)
{
    struct store_event_query query = {.after_id = archive->after_id, .old_before_ms = archive->before_ms};
    int code = store_event_page(archive->cli->store, &query, archive->page, PAGE, &archive->count, err);
    if (code < 0 || archive->count == 0)
        return code;
    archive->after_id = archive->page[archive->count - 1].id;
    return 1;
}

/* With its newline; the caller frees it. */
static char *line_of(const struct store_event *event)
{
    char *text AUTO_FREE = json_line(audit_json(event));
    return mem_printf("%s\n", text);
}

/* ---- writing ---- */

static int write_page(struct archive *archive, struct err *err)
{
    for (uint32_t i = 0; i < archive->count; i++) {
        AUTO_FREE char *line = line_of(&archive->page[i]);
        if (fputs(line, archive->file) == EOF)
            return file_error(archive, "writing", err);
        archive->written++;
    }
    return 0;
}

static int write_all(struct archive *archive, struct err *err)
{
    int code;
    archive->after_id = 0;
    while ((code = next_page(archive, err)) > 0) {
        code = write_page(archive, err);
        if (code < 0)
            return code;
    }
    if (code == 0 && (fflush(archive->file) != 0 || fsync(fileno(archive->file)) != 0))
        return file_error(archive, "writing", err);
    return code;
}

static int write_part(struct archive *archive, const char *part, struct err *err)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    archive->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!archive->file)
        return file_error(archive, "making", err);
    int code = write_all(archive, err);
    if (fclose(archive->file) != 0 && code == 0)
        code = file_error(archive, "writing", err);
    archive->file = NULL;
    return code;
}

static int write_file(struct archive *archive, struct err *err)
{
    AUTO_FREE char *part = mem_printf("%s.part", archive->path);
    int code = write_part(archive, part, err);
    if (code < 0 || archive->written == 0) {
        unlink(part);
        return code;
    }
    if (rename(part, archive->path) != 0)
        return file_error(archive, "making", err);
    return file_sync_name(archive->path, err);
}

/* ---- reading it again ---- */

static int bad_file(const struct archive *archive, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s is there, and is no archive of the audit trail: nothing was removed",
                   archive->path);
}

/* The id of a line; 0: it is none. */
static int64_t id_of(const char *line, size_t len)
{
    json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    int64_t id = json_integer_value(json_object_get(object, "id"));
    json_decref(object);
    return id;
}

/* 1: a whole line; 0: the end, whose id comes after all others. A line that is cut or too long is none of
 * ours. */
static int read_line(struct archive *archive, char line[LINE_BYTES_MAX], int64_t *ret_id, struct err *err)
{
    *ret_id = INT64_MAX;
    if (!fgets(line, LINE_BYTES_MAX, archive->file))
        return ferror(archive->file) ? file_error(archive, "reading", err) : 0;
    size_t len = strlen(line);
    *ret_id = len > 0 && line[len - 1] == '\n' ? id_of(line, len) : 0;
    return *ret_id > 0 ? 1 : bad_file(archive, err);
}

/* All of it is looked at before anything is removed. */
static int hash_file(struct archive *archive, char line[LINE_BYTES_MAX], struct err *err)
{
    struct sha256 hash;
    int code;
    int64_t id, last_id = 0;
    sha256_init(&hash);
    while ((code = read_line(archive, line, &id, err)) > 0) {
        if (id <= last_id)
            return bad_file(archive, err);
        last_id = id;
        sha256_add(&hash, line, strlen(line));
    }
    sha256_end(&hash, archive->sha256);
    rewind(archive->file);
    return code;
}

/* ---- removing ---- */

struct batch {
    int64_t ids[PAGE];
    char (*tenants)[NAME_SIZE]; /* owned; of the lines, in their order */
    uint32_t count;
};

static uint32_t count_of_tenant(const struct batch *batch, const char *tenant, uint32_t until)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < until; i++)
        count += strcmp(batch->tenants[i], tenant) == 0;
    return count;
}

static int note_tenant(struct archive *archive, const struct batch *batch, const char *tenant,
                       struct err *err)
{
    struct store_event event = {.what = "audit archived"};
    snprintf(event.message, sizeof(event.message),
             "%" PRIu32 " lines from id %" PRId64 " to %" PRId64 " are in a file with SHA-256 %s: %s",
             count_of_tenant(batch, tenant, batch->count), batch->ids[0], batch->ids[batch->count - 1],
             archive->sha256, file_name(archive->path));
    text_copy(event.who, sizeof(event.who), cli_who());
    text_copy(event.tenant, sizeof(event.tenant), tenant);
    return store_event_add(archive->cli->store, &event, err);
}

static int note_and_remove(struct archive *archive, const struct batch *batch, struct err *err)
{
    int code = store_event_remove(archive->cli->store, batch->ids, batch->count, err);
    for (uint32_t i = 0; i < batch->count && code == 0; i++)
        if (count_of_tenant(batch, batch->tenants[i], i) == 0)
            code = note_tenant(archive, batch, batch->tenants[i], err);
    return code;
}

static int remove_batch(struct archive *archive, const struct batch *batch, struct err *err)
{
    struct store *store = archive->cli->store;
    int code = batch->count > 0 ? store_begin(store, err) : 0;
    if (code < 0 || batch->count == 0)
        return code;
    code = store_end(store, note_and_remove(archive, batch, err), err);
    archive->removed += code == 0 ? batch->count : 0;
    return code;
}

struct cursor {
    char line[LINE_BYTES_MAX];
    int64_t id; /* INT64_MAX: the file's end */
};

/* Whether the file has this line. The cursor goes forward to it, or to where it would be. */
static int has_line(struct archive *archive, struct cursor *cursor, const struct store_event *event,
                    struct err *err)
{
    int code = 1;
    while (cursor->id < event->id && code > 0)
        code = read_line(archive, cursor->line, &cursor->id, err);
    if (code < 0 || cursor->id != event->id)
        return code < 0 ? code : 0;
    AUTO_FREE char *line = line_of(event);
    if (strcmp(line, cursor->line) == 0)
        return 1;
    return err_set(err, ERR_INVALID, "line %" PRId64 " of %s is another than the store's: it stays there",
                   event->id, archive->path);
}

static int remove_page(struct archive *archive, struct cursor *cursor, struct batch *batch, struct err *err)
{
    batch->count = 0;
    for (uint32_t i = 0; i < archive->count; i++) {
        int code = has_line(archive, cursor, &archive->page[i], err);
        if (code < 0)
            return code;
        archive->left += code == 0;
        if (code == 0)
            continue;
        text_copy(batch->tenants[batch->count], NAME_SIZE, archive->page[i].tenant);
        batch->ids[batch->count++] = archive->page[i].id;
    }
    return remove_batch(archive, batch, err);
}

static int remove_all(struct archive *archive, struct cursor *cursor, struct err *err)
{
    struct batch batch = {.tenants = mem_alloc_array(PAGE, NAME_SIZE)};
    int code = hash_file(archive, cursor->line, err);
    archive->after_id = 0;
    while (code == 0 && (code = next_page(archive, err)) > 0)
        code = remove_page(archive, cursor, &batch, err);
    mem_free(batch.tenants);
    return code;
}

static int remove_written(struct archive *archive, struct err *err)
{
    archive->file = fopen(archive->path, "re");
    if (!archive->file)
        return file_error(archive, "opening", err);
    struct cursor *cursor = mem_alloc(sizeof(*cursor));
    int code = remove_all(archive, cursor, err);
    mem_free(cursor);
    fclose(archive->file);
    return code;
}

/* ---- the command ---- */

static int read_options(struct archive *archive, struct err *err)
{
    const char *before = cli_value(archive->cli, "before");
    int64_t now_ms = 0;
    archive->path = cli_value(archive->cli, "to");
    if (!before || !archive->path || !*archive->path)
        return err_set(err, ERR_USAGE, "--before and --to are needed; see `sluice audit archive --help`");
    if (!parse_time(before, &archive->before_ms) || archive->before_ms <= 0)
        return err_set(err, ERR_USAGE,
                       "--before %s is no time; its form is 2026-11-01, or 2026-11-01T12:00:00Z", before);
    int code = cli_open_store(archive->cli, err);
    if (code == 0)
        code = store_now(archive->cli->store, &now_ms, err);
    if (code == 0 && archive->before_ms > now_ms - EVENT_KEPT_MS)
        return err_set(err, ERR_INVALID, "--before %s: lines stay in the store for 30 days at least", before);
    return code;
}

static void tell(const struct archive *archive)
{
    if (archive->cli->json)
        out_json(json_pack("{s:o, s:o, s:I, s:I}", "file",
                           *archive->sha256 ? json_text(archive->path) : json_null(), "sha256",
                           json_text(archive->sha256), "removed", (json_int_t)archive->removed, "left",
                           (json_int_t)archive->left));
    else
        out_line("%" PRIu64 " lines", archive->removed);
    if (archive->left > 0)
        note(archive->cli,
             "%" PRIu64 " old lines are not in %s, which was there before: archive them to another file.",
             archive->left, archive->path);
}

static int run(struct archive *archive, struct err *err)
{
    int code = read_options(archive, err);
    bool is_there = code == 0 && access(archive->path, F_OK) == 0;
    if (code == 0 && !is_there)
        code = write_file(archive, err);
    if (code == 0 && (is_there || archive->written > 0))
        code = remove_written(archive, err);
    if (code == 0)
        tell(archive);
    return code;
}

int audit_archive(struct cli *cli, struct err *err)
{
    struct archive archive = {.cli = cli, .page = mem_alloc_array(PAGE, sizeof(*archive.page))};
    int code = run(&archive, err);
    mem_free(archive.page);
    return code;
}
