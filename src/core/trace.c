/* Trace lines: the same text for log and tests. Also the texts of event.h's tables. */
#include <stdarg.h>
#include <stdio.h>

#include "core/slot.h"

static void emit(struct engine *engine, const struct slot *slot, bool is_detail, const char *format,
                 va_list args)
{
    struct action *action = engine_emit(engine, NULL, ACTION_TRACE);
    action->slot = slot->index;
    action->job = slot->job.id;
    action->lease_epoch = slot->job.lease_epoch;
    action->trace.is_detail = is_detail;
    vsnprintf(action->trace.text, sizeof(action->trace.text), format, args);
}

void trace(struct engine *engine, const struct slot *slot, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    emit(engine, slot, false, format, args);
    va_end(args);
}

void trace_detail(struct engine *engine, const struct slot *slot, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    emit(engine, slot, true, format, args);
    va_end(args);
}

const char *transport_text(enum transport transport)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TRANSPORT_TABLE(X)
#undef X
    };
    return texts[transport];
}

const char *token_result_text(enum token_result result)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TOKEN_RESULT_TABLE(X)
#undef X
    };
    return texts[result];
}

const char *action_text(enum action_type type)
{
    static const char *const texts[] = {
        "claim",     "store",       "renew", "check source",   "token",        "open session",
        "start",     "put",         "query", "cancel session", "list uploads", "check video",
        "check CDN", "probe token", "abort", "forget",         "trace"};
    return texts[type];
}
