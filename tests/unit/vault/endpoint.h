/*
 * A token endpoint, a revocation endpoint, a token service, channels.list and playlistItems.list for the
 * broker's tests: plain http on a loopback port, in a process of its own (it knows the planted secrets), told
 * what to do through shared memory.
 */
#ifndef TESTS_VAULT_ENDPOINT_H
#define TESTS_VAULT_ENDPOINT_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

enum endpoint_mode {
    ENDPOINT_OK,
    ENDPOINT_503,
    ENDPOINT_503_LATER, /* with Retry-After: 120 */
    ENDPOINT_HANG_UP,   /* closes without a reply */
    ENDPOINT_INVALID_GRANT,
    ENDPOINT_INVALID_CLIENT,
    ENDPOINT_SMALL_SCOPE,   /* youtube.readonly alone */
    ENDPOINT_LINE_IN_TOKEN, /* CR and LF in the access token */
    ENDPOINT_HUGE_TOKEN,    /* of 1 MB */
    ENDPOINT_NO_REFRESH,    /* a login without refresh token */
    ENDPOINT_ROTATE,        /* each refresh brings the next refresh token */
    ENDPOINT_STUBBORN,      /* the token service: the same token again, also where a fresh one is wanted */
};

enum channels_mode {
    CHANNELS_OK,
    CHANNELS_EMPTY,
    CHANNELS_SIGNUP, /* 401 youtubeSignupRequired */
    CHANNELS_503,
    CHANNELS_401,
    CHANNELS_QUOTA, /* 403 quotaExceeded */
};

enum videos_mode {
    VIDEOS_OK,
    VIDEOS_503,
    VIDEOS_NARROW, /* 403 insufficientPermissions */
};

struct endpoint {
    /* what to do */
    atomic_int mode;
    atomic_int channels_mode;
    atomic_int videos_mode;
    atomic_int video_pages;  /* with a video each: "video-0" is that of the last; 0: no videos */
    atomic_int delay_ms;     /* before each reply of the token endpoint, the token service and the videos */
    atomic_int next_refresh; /* number of the refresh token that a login or a rotation brings */
    char expires_in[32];     /* JSON; "" : 3599 */
    char channel[32];        /* "" : UCone */
    /* what came */
    atomic_int token_requests;
    atomic_int channels_requests;
    atomic_int videos_requests;
    atomic_int revoke_requests;
    atomic_int service_requests; /* for tokens */
    atomic_int presented;        /* number of the refresh token that was presented last; -1: an unknown one */
    atomic_int access_count;
    uint16_t port;
    pid_t pid;
};

/* Before any thread. */
struct endpoint *endpoint_start(void);
void endpoint_stop(struct endpoint *endpoint);
void endpoint_reset(struct endpoint *endpoint); /* back to OK and no requests */

#endif
