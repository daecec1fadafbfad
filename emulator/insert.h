/* videos.insert in one request: uploadType=multipart and uploadType=media [insert]. */
#ifndef EMULATOR_INSERT_H
#define EMULATOR_INSERT_H

struct insert;

void insert_free(struct insert *insert); /* NULL is fine */

#endif
