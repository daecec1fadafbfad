#include "insert.h"

#include <string.h>

#include "base/mem.h"
#include "insert_rules.h"
#include "multipart.h"
#include "ops.h"

enum { METADATA_BYTES_MAX = 1 << 20 };

struct insert {
    bool is_multipart;
    struct multipart multipart;
    struct buf metadata;
    char *media_type; /* of the second part */
    gnutls_hash_hd_t hash;
    uint64_t media_bytes;
    bool has_media;
};

void insert_free(struct insert *insert)
{
    if (!insert)
        return;
    if (insert->is_multipart)
        multipart_release(&insert->multipart);
    buf_release(&insert->metadata);
    if (insert->hash)
        gnutls_hash_deinit(insert->hash, NULL);
    mem_free(insert->media_type);
    mem_free(insert);
}

static void take_media(struct insert *insert, const char *data, size_t len)
{
    insert->has_media = true;
    insert->media_bytes += len;
    gnutls_hash(insert->hash, data, len);
}

/* The value of Content-Type in a part's headers; "" if there is none. The caller frees it. */
static char *find_content_type(const char *headers)
{
    const char *at = strcasestr(headers, "content-type:");
    if (!at)
        return mem_dup("");
    at += strlen("content-type:");
    at += strspn(at, " \t");
    return mem_dup_n(at, strcspn(at, "\r\n"));
}

static void on_headers(void *insert_, unsigned part, const char *headers)
{
    struct insert *insert = insert_;
    if (part != 2)
        return;
    mem_free(insert->media_type);
    insert->media_type = find_content_type(headers);
    insert->has_media = true;
}

static void on_data(void *insert_, unsigned part, const char *data, size_t len)
{
    struct insert *insert = insert_;
    if (part == 1)
        buf_append(&insert->metadata, data, len);
    else if (part == 2)
        take_media(insert, data, len);
}

static void admit_insert(struct request *request)
{
    struct insert *insert = mem_alloc(sizeof *insert);
    request->insert = insert;
    buf_init(&insert->metadata, METADATA_BYTES_MAX);
    gnutls_hash_init(&insert->hash, GNUTLS_DIG_SHA256);
    if (strcmp(request_param(request, "uploadType"), "media") == 0)
        return;
    insert->is_multipart = multipart_init(&insert->multipart, request_header(request, "Content-Type"));
    insert->multipart.on_headers = on_headers;
    insert->multipart.on_data = on_data;
    insert->multipart.ctx = insert;
    if (!insert->is_multipart)
        refuse_bad(request, "badRequest",
                   "A multipart upload needs Content-Type: multipart/related with a boundary.", NULL);
}

static void take_insert(struct request *request, const char *data, size_t len)
{
    if (request->insert->is_multipart)
        multipart_feed(&request->insert->multipart, data, len);
    else
        take_media(request->insert, data, len);
}

/* Answers if the body is not what it should be. */
static void check_body(struct request *request)
{
    const struct insert *insert = request->insert;
    if (insert->is_multipart && !multipart_is_complete(&insert->multipart))
        refuse_bad(request, "badRequest", "Malformed multipart body.", NULL);
    else if (!insert->has_media)
        refuse_bad(request, "mediaBodyRequired", "The request does not include the video content.", NULL);
    else if (insert->media_bytes > MEDIA_BYTES_MAX)
        insert_refuse_size(request);
}

static void end_insert(struct request *request)
{
    struct insert *insert = request->insert;
    struct insert_terms terms;
    const char *media_type =
        insert->is_multipart ? insert->media_type : request_header(request, "Content-Type");
    check_body(request);
    if (request_is_answered(request) ||
        !insert_accept(request, insert->is_multipart ? &insert->metadata : NULL, media_type, &terms))
        return;
    struct video_source source = {.channel = request->caller.channel,
                                  .client_id = request->caller.client->id,
                                  .metadata = terms.metadata,
                                  .parts = terms.parts,
                                  .slug = request_header(request, "Slug"),
                                  .session = "",
                                  .size_bytes = insert->media_bytes,
                                  .received_bytes = insert->media_bytes};
    gnutls_hash_deinit(insert->hash, source.sha256);
    insert->hash = NULL;
    request->video = videos_add(request->state, &source);
    json_decref(terms.metadata);
    reply_take_json(&request->reply, 200,
                    video_resource(request->state, request->video, request->video->parts));
    reply_set_header(&request->reply, "ETag", request->video->etag);
}

const struct op op_insert = {.name = "insert",
                             .scopes = SCOPE_UPLOAD | SCOPE_YOUTUBE | SCOPE_FORCE_SSL | SCOPE_PARTNER,
                             .bucket = QUOTA_UPLOADS,
                             .units = 1,
                             .admit = admit_insert,
                             .take = take_insert,
                             .end = end_insert};
