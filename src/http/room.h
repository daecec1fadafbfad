/*
 * Inside src/http: the handle and the request.
 *
 * Who calls whom: curl's callbacks (pump.c for sockets and timers, request.c for bodies and headers) only
 * note what happened. Everything that ends or frees something runs outside of curl: in http.c's settle(),
 * after each call into curl, and in its turn(), once a loop iteration while there is work.
 */
#ifndef HTTP_ROOM_H
#define HTTP_ROOM_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "http/address.h"
#include "http/fair.h"
#include "http/head.h"
#include "http/http.h"
#include "http/kept.h"
#include "http/socket.h"
#include "http/watch.h"

enum { HTTP_TICK_MS = 100, HTTP_SHORT_PACKETS_MS = 600000 };

/* Why we ended it, where curl alone would not know. */
enum http_cause {
    CAUSE_NONE,
    CAUSE_SOURCE,   /* the body could not be read */
    CAUSE_REPEATED, /* curl wanted to send it once more, and that may not be */
    CAUSE_HEAD,     /* head.trouble */
    CAUSE_CUT,      /* the reply's body is over its cap: we have what we want */
    CAUSE_NO_DESCRIPTOR,
    CAUSE_NOT_LOOPBACK,
};

struct http_request {
    TAILQ_ENTRY(http_request) link;         /* in http.waiting or http.active */
    TAILQ_ENTRY(http_request) limited_link; /* in its group's line while is_limited */
    TAILQ_ENTRY(http_request) alert_link;   /* in http.alerts while is_alerted */
    struct http *http;
    CURL *easy;
    struct curl_slist *header_list;
    struct http_exchange exchange; /* done, progress, ctx, is_repeatable; the pointers to texts are cleared */
    struct http_origin origin;
    struct http_body stream;
    bool is_upload; /* has a body, be it one of 0 bytes */
    bool is_proxied;
    bool is_active; /* curl has it */
    char *small_body;
    /* the body's way out */
    uint64_t sent_bytes;
    uint64_t reported_bytes;
    struct fair_group *group; /* NULL: there is no bandwidth limit */
    uint64_t grant_bytes;     /* of the bandwidth limit, not yet used */
    bool is_paused;
    bool is_later;   /* the body has nothing yet */
    bool is_limited; /* waits for the bandwidth limit */
    bool is_stopped; /* an early reply: nothing more is given */
    bool is_sent;    /* curl began to send at least the request's head; stays so when it starts over */
    int64_t last_byte_at_ms; /* -1: not yet */
    /* the reply's way in */
    struct head head;
    struct buf reply;
    uint64_t received_bytes; /* of the body */
    int64_t first_reply_at_ms;
    bool is_early;
    bool is_cut;
    /* ends */
    enum http_cause cause;
    bool is_alerted; /* settle() must look: unpause, or an early reply is whole */
    bool is_aborted;
    int errno_value;                         /* of a socket or file that could not be had */
    char refused_address[ADDRESS_TEXT_SIZE]; /* the name leads where it must not; "": it does not */
    struct watch watch;
    int64_t look_at_ms;
    curl_socket_t socket; /* CURL_SOCKET_BAD: not known */
    char error_text[CURL_ERROR_SIZE];
};

TAILQ_HEAD(request_list, http_request);

struct http {
    uv_loop_t *loop;
    struct http_config config; /* texts owned */
    CURLM *multi;
    CURLSH *share;            /* TLS sessions, so that a fresh connection needs no full handshake */
    struct kept_list sockets; /* those that curl has open */
    uv_timer_t curl_timer;
    uv_timer_t tick_timer;
    uv_timer_t rate_timer;
    uv_idle_t turn;
    int open_handles;
    struct request_list waiting;
    struct request_list active;
    struct request_list alerts;
    uint32_t active_count;
    bool is_curl_due;
    int depth; /* of calls into curl */
    int busy;  /* of our own work that calls `done` */
    bool is_closing;
    int64_t short_until_ms; /* on the loop's clock: fresh connections send and ask for short packets */
    struct fair fair;
};

/* http.c */
void http_kick(struct http *http);               /* a turn in the next loop iteration */
void http_alert(struct http_request *request);   /* settle() must look at it */
void http_enter(struct http *http);              /* before a call into curl */
void http_leave(struct http *http);              /* after it: settles */
void http_count_closed(struct http *http);       /* one of open_handles is gone */
void http_unpause(struct http_request *request); /* unless something still holds it */

/* headers.c: the caller's headers */
int headers_check(const char *const *headers, uint64_t body_bytes, struct err *err) MUST_CHECK;
struct curl_slist *headers_list(const char *const *headers); /* NULL: no memory */

/* pump.c: curl's sockets and timers on the loop */
bool pump_attach(struct http *http);
void pump_timeout(struct http *http);

/* setup.c: a curl handle with all that is forbidden and demanded */
bool setup_request(struct http_request *request, const char *method, const char *url);
int setup_global(struct err *err);

/* request.c: the callbacks of a body and a reply */
size_t request_read(char *data, size_t size, size_t count, void *ctx);
size_t request_write(char *data, size_t size, size_t count, void *ctx);
size_t request_header(char *line, size_t size, size_t count, void *ctx);
bool request_may_be_sent(struct http_request *request); /* false: its cause is set */
int request_before_send(void *ctx, char *their_ip, char *our_ip, int their_port, int our_port);
int request_seek(void *ctx, curl_off_t offset, int origin);
enum watch_verdict request_look(struct http_request *request, int64_t now_ms);

/* limit.c: the bandwidth limits over all requests of a handle, and of a group */
void limit_join(struct http_request *request, uint64_t group);
void limit_leave(struct http_request *request);                 /* also where it never joined */
size_t limit_take(struct http_request *request, size_t wanted); /* 0: it was put in the queue: pause it */
void limit_return(struct http_request *request, size_t unused);
void limit_forget(struct http_request *request);
void limit_pump(struct http *http);

/* result.c */
void result_of_curl(struct http_request *request, CURLcode code, struct http_reply *reply);
void result_of_watch(struct http_request *request, enum watch_verdict verdict, struct http_reply *reply);
void result_of_abort(struct http_request *request, struct http_reply *reply);
void result_of_early(struct http_request *request, struct http_reply *reply);

#endif
