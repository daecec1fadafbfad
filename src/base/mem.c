#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *block)
{
    if (!block) {
        fputs("sluice: out of memory\n", stderr);
        abort();
    }
    return block;
}

void *mem_alloc(size_t size)
{
    return or_abort(calloc(1, size ? size : 1));
}

void *mem_alloc_array(size_t count, size_t size)
{
    return or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *mem_grow(void *block, size_t count, size_t size)
{
    return or_abort(reallocarray(block, count ? count : 1, size ? size : 1));
}

char *mem_dup(const char *text)
{
    return text ? or_abort(strdup(text)) : NULL;
}

char *mem_dup_n(const char *text, size_t len)
{
    return or_abort(strndup(text, len));
}

char *mem_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    return or_abort(len < 0 ? NULL : text);
}

void mem_free(void *block)
{
    free(block);
}

void mem_free_at(void *address_of_pointer)
{
    free(*(void **)address_of_pointer);
}
