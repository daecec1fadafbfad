/* Sends a request's reply in the way the reply asks for. Without the lock, in the connection's thread. */
#ifndef EMULATOR_DELIVER_H
#define EMULATOR_DELIVER_H

#include "request.h"

/* The body is complete. What the request handler is to return. */
enum MHD_Result deliver(struct request *request);
/* The body may still be on its way. */
enum MHD_Result deliver_early(struct request *request);

#endif
