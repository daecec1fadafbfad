/* What holds of the hardening of this very program, on this very kernel: looked up in the running image, not
 * in the flags that it was built with. Main thread. */
#ifndef CLI_HARDENING_H
#define CLI_HARDENING_H

#include <jansson.h>

json_t *hardening_json(void); /* {"pie": true, …} */
void hardening_tell(void);    /* lines for people */

#endif
