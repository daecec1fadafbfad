/* The client of a request to the token endpoint. */
#ifndef EMULATOR_OAUTH_CLIENT_H
#define EMULATOR_OAUTH_CLIENT_H

#include "request.h"

/* Checks client_id and client_secret of the posted form; NULL after an answer. */
struct client *oauth_check_client(struct request *request);

#endif
