#include "deliver.h"

#include "wire.h"

static const char *phrase(int status)
{
    switch (status) {
    case 308:
        return "Resume Incomplete";
    case 499:
        return "Client Closed Request";
    default:
        return MHD_get_reason_phrase_for((unsigned)status);
    }
}

static void put_head(struct buf *out, const struct reply *reply)
{
    buf_printf(out, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n", reply->status, phrase(reply->status),
               reply->body.len);
    if (reply->delivery != DELIVER_THEN_CLOSE)
        buf_puts(out, "Connection: close\r\n");
    for (size_t i = 0; i < reply->header_count; i++)
        buf_printf(out, "%s: %s\r\n", reply->headers[i].name, reply->headers[i].value);
    buf_append(out, reply->raw_headers.data, reply->raw_headers.len);
    buf_puts(out, "\r\n");
}

static void send_slowly(const struct wire *wire, const struct buf *bytes, uint64_t bytes_per_s)
{
    int64_t pause_ms = (int64_t)(1000 / bytes_per_s);
    for (size_t i = 0; i < bytes->len; i++)
        if (!wire_send(wire, bytes->data + i, 1) || !wire_wait(wire, pause_ms))
            return;
}

static void send_raw(const struct wire *wire, const struct reply *reply)
{
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, 512 << 20);
    put_head(&bytes, reply);
    buf_append(&bytes, reply->body.data,
               reply->delivery == DELIVER_CUT ? reply->body.len / 2 : reply->body.len);
    if (reply->bytes_per_s)
        send_slowly(wire, &bytes, reply->bytes_per_s);
    else
        wire_send(wire, bytes.data, bytes.len);
}

enum MHD_Result deliver_early(struct request *request)
{
    struct wire wire = wire_of(request->connection);
    request->is_delivered = true;
    if (request->reply.delivery == DELIVER_RESET) {
        wire_reset(&wire);
        return MHD_NO;
    }
    if (request->reply.delivery != DELIVER_NOTHING)
        send_raw(&wire, &request->reply);
    request->dropped_bytes += wire_finish(&wire);
    return MHD_NO;
}

static enum MHD_Result deliver_well(struct request *request)
{
    struct reply *reply = &request->reply;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->body.len, reply->body.data, MHD_RESPMEM_MUST_COPY);
    for (size_t i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    enum MHD_Result result = MHD_queue_response(request->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    request->is_delivered = true;
    return result;
}

enum MHD_Result deliver(struct request *request)
{
    const struct reply *reply = &request->reply;
    struct wire wire = wire_of(request->connection);
    if (reply->delay_ms && !wire_wait(&wire, reply->delay_ms))
        return MHD_NO;
    if (reply->delivery != DELIVER_WELL || reply->bytes_per_s || reply->raw_headers.len)
        return deliver_early(request);
    return deliver_well(request);
}
