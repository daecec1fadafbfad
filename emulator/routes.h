/* Which operation a method on a path is. */
#ifndef EMULATOR_ROUTES_H
#define EMULATOR_ROUTES_H

#include "request.h"

/* Never NULL: what is unknown is an operation that answers 404 or 405. Under the lock. */
const struct op *route(struct request *request);

#endif
