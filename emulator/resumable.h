/* Parts of the resumable protocol that the server needs: bytes of a PUT that breaks off or is broken by a
 * fault. */
#ifndef EMULATOR_RESUMABLE_H
#define EMULATOR_RESUMABLE_H

#include "request.h"

/* Stores exactly what was taken so far: a fault answers in mid-body. Under the lock; `put` may be NULL. */
void put_cut(struct put *put);
/* Under the lock; NULL is fine. What was not stored yet is lost. */
void put_free(struct put *put);

#endif
