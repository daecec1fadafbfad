/* The device flow, for machines without a browser [device]. */
#ifndef EMULATOR_DEVICE_H
#define EMULATOR_DEVICE_H

#include "request.h"

/* A poll of the token endpoint: a new consent once the user approved, else NULL after an answer. */
struct grant *device_poll(struct request *request, struct client *client);
/* Approves (`channel`) or refuses (NULL) a waiting device; false if there is none of this code. */
bool device_answer(struct state *state, const char *user_code, struct channel *channel);
json_t *device_list(const struct state *state);

#endif
