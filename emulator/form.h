/* application/x-www-form-urlencoded: what browsers post and what the token endpoint takes. */
#ifndef EMULATOR_FORM_H
#define EMULATOR_FORM_H

#include <stddef.h>

#include "base/buf.h"

/* The decoded value of the first field `name`, or NULL. The caller frees it. */
char *form_get(const char *form, const char *name);
/* All values of a field, joined with a space (check boxes of one name); NULL if there is none. */
char *form_get_all(const char *form, const char *name);
/* Appends `text` percent-encoded; unreserved characters stay (RFC 3986). */
void form_put_encoded(struct buf *out, const char *text);
/* Appends `text` so that it is safe inside HTML text and attributes. */
void form_put_html(struct buf *out, const char *text);

#endif
