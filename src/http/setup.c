/*
 * A curl handle with everything that is demanded (TLS, verification, HTTP/1.1) and everything that is
 * forbidden (redirects, other protocols, the environment's proxy, netrc), set by name: no default is trusted.
 */
#include <errno.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "http/room.h"

/* Forward secrecy and authenticated encryption only; AES-128 first, it costs least. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* A larger buffer saves turns of the loop, and costs its memory in each transfer: only while there are few.
 */
#define UPLOAD_BUFFER_BYTES     65536L
#define UPLOAD_BUFFER_FEW_BYTES 262144L
#define FEW_TRANSFERS           32

/* What a name led to is forgotten soon, whatever its TTL: a retry must not find the same dead address for a
 * minute, which is curl's default (C11). */
#define NAME_LIFE_S 5L

/* What the kernel takes before it can send it: enough for the next turn of the loop. Left to itself it takes
 * several MiB of a connection, which are long out of the processor's cache when their turn comes. */
#define UNSENT_BYTES 524288

/* What every path carries: IPv6's least MTU without the headers of IPv6 and TCP [RFC 8200]. */
#define SHORT_SEGMENT_BYTES 1220

/* ---- curl's memory: wiped when given back, for it holds tokens and session URLs ---- */

static void wipe_and_free(void *block)
{
    if (!block)
        return;
    explicit_bzero(block, malloc_usable_size(block));
    mem_free(block);
}

/* As malloc() has it: nobody needs an upload buffer that was cleared, and there is one for each chunk. */
static void *alloc_for_curl(size_t size)
{
    return mem_grow(NULL, size, 1);
}

static void *alloc_array_for_curl(size_t count, size_t size)
{
    return mem_alloc_array(count, size);
}

static void *grow_for_curl(void *block, size_t size)
{
    size_t old_size = block ? malloc_usable_size(block) : 0;
    if (old_size >= size && block)
        return block;
    void *grown = mem_alloc(size);
    if (block)
        memcpy(grown, block, old_size);
    wipe_and_free(block);
    return grown;
}

static char *dup_for_curl(const char *text)
{
    return mem_dup(text);
}

int setup_global(struct err *err)
{
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, alloc_for_curl, wipe_and_free, grow_for_curl,
                                         dup_for_curl, alloc_array_for_curl);
    return code ? err_set(err, ERR_INTERNAL, "starting libcurl: %s", curl_easy_strerror(code)) : 0;
}

/* ---- sockets ---- */

/* The address of a proxy is the operator's own choice, and so is one that is named itself. */
static bool may_connect_to(const struct http_request *request, const struct sockaddr *address)
{
    bool is_named = request->http->config.allow_private_hosts && http_host_is_private(request->origin.host);
    return request->is_proxied || is_named || request->http->config.allow_private_names ||
           address_is_public(address);
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct http_request *request = ctx;
    if (!request->origin.https && !address_is_loopback(&address->addr)) {
        request->cause = CAUSE_NOT_LOOPBACK;
        return CURL_SOCKET_BAD;
    }
    if (!may_connect_to(request, &address->addr)) {
        address_text(&address->addr, request->refused_address);
        return CURL_SOCKET_BAD; /* the name's other addresses are tried */
    }
    if (!request_may_be_sent(request)) /* no connection for what will not be sent on it */
        return CURL_SOCKET_BAD;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0) {
        kept_add(&request->http->sockets, fd);
        return fd;
    }
    request->errno_value = errno;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        request->cause = CAUSE_NO_DESCRIPTOR;
    return CURL_SOCKET_BAD;
}

static int close_socket(void *ctx, curl_socket_t fd)
{
    struct http *http = ctx; /* a kept connection outlives its first request */
    kept_forget(&http->sockets, fd);
    return close(fd);
}

/* A peer that vanished with our bytes unacknowledged is noticed by the kernel too, after our own low-speed
 * rule has had its chance to say so in its words. */
static int tune_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)purpose;
    const struct http_request *request = ctx;
    int segment_bytes = SHORT_SEGMENT_BYTES;
    if ((int64_t)uv_now(request->http->loop) < request->http->short_until_ms)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment_bytes, sizeof segment_bytes);
    int unsent_bytes = UNSENT_BYTES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
    unsigned timeout_ms = 2 * (unsigned)request->http->config.low_speed_ms;
    if (timeout_ms)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    return CURL_SOCKOPT_OK;
}

