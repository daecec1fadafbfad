#include "core/window.h"

enum { PLACE = 1000 };

struct window window_new(void)
{
    return (struct window){.milliplaces = WINDOW_START * PLACE};
}

uint32_t window_places(struct window window, int64_t now_ms)
{
    if (window.milliplaces >= PLACE)
        return (uint32_t)(window.milliplaces / PLACE);
    return now_ms >= window.rest_until_ms; /* the probe */
}

/* A cohort of as many jobs as there are places moves the window by one place; at least by a thousandth. */
static int32_t share_of_cohort(int32_t milliplaces)
{
    return PLACE * PLACE / (milliplaces > PLACE ? milliplaces : PLACE);
}

static void grow(struct window *window)
{
    if (window->milliplaces < PLACE)
        window->milliplaces = PLACE; /* the probe went well */
    else
        window->milliplaces += share_of_cohort(window->milliplaces);
    if (window->milliplaces > WINDOW_MAX * PLACE)
        window->milliplaces = WINDOW_MAX * PLACE;
    window->rest_until_ms = 0;
}

static void shrink(struct window *window, int64_t now_ms)
{
    window->milliplaces -= share_of_cohort(window->milliplaces);
    if (window->milliplaces >= PLACE)
        return;
    window->milliplaces = 0;
    window->rest_until_ms = now_ms + WINDOW_REST_MS;
}

bool window_learn(struct window *window, enum feedback feedback, int64_t now_ms)
{
    struct window before = *window;
    if (feedback == FEEDBACK_GOOD)
        grow(window);
    else if (feedback == FEEDBACK_TROUBLE)
        shrink(window, now_ms);
    return window->milliplaces != before.milliplaces || window->rest_until_ms != before.rest_until_ms;
}
