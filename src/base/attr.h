/* Compiler attributes used throughout. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

/* The result tells whether it worked: ignoring it is a compile error. */
#define MUST_CHECK                      __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
/* Runs `release(&variable)` when the variable leaves its scope, so that an early return leaks nothing. */
#define CLEANUP(release) __attribute__((cleanup(release)))
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
