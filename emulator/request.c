#include "request.h"

#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "form.h"

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_param(const struct request *request, const char *name)
{
    const char *value = NULL;
    if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value,
                                      NULL) != MHD_YES)
        return NULL;
    return value ? value : "";
}

struct joined_values {
    const char *name;
    struct buf text;
    size_t count;
};

static enum MHD_Result join_value(void *joined_, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct joined_values *joined = joined_;
    (void)kind;
    if (strcmp(name, joined->name) == 0) {
        if (joined->count++ > 0)
            buf_putc(&joined->text, ',');
        buf_puts(&joined->text, value ? value : "");
    }
    return MHD_YES;
}

char *request_list_param(const struct request *request, const char *name)
{
    struct joined_values joined = {.name = name};
    buf_init(&joined.text, 65536);
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, join_value, &joined);
    char *text = joined.count > 0 ? buf_take_text(&joined.text) : NULL;
    buf_release(&joined.text);
    return text;
}

bool request_content_length(const struct request *request, uint64_t *ret)
{
    const char *text = request_header(request, "Content-Length");
    return text && parse_u64(text, ret);
}

bool request_is_answered(const struct request *request)
{
    return request->reply.status != 0;
}

char *request_form(const struct request *request, const char *name)
{
    return form_get(request->body.data, name);
}

struct json_t *request_json(const struct request *request)
{
    json_t *json = json_loadb(request->body.data, request->body.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

/* Only what can be a host and a port: the text goes into a header. */
static bool is_host(const char *text)
{
    return text && *text && strlen(text) < 256 &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]")] == '\0';
}

char *request_origin(const struct request *request)
{
    const char *host = request_header(request, "Host");
    if (!is_host(host))
        return mem_dup(request->state->base_url);
    return mem_printf("%s://%s", text_starts_with(request->state->base_url, "https:") ? "https" : "http",
                      host);
}

void refuse(struct request *request, const struct api_error *error)
{
    reply_api_error(&request->reply, error);
}

void refuse_bad(struct request *request, const char *reason, const char *message, const char *parameter)
{
    struct api_error error = {.status = 400,
                              .domain = "global",
                              .reason = reason,
                              .message = message,
                              .location = parameter,
                              .location_type = parameter ? "parameter" : NULL};
    refuse(request, &error);
}
