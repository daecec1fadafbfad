/* How an exchange ended: from curl's codes and our own causes to one of enum http_end and a sentence. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/text.h"
#include "http/room.h"

/* What is not listed is HTTP_BROKEN: the exchange is in doubt, and is asked about. */
static const struct {
    CURLcode code;
    enum http_end end;
} ends[] = {
    {CURLE_OK, HTTP_OK},
    {CURLE_COULDNT_RESOLVE_PROXY, HTTP_CONNECT},
    {CURLE_COULDNT_RESOLVE_HOST, HTTP_CONNECT},
    {CURLE_COULDNT_CONNECT, HTTP_CONNECT},
    {CURLE_PROXY, HTTP_CONNECT},
    {CURLE_OPERATION_TIMEDOUT, HTTP_TIMEOUT},
    {CURLE_SSL_CONNECT_ERROR, HTTP_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS},
    {CURLE_SSL_CERTPROBLEM, HTTP_TLS},
    {CURLE_SSL_CIPHER, HTTP_TLS},
    {CURLE_SSL_CACERT_BADFILE, HTTP_TLS},
    {CURLE_SSL_ISSUER_ERROR, HTTP_TLS},
    {CURLE_SSL_INVALIDCERTSTATUS, HTTP_TLS},
    {CURLE_SSL_CRL_BADFILE, HTTP_TLS},
    {CURLE_USE_SSL_FAILED, HTTP_TLS},
    {CURLE_FAILED_INIT, HTTP_LOCAL},
    {CURLE_OUT_OF_MEMORY, HTTP_LOCAL},
    {CURLE_INTERFACE_FAILED, HTTP_LOCAL},
    {CURLE_UNSUPPORTED_PROTOCOL, HTTP_PROTOCOL},
    {CURLE_URL_MALFORMAT, HTTP_PROTOCOL},
    {CURLE_WEIRD_SERVER_REPLY, HTTP_PROTOCOL},
    {CURLE_HTTP_RETURNED_ERROR, HTTP_PROTOCOL},
    {CURLE_BAD_CONTENT_ENCODING, HTTP_PROTOCOL},
    {CURLE_FILESIZE_EXCEEDED, HTTP_PROTOCOL},
    {CURLE_WRITE_ERROR, HTTP_PROTOCOL},
};

static enum http_end end_of(CURLcode code)
{
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (ends[i].code == code)
            return ends[i].end;
    }
    return HTTP_BROKEN;
}

static void tell(struct http_request *request, struct http_reply *reply, enum http_end end, const char *what)
{
    reply->end = end;
    snprintf(reply->message, sizeof reply->message, "%s: %s", request->origin.host, what);
}

static int os_errno(struct http_request *request)
{
    long value = 0;
    curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &value);
    return value ? (int)value : request->errno_value;
}

static bool is_local_errno(int value)
{
    return value == EMFILE || value == ENFILE || value == ENOBUFS || value == ENOMEM ||
           value == EADDRNOTAVAIL;
}

/* The errno of what we lack, 0 if it is not that. Libraries below tell EMFILE only as a failure. */
static int local_lack(struct http_request *request)
{
    int now = socket_lack();
    if (now)
        return now;
    return is_local_errno(request->errno_value) ? request->errno_value
           : is_local_errno(os_errno(request))  ? os_errno(request)
                                                : 0;
}

/* ---- a handshake that failed: curl tells the reasons apart in its text alone ---- */

static bool says_one_of(const struct http_request *request, const char *const *signs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strstr(request->error_text, signs[i]))
            return true;
    }
    return false;
}

/* The other side closed without an alert, and did not reset. So do servers that find no version or cipher
 * they know in our hello (T09): who goes on will hear the same again. */
static bool is_silent_handshake(const struct http_request *request, CURLcode code)
{
    static const char *const signs[] = {"SSL_connect: SSL_ERROR_", "unexpected eof"};
    return code == CURLE_SSL_CONNECT_ERROR && says_one_of(request, signs, ARRAY_LEN(signs));
}

