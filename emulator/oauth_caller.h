/* For whom a request to the token endpoint is, so that faults and the journal can name the channel. */
#ifndef EMULATOR_OAUTH_CALLER_H
#define EMULATOR_OAUTH_CALLER_H

#include "request.h"

/* Under the lock, once the body is complete. Leaves the caller alone if the body names no known token or
 * code. */
void oauth_identify(struct request *request);

#endif
