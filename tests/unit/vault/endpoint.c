#include "endpoint.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plant.h"

enum { REQUEST_MAX = 16384, PLANTS_KNOWN = 10 };

#define SCOPE_ROOT "https://www.googleapis.com/auth/"

/* ---- replies ---- */

static void send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        data += sent;
        len -= (size_t)sent;
    }
}

static void reply(int fd, const char *status, const char *headers, const char *body)
{
    char head[512];
    snprintf(head, sizeof(head),
             "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n"
             "Connection: close\r\n\r\n",
             status, headers, strlen(body));
    send_all(fd, head, strlen(head));
    send_all(fd, body, strlen(body));
}

static void reply_tokens(struct endpoint *endpoint, int fd, const char *access, bool with_refresh)
{
    char body[4096], refresh[PLANT_SIZE] = "";
    if (with_refresh)
        plant_text(atomic_load(&endpoint->next_refresh), refresh);
    snprintf(body, sizeof(body),
             "{\"access_token\":\"%s\",\"expires_in\":%s,\"scope\":\"%s\",\"token_type\":\"Bearer\"%s%s%s}",
             access, endpoint->expires_in[0] ? endpoint->expires_in : "3599",
             atomic_load(&endpoint->mode) == ENDPOINT_SMALL_SCOPE ? SCOPE_ROOT "youtube.readonly"
                                                                  : SCOPE_ROOT "youtube.upload " SCOPE_ROOT
                                                                               "youtube.readonly",
             with_refresh ? ",\"refresh_token\":\"" : "", refresh, with_refresh ? "\"" : "");
    reply(fd, "200 OK", "", body);
}

static void reply_huge(int fd)
{
    enum { HUGE = 1000000 };
    char *body = calloc(1, HUGE + 64);
    size_t len = (size_t)sprintf(body, "{\"access_token\":\"");
    memset(body + len, 'a', HUGE);
    strcpy(body + len + HUGE, "\",\"expires_in\":3599}");
    reply(fd, "200 OK", "", body);
    free(body);
}

/* ---- the token endpoint ---- */

static int find_presented(const char *body)
{
    const char *at = strstr(body, "token=");
    for (int number = 0; at && number < PLANTS_KNOWN; number++)
        if (plant_is_in(number, body, strlen(body)))
            return number;
    return -1;
}

static void serve_token(struct endpoint *endpoint, int fd, const char *body)
{
    bool is_login = strstr(body, "grant_type=authorization_code") != NULL;
    char access[64];
    atomic_store(&endpoint->presented, find_presented(body));
    snprintf(access, sizeof(access), "ya29.access-%d", atomic_fetch_add(&endpoint->access_count, 1) + 1);
    usleep((useconds_t)atomic_load(&endpoint->delay_ms) * 1000);
    switch ((enum endpoint_mode)atomic_load(&endpoint->mode)) {
    case ENDPOINT_503:
        reply(fd, "503 Unavailable", "", "{\"error\":\"temporarily_unavailable\"}");
        break;
    case ENDPOINT_503_LATER:
        reply(fd, "503 Unavailable", "Retry-After: 120\r\n", "");
        break;
    case ENDPOINT_HANG_UP:
        break;
    case ENDPOINT_INVALID_GRANT:
        reply(fd, "400 Bad Request", "",
              "{\"error\":\"invalid_grant\",\"error_description\":\"Token has been expired or revoked.\"}");
        break;
    case ENDPOINT_INVALID_CLIENT:
        reply(fd, "401 Unauthorized", "",
              "{\"error\":\"invalid_client\",\"error_description\":\"The OAuth client was not found.\"}");
        break;
    case ENDPOINT_LINE_IN_TOKEN:
        reply_tokens(endpoint, fd, "ya29.evil\\r\\nX-Evil: yes", false);
        break;
    case ENDPOINT_HUGE_TOKEN:
        reply_huge(fd);
        break;
    case ENDPOINT_ROTATE:
        atomic_fetch_add(&endpoint->next_refresh, 1);
        reply_tokens(endpoint, fd, access, true);
        break;
    case ENDPOINT_NO_REFRESH:
        reply_tokens(endpoint, fd, access, false);
        break;
    case ENDPOINT_OK:
    case ENDPOINT_SMALL_SCOPE:
    case ENDPOINT_STUBBORN:
        reply_tokens(endpoint, fd, access, is_login);
        break;
    }
}