/* curl says "TLS connect error" also when the connection broke in the handshake: that is no matter of trust.
 */
static bool is_cut_handshake(const struct http_request *request, CURLcode code)
{
    static const char *const signs[] = {"SSL_connect: ", "Recv failure", "Send failure"};
    return code == CURLE_SSL_CONNECT_ERROR && !is_silent_handshake(request, code) &&
           says_one_of(request, signs, ARRAY_LEN(signs));
}

static const char *tls_hint(const struct http_request *request)
{
    static const char *const old_signs[] = {"protocol", "handshake failure", "wrong version number",
                                            "insufficient security"};
    enum { NOT_YET_VALID = 9, EXPIRED = 10 }; /* X509_V_ERR_CERT_… */
    long verdict = 0;
    curl_easy_getinfo(request->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
    if (verdict == NOT_YET_VALID)
        return "; is this machine's clock behind?";
    if (verdict == EXPIRED)
        return "; or is this machine's clock ahead?";
    return says_one_of(request, old_signs, ARRAY_LEN(old_signs)) ? "; TLS 1.2 is the least" : "";
}

static void tell_tls(struct http_request *request, CURLcode code, struct http_reply *reply)
{
    struct buf what AUTO_BUF = BUF_INIT(2 * CURL_ERROR_SIZE);
    if (is_silent_handshake(request, code)) {
        tell(request, reply, HTTP_TLS,
             "closed without a word in the TLS handshake; has it no version or cipher in common with us? "
             "TLS 1.2 is the least");
        return;
    }
    text_escape(&what, request->error_text, false);
    buf_puts(&what, tls_hint(request));
    tell(request, reply, HTTP_TLS, what.len ? what.data : "no secure connection");
}

static void tell_system(struct http_request *request, struct http_reply *reply, enum http_end end,
                        const char *what, int errno_value)
{
    char text[160];
    if (errno_value)
        snprintf(text, sizeof text, "%s: %s", what, strerror(errno_value));
    else
        snprintf(text, sizeof text, "%s", what);
    tell(request, reply, end, text);
}

static void tell_refused(struct http_request *request, struct http_reply *reply)
{
    char text[160];
    bool is_named = http_host_is_private(request->origin.host);
    snprintf(text, sizeof text, "%s is no public address: refused%s", request->refused_address,
             is_named ? "" : "; check the DNS, or name the address itself where the URL is configured");
    tell(request, reply, HTTP_CONNECT, text);
}

static void tell_unsent(struct http_request *request, CURLcode code, struct http_reply *reply)
{
    int errno_value = os_errno(request), lack = local_lack(request);
    bool is_cut = is_cut_handshake(request, code);
    if (lack)
        tell_system(request, reply, HTTP_LOCAL, "no connection can be opened here", lack);
    else if (code == CURLE_COULDNT_CONNECT && request->refused_address[0])
        tell_refused(request, reply);
    else if (end_of(code) == HTTP_TLS && !is_cut)
        tell_tls(request, code, reply);
    else if (end_of(code) == HTTP_LOCAL)
        tell(request, reply, HTTP_LOCAL, curl_easy_strerror(code));
    else if (code == CURLE_OPERATION_TIMEDOUT)
        tell(request, reply, HTTP_CONNECT, "no connection within the time set for it");
    else if (is_cut)
        tell_system(request, reply, HTTP_CONNECT, "connection closed during the TLS handshake", errno_value);
    else
        tell_system(request, reply, HTTP_CONNECT, curl_easy_strerror(code), errno_value);
}

/* A header line or a block of them too long for curl's own buffers ends as "out of memory". */
static bool is_endless_head(const struct http_request *request, CURLcode code)
{
    return code == CURLE_OUT_OF_MEMORY && !request->head.is_done;
}

static void tell_sent(struct http_request *request, CURLcode code, struct http_reply *reply)
{
    if (is_endless_head(request, code))
        tell(request, reply, HTTP_PROTOCOL, "headers over 32 KiB");
    else if (end_of(code) == HTTP_TLS || end_of(code) == HTTP_CONNECT)
        tell(request, reply, HTTP_BROKEN, curl_easy_strerror(code));
    else if (end_of(code) == HTTP_BROKEN)
        tell_system(request, reply, HTTP_BROKEN, curl_easy_strerror(code), os_errno(request));
    else
        tell(request, reply, end_of(code), curl_easy_strerror(code));
}

static void tell_cause(struct http_request *request, struct http_reply *reply)
{
    switch (request->cause) {
    case CAUSE_SOURCE:
        tell(request, reply, HTTP_SOURCE, "the request's body could not be read");
        break;
    case CAUSE_REPEATED:
        tell(request, reply, HTTP_BROKEN, "a kept connection was dead when it was used again");
        break;
    case CAUSE_HEAD:
        tell(request, reply, HTTP_PROTOCOL, request->head.trouble);
        break;
    case CAUSE_CUT:
        reply->end = HTTP_OK;
        break;
    case CAUSE_NO_DESCRIPTOR:
        tell_system(request, reply, HTTP_LOCAL, "no connection can be opened here", request->errno_value);
        break;
    case CAUSE_NOT_LOOPBACK:
        tell(request, reply, HTTP_CONNECT, "not a loopback address, so plain http is refused");
        break;
    case CAUSE_NONE:
        break;
    }
}

/* Without a length, the end of the connection is the end of the reply; over TLS curl takes it also without
 * close_notify, so nobody can say whether it is whole (T08). */
static bool has_open_end(const struct http_request *request)
{
    return request->received_bytes && !request->head.has_length && !request->head.is_chunked;
}

void result_of_early(struct http_request *request, struct http_reply *reply)
{
    reply->end = HTTP_OK;
    reply->body_is_cut =
        request->is_cut || !request->head.has_length || request->received_bytes < request->head.length_bytes;
}

void result_of_curl(struct http_request *request, CURLcode code, struct http_reply *reply)
{
    reply->body_is_cut = request->is_cut || has_open_end(request);
    if (code == CURLE_OK && request->head.is_done)
        reply->end = HTTP_OK;
    else if (code == CURLE_OK) /* for curl, a head that was cut is just short */
        tell(request, reply, HTTP_BROKEN, "connection closed in the head of the reply");
    else if (request->is_early && request->cause == CAUSE_NONE)
        result_of_early(request, reply); /* its status is what matters; the rest may well be cut */
    else if (request->cause != CAUSE_NONE)
        tell_cause(request, reply);
    else if (request->is_sent)
        tell_sent(request, code, reply);
    else
        tell_unsent(request, code, reply);
}

void result_of_watch(struct http_request *request, enum watch_verdict verdict, struct http_reply *reply)
{
    char slow[120], duration[32];
    switch (verdict) {
    case WATCH_EARLY:
        result_of_early(request, reply);
        break;
    case WATCH_REPLY:
        tell(request, reply, HTTP_TIMEOUT, "no whole reply within the time set for it");
        break;
    case WATCH_SLOW:
        snprintf(slow, sizeof slow, "less than %u bytes a second for %s",
                 (unsigned)request->http->config.low_speed_bytes,
                 format_duration(duration, request->http->config.low_speed_ms));
        tell(request, reply, HTTP_TIMEOUT, slow);
        break;
    case WATCH_TOTAL:
        tell(request, reply, request->is_sent ? HTTP_TIMEOUT : HTTP_CONNECT,
             "not finished within the time set for it");
        break;
    case WATCH_FINE:
        break;
    }
}

void result_of_abort(struct http_request *request, struct http_reply *reply)
{
    tell(request, reply, HTTP_ABORTED, "given up as asked");
}
