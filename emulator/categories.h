/* Video categories of region US, as videoCategories.list shows them: only assignable ones may be used
 * [videos]. */
#ifndef EMULATOR_CATEGORIES_H
#define EMULATOR_CATEGORIES_H

#include <jansson.h>
#include <stdbool.h>

bool category_is_assignable(const char *id); /* false for NULL */
json_t *categories_list(void);               /* the items; the caller owns them */

#endif
