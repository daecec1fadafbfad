/* The point of `check` that concerns the token service: its configuration, and with --online the service. */
#include "cli/findings.h"
#include "http/http.h"
#include "worker/worker.h"

#define WHAT "token_service"

static int probe(struct check *check, int *ret_status, char ret_message[MESSAGE_SIZE], struct err *err)
{
    struct cli_broker broker;
    int code = cli_broker_open(check->cli, &broker, err);
    if (code < 0)
        return code;
    code = broker_service_probe(broker.broker, ret_status, ret_message, err);
    cli_broker_close(&broker);
    return code;
}

static int judge(int status, const char *message, const char **ret_mend, struct err *err)
{
    if (status == 200)
        return 0;
    if (status == 401 || status == 403) {
        *ret_mend = "compare the bearer or the client certificate with what the service expects";
        return err_set(err, ERR_AUTH, "it does not know the broker (HTTP %d): %s", status, message);
    }
    *ret_mend = status ? "set token_service to the URL of the service's one resource; docs/token-service.md "
                         "tells what it has to answer"
                       : "check network, token_service_ca_file, the client certificate and the clock";
    return err_set(err, ERR_IO, "%s", message);
}

static void check_online(struct check *check)
{
    char message[MESSAGE_SIZE] = "";
    const char *mend = NULL;
    struct err err = {0};
    int status = 0;
    int code = probe(check, &status, message, &err);
    if (code == 0)
        code = judge(status, message, &mend, &err);
    if (code < 0)
        check_fail(check, WHAT, mend, &err);
    else
        check_ok(check, WHAT, "it answers, and knows the broker");
}

void check_token_service(struct check *check, bool is_online)
{
    const struct broker_config config = worker_broker_config(&check->cli->settings);
    const struct service_config *service = &config.service;
    struct http_origin origin;
    struct err err = {0};
    if (!*service->url)
        return;
    int code = service_check(service, config.allow_plain_loopback, &err);
    if (code == 0)
        code = http_origin_parse(service->url, &origin, &err);
    if (code < 0) {
        check_fail(check, WHAT, NULL, &err);
        return;
    }
    check_ok(check, WHAT, "%s, with %s%s%s%s", origin.host, service->cert_file ? "a client certificate" : "",
             service->cert_file && service->bearer_file ? " and " : "",
             service->bearer_file ? "a bearer" : "", is_online ? "" : " (not asked; --online does)");
    if (is_online)
        check_online(check);
}
