/* A small gzip file that unpacks to very much: for clients that do not limit what they unpack. */
#ifndef EMULATOR_BOMB_H
#define EMULATOR_BOMB_H

#include "base/buf.h"

enum { BOMB_UNPACKED_BYTES = 32 << 20 };

/* Appends a valid gzip file of BOMB_UNPACKED_BYTES zero bytes, about 200 KB. */
void bomb_put(struct buf *out);

#endif
