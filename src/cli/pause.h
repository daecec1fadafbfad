/* Waiting between two looks at the store. Main thread. */
#ifndef CLI_PAUSE_H
#define CLI_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

/* Sleeps; a signal ends it early. */
void pause_ms(int64_t ms);
/* From now on SIGINT and SIGTERM only set a mark, which pause_was_interrupted() tells; pause_uncatch() undoes
 * it. */
void pause_catch(void);
void pause_uncatch(void);
bool pause_was_interrupted(void);

#endif