/* ---- the token service ---- */

/* It keeps its token until a fresh one is wanted. */
static void serve_service(struct endpoint *endpoint, int fd, const char *request)
{
    char body[512];
    bool is_ask = strncmp(request, "POST ", 5) == 0;
    int mode = atomic_load(&endpoint->mode);
    atomic_fetch_add(&endpoint->service_requests, is_ask);
    if (is_ask && mode != ENDPOINT_STUBBORN && strstr(request, "\"fresh\":true"))
        atomic_fetch_add(&endpoint->access_count, 1);
    usleep((useconds_t)atomic_load(&endpoint->delay_ms) * 1000);
    snprintf(body, sizeof(body), "{\"access_token\":\"ya29.access-%d\",\"expires_in\":3599}",
             atomic_load(&endpoint->access_count));
    if (!strstr(request, "Authorization: Bearer word\r\n"))
        reply(fd, "401 Unauthorized", "", "{\"error\":\"unauthorized\"}");
    else if (mode == ENDPOINT_503 || mode == ENDPOINT_503_LATER)
        reply(fd, "503 Unavailable", mode == ENDPOINT_503 ? "" : "Retry-After: 120\r\n", "");
    else
        reply(fd, "200 OK", "", is_ask ? body : "{}");
}

/* ---- channels.list ---- */

static void serve_channels(struct endpoint *endpoint, int fd)
{
    char body[1024];
    const char *channel = endpoint->channel[0] ? endpoint->channel : "UCone";
    switch ((enum channels_mode)atomic_load(&endpoint->channels_mode)) {
    case CHANNELS_OK:
        snprintf(body, sizeof(body),
                 "{\"items\":[{\"id\":\"%s\",\"snippet\":{\"title\":\"Title of %s\"},"
                 "\"contentDetails\":{\"relatedPlaylists\":{\"uploads\":\"UU%s\"}}}]}",
                 channel, channel, channel + 2);
        reply(fd, "200 OK", "", body);
        break;
    case CHANNELS_EMPTY:
        reply(fd, "200 OK", "", "{\"items\":[]}");
        break;
    case CHANNELS_SIGNUP:
        reply(fd, "401 Unauthorized", "",
              "{\"error\":{\"code\":401,\"message\":\"Unauthorized\",\"errors\":[{\"reason\":"
              "\"youtubeSignupRequired\",\"domain\":\"youtube.header\"}]}}");
        break;
    case CHANNELS_503:
        reply(fd, "503 Unavailable", "", "");
        break;
    case CHANNELS_401:
        reply(fd, "401 Unauthorized", "",
              "{\"error\":{\"code\":401,\"message\":\"Invalid\",\"errors\":[{\"reason\":\"authError\"}]}}");
        break;
    case CHANNELS_QUOTA:
        reply(fd, "403 Forbidden", "",
              "{\"error\":{\"code\":403,\"message\":\"exceeded your quota\",\"errors\":[{\"domain\":"
              "\"youtube.quota\",\"reason\":\"quotaExceeded\"}]}}");
        break;
    }
}

/* ---- playlistItems.list ---- */

static void reply_page(struct endpoint *endpoint, int fd, int left)
{
    char body[1024], when[32], next[48] = "";
    time_t now = time(NULL) + 1; /* whole seconds, and after the login */
    struct tm tm;
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    if (left > 0)
        snprintf(next, sizeof(next), "\"nextPageToken\":\"page-%d\",", left);
    snprintf(body, sizeof(body),
             "{%s\"items\":[{\"snippet\":{\"publishedAt\":\"%s\"},\"contentDetails\":{\"videoId\":"
             "\"video-%d\"}}]}",
             next, when, left);
    reply(fd, "200 OK", "", atomic_load(&endpoint->video_pages) > 0 ? body : "{\"items\":[]}");
}

