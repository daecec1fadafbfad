#include "clients.h"

#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "file.h"
#include "json.h"

static const struct {
    const char *file_name;
    enum client_kind kind;
    size_t project_at;
    const char *redirect_uri;
} kinds[CLIENT_COUNT] = {
    {"client_secret.json", CLIENT_DESKTOP, 0, NULL},
    {"client_secret_2.json", CLIENT_DESKTOP, 1, NULL},
    {"client_secret_tv.json", CLIENT_TV, 0, NULL},
    {"client_secret_web.json", CLIENT_WEB, 0, "http://localhost:8080/oauth2/callback"},
};

static char *random_hex(size_t bytes)
{
    unsigned char raw[32];
    char text[2 * sizeof raw + 1];
    random_bytes(raw, bytes);
    text_hex(text, raw, bytes);
    return mem_dup(text);
}

void clients_init(struct clients *clients)
{
    *clients = (struct clients){
        .projects = {{.id = "sluice-emulator-1", .number = 100000000001},
                     {.id = "sluice-emulator-2", .number = 100000000002}},
    };
    for (size_t i = 0; i < PROJECT_COUNT; i++)
        quota_init(&clients->projects[i].quota);
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        struct client *client = &clients->clients[i];
        AUTO_FREE char *id = random_hex(16);
        AUTO_FREE char *secret = random_hex(14);
        client->project = &clients->projects[kinds[i].project_at];
        client->kind = kinds[i].kind;
        client->file_name = kinds[i].file_name;
        client->redirect_uri = kinds[i].redirect_uri;
        client->id =
            mem_printf("%llu-%s.apps.googleusercontent.com", (unsigned long long)client->project->number, id);
        client->secret = mem_printf("GOCSPX-%s", secret);
    }
}

void clients_release(struct clients *clients)
{
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        mem_free(clients->clients[i].id);
        mem_free(clients->clients[i].secret);
    }
}

/* The file as the Google Cloud console writes it: one top key, `installed` (desktop and TV alike) or `web`.
 */
static json_t *client_file(const struct client *client, const char *base_url)
{
    AUTO_FREE char *auth_uri = mem_printf("%s/o/oauth2/v2/auth", base_url);
    AUTO_FREE char *token_uri = mem_printf("%s/token", base_url);
    AUTO_FREE char *certs_url = mem_printf("%s/oauth2/v1/certs", base_url);
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[s]}", "client_id", client->id, "project_id",
                  client->project->id, "auth_uri", auth_uri, "token_uri", token_uri,
                  "auth_provider_x509_cert_url", certs_url, "client_secret", client->secret, "redirect_uris",
                  client->redirect_uri ? client->redirect_uri : "http://localhost");
    return json_pack("{s:o}", client->kind == CLIENT_WEB ? "web" : "installed", body);
}

int clients_write_files(const struct clients *clients, const char *dir, const char *base_url, struct err *err)
{
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", dir, clients->clients[i].file_name);
        AUTO_JSON json_t *file = client_file(&clients->clients[i], base_url);
        AUTO_BUF struct buf text;
        buf_init(&text, 8192);
        buf_put_json(&text, file);
        int rc = file_write(path, 0600, text.data, text.len, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

struct client *clients_find(struct clients *clients, const char *client_id)
{
    for (size_t i = 0; client_id && i < CLIENT_COUNT; i++)
        if (strcmp(clients->clients[i].id, client_id) == 0)
            return &clients->clients[i];
    return NULL;
}

struct project *clients_find_project(struct clients *clients, const char *name)
{
    for (size_t i = 0; name && i < PROJECT_COUNT; i++) {
        AUTO_FREE char *number = mem_printf("%llu", (unsigned long long)clients->projects[i].number);
        AUTO_FREE char *position = mem_printf("%zu", i + 1);
        if (strcmp(clients->projects[i].id, name) == 0 || strcmp(number, name) == 0 ||
            strcmp(position, name) == 0)
            return &clients->projects[i];
    }
    return NULL;
}
