/*
 * The heap. Running out of memory ends the process: recovering from a crash is the best-tested path.
 * Any thread. Whoever gets a pointer owns it, unless the function says otherwise.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"

void *mem_alloc(size_t size);                           /* zeroed */
void *mem_alloc_array(size_t count, size_t size);       /* zeroed; overflow ends the process */
void *mem_grow(void *block, size_t count, size_t size); /* realloc; new bytes are not zeroed */
char *mem_dup(const char *text);                        /* NULL gives NULL */
char *mem_dup_n(const char *text, size_t len);
char *mem_printf(const char *format, ...) PRINTF_LIKE(1, 2);
void mem_free(void *block);                 /* NULL is fine */
void mem_free_at(void *address_of_pointer); /* for CLEANUP(): frees *(void **)address */

#define AUTO_FREE CLEANUP(mem_free_at)

#endif