static void serve_videos(struct endpoint *endpoint, int fd, const char *request)
{
    const char *page = strstr(request, "pageToken=page-");
    int left = page ? (int)strtol(page + 15, NULL, 10) : atomic_load(&endpoint->video_pages);
    usleep((useconds_t)atomic_load(&endpoint->delay_ms) * 1000);
    switch ((enum videos_mode)atomic_load(&endpoint->videos_mode)) {
    case VIDEOS_OK:
        reply_page(endpoint, fd, left - 1);
        break;
    case VIDEOS_503:
        reply(fd, "503 Unavailable", "", "");
        break;
    case VIDEOS_NARROW:
        reply(fd, "403 Forbidden", "",
              "{\"error\":{\"code\":403,\"message\":\"Request had insufficient authentication scopes.\","
              "\"errors\":[{\"domain\":\"global\",\"reason\":\"insufficientPermissions\"}]}}");
        break;
    }
}

/* ---- serving ---- */

/* One request, head and body; false if the other side went. */
static bool read_request(int fd, char *ret, size_t size)
{
    size_t len = 0;
    while (len + 1 < size) {
        ssize_t got = recv(fd, ret + len, size - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        ret[len] = '\0';
        const char *end = strstr(ret, "\r\n\r\n");
        const char *length = strcasestr(ret, "Content-Length:");
        if (end && (!length || len >= (size_t)(end + 4 - ret) + strtoul(length + 15, NULL, 10)))
            return true;
    }
    return false;
}

static void serve(struct endpoint *endpoint, int fd)
{
    static char request[REQUEST_MAX];
    if (read_request(fd, request, sizeof(request))) {
        const char *body = strstr(request, "\r\n\r\n") + 4;
        if (strncmp(request, "POST /token ", 12) == 0) {
            atomic_fetch_add(&endpoint->token_requests, 1);
            serve_token(endpoint, fd, body);
        } else if (strncmp(request, "POST /service ", 14) == 0 ||
                   strncmp(request, "GET /service ", 13) == 0) {
            serve_service(endpoint, fd, request);
        } else if (strncmp(request, "POST /revoke ", 13) == 0) {
            atomic_fetch_add(&endpoint->revoke_requests, 1);
            atomic_store(&endpoint->presented, find_presented(body));
            reply(fd, "200 OK", "", "{}");
        } else if (strncmp(request, "GET /youtube/v3/channels?", 25) == 0 &&
                   strstr(request, "Authorization: Bearer ya29.access-")) {
            atomic_fetch_add(&endpoint->channels_requests, 1);
            serve_channels(endpoint, fd);
        } else if (strncmp(request, "GET /youtube/v3/playlistItems?", 30) == 0 &&
                   strstr(request, "playlistId=UUone") &&
                   strstr(request, "Authorization: Bearer ya29.access-")) {
            atomic_fetch_add(&endpoint->videos_requests, 1);
            serve_videos(endpoint, fd, request);
        } else {
            reply(fd, "404 Not Found", "", "{}");
        }
    }
    close(fd);
}

static int listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    *ret_port = ntohs(address.sin_port);
    return fd;
}

struct endpoint *endpoint_start(void)
{
    struct endpoint *endpoint =
        mmap(NULL, sizeof(*endpoint), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (endpoint == MAP_FAILED)
        abort();
    int listener = listen_somewhere(&endpoint->port);
    pid_t pid = fork(); /* the memory is shared: the child must not write its 0 there */
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int fd = accept(listener, NULL, NULL);
            if (fd >= 0)
                serve(endpoint, fd);
        }
    }
    close(listener);
    endpoint->pid = pid;
    return endpoint;
}

void endpoint_stop(struct endpoint *endpoint)
{
    kill(endpoint->pid, SIGKILL);
    waitpid(endpoint->pid, NULL, 0);
    munmap(endpoint, sizeof(*endpoint));
}

void endpoint_reset(struct endpoint *endpoint)
{
    atomic_store(&endpoint->mode, ENDPOINT_OK);
    atomic_store(&endpoint->channels_mode, CHANNELS_OK);
    atomic_store(&endpoint->videos_mode, VIDEOS_OK);
    atomic_store(&endpoint->video_pages, 0);
    atomic_store(&endpoint->delay_ms, 0);
    atomic_store(&endpoint->next_refresh, 0);
    endpoint->expires_in[0] = endpoint->channel[0] = '\0';
    atomic_store(&endpoint->token_requests, 0);
    atomic_store(&endpoint->channels_requests, 0);
    atomic_store(&endpoint->videos_requests, 0);
    atomic_store(&endpoint->revoke_requests, 0);
    atomic_store(&endpoint->service_requests, 0);
    atomic_store(&endpoint->presented, -1);
}
