#include "journal.h"

#include <string.h>

#include "base/mem.h"

static const size_t ENTRIES_MAX = 200000;

void journal_init(struct journal *journal)
{
    *journal = (struct journal){.violations = json_array()};
}

static void entry_release(struct journal_entry *entry)
{
    mem_free(entry->path);
    mem_free(entry->query);
    mem_free(entry->content_range);
    mem_free(entry->fault);
}

/* Forgets the first `count` entries. */
static void forget(struct journal *journal, size_t count)
{
    for (size_t i = 0; i < count; i++)
        entry_release(&journal->entries[i]);
    journal->count -= count;
    journal->forgotten += count;
    if (journal->count)
        memmove(journal->entries, journal->entries + count, journal->count * sizeof *journal->entries);
}

void journal_release(struct journal *journal)
{
    forget(journal, journal->count);
    mem_free(journal->entries);
    json_decref(journal->violations);
    *journal = (struct journal){0};
}

void journal_clear(struct journal *journal)
{
    forget(journal, journal->count);
    json_array_clear(journal->violations);
}

uint64_t journal_add(struct journal *journal, int64_t at_ms)
{
    if (journal->count == ENTRIES_MAX)
        forget(journal, ENTRIES_MAX / 2);
    if ((journal->count & (journal->count - 1)) == 0) /* full: the room is always a power of two */
        journal->entries =
            mem_grow(journal->entries, journal->count ? journal->count * 2 : 1, sizeof *journal->entries);
    uint64_t number = journal->forgotten + journal->count + 1;
    journal->entries[journal->count++] =
        (struct journal_entry){.number = number, .at_ms = at_ms, .stored_before = -1, .stored_after = -1};
    return number;
}

struct journal_entry *journal_at(struct journal *journal, uint64_t number)
{
    if (number <= journal->forgotten || number > journal->forgotten + journal->count)
        return NULL;
    return &journal->entries[number - journal->forgotten - 1];
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text && *text ? json_string(text) : json_null());
}

static void set_offset(json_t *object, const char *key, int64_t offset)
{
    json_object_set_new(object, key, offset < 0 ? json_null() : json_integer(offset));
}

static json_t *describe(const struct journal_entry *entry)
{
    json_t *line = json_pack("{s:I, s:I, s:s, s:s, s:I, s:i}", "number", (json_int_t)entry->number, "at_ms",
                             (json_int_t)entry->at_ms, "op", entry->op, "method", entry->method,
                             "received_bytes", (json_int_t)entry->received_bytes, "status", entry->status);
    set_text(line, "path", entry->path);
    set_text(line, "query", entry->query);
    set_text(line, "channel", entry->channel);
    set_text(line, "session", entry->session);
    set_text(line, "content_range", entry->content_range);
    set_text(line, "fault", entry->fault);
    set_offset(line, "stored_before", entry->stored_before);
    set_offset(line, "stored_after", entry->stored_after);
    return line;
}

json_t *journal_list(const struct journal *journal, uint64_t since, const char *op, const char *session)
{
    json_t *list = json_array();
    for (size_t i = 0; i < journal->count; i++) {
        const struct journal_entry *entry = &journal->entries[i];
        if (entry->number > since && (!op || strcmp(op, entry->op) == 0) &&
            (!session || strcmp(session, entry->session) == 0))
            json_array_append_new(list, describe(entry));
    }
    return list;
}

void journal_violation(struct journal *journal, int64_t at_ms, const char *kind, const char *op,
                       const char *token_channel, const char *owner_channel, const char *session)
{
    json_t *line = json_pack("{s:I, s:s, s:s}", "at_ms", (json_int_t)at_ms, "kind", kind, "op", op);
    set_text(line, "token_channel", token_channel);
    set_text(line, "owner_channel", owner_channel);
    set_text(line, "session", session);
    json_array_append_new(journal->violations, line);
}