static bool set_connection(struct http_request *request)
{
    CURL *easy = request->easy;
    long timeout_ms = (long)request->http->config.connect_timeout_ms;
    return !curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) && /* never wait for a resolver's thread */
           !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms) &&
           !curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, NAME_LIFE_S) &&
           !curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
           !curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request) &&
           !curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket) &&
           !curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, request->http) &&
           !curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, tune_socket) &&
           !curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, request) &&
           !curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L) &&
           !curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
}

static bool set_limits_of_trust(struct http_request *request)
{
    CURL *easy = request->easy;
    const char *protocol = request->origin.https ? "https" : "http";
    return !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocol) &&
           !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
           !curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L) &&
           !curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
           !curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L) &&
           !curl_easy_setopt(easy, CURLOPT_KEEP_SENDING_ON_ERROR, 0L) &&
           !curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, NULL);
}

/* Given by name even if it is none: otherwise curl asks the environment. */
static bool set_proxy(struct http_request *request)
{
    CURL *easy = request->easy;
    const char *proxy = request->http->config.proxy;
    if (!proxy || http_host_is_loopback(request->origin.host))
        proxy = "";
    request->is_proxied = proxy[0] != '\0';
    return !curl_easy_setopt(easy, CURLOPT_PROXY, proxy) && !curl_easy_setopt(easy, CURLOPT_NOPROXY, "") &&
           !curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
}

/* The empty password is set by name: without one OpenSSL would ask for it at the terminal. */
static bool set_certificate(struct http_request *request)
{
    CURL *easy = request->easy;
    const struct http_config *config = &request->http->config;
    if (!config->cert_file)
        return true;
    return !curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert_file) &&
           !curl_easy_setopt(easy, CURLOPT_SSLKEY, config->cert_key_file) &&
           !curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
}

static bool set_tls(struct http_request *request)
{
    CURL *easy = request->easy;
    const char *ca_file = request->http->config.ca_file;
    if (ca_file &&
        (curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) || curl_easy_setopt(easy, CURLOPT_CAPATH, NULL)))
        return false;
    return !curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
           !curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, CIPHERS_1_2) &&
           !curl_easy_setopt(easy, CURLOPT_TLS13_CIPHERS, CIPHERS_1_3) &&
           !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) &&
           !curl_easy_setopt(easy, CURLOPT_SHARE, request->http->share) && set_certificate(request);
}

/* ---- what is sent ---- */

static long upload_buffer_bytes(const struct http *http)
{
    return http->active_count < FEW_TRANSFERS ? UPLOAD_BUFFER_FEW_BYTES : UPLOAD_BUFFER_BYTES;
}

/* Every body is streamed, also a small one and one of 0 bytes: so there is one rule for starting over. */
static bool set_upload(struct http_request *request, const char *method)
{
    CURL *easy = request->easy;
    return !curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) &&
           !curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->stream.size_bytes) &&
           !curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer_bytes(request->http)) &&
           !curl_easy_setopt(easy, CURLOPT_READFUNCTION, request_read) &&
           !curl_easy_setopt(easy, CURLOPT_READDATA, request) &&
           !curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, request_seek) &&
           !curl_easy_setopt(easy, CURLOPT_SEEKDATA, request);
}

static bool set_method(struct http_request *request, const char *method)
{
    if (request->is_upload)
        return set_upload(request, method);
    if (!strcmp(method, "HEAD"))
        return !curl_easy_setopt(request->easy, CURLOPT_NOBODY, 1L);
    return !curl_easy_setopt(request->easy, CURLOPT_HTTPGET, 1L);
}

static bool set_callbacks(struct http_request *request)
{
    CURL *easy = request->easy;
    return !curl_easy_setopt(easy, CURLOPT_PRIVATE, request) &&
           !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error_text) &&
           !curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, request_write) &&
           !curl_easy_setopt(easy, CURLOPT_WRITEDATA, request) &&
           !curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, request_header) &&
           !curl_easy_setopt(easy, CURLOPT_HEADERDATA, request) &&
           !curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, request_before_send) &&
           !curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
}

bool setup_request(struct http_request *request, const char *method, const char *url)
{
    CURL *easy = request->easy;
    const char *agent = request->http->config.user_agent;
    return set_connection(request) && set_limits_of_trust(request) && set_proxy(request) &&
           set_tls(request) && set_method(request, method) && set_callbacks(request) &&
           !curl_easy_setopt(easy, CURLOPT_URL, url) &&
           !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->header_list) &&
           (!agent || !curl_easy_setopt(easy, CURLOPT_USERAGENT, agent));
}
