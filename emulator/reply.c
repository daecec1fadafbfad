#include "reply.h"

#include <strings.h>

#include "base/mem.h"
#include "json.h"

void reply_init(struct reply *reply)
{
    *reply = (struct reply){0};
    buf_init(&reply->raw_headers, 4 << 20);
    buf_init(&reply->body, 256 << 20);
}

static void drop_header(struct reply *reply, size_t at)
{
    mem_free(reply->headers[at].name);
    mem_free(reply->headers[at].value);
    reply->headers[at] = reply->headers[--reply->header_count];
}

void reply_release(struct reply *reply)
{
    while (reply->header_count > 0)
        drop_header(reply, 0);
    buf_release(&reply->raw_headers);
    buf_release(&reply->body);
}

void reply_set_header(struct reply *reply, const char *name, const char *value)
{
    for (size_t i = 0; i < reply->header_count; i++) {
        if (strcasecmp(reply->headers[i].name, name) == 0) {
            drop_header(reply, i);
            break;
        }
    }
    if (value && reply->header_count < REPLY_HEADERS_MAX)
        reply->headers[reply->header_count++] = (struct reply_header){mem_dup(name), mem_dup(value)};
}

void reply_empty(struct reply *reply, int status)
{
    reply->status = status;
    buf_clear(&reply->body);
}

void reply_text(struct reply *reply, int status, const char *content_type, const char *text)
{
    reply_empty(reply, status);
    reply_set_header(reply, "Content-Type", content_type);
    buf_puts(&reply->body, text);
}

void reply_json(struct reply *reply, int status, const json_t *json)
{
    reply_text(reply, status, "application/json; charset=UTF-8", "");
    buf_put_json(&reply->body, json);
    buf_putc(&reply->body, '\n');
}

void reply_take_json(struct reply *reply, int status, json_t *json)
{
    reply_json(reply, status, json);
    json_decref(json);
}

void reply_api_error(struct reply *reply, const struct api_error *error)
{
    json_t *detail = json_pack("{s:s, s:s, s:s}", "message", error->message, "domain", error->domain,
                               "reason", error->reason);
    if (error->location) {
        json_object_set_new(detail, "location", json_string(error->location));
        json_object_set_new(detail, "locationType", json_string(error->location_type));
    }
    reply_take_json(reply, error->status,
                    json_pack("{s:{s:i, s:s, s:[o]}}", "error", "code", error->status, "message",
                              error->message, "errors", detail));
    if (error->status == 401)
        reply_set_header(reply, "WWW-Authenticate",
                         "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"");
}

void reply_oauth_error(struct reply *reply, int status, const char *error, const char *description)
{
    json_t *body = json_pack("{s:s}", "error", error);
    if (description)
        json_object_set_new(body, "error_description", json_string(description));
    reply_take_json(reply, status, body);
}
