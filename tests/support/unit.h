/* What every cmocka test file includes, in the order that cmocka asks for. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Leaves a test that this machine cannot run. cmocka's own would write `not ok … # SKIP`, which Meson takes
 * for a failure; scripts/test counts this line. */
#undef skip
#define skip()                                                                                               \
    do {                                                                                                     \
        print_message("# SKIP %s\n", __func__);                                                              \
        return;                                                                                              \
    } while (0)

/* Runs the group and writes TAP, which Meson counts test by test. */
#define RUN_UNIT_TESTS(tests)                                                                                \
    (cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests(tests, NULL, NULL))

#endif
