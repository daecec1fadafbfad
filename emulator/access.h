/* Who calls, and whether that may be: tokens, scopes, state of the channel, quota. Under the state's lock. */
#ifndef EMULATOR_ACCESS_H
#define EMULATOR_ACCESS_H

#include "request.h"

/* Finds out whose token it is; does not answer. */
void access_identify(struct request *request);
/* Charges the operation to the caller's project; notes in the request if its bucket is spent. */
void access_charge(struct request *request);
/* Answers 401, 403 or 429 if the caller may not do this operation. */
void access_check(struct request *request);
/* Answers 403 if the caller's channel is suspended or closed, 401 if there is none. */
void access_check_channel(struct request *request);
/* Answers 401 unless there is a valid token. */
void access_check_token(struct request *request);

#endif
